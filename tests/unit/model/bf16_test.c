/* bf16 models against f32 models of the same parameters: what is rounded, and what isn't.
 *
 * Bounds: a pass rounds some 12 tensors a layer and direction to 8 significant bits, each by at
 * most 2^-8 of an element. With matrices that neither shrink nor stretch much, relative errors in
 * norm add up to no more than that many roundings. */
#include "step_testing.h"

#include <ttm/compute.h>
#include <ttm/generate.h>

enum { ROUNDINGS = 24 * LAYERS + 8 };

static const double rounding = 0x1p-8;

static void open_on(step_testing *made, const char *backend, const char *tt, ttm_dtype dtype,
                    ttm_tt_reduction reduction)
{
    ttm_device *device = NULL;
    assert_ok(ttm_device_open(&device, backend, NULL));
    step_open(made, device, tt, dtype, reduction);
}

static void close_all(step_testing *made)
{
    step_close(made);
    ttm_device_close(made->on.device);
}

/* Norm of the difference of two parameters' gradients relative to that of the first. */
static double relative_difference(const float *a, const float *b, const ttm_parameter *parameter)
{
    double difference = 0.0;
    double norm = 0.0;
    for (int64_t i = parameter->offset; i < parameter->offset + parameter->count; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        norm += (double)a[i] * (double)a[i];
    }
    return sqrt(difference) / (sqrt(norm) + 1e-30);
}

/* A bf16 model of `backend` against the f32 model of the reference backend. */
static void compare_step(const char *backend, const char *tt, ttm_tt_reduction reduction)
{
    step_testing wide;
    step_testing narrow;
    double largest = 0.0;
    open_on(&wide, "reference", tt, TTM_F32, reduction);
    open_on(&narrow, backend, tt, TTM_BF16, reduction);
    const float exact = step_run(&wide);
    const float rounded = step_run(&narrow);
    assert_at_most(fabs((double)rounded - (double)exact), ROUNDINGS * rounding * (double)exact);
    const ttm_tensor wide_flat = ttm_model_gradients(wide.model, 0);
    const ttm_tensor narrow_flat = ttm_model_gradients(narrow.model, 0);
    assert_int_equal(narrow_flat.dtype, TTM_F32);
    float *a = read_tensor(&wide.on, &wide_flat);
    float *b = read_tensor(&narrow.on, &narrow_flat);
    const ttm_parameter_table *table = ttm_model_parameter_table(wide.model);
    const ttm_parameter_table *narrow_table = ttm_model_parameter_table(narrow.model);
    assert_int_equal(table->buffer_count, narrow_table->buffer_count);
    for (size_t index = 0; index < table->count; index++) {
        const double difference = relative_difference(a, b, &table->items[index]);
        largest = difference > largest ? difference : largest;
        if (!(difference <= ROUNDINGS * rounding)) {
            fail_msg("%s: gradients differ by %g", table->items[index].name, difference);
        }
    }
    if (largest < rounding / 16) {
        fail_msg("nothing is rounded: gradients differ by %g only", largest);
    }
    free(a);
    free(b);
    close_all(&wide);
    close_all(&narrow);
}

static void losses_and_gradients_are_near_f32_on_the_reference_backend(void **state)
{
    (void)state;
    compare_step("reference", "none", TTM_TT_REDUCE_AUTO);
    compare_step("reference", "0/mlp=2x4,2x4,4x4:3", TTM_TT_REDUCE_PER_LAYER);
    compare_step("reference", "mlp=2x4,2x4,4x4:3", TTM_TT_REDUCE_PER_STEP);
}

static void losses_and_gradients_are_near_f32_on_the_cpu_backend(void **state)
{
    (void)state;
    compare_step("cpu", "none", TTM_TT_REDUCE_AUTO);
    compare_step("cpu", "mlp=2x4,2x4,4x4:3", TTM_TT_REDUCE_PER_LAYER);
    compare_step("cpu", "mlp=2x4,2x4,4x4:3", TTM_TT_REDUCE_PER_STEP);
}

static void working_parameters_follow_the_parameters(void **state)
{
    (void)state;
    step_testing made;
    open_on(&made, "reference", "none", TTM_BF16, TTM_TT_REDUCE_AUTO);
    const ttm_tensor parameters = ttm_model_parameters(made.model, 0);
    const ttm_tensor working = ttm_model_working_parameters(made.model, 0);
    assert_int_equal(parameters.dtype, TTM_F32);
    assert_int_equal(working.dtype, TTM_BF16);
    const float before = step_run(&made);
    assert_ok(ttm_add(made.on.stream, &parameters, 0.5, &parameters, 0.0, NULL));
    ttm_model_parameters_changed(made.model);
    const float changed = step_run(&made);
    assert_true(before != changed);
    uint16_t *narrow = read_tensor(&made.on, &working);
    float *wide = read_tensor(&made.on, &parameters);
    for (int64_t i = 0; i < ttm_tensor_count(&parameters); i++) {
        uint32_t bits = (uint32_t)narrow[i] << 16;
        float value = 0.0F;
        memcpy(&value, &bits, sizeof value);
        assert_at_most(fabs((double)value - (double)wide[i]), rounding * fabs((double)wide[i]));
    }
    free(narrow);
    free(wide);
    /* After parameters_stepped the working copy is taken as it is, right or wrong. */
    assert_ok(ttm_fill(made.on.stream, &parameters, 0.0));
    ttm_model_parameters_stepped(made.model);
    assert_true(step_run(&made) == changed);
    close_all(&made);
}

