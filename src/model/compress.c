/* A matrix after the other is read and brought to its new form, which waits on the host until the
 * shapes of all are known; then a model of these shapes gets them, and everything else as it was.
 */
#include "core/array.h"
#include "core/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compress.h>

/* A model being compressed. */
typedef struct compression {
    ttm_model *source;
    ttm_stream *stream;
    const ttm_compress_options *options;
    ttm_gpt2_config config; /* what comes out */
    ttm_tt *forms; /* [layers, TTM_GPT2_MATRIX_COUNT]: of TT-matrices that change; others empty */
} compression;

/* The parameter that a matrix or a core of it is; core −1: a dense matrix. */
static const ttm_parameter *find_parameter(const ttm_model *model, int64_t layer, int matrix,
                                           int core)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(model);
    for (size_t i = 0; i < table->count; i++) {
        const ttm_parameter *item = &table->items[i];
        if (item->layer == layer && item->matrix == matrix && item->core == core &&
            item->kind == (core < 0 ? TTM_PARAMETER_MATRIX : TTM_PARAMETER_CORE)) {
            return item;
        }
    }
    return NULL;
}

/* *values = the values of a parameter, [count]; the caller frees. */
static ttm_status read_parameter(float **values, const ttm_model *model, ttm_stream *stream,
                                 const ttm_parameter *parameter)
{
    const ttm_tensor tensor = ttm_model_parameter(model, parameter);
    TTM_TRY(ttm_array_new(values, (size_t)parameter->count, sizeof **values, parameter->name));
    const ttm_status status = ttm_tensor_read(stream, *values, &tensor);
    if (status != TTM_OK) {
        free(*values);
        *values = NULL;
    }
    return status;
}

static ttm_status write_parameter(const ttm_model *model, ttm_stream *stream,
                                  const ttm_parameter *parameter, const float *values)
{
    const ttm_tensor tensor = ttm_model_parameter(model, parameter);
    return ttm_tensor_write(stream, &tensor, values);
}

static void free_cores(float *cores[TTM_TT_MAX_CORES])
{
    for (int32_t core = 0; core < TTM_TT_MAX_CORES; core++) {
        free(cores[core]);
        cores[core] = NULL;
    }
}

/* cores = those of a TT-matrix of the source; the caller frees them with free_cores, also after
 * failure. */
static ttm_status read_cores(float *cores[TTM_TT_MAX_CORES], const compression *work, int64_t layer,
                             ttm_gpt2_matrix matrix, const ttm_tt_shape *shape)
{
    for (int32_t core = 0; core < shape->core_count; core++) {
        const ttm_parameter *parameter = find_parameter(work->source, layer, (int)matrix, core);
        TTM_TRY(read_parameter(&cores[core], work->source, work->stream, parameter));
    }
    return TTM_OK;
}

/* *values = W [in, out] of a matrix of the source; the caller frees. */
static ttm_status read_matrix(float **values, const compression *work, int64_t layer,
                              ttm_gpt2_matrix matrix)
{
    const ttm_tt_shape *shape = ttm_gpt2_config_tt(ttm_model_config(work->source), layer, matrix);
    float *cores[TTM_TT_MAX_CORES] = {NULL};
    ttm_status status = TTM_OK;
    *values = NULL;
    if (shape == NULL) {
        return read_parameter(values, work->source, work->stream,
                              find_parameter(work->source, layer, (int)matrix, -1));
    }
    const size_t count = (size_t)ttm_tt_shape_in(shape) * (size_t)ttm_tt_shape_out(shape);
    TTM_TRY_OUT(read_cores(cores, work, layer, matrix, shape));
    TTM_TRY_OUT(ttm_array_new(values, count, sizeof **values, "a matrix"));
    TTM_TRY_OUT(ttm_tt_materialize_f32(*values, (const float *const *)cores, shape));
out:
    if (status != TTM_OK) {
        free(*values);
        *values = NULL;
    }
    free_cores(cores);
    return status;
}

/* *rounded = a TT-matrix of the source with at most the ranks of `limits`, whose modes it has. */
static ttm_status round_matrix(ttm_tt *rounded, double *error, const compression *work,
                               int64_t layer, ttm_gpt2_matrix matrix, const ttm_tt_shape *limits)
{
    const ttm_tt_shape *shape = ttm_gpt2_config_tt(ttm_model_config(work->source), layer, matrix);
    float *cores[TTM_TT_MAX_CORES] = {NULL};
    ttm_tt source = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(read_cores(cores, work, layer, matrix, shape));
    TTM_TRY_OUT(ttm_tt_new(&source, shape));
    ttm_tt_load_f32(&source, (const float *const *)cores);
    status = ttm_tt_round(rounded, &source, limits, work->options->relative_error, error);
out:
    free_cores(cores);
    ttm_tt_free(&source);
    return status;
}

