/* Passes through a model agree with each other, refuse what doesn't fit, and take the memory that
 * was planned. */
#include "core/device_internal.h"
#include "model_testing.h"

#include <ttm/compute.h>

static ttm_model *new_model(model_testing *testing, const char *tt, bool training,
                            ttm_tt_execution execution, const double *parameters)
{
    ttm_gpt2_config config = small_config(tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model *model = NULL;
    options.training = training;
    options.dtype = TTM_F64;
    options.execution = execution;
    options.logit_rows = 5;
    assert_ok(ttm_model_create(&model, testing->device, &config, &options));
    if (parameters != NULL) {
        const ttm_tensor flat = ttm_model_parameters(model, 0);
        assert_ok(ttm_tensor_write(testing->stream, &flat, parameters));
        ttm_model_parameters_changed(model);
    }
    ttm_gpt2_config_free(&config);
    return model;
}

static void give_parameters(model_testing *testing, ttm_model *model)
{
    double *parameters = random_parameters(testing, model);
    const ttm_tensor flat = ttm_model_parameters(model, 0);
    assert_ok(ttm_tensor_write(testing->stream, &flat, parameters));
    ttm_model_parameters_changed(model);
    free(parameters);
}

static double *logits_of(model_testing *testing, ttm_model *model, const ttm_tensor *tokens)
{
    const int64_t rows = ttm_tensor_count(tokens);
    ttm_tensor logits = new_tensor(testing, TTM_F64, rows, ttm_model_config(model)->vocab_size);
    assert_ok(ttm_model_logits(model, testing->stream, &logits, tokens));
    double *values = read_tensor(testing, &logits);
    ttm_tensor_free(&logits, testing->device);
    return values;
}

static void assert_close(const double *a, const double *b, int64_t count, double tolerance)
{
    double difference = 0.0;
    for (int64_t index = 0; index < count; index++) {
        difference = fmax(difference, fabs(a[index] - b[index]));
    }
    assert_at_most(difference, tolerance * fmax(1.0, norm_of(b, count)));
}

static void losses_are_those_of_the_logits(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, "mlp=2x4,2x4,4x4:3", false, TTM_TT_AUTO, NULL);
    give_parameters(testing, model);
    ttm_tensor tokens = random_tokens(testing, 2, 9, 19);
    ttm_tensor targets = random_tokens(testing, 2, 9, 19);
    ttm_tensor losses = new_tensor(testing, TTM_F64, 18, 0);
    assert_ok(ttm_model_losses(model, testing->stream, &losses, &tokens, &targets));
    double *loss = read_tensor(testing, &losses);
    double *logits = logits_of(testing, model, &tokens);
    int32_t *target = read_tensor(testing, &targets);
    for (int row = 0; row < 18; row++) {
        double sum = 0.0;
        for (int token = 0; token < 19; token++) {
            sum += exp(logits[row * 19 + token] - logits[row * 19 + target[row]]);
        }
        assert_at_most(fabs(loss[row] - log(sum)), 1e-10);
    }
    free(target);
    free(logits);
    free(loss);
    ttm_tensor_free(&losses, testing->device);
    ttm_tensor_free(&targets, testing->device);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
}

static void the_training_loss_is_the_mean_of_the_token_losses(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, "mlp=2x4,2x4,4x4:3", true, TTM_TT_AUTO, NULL);
    give_parameters(testing, model);
    ttm_tensor tokens = random_tokens(testing, 3, 12, 19);
    ttm_tensor losses = new_tensor(testing, TTM_F64, 36, 0);
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = tokens;
    micro_batch.targets = tokens;
    micro_batch.loss = new_tensor(testing, TTM_F64, 1, 0);
    assert_ok(ttm_model_forward_backward(model, testing->stream, &micro_batch));
    assert_ok(ttm_model_losses(model, testing->stream, &losses, &tokens, &tokens));
    double *each = read_tensor(testing, &losses);
    double *mean = read_tensor(testing, &micro_batch.loss);
    double sum = 0.0;
    for (int index = 0; index < 36; index++) {
        sum += each[index];
    }
    assert_at_most(fabs(sum / 36.0 - mean[0]), 1e-12);
    free(mean);
    free(each);
    ttm_tensor_free(&micro_batch.loss, testing->device);
    ttm_tensor_free(&losses, testing->device);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
}

