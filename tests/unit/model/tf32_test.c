/* tf32 models: operands of the model's products and attention, and of nothing else, are TF32 where
 * a device takes that, and everywhere else a tf32 model is an f32 model to the last bit. The device
 * that takes it is `reference` in a wrapper that counts products. */
#include "step_testing.h"

#include "core/device_internal.h"

#include <ttm/compute.h>
#include <ttm/generate.h>

static const char *const some_tt = "0/mlp=2x4,2x4,4x4:3";

/* ---- A device with TF32 ---- */

static ttm_backend counting_backend;
static ttm_device counting_device;
static ttm_device *reference_device;
static const ttm_backend *reference;
static int rounded_products;
static int other_products;
static int rounded_attention;
static int other_attention;

/* The ops of cores are decomposed, so that their products are seen too. */
static bool is_of_cores(ttm_opcode opcode)
{
    return opcode == TTM_OP_TT_BUILD || opcode == TTM_OP_TT_GRADIENT || opcode == TTM_OP_TT_LINEAR;
}

/* `op` with operands that `reference` takes. */
static ttm_op as_f32(ttm_tensor slots[TTM_OP_MAX_TENSORS], const ttm_op *op)
{
    ttm_op plain;
    (void)ttm_op_without_tf32(&plain, slots, op);
    return plain;
}

static int counting_supported(ttm_backend_device *device, const ttm_op *op)
{
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op plain = as_f32(slots, op);
    return is_of_cores(op->opcode) ? 0 : reference->op_supported(device, &plain);
}

static size_t counting_workspace(ttm_backend_device *device, const ttm_op *op)
{
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op plain = as_f32(slots, op);
    return reference->op_workspace_bytes != NULL ? reference->op_workspace_bytes(device, &plain)
                                                 : 0;
}

static ttm_status counting_run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op plain = as_f32(slots, op);
    const bool is_rounded = plain.tensors == slots;
    if (op->opcode == TTM_OP_MATMUL) {
        rounded_products += is_rounded;
        other_products += !is_rounded;
    } else if (op->opcode == TTM_OP_ATTENTION || op->opcode == TTM_OP_ATTENTION_BACKWARD) {
        rounded_attention += is_rounded;
        other_attention += !is_rounded;
    }
    for (uint32_t slot = 0; slot < plain.tensor_count; slot++) {
        assert_int_not_equal(plain.tensors[slot].dtype, TTM_TF32);
    }
    return reference->op_run(stream, &plain);
}

static int open_counting(void **state)
{
    (void)state;
    assert_ok(ttm_device_open(&reference_device, "reference", NULL));
    reference = reference_device->backend;
    counting_backend = *reference;
    counting_backend.name = "counting";
    counting_backend.op_supported = counting_supported;
    counting_backend.op_workspace_bytes = counting_workspace;
    counting_backend.op_run = counting_run;
    counting_device.backend = &counting_backend;
    counting_device.handle = reference_device->handle;
    counting_device.info = reference_device->info;
    counting_device.info.dtype_mask |= 1U << TTM_TF32;
    return 0;
}

static int close_counting(void **state)
{
    (void)state;
    ttm_device_close(reference_device);
    return 0;
}

static void count_anew(void)
{
    rounded_products = 0;
    other_products = 0;
    rounded_attention = 0;
    other_attention = 0;
}

/* ---- Which products ---- */

/* Of a step: y, dx and dW of each matrix, and as much of each chunk of the head. */
enum {
    CHUNKS = (BATCH * SEQ + LOGIT_ROWS - 1) / LOGIT_ROWS,
    STEP_PRODUCTS = MICRO_BATCHES * 3 * (LAYERS * TTM_GPT2_MATRIX_COUNT + CHUNKS),
    STEP_ATTENTION = MICRO_BATCHES * 2 * LAYERS
};

static void count_step(const char *tt, ttm_dtype dtype, ttm_tt_reduction reduction)
{
    step_testing made;
    step_open(&made, &counting_device, tt, dtype, reduction);
    count_anew();
    (void)step_run(&made);
    step_close(&made);
}

