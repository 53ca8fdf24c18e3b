/* Compressed models: errors are what they are said to be, and what isn't chosen stays bit by bit.
 */
#include <ttm/compress.h>

#include "model_testing.h"

enum { LAYERS = 2 };

static ttm_model *random_model(model_testing *testing, const char *tt)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_model *model = NULL;
    ttm_model_init_options options = TTM_MODEL_INIT_OPTIONS_INIT;
    options.seed = ttm_random_u32(&testing->random);
    assert_ok(ttm_gpt2_config_init(&config, 19, 8, LAYERS, 2, 16));
    assert_ok(ttm_gpt2_config_apply_tt_spec(&config, tt));
    assert_ok(ttm_model_create(&model, testing->device, &config, NULL));
    assert_ok(ttm_model_init_parameters(model, testing->stream, &options));
    ttm_gpt2_config_free(&config);
    return model;
}

static float *read_values(const model_testing *testing, const ttm_model *model,
                          const ttm_parameter *parameter)
{
    const ttm_tensor tensor = ttm_model_parameter(model, parameter);
    float *values = calloc((size_t)parameter->count, sizeof *values);
    assert_ok(ttm_tensor_read(testing->stream, values, &tensor));
    return values;
}

static const ttm_parameter *find(const ttm_model *model, int64_t layer, ttm_gpt2_matrix matrix,
                                 const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "h.%" PRId64 ".%s.%s", layer, ttm_gpt2_matrix_name(matrix), part);
    return ttm_parameter_table_find(ttm_model_parameter_table(model), name);
}

/* W of a matrix; the caller frees. */
static float *matrix_of(const model_testing *testing, const ttm_model *model, int64_t layer,
                        ttm_gpt2_matrix matrix)
{
    const ttm_gpt2_config *config = ttm_model_config(model);
    const ttm_tt_shape *shape = ttm_gpt2_config_tt(config, layer, matrix);
    float *cores[TTM_TT_MAX_CORES] = {NULL};
    int64_t in = 0;
    int64_t out = 0;
    if (shape == NULL) {
        return read_values(testing, model, find(model, layer, matrix, "weight"));
    }
    ttm_gpt2_matrix_size(&in, &out, config, matrix);
    float *values = calloc((size_t)(in * out), sizeof *values);
    for (int32_t core = 0; core < shape->core_count; core++) {
        char part[16];
        snprintf(part, sizeof part, "cores.%d", core);
        cores[core] = read_values(testing, model, find(model, layer, matrix, part));
    }
    assert_ok(ttm_tt_materialize_f32(values, (const float *const *)cores, shape));
    for (int32_t core = 0; core < shape->core_count; core++) {
        free(cores[core]);
    }
    return values;
}

typedef struct told_matrices {
    ttm_compressed_matrix items[LAYERS * TTM_GPT2_MATRIX_COUNT];
    size_t count;
} told_matrices;

static void remember(void *user, const ttm_compressed_matrix *matrix)
{
    told_matrices *told = user;
    assert_in_range(told->count, 0, LAYERS * TTM_GPT2_MATRIX_COUNT - 1);
    told->items[told->count++] = *matrix;
}

/* ‖W − W'‖ / ‖W‖ of a matrix in two models. */
static double distance(const model_testing *testing, const ttm_model *before,
                       const ttm_model *after, const ttm_compressed_matrix *matrix)
{
    float *old = matrix_of(testing, before, matrix->layer, matrix->matrix);
    float *new = matrix_of(testing, after, matrix->layer, matrix->matrix);
    int64_t in = 0;
    int64_t out = 0;
    double difference = 0.0;
    double norm = 0.0;
    ttm_gpt2_matrix_size(&in, &out, ttm_model_config(before), matrix->matrix);
    for (int64_t i = 0; i < in * out; i++) {
        difference += ((double)old[i] - (double)new[i]) * ((double)old[i] - (double)new[i]);
        norm += (double)old[i] * (double)old[i];
    }
    free(old);
    free(new);
    return sqrt(difference / norm);
}

/* Everything that `told` doesn't name is the same. */
static void assert_rest_is_equal(const model_testing *testing, const ttm_model *before,
                                 const ttm_model *after, const told_matrices *told)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(after);
    for (size_t i = 0; i < table->count; i++) {
        const ttm_parameter *parameter = &table->items[i];
        const bool is_weight =
            parameter->kind == TTM_PARAMETER_MATRIX || parameter->kind == TTM_PARAMETER_CORE;
        bool changed = false;
        for (size_t k = 0; is_weight && k < told->count; k++) {
            changed = changed || (told->items[k].layer == parameter->layer &&
                                  (int)told->items[k].matrix == parameter->matrix);
        }
        if (changed) {
            continue;
        }
        const ttm_parameter *same =
            ttm_parameter_table_find(ttm_model_parameter_table(before), parameter->name);
        assert_non_null(same);
        float *old = read_values(testing, before, same);
        float *new = read_values(testing, after, parameter);
        assert_int_equal(memcmp(old, new, (size_t)parameter->count * sizeof *old), 0);
        free(old);
        free(new);
    }
}