/* A token can't change what is predicted before it. */
static void logits_depend_on_earlier_tokens_only(void **state)
{
    model_testing *testing = *state;
    ttm_model *model = new_model(testing, "none", false, TTM_TT_AUTO, NULL);
    give_parameters(testing, model);
    ttm_tensor tokens = random_tokens(testing, 1, 10, 19);
    double *before = logits_of(testing, model, &tokens);
    int32_t *values = read_tensor(testing, &tokens);
    values[6] = (values[6] + 1) % 19;
    assert_ok(ttm_tensor_write(testing->stream, &tokens, values));
    double *after = logits_of(testing, model, &tokens);
    assert_memory_equal(before, after, 6 * 19 * sizeof *before);
    assert_memory_not_equal(before + 6 * 19, after + 6 * 19, 19 * sizeof *before);
    free(after);
    free(values);
    free(before);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
}

/* Runs a pass over tokens[rows] and checks how many layer norms were part of a product, and how
 * many weren't; the caller frees the logits. */
static double *count_norms(model_testing *testing, ttm_model *model, const ttm_tensor *tokens,
                           uint64_t joined, uint64_t alone)
{
    ttm_stream_reset_statistics(testing->stream);
    double *logits = logits_of(testing, model, tokens);
    assert_int_equal(ttm_stream_statistics(testing->stream, TTM_OP_NORM_MATMUL).calls, joined);
    assert_int_equal(ttm_stream_statistics(testing->stream, TTM_OP_LAYER_NORM).calls, alone);
    return logits;
}

/* Layer norms of up to eight rows are part of the products that read them, but for the final one,
 * for contractions, and where a gradient will want what was normalised. */
static void few_rows_are_normalised_by_their_products(void **state)
{
    model_testing *testing = *state;
    const char *const tt = "mlp=2x4,2x4,4x4:3";
    ttm_model *model = new_model(testing, tt, false, TTM_TT_CACHED, NULL);
    double *parameters = random_parameters(testing, model);
    const ttm_tensor flat = ttm_model_parameters(model, 0);
    assert_ok(ttm_tensor_write(testing->stream, &flat, parameters));
    ttm_model_parameters_changed(model);
    ttm_model *contracting = new_model(testing, tt, false, TTM_TT_CONTRACT, parameters);
    ttm_model *training = new_model(testing, tt, true, TTM_TT_AUTO, parameters);
    ttm_tensor nine = random_tokens(testing, 1, 9, 19);
    const ttm_tensor eight = ttm_tensor_slice(&nine, 1, 0, 8);
    double *expected = count_norms(testing, model, &nine, 0, 5);
    double *joined = count_norms(testing, model, &eight, 4, 1);
    double *contracted = count_norms(testing, contracting, &eight, 2, 3);
    assert_close(expected, joined, 8 * 19, 1e-12);
    assert_close(expected, contracted, 8 * 19, 1e-12);
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = eight;
    micro_batch.targets = eight;
    micro_batch.loss = new_tensor(testing, TTM_F64, 1, 0);
    ttm_stream_reset_statistics(testing->stream);
    assert_ok(ttm_model_forward_backward(training, testing->stream, &micro_batch));
    assert_int_equal(ttm_stream_statistics(testing->stream, TTM_OP_NORM_MATMUL).calls, 0);
    ttm_tensor_free(&micro_batch.loss, testing->device);
    free(contracted);
    free(joined);
    free(expected);
    free(parameters);
    ttm_tensor_free(&nine, testing->device);
    ttm_model_destroy(training);
    ttm_model_destroy(contracting);
    ttm_model_destroy(model);
}