static void a_model_without_working_parameters_has_none(void **state)
{
    (void)state;
    step_testing made;
    open_on(&made, "reference", "none", TTM_F32, TTM_TT_REDUCE_AUTO);
    const ttm_tensor working = ttm_model_working_parameters(made.model, 0);
    assert_false(ttm_tensor_present(&working));
    close_all(&made);
}

/* Peak of the device's counter against the plan. */
static void check_plan(const char *backend, const char *tt)
{
    step_testing made = {.on = {.random = {.seed = 5, .position = 0}}};
    ttm_gpt2_config config = layered_config(LAYERS, tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.dtype = TTM_BF16;
    assert_ok(ttm_device_open(&made.on.device, backend, NULL));
    const ttm_memory_plan plan = step_plan(&options, made.on.device, &config);
    assert_int_equal(plan.working_bytes * 2, plan.parameter_bytes);
    assert_ok(ttm_stream_create(&made.on.stream, made.on.device));
    assert_ok(ttm_stream_reserve_workspace(made.on.stream, plan.workspace_bytes));
    assert_ok(ttm_model_create(&made.model, made.on.device, &config, &options));
    assert_ok(ttm_model_init_parameters(made.model, made.on.stream, NULL));
    const uint64_t before_batches = ttm_device_memory_used(made.on.device);
    made.tokens = random_tokens(&made.on, BATCH, SEQ, config.vocab_size);
    made.targets = random_tokens(&made.on, BATCH, SEQ, config.vocab_size);
    made.loss = new_tensor(&made.on, TTM_F32, 1, 0);
    ttm_tensor losses = new_tensor(&made.on, TTM_F32, (int64_t)BATCH * SEQ, 0);
    const uint64_t batches = ttm_device_memory_used(made.on.device) - before_batches;
    (void)step_run(&made);
    assert_ok(ttm_model_losses(made.model, made.on.stream, &losses, &made.tokens, &made.targets));
    const uint64_t used = ttm_device_memory_used(made.on.device) - batches;
    const uint64_t unit = ttm_device_get_info(made.on.device)->alignment_bytes;
    assert_true(used >= plan.total_bytes && used < plan.total_bytes + unit);
    ttm_tensor_free(&losses, made.on.device);
    ttm_gpt2_config_free(&config);
    close_all(&made);
}

static void the_memory_plan_is_exact(void **state)
{
    (void)state;
    check_plan("reference", "mlp=2x4,2x4,4x4:3");
    check_plan("cpu", "none");
    check_plan("cpu", "mlp=2x4,2x4,4x4:3");
}

/* The cache holds bf16 numbers, as a whole pass has them: only sums differ in their order. */
static void generation_gives_what_whole_passes_give(void **state)
{
    (void)state;
    static const int32_t prompt[] = {3, 1, 4, 1, 5, 9, 2, 6};
    enum { COUNT = 8, VOCAB = 19 };
    step_testing made;
    open_on(&made, "cpu", "mlp=2x4,2x4,4x4:3", TTM_BF16, TTM_TT_REDUCE_AUTO);
    const ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    const int64_t shape[2] = {1, COUNT};
    ttm_tensor tokens;
    ttm_tensor logits = new_tensor(&made.on, TTM_F32, COUNT, VOCAB);
    assert_ok(ttm_generator_create(&generator, made.model, made.on.stream, &options));
    assert_ok(ttm_generator_prefill(generator, 0, prompt, COUNT - 2));
    assert_ok(ttm_generator_step(generator, &prompt[COUNT - 2]));
    assert_ok(ttm_generator_step(generator, &prompt[COUNT - 1]));
    assert_ok(ttm_tensor_alloc(&tokens, made.on.device, TTM_I32, 2, shape));
    assert_ok(ttm_tensor_write(made.on.stream, &tokens, prompt));
    assert_ok(ttm_model_logits(made.model, made.on.stream, &logits, &tokens));
    float *whole = read_tensor(&made.on, &logits);
    const float *stepped = ttm_generator_logits(generator, 0);
    double largest = 0.0;
    double difference = 0.0;
    for (int token = 0; token < VOCAB; token++) {
        const double expected = (double)whole[(COUNT - 1) * VOCAB + token];
        largest = fmax(largest, fabs(expected));
        difference = fmax(difference, fabs(expected - (double)stepped[token]));
    }
    assert_at_most(difference, ROUNDINGS * rounding * largest);
    free(whole);
    ttm_generator_destroy(generator);
    ttm_tensor_free(&logits, made.on.device);
    ttm_tensor_free(&tokens, made.on.device);
    close_all(&made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_and_gradients_are_near_f32_on_the_reference_backend),
        cmocka_unit_test(losses_and_gradients_are_near_f32_on_the_cpu_backend),
        cmocka_unit_test(working_parameters_follow_the_parameters),
        cmocka_unit_test(a_model_without_working_parameters_has_none),
        cmocka_unit_test(the_memory_plan_is_exact),
        cmocka_unit_test(generation_gives_what_whole_passes_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