static void all_products_and_attention_of_a_step_are_tf32(void **state)
{
    (void)state;
    count_step("none", TTM_TF32, TTM_TT_REDUCE_AUTO);
    assert_int_equal(rounded_products, STEP_PRODUCTS);
    assert_int_equal(other_products, 0);
    assert_int_equal(rounded_attention, STEP_ATTENTION);
    assert_int_equal(other_attention, 0);
    count_step("none", TTM_F32, TTM_TT_REDUCE_AUTO);
    assert_int_equal(rounded_products, 0);
    assert_int_equal(other_products, STEP_PRODUCTS);
    assert_int_equal(rounded_attention, 0);
    assert_int_equal(other_attention, STEP_ATTENTION);
}

static void products_of_cores_arent(void **state)
{
    (void)state;
    for (ttm_tt_reduction reduction = TTM_TT_REDUCE_PER_LAYER; reduction <= TTM_TT_REDUCE_PER_STEP;
         reduction++) {
        count_step(some_tt, TTM_TF32, reduction);
        assert_int_equal(rounded_products, STEP_PRODUCTS);
        assert_true(other_products > 0);
        const int of_cores = other_products;
        count_step(some_tt, TTM_F32, reduction);
        assert_int_equal(rounded_products, 0);
        assert_int_equal(other_products, STEP_PRODUCTS + of_cores);
    }
}

/* A pass without gradient over all of the context. */
static void count_pass(const char *tt, ttm_tt_execution execution)
{
    ttm_gpt2_config config = layered_config(LAYERS, tt);
    model_testing on = {.device = &counting_device, .random = {.seed = 5, .position = 0}};
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model *model = NULL;
    options.dtype = TTM_TF32;
    options.execution = execution;
    assert_ok(ttm_stream_create(&on.stream, on.device));
    assert_ok(ttm_model_create(&model, on.device, &config, &options));
    ttm_tensor tokens = random_tokens(&on, 1, config.context, config.vocab_size);
    ttm_tensor logits = new_tensor(&on, TTM_F32, config.context, config.vocab_size);
    count_anew();
    assert_ok(ttm_model_logits(model, on.stream, &logits, &tokens));
    ttm_tensor_free(&tokens, on.device);
    ttm_tensor_free(&logits, on.device);
    ttm_model_destroy(model);
    ttm_stream_destroy(on.stream);
    ttm_gpt2_config_free(&config);
}

static void contraction_with_cores_stays_f32(void **state)
{
    (void)state;
    count_pass(some_tt, TTM_TT_CACHED);
    assert_int_equal(rounded_products, LAYERS * TTM_GPT2_MATRIX_COUNT + 1);
    count_pass(some_tt, TTM_TT_CONTRACT);
    assert_int_equal(rounded_products, LAYERS * TTM_GPT2_MATRIX_COUNT + 1 - 2);
    assert_true(other_products > 0);
}

/* Of one row those with a layer norm before them are NORM_MATMUL's, which knows f32 only. */
static void a_generated_token_has_them_where_no_norm_comes_before(void **state)
{
    (void)state;
    static const int32_t prompt[] = {3, 1, 4};
    const ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_generator *generator = NULL;
    step_testing made;
    step_open(&made, &counting_device, "none", TTM_TF32, TTM_TT_REDUCE_AUTO);
    assert_ok(ttm_generator_create(&generator, made.model, made.on.stream, &options));
    assert_ok(ttm_generator_prefill(generator, 0, prompt, 2));
    count_anew();
    assert_ok(ttm_generator_step(generator, &prompt[2]));
    assert_int_equal(rounded_products, LAYERS * (TTM_GPT2_MATRIX_COUNT - 2) + 1);
    assert_int_equal(other_products, 0);
    assert_int_equal(rounded_attention, LAYERS);
    ttm_generator_destroy(generator);
    step_close(&made);
}