static void contraction_and_cached_matrices_agree(void **state)
{
    model_testing *testing = *state;
    const char *const tt = "all=none; mlp=2x4,2x4,4x4:3; attn.c_proj=4x4,4x4:2";
    ttm_model *cached = new_model(testing, tt, false, TTM_TT_CACHED, NULL);
    double *parameters = random_parameters(testing, cached);
    const ttm_tensor flat = ttm_model_parameters(cached, 0);
    assert_ok(ttm_tensor_write(testing->stream, &flat, parameters));
    ttm_model *contracting = new_model(testing, tt, false, TTM_TT_CONTRACT, parameters);
    ttm_tensor tokens = random_tokens(testing, 2, 8, 19);
    double *a = logits_of(testing, cached, &tokens);
    double *b = logits_of(testing, contracting, &tokens);
    assert_close(a, b, 2 * 8 * 19, 1e-12);
    free(b);
    free(a);
    free(parameters);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(contracting);
    ttm_model_destroy(cached);
}

/* A dense model whose matrices are the products of the cores computes the same. */
static void a_tt_model_computes_what_its_dense_twin_computes(void **state)
{
    model_testing *testing = *state;
    const char *const tt = "mlp=2x4,2x4,4x4:3";
    ttm_model *model = new_model(testing, tt, false, TTM_TT_CACHED, NULL);
    ttm_model *dense = new_model(testing, "none", false, TTM_TT_CACHED, NULL);
    give_parameters(testing, model);
    const ttm_parameter_table *table = ttm_model_parameter_table(dense);
    for (size_t index = 0; index < table->count; index++) {
        const ttm_parameter *target = &table->items[index];
        const ttm_tensor to = ttm_model_parameter(dense, target);
        const ttm_parameter *same =
            ttm_parameter_table_find(ttm_model_parameter_table(model), target->name);
        if (same != NULL) {
            const ttm_tensor from = ttm_model_parameter(model, same);
            assert_ok(ttm_copy(testing->stream, &to, &from));
            continue;
        }
        char name[96];
        ttm_tensor cores[3];
        for (int core = 0; core < 3; core++) {
            snprintf(name, sizeof name, "%.*s.cores.%d",
                     (int)(strlen(target->name) - strlen(".weight")), target->name, core);
            const ttm_parameter *source =
                ttm_parameter_table_find(ttm_model_parameter_table(model), name);
            assert_non_null(source);
            const ttm_tensor value = ttm_model_parameter(model, source);
            cores[core] = ttm_tensor_broadcast(&value, 0, 1);
        }
        const ttm_tensor matrix = ttm_tensor_at3(&to, 0, 1, to.shape[0], to.shape[1]);
        assert_ok(ttm_tt_build(testing->stream, &matrix, 3, cores));
    }
    ttm_tensor tokens = random_tokens(testing, 2, 8, 19);
    double *a = logits_of(testing, model, &tokens);
    double *b = logits_of(testing, dense, &tokens);
    assert_close(a, b, 2 * 8 * 19, 1e-12);
    free(b);
    free(a);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(dense);
    ttm_model_destroy(model);
}

static void dropout_masks_follow_seed_and_index(void **state)
{
    model_testing *testing = *state;
    ttm_gpt2_config config = small_config("none");
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model *model = NULL;
    config.residual_dropout = 0.5;
    options.training = true;
    options.dtype = TTM_F64;
    assert_ok(ttm_model_create(&model, testing->device, &config, &options));
    give_parameters(testing, model);
    ttm_tensor tokens = random_tokens(testing, 2, 8, 19);
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = tokens;
    micro_batch.targets = tokens;
    micro_batch.loss = new_tensor(testing, TTM_F64, 1, 0);
    const uint64_t seeds[] = {1, 1, 2, 1, 1};
    const uint64_t indices[] = {7, 7, 7, 8, 7};
    double losses[5];
    for (int run = 0; run < 5; run++) {
        micro_batch.dropout_seed = seeds[run];
        micro_batch.dropout_index = indices[run];
        micro_batch.dropout = run < 4;
        assert_ok(ttm_model_forward_backward(model, testing->stream, &micro_batch));
        assert_ok(ttm_tensor_read(testing->stream, &losses[run], &micro_batch.loss));
    }
    assert_true(losses[0] == losses[1]);
    assert_true(losses[0] != losses[2] && losses[0] != losses[3] && losses[0] != losses[4]);
    ttm_tensor_free(&micro_batch.loss, testing->device);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
    ttm_gpt2_config_free(&config);
}