/* Compresses towards `spec`, checks what is told, and that `count` matrices change. */
static void check_compression(model_testing *testing, const char *from, const char *spec,
                              unsigned matrices, double error, size_t count)
{
    ttm_gpt2_config target = TTM_GPT2_CONFIG_EMPTY;
    ttm_compress_options options = TTM_COMPRESS_OPTIONS_INIT;
    told_matrices told = {.count = 0};
    ttm_model *compressed = NULL;
    ttm_model *model = random_model(testing, from);
    assert_ok(ttm_gpt2_config_copy(&target, ttm_model_config(model)));
    assert_ok(ttm_gpt2_config_apply_tt_spec(&target, spec));
    options.target = &target;
    options.matrices = matrices;
    options.relative_error = error;
    options.progress = remember;
    options.user = &told;
    assert_ok(ttm_model_compress(&compressed, model, testing->stream, &options));
    assert_int_equal(told.count, count);
    for (size_t i = 0; i < told.count; i++) {
        const ttm_compressed_matrix *item = &told.items[i];
        const ttm_tt_shape *shape =
            ttm_gpt2_config_tt(ttm_model_config(compressed), item->layer, item->matrix);
        assert_int_equal(shape == NULL, item->shape.core_count == 0);
        assert_true(shape == NULL || ttm_tt_shape_equal(shape, &item->shape));
        assert_at_most(fabs(distance(testing, model, compressed, item) - item->relative_error),
                       1e-6);
        assert_true(error == 0.0 || item->relative_error <= error);
    }
    assert_rest_is_equal(testing, model, compressed, &told);
    ttm_model_destroy(compressed);
    ttm_model_destroy(model);
    ttm_gpt2_config_free(&target);
}

static const unsigned all = (1u << TTM_GPT2_MATRIX_COUNT) - 1;
static const unsigned mlp = 1u << TTM_GPT2_MLP_C_FC | 1u << TTM_GPT2_MLP_C_PROJ;

static void dense_matrices_become_tt(void **state)
{
    check_compression(*state, "none", "mlp=2x4,2x4,4x4:3", all, 0.0, 4);
    check_compression(*state, "none", "all=4", mlp, 0.0, 4);
    check_compression(*state, "none", "1/c_attn=4x6,4x8:5; 0/mlp=4x8,4x8:4", all, 0.0, 3);
    check_compression(*state, "none", "all=16", all, 0.5, 8);
}

static void tt_matrices_get_lower_ranks_and_other_modes(void **state)
{
    check_compression(*state, "mlp=2x4,2x4,4x4:6", "mlp=2x4,2x4,4x4:2", all, 0.0, 4);
    check_compression(*state, "mlp=2x4,2x4,4x4:6", "mlp=4x8,4x8:5", all, 0.0, 4);
    check_compression(*state, "mlp=2x4,2x4,4x4:6; c_attn=4x6,4x8:5", "mlp=2x4,2x4,4x4:6", mlp, 0.6,
                      4);
}

static void exact_changes_are_exact(void **state)
{
    check_compression(*state, "mlp=2x4,2x4,4x4:6", "none", all, 0.0, 4);
    check_compression(*state, "mlp=4x8,2x2,2x4:64; 0/c_attn=4x6,4x8:5", "mlp=4x8,2x2,2x4:64", all,
                      0.0, 4);
    check_compression(*state, "mlp=2x4,2x4,4x4:6", "mlp=2x4,2x4,4x4:6", all, 0.0, 0);
}

static void other_sizes_and_wrong_options_are_refused(void **state)
{
    model_testing *testing = *state;
    ttm_gpt2_config target = TTM_GPT2_CONFIG_EMPTY;
    ttm_compress_options options = TTM_COMPRESS_OPTIONS_INIT;
    ttm_model *compressed = NULL;
    ttm_model *model = random_model(testing, "none");
    assert_refused(ttm_model_compress(&compressed, model, testing->stream, &options),
                   TTM_ERROR_ARGUMENT, "target");
    assert_ok(ttm_gpt2_config_init(&target, 19, 8, LAYERS + 1, 2, 16));
    options.target = &target;
    assert_refused(ttm_model_compress(&compressed, model, testing->stream, &options),
                   TTM_ERROR_ARGUMENT, "target");
    ttm_gpt2_config_free(&target);
    assert_ok(ttm_gpt2_config_init(&target, 19, 8, LAYERS, 2, 16));
    assert_ok(ttm_gpt2_config_apply_tt_spec(&target, "mlp=4"));
    options.relative_error = -0.5;
    assert_refused(ttm_model_compress(&compressed, model, testing->stream, &options),
                   TTM_ERROR_ARGUMENT, "layer 0 mlp.c_fc");
    assert_null(compressed);
    ttm_gpt2_config_free(&target);
    ttm_model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_matrices_become_tt),
        cmocka_unit_test(tt_matrices_get_lower_ranks_and_other_modes),
        cmocka_unit_test(exact_changes_are_exact),
        cmocka_unit_test(other_sizes_and_wrong_options_are_refused),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