static bool same_modes(const ttm_tt_shape *a, const ttm_tt_shape *b)
{
    const size_t bytes = (size_t)a->core_count * sizeof *a->in_modes;
    return a->core_count == b->core_count && memcmp(a->in_modes, b->in_modes, bytes) == 0 &&
           memcmp(a->out_modes, b->out_modes, bytes) == 0;
}

/* *tt = the matrix with the modes of `limits` and at most its ranks. */
static ttm_status factorise(ttm_tt *tt, double *error, const compression *work, int64_t layer,
                            ttm_gpt2_matrix matrix, const ttm_tt_shape *limits)
{
    const ttm_tt_shape *before = ttm_gpt2_config_tt(ttm_model_config(work->source), layer, matrix);
    if (before != NULL && same_modes(before, limits)) {
        return round_matrix(tt, error, work, layer, matrix, limits);
    }
    float *values = NULL;
    TTM_TRY(read_matrix(&values, work, layer, matrix));
    const ttm_status status =
        ttm_tt_decompose_f32(tt, values, limits, work->options->relative_error, error);
    free(values);
    return status;
}

/* Whether a matrix is to have another form than it has. */
static bool changes(const compression *work, ttm_gpt2_matrix matrix, const ttm_tt_shape *before,
                    const ttm_tt_shape *limits)
{
    ttm_tt_shape clipped;
    if ((work->options->matrices & 1u << matrix) == 0 || (before == NULL && limits == NULL)) {
        return false;
    }
    if (before == NULL || limits == NULL || work->options->relative_error > 0.0) {
        return true;
    }
    ttm_tt_shape_clip(&clipped, limits);
    return ttm_tt_shape_equal(before, &clipped) == 0;
}

/* Brings a matrix to its new form. */
static ttm_status change_matrix(compression *work, int64_t layer, ttm_gpt2_matrix matrix)
{
    const ttm_compress_options *options = work->options;
    const ttm_tt_shape *limits = ttm_gpt2_config_tt(options->target, layer, matrix);
    const ttm_tt_shape *before = ttm_gpt2_config_tt(ttm_model_config(work->source), layer, matrix);
    ttm_tt *form = &work->forms[layer * TTM_GPT2_MATRIX_COUNT + (int64_t)matrix];
    int64_t in = 0;
    int64_t out = 0;
    ttm_gpt2_matrix_size(&in, &out, &work->config, matrix);
    ttm_compressed_matrix told = {.layer = layer, .matrix = matrix};
    told.elements_before = before != NULL ? ttm_tt_shape_elements(before) : in * out;
    told.elements = in * out;
    if (!changes(work, matrix, before, limits)) {
        return TTM_OK;
    }
    if (limits != NULL) {
        const ttm_status status =
            factorise(form, &told.relative_error, work, layer, matrix, limits);
        if (status != TTM_OK) {
            return ttm_fail_context(status, "layer %" PRId64 " %s", layer,
                                    ttm_gpt2_matrix_name(matrix));
        }
        told.shape = form->shape;
        told.elements = ttm_tt_shape_elements(&form->shape);
    }
    TTM_TRY(
        ttm_gpt2_config_set_tt(&work->config, layer, matrix, limits != NULL ? &form->shape : NULL));
    if (options->progress != NULL) {
        options->progress(options->user, &told);
    }
    return TTM_OK;
}

/* Writes the cores of a new TT-matrix, rounded. */
static ttm_status write_cores(const ttm_model *target, const compression *work, int64_t layer,
                              ttm_gpt2_matrix matrix)
{
    const ttm_tt *form = &work->forms[layer * TTM_GPT2_MATRIX_COUNT + (int64_t)matrix];
    const int32_t count = form->shape.core_count;
    float *cores[TTM_TT_MAX_CORES] = {NULL};
    ttm_status status = TTM_OK;
    for (int32_t core = 0; core < count; core++) {
        const size_t elements = (size_t)ttm_tt_shape_core_elements(&form->shape, core);
        TTM_TRY_OUT(ttm_array_new(&cores[core], elements, sizeof *cores[core], "a core"));
    }
    ttm_tt_store_f32(cores, form);
    for (int32_t core = 0; core < count; core++) {
        const ttm_parameter *parameter = find_parameter(target, layer, (int)matrix, core);
        TTM_TRY_OUT(write_parameter(target, work->stream, parameter, cores[core]));
    }
out:
    free_cores(cores);
    return status;
}