static ttm_model_options training_options(int64_t accumulation, ttm_tt_reduction reduction)
{
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.training = true;
    options.batch = 3;
    options.seq = 12;
    options.accumulation = accumulation;
    options.reduction = reduction;
    return options;
}

static void check_plan(model_testing *testing, const char *tt, int64_t accumulation)
{
    ttm_gpt2_config config = small_config(tt);
    const ttm_model_options options = training_options(accumulation, TTM_TT_REDUCE_AUTO);
    ttm_memory_plan plan;
    ttm_stream *planning = NULL;
    ttm_stream *stream = NULL;
    ttm_model *model = NULL;
    assert_ok(ttm_stream_create_planning(&planning, testing->device));
    const size_t before = ttm_device_memory_used(testing->device);
    assert_ok(ttm_model_memory_plan(&plan, planning, &config, &options));
    assert_int_equal(ttm_device_memory_used(testing->device), before);
    assert_int_equal(plan.total_bytes, plan.parameter_bytes + plan.gradient_bytes +
                                           plan.activation_bytes + plan.matrix_bytes +
                                           plan.workspace_bytes);

    assert_ok(ttm_stream_create(&stream, testing->device));
    assert_ok(ttm_model_create(&model, testing->device, &config, &options));
    assert_int_equal(ttm_device_memory_used(testing->device) - before,
                     plan.total_bytes - plan.workspace_bytes);
    ttm_tensor tokens = random_tokens(testing, 3, 12, 19);
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = tokens;
    micro_batch.targets = tokens;
    assert_ok(ttm_model_begin_step(model, stream));
    assert_ok(ttm_model_forward_backward(model, stream, &micro_batch));
    assert_ok(ttm_model_end_step(model, stream));
    ttm_tensor_free(&tokens, testing->device);
    assert_int_equal(ttm_stream_workspace_bytes(stream), plan.workspace_bytes);
    ttm_model_destroy(model);
    ttm_stream_destroy(stream);
    ttm_stream_destroy(planning);
    ttm_gpt2_config_free(&config);
}

static void the_memory_plan_is_what_is_allocated(void **state)
{
    check_plan(*state, "none", 1);
    check_plan(*state, "mlp=2x4,2x4,4x4:3", 1);
    check_plan(*state, "mlp=2x4,2x4,4x4:3; 1/c_fc=none", 4);
}

static uint64_t planned_matrix_bytes(model_testing *testing, ttm_tt_reduction reduction)
{
    ttm_gpt2_config config = small_config("mlp=2x4,2x4,4x4:3");
    const ttm_model_options options = training_options(1, reduction);
    ttm_memory_plan plan;
    ttm_stream *planning = NULL;
    assert_ok(ttm_stream_create_planning(&planning, testing->device));
    assert_ok(ttm_model_memory_plan(&plan, planning, &config, &options));
    ttm_stream_destroy(planning);
    ttm_gpt2_config_free(&config);
    return plan.matrix_bytes;
}

