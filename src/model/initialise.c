/* Initial parameters. Drawn on the host, so that every device begins with the same numbers. The
 * random stream of a tensor depends on the seed and on the tensor's name: a dense and a TT model of
 * one seed have the same embeddings and attention matrices. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/error.h"
#include "core/random.h"
#include "model/host_copy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a of the name, as the second half of the Philox key's block. */
static ttm_random stream_of(const char *name, size_t length, uint64_t seed)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t index = 0; index < length; index++) {
        hash = (hash ^ (unsigned char)name[index]) * UINT64_C(0x100000001b3);
    }
    const uint32_t counter[4] = {(uint32_t)hash, (uint32_t)(hash >> 32), 0, 0x696e6974u};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t block[4];
    ttm_philox4x32(block, counter, key);
    const ttm_random random = {.seed = (uint64_t)block[1] << 32 | block[0], .position = 0};
    return random;
}

static double deviation(const ttm_model *model, const ttm_parameter *parameter,
                        const ttm_model_init_options *options)
{
    const bool projection =
        parameter->matrix == TTM_GPT2_ATTN_C_PROJ || parameter->matrix == TTM_GPT2_MLP_C_PROJ;
    if (!projection) {
        return options->standard_deviation;
    }
    return options->zero_residual
               ? 0.0
               : options->standard_deviation / sqrt(2.0 * (double)model->config.layers);
}

/* All cores of one matrix; `first` is core 0 and the others follow it in the table. */
static ttm_status init_cores(ttm_model *model, ttm_stream *stream, const ttm_parameter *first,
                             const ttm_model_init_options *options)
{
    const ttm_tt_shape *shape =
        ttm_gpt2_config_tt(&model->config, first->layer, (ttm_gpt2_matrix)first->matrix);
    float *cores[TTM_TT_MAX_CORES] = {0};
    ttm_status status = TTM_OK;
    const size_t name_length = (size_t)(strstr(first->name, ".cores.") - first->name);
    ttm_random random = stream_of(first->name, name_length, options->seed);
    for (int32_t core = 0; core < first->cores; core++) {
        TTM_TRY_OUT(
            ttm_array_new(&cores[core], (size_t)first[core].count, sizeof(float), "a TT core"));
    }
    TTM_TRY_OUT(ttm_tt_init_f32(cores, shape, deviation(model, first, options), &random));
    for (int32_t core = 0; core < first->cores; core++) {
        const ttm_tensor tensor = ttm_model_parameter(model, &first[core]);
        TTM_TRY_OUT(ttm_host_write_f32(stream, &tensor, 0, cores[core], first[core].count));
    }
out:
    for (int32_t core = 0; core < first->cores; core++) {
        free(cores[core]);
    }
    return status;
}

static bool is_gain(const ttm_parameter *parameter)
{
    const char *dot = strrchr(parameter->name, '.');
    return parameter->kind == TTM_PARAMETER_NORM && strcmp(dot, ".weight") == 0;
}

/* In pieces, through `piece` [TTM_HOST_PIECE]: a copy of the whole embedding would be the most that
 * a short run ever takes. A piece has an even number of elements, so no draw of a pair is lost. */
static ttm_status init_tensor(ttm_model *model, ttm_stream *stream, const ttm_parameter *parameter,
                              const ttm_model_init_options *options, float *piece)
{
    const ttm_tensor tensor = ttm_model_parameter(model, parameter);
    const double standard_deviation = deviation(model, parameter, options);
    const float constant = is_gain(parameter) ? 1.0f : 0.0f;
    ttm_random random = stream_of(parameter->name, strlen(parameter->name), options->seed);
    for (int64_t first = 0; first < parameter->count; first += TTM_HOST_PIECE) {
        const int64_t left = parameter->count - first;
        const int64_t count = left < TTM_HOST_PIECE ? left : TTM_HOST_PIECE;
        if (parameter->rank >= 2) {
            ttm_random_fill_normal_f32(piece, (size_t)count, standard_deviation, &random);
        } else {
            for (int64_t index = 0; index < count; index++) {
                piece[index] = constant;
            }
        }
        TTM_TRY(ttm_host_write_f32(stream, &tensor, first, piece, count));
    }
    return TTM_OK;
}

ttm_status ttm_model_init_parameters(ttm_model *model, ttm_stream *stream,
                                     const ttm_model_init_options *options)
{
    const ttm_model_init_options defaults = TTM_MODEL_INIT_OPTIONS_INIT;
    options = options != NULL ? options : &defaults;
    if (!(options->standard_deviation >= 0.0) || !isfinite(options->standard_deviation)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a standard deviation of %g isn't possible",
                        options->standard_deviation);
    }
    float *piece = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_array_new(&piece, (size_t)TTM_HOST_PIECE, sizeof *piece, "initial parameters"));
    for (size_t index = 0; index < model->table.count; index++) {
        const ttm_parameter *parameter = &model->table.items[index];
        if (parameter->kind != TTM_PARAMETER_CORE) {
            TTM_TRY_OUT(init_tensor(model, stream, parameter, options, piece));
        } else if (parameter->core == 0) {
            TTM_TRY_OUT(init_cores(model, stream, parameter, options));
        }
    }
    ttm_model_parameters_changed(model);
out:
    free(piece);
    return status;
}