/* Fills one parameter of the new model; the first core of a new form brings the others with it. */
static ttm_status fill(const ttm_model *target, const compression *work,
                       const ttm_parameter *parameter)
{
    const ttm_gpt2_matrix matrix = (ttm_gpt2_matrix)parameter->matrix;
    float *values = NULL;
    if (parameter->kind == TTM_PARAMETER_CORE &&
        work->forms[parameter->layer * TTM_GPT2_MATRIX_COUNT + parameter->matrix].cores[0] !=
            NULL) {
        return parameter->core == 0 ? write_cores(target, work, parameter->layer, matrix) : TTM_OK;
    }
    if (parameter->kind == TTM_PARAMETER_MATRIX) {
        TTM_TRY(read_matrix(&values, work, parameter->layer, matrix));
    } else {
        const ttm_parameter_table *table = ttm_model_parameter_table(work->source);
        const ttm_parameter *same = ttm_parameter_table_find(table, parameter->name);
        TTM_TRY(read_parameter(&values, work->source, work->stream, same));
    }
    const ttm_status status = write_parameter(target, work->stream, parameter, values);
    free(values);
    return status;
}

static ttm_status fill_all(ttm_model *target, const compression *work)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(target);
    for (size_t i = 0; i < table->count; i++) {
        TTM_TRY(fill(target, work, &table->items[i]));
    }
    ttm_model_parameters_changed(target);
    return ttm_stream_synchronize(work->stream);
}

/* Whether two configurations are equal but for their TT-matrices. */
static ttm_status check(const ttm_model *source, const ttm_compress_options *options)
{
    ttm_gpt2_config target = TTM_GPT2_CONFIG_EMPTY;
    const ttm_gpt2_config *config = ttm_model_config(source);
    if (options == NULL || options->target == NULL ||
        options->struct_size < sizeof(ttm_compress_options)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "compressing needs complete options with a target");
    }
    if (ttm_model_parameters(source, 0).dtype != TTM_F32) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "only models with f32 parameters can be compressed");
    }
    TTM_TRY(ttm_gpt2_config_validate(options->target));
    TTM_TRY(ttm_gpt2_config_copy(&target, options->target));
    for (int64_t layer = 0; layer < target.layers && layer < config->layers; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            target.tt[layer * TTM_GPT2_MATRIX_COUNT + matrix] =
                config->tt[layer * TTM_GPT2_MATRIX_COUNT + matrix];
        }
    }
    const bool equal = ttm_gpt2_config_equal(&target, config);
    ttm_gpt2_config_free(&target);
    return equal ? TTM_OK
                 : ttm_fail(TTM_ERROR_ARGUMENT,
                            "the target isn't the model's configuration with other TT-matrices");
}

static ttm_status change_all(compression *work)
{
    const int64_t layers = work->config.layers;
    TTM_TRY(ttm_array_new(&work->forms, (size_t)layers * TTM_GPT2_MATRIX_COUNT, sizeof *work->forms,
                          "TT-matrices"));
    for (int64_t layer = 0; layer < layers; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            TTM_TRY(change_matrix(work, layer, (ttm_gpt2_matrix)matrix));
        }
    }
    return TTM_OK;
}

static void free_all(compression *work)
{
    const int64_t count = work->forms != NULL ? work->config.layers * TTM_GPT2_MATRIX_COUNT : 0;
    for (int64_t i = 0; i < count; i++) {
        ttm_tt_free(&work->forms[i]);
    }
    free(work->forms);
    ttm_gpt2_config_free(&work->config);
}

ttm_status ttm_model_compress(ttm_model **compressed, ttm_model *source, ttm_stream *stream,
                              const ttm_compress_options *options)
{
    compression work = {.source = source, .stream = stream, .options = options};
    ttm_status status = TTM_OK;
    *compressed = NULL;
    TTM_TRY(check(source, options));
    TTM_TRY(ttm_gpt2_config_copy(&work.config, ttm_model_config(source)));
    TTM_TRY_OUT(change_all(&work));
    TTM_TRY_OUT(ttm_model_create(compressed, ttm_model_device(source), &work.config, NULL));
    status = fill_all(*compressed, &work);
    if (status != TTM_OK) {
        ttm_stream_drain(stream);
        ttm_model_destroy(*compressed);
        *compressed = NULL;
    }
out:
    free_all(&work);
    return status;
}