/* W of four matrices, and dW of as many or of one. */
static void a_gpu_with_room_keeps_the_gradients_of_all_matrices(void **state)
{
    model_testing *testing = *state;
    const ttm_device_info info = testing->device->info;
    const uint64_t least = planned_matrix_bytes(testing, TTM_TT_REDUCE_PER_LAYER);
    const uint64_t most = planned_matrix_bytes(testing, TTM_TT_REDUCE_PER_STEP);
    assert_true(least < most);
    assert_int_equal(planned_matrix_bytes(testing, TTM_TT_REDUCE_AUTO), least);
    testing->device->info.kind = TTM_DEVICE_GPU;
    testing->device->info.memory_bytes = 32 * (most / 2);
    assert_int_equal(planned_matrix_bytes(testing, TTM_TT_REDUCE_AUTO), most);
    assert_int_equal(planned_matrix_bytes(testing, TTM_TT_REDUCE_PER_LAYER), least);
    testing->device->info.memory_bytes = 32 * (most / 2) - 1;
    assert_int_equal(planned_matrix_bytes(testing, TTM_TT_REDUCE_AUTO), least);
    testing->device->info = info;
}

static void what_does_not_fit_is_refused(void **state)
{
    model_testing *testing = *state;
    ttm_gpt2_config config = small_config("none");
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_memory_plan plan;
    ttm_model *model = NULL;
    options.batch = 1;
    options.seq = 13;
    assert_refused(ttm_model_create(&model, testing->device, &config, &options), TTM_ERROR_SHAPE,
                   "13 tokens exceed the model's context of 12");
    options.seq = 0;
    assert_refused(ttm_model_create(&model, testing->device, &config, &options), TTM_ERROR_ARGUMENT,
                   "batch");
    options.batch = 0;
    options.dtype = TTM_I32;
    assert_refused(ttm_model_create(&model, testing->device, &config, &options),
                   TTM_ERROR_UNSUPPORTED, "i32");
    assert_null(model);
    options.dtype = TTM_F64;
    assert_refused(ttm_model_memory_plan(&plan, testing->stream, &config, &options),
                   TTM_ERROR_ARGUMENT, "planning stream");
    ttm_gpt2_config_free(&config);

    model = new_model(testing, "none", false, TTM_TT_AUTO, NULL);
    ttm_tensor tokens = random_tokens(testing, 1, 13, 19);
    ttm_tensor losses = new_tensor(testing, TTM_F64, 13, 0);
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = tokens;
    micro_batch.targets = tokens;
    assert_refused(ttm_model_forward_backward(model, testing->stream, &micro_batch),
                   TTM_ERROR_ARGUMENT, "training");
    assert_refused(ttm_model_end_step(model, testing->stream), TTM_ERROR_ARGUMENT, "training");
    assert_refused(ttm_model_losses(model, testing->stream, &losses, &tokens, &tokens),
                   TTM_ERROR_SHAPE, "context");
    assert_refused(ttm_model_losses(model, testing->stream, &losses, &losses, &losses),
                   TTM_ERROR_SHAPE, "f64 [13]");
    const ttm_tensor fewer = ttm_tensor_slice(&tokens, 1, 0, 12);
    assert_refused(ttm_model_losses(model, testing->stream, &losses, &fewer, &fewer),
                   TTM_ERROR_SHAPE, "losses [12]");
    ttm_tensor_free(&losses, testing->device);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
}

static void initial_parameters_have_gpt2s_deviations(void **state)
{
    model_testing *testing = *state;
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
    ttm_model *model = NULL;
    assert_ok(ttm_gpt2_config_init(&config, 200, 64, 3, 4, 64));
    assert_ok(ttm_gpt2_config_apply_tt_spec(&config, "0/c_fc=4x16,16x16:8"));
    assert_ok(ttm_model_create(&model, testing->device, &config, NULL));
    init.seed = 5;
    assert_ok(ttm_model_init_parameters(model, testing->stream, &init));
    const ttm_parameter_table *table = ttm_model_parameter_table(model);
    for (size_t index = 0; index < table->count; index++) {
        const ttm_parameter *parameter = &table->items[index];
        const ttm_tensor tensor = ttm_model_parameter(model, parameter);
        float *values = read_tensor(testing, &tensor);
        double squares = 0.0;
        for (int64_t element = 0; element < parameter->count; element++) {
            squares += (double)values[element] * values[element];
        }
        const double deviation = sqrt(squares / (double)parameter->count);
        const bool projection = strstr(parameter->name, "c_proj.weight") != NULL;
        if (parameter->kind == TTM_PARAMETER_MATRIX || parameter->kind == TTM_PARAMETER_EMBEDDING) {
            const double wanted = projection ? 0.02 / sqrt(6.0) : 0.02;
            assert_at_most(fabs(deviation / wanted - 1.0), 0.06);
        } else if (parameter->kind != TTM_PARAMETER_CORE) {
            assert_true(deviation == (strstr(parameter->name, ".weight") != NULL ? 1.0 : 0.0));
        }
        free(values);
    }
    ttm_model_destroy(model);
    ttm_gpt2_config_free(&config);
}