/* ---- All else is f32 ---- */

/* Returns loss and gradients of a step, to be freed. */
static float *take_step(int64_t *count, ttm_device *device, const char *tt, ttm_dtype dtype)
{
    step_testing made;
    step_open(&made, device, tt, dtype, TTM_TT_REDUCE_AUTO);
    const float loss = step_run(&made);
    const ttm_tensor gradients = ttm_model_gradients(made.model, 0);
    const ttm_tensor working = ttm_model_working_parameters(made.model, 0);
    assert_int_equal(gradients.dtype, TTM_F32);
    assert_int_equal(ttm_model_parameters(made.model, 0).dtype, TTM_F32);
    assert_false(ttm_tensor_present(&working));
    float *values = read_tensor(&made.on, &gradients);
    *count = ttm_tensor_count(&gradients) + 1;
    values[*count - 1] = loss;
    step_close(&made);
    return values;
}

static void compare_step(ttm_device *device, const char *tt)
{
    int64_t count = 0;
    int64_t rounded_count = 0;
    float *plain = take_step(&count, device, tt, TTM_F32);
    float *rounded = take_step(&rounded_count, device, tt, TTM_TF32);
    assert_int_equal(rounded_count, count);
    assert_memory_equal(rounded, plain, (size_t)count * sizeof *plain);
    free(plain);
    free(rounded);
}

static void without_tf32_the_bits_are_those_of_f32(void **state)
{
    (void)state;
    static const char *const backends[] = {"reference", "cpu"};
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        ttm_device *device = NULL;
        assert_ok(ttm_device_open(&device, backends[i], NULL));
        assert_int_equal(ttm_device_get_info(device)->dtype_mask >> TTM_TF32 & 1U, 0);
        compare_step(device, "none");
        compare_step(device, some_tt);
        ttm_device_close(device);
    }
}

static ttm_memory_plan plan_of(ttm_device *device, ttm_dtype dtype)
{
    ttm_gpt2_config config = layered_config(LAYERS, some_tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.dtype = dtype;
    const ttm_memory_plan plan = step_plan(&options, device, &config);
    ttm_gpt2_config_free(&config);
    return plan;
}

static void the_memory_plan_is_that_of_f32(void **state)
{
    (void)state;
    ttm_device *const devices[] = {reference_device, &counting_device};
    for (int i = 0; i < 2; i++) {
        const ttm_memory_plan plain = plan_of(devices[i], TTM_F32);
        const ttm_memory_plan rounded = plan_of(devices[i], TTM_TF32);
        assert_memory_equal(&plain, &rounded, sizeof plain);
    }
}

static void auto_is_never_tf32(void **state)
{
    (void)state;
    ttm_dtype dtype = TTM_TF32;
    assert_ok(ttm_model_choose_dtype(&dtype, &counting_device));
    assert_true(dtype == TTM_F32 || dtype == TTM_BF16);
}

static void other_types_are_refused_with_those_that_are_there(void **state)
{
    (void)state;
    ttm_gpt2_config config = layered_config(LAYERS, "none");
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model *model = NULL;
    options.dtype = TTM_F16;
    assert_refused(ttm_model_create(&model, reference_device, &config, &options),
                   TTM_ERROR_UNSUPPORTED, "f32, tf32, bf16 or f64, not f16");
    ttm_gpt2_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_products_and_attention_of_a_step_are_tf32),
        cmocka_unit_test(products_of_cores_arent),
        cmocka_unit_test(contraction_with_cores_stays_f32),
        cmocka_unit_test(a_generated_token_has_them_where_no_norm_comes_before),
        cmocka_unit_test(without_tf32_the_bits_are_those_of_f32),
        cmocka_unit_test(the_memory_plan_is_that_of_f32),
        cmocka_unit_test(auto_is_never_tf32),
        cmocka_unit_test(other_types_are_refused_with_those_that_are_there),
    };
    return cmocka_run_group_tests(tests, open_counting, close_counting);
}