static void the_same_seed_gives_the_same_parameters(void **state)
{
    model_testing *testing = *state;
    char hashes[4][33];
    for (int run = 0; run < 4; run++) {
        ttm_model *model = NULL;
        ttm_gpt2_config config = small_config("0/mlp=2x4,2x4,4x4:3");
        ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
        init.seed = run == 2 ? 2 : 1;
        init.zero_residual = run == 3;
        assert_ok(ttm_model_create(&model, testing->device, &config, NULL));
        assert_ok(ttm_model_init_parameters(model, testing->stream, &init));
        assert_ok(ttm_model_weights_hash(hashes[run], model, testing->stream));
        ttm_model_destroy(model);
        ttm_gpt2_config_free(&config);
    }
    assert_string_equal(hashes[0], hashes[1]);
    assert_string_not_equal(hashes[0], hashes[2]);
    assert_string_not_equal(hashes[0], hashes[3]);
}

/* With zero residual projections every layer is the identity: two tokens that are equal at one
 * position have equal logits whatever stands before them. */
static void zero_residual_projections_make_layers_the_identity(void **state)
{
    model_testing *testing = *state;
    ttm_gpt2_config config = small_config("mlp=2x4,2x4,4x4:3");
    ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
    ttm_model *model = NULL;
    const int64_t shape[2] = {2, 2};
    const int32_t values[4] = {3, 7, 5, 7};
    ttm_tensor tokens;
    ttm_tensor logits = new_tensor(testing, TTM_F32, 4, 19);
    init.zero_residual = true;
    assert_ok(ttm_model_create(&model, testing->device, &config, NULL));
    assert_ok(ttm_model_init_parameters(model, testing->stream, &init));
    assert_ok(ttm_tensor_alloc(&tokens, testing->device, TTM_I32, 2, shape));
    assert_ok(ttm_tensor_write(testing->stream, &tokens, values));
    assert_ok(ttm_model_logits(model, testing->stream, &logits, &tokens));
    float *read = read_tensor(testing, &logits);
    assert_memory_equal(read + 19, read + 3 * 19, 19 * sizeof *read);
    assert_memory_not_equal(read, read + 2 * 19, 19 * sizeof *read);
    free(read);
    ttm_tensor_free(&logits, testing->device);
    ttm_tensor_free(&tokens, testing->device);
    ttm_model_destroy(model);
    ttm_gpt2_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_are_those_of_the_logits),
        cmocka_unit_test(the_training_loss_is_the_mean_of_the_token_losses),
        cmocka_unit_test(logits_depend_on_earlier_tokens_only),
        cmocka_unit_test(few_rows_are_normalised_by_their_products),
        cmocka_unit_test(contraction_and_cached_matrices_agree),
        cmocka_unit_test(a_tt_model_computes_what_its_dense_twin_computes),
        cmocka_unit_test(dropout_masks_follow_seed_and_index),
        cmocka_unit_test(the_memory_plan_is_what_is_allocated),
        cmocka_unit_test(a_gpu_with_room_keeps_the_gradients_of_all_matrices),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(initial_parameters_have_gpt2s_deviations),
        cmocka_unit_test(the_same_seed_gives_the_same_parameters),
        cmocka_unit_test(zero_residual_projections_make_layers_the_identity),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
