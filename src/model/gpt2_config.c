/* Configurations of GPT-2: memory, sizes, checks and counts. Presets, TT specifications and JSON
 * have files of their own. */
#include <ttm/gpt2_config.h>

#include "core/array.h"
#include "core/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const ttm_gpt2_config empty_config = TTM_GPT2_CONFIG_EMPTY;

/* Tokens and sizes travel as 32-bit integers in files and in many kernels. */
#define MAX_EXTENT INT64_C(2147483647)
/* Planning runs every layer once: more than these would look like a program that hangs. */
#define MAX_LAYERS INT64_C(65536)

static ttm_status new_shapes(ttm_tt_shape **shapes, int64_t layers)
{
    if (layers < 1 || layers > MAX_LAYERS) {
        return ttm_fail(TTM_ERROR_SHAPE, "a model needs from 1 to %" PRId64 " layers, not %" PRId64,
                        MAX_LAYERS, layers);
    }
    return ttm_array_new(shapes, (size_t)layers * TTM_GPT2_MATRIX_COUNT, sizeof **shapes,
                         "the shapes of a model's matrices");
}

ttm_status ttm_gpt2_config_init(ttm_gpt2_config *config, int64_t vocab_size, int64_t context,
                                int64_t layers, int64_t heads, int64_t width)
{
    *config = empty_config;
    TTM_TRY(new_shapes(&config->tt, layers));
    config->vocab_size = vocab_size;
    config->context = context;
    config->layers = layers;
    config->heads = heads;
    config->width = width;
    config->inner_width = 0;
    ttm_status status = TTM_OK;
    if (width > MAX_EXTENT / 4) {
        status = ttm_fail(TTM_ERROR_SHAPE, "a width of %" PRId64 " is too large", width);
    } else {
        config->inner_width = 4 * width;
        status = ttm_gpt2_config_validate(config);
    }
    if (status != TTM_OK) {
        ttm_gpt2_config_free(config);
    }
    return status;
}

ttm_status ttm_gpt2_config_copy(ttm_gpt2_config *target, const ttm_gpt2_config *source)
{
    ttm_gpt2_config copy = *source;
    *target = empty_config;
    TTM_TRY(new_shapes(&copy.tt, source->layers));
    memcpy(copy.tt, source->tt, (size_t)source->layers * TTM_GPT2_MATRIX_COUNT * sizeof *copy.tt);
    *target = copy;
    return TTM_OK;
}

void ttm_gpt2_config_free(ttm_gpt2_config *config)
{
    free(config->tt);
    *config = empty_config;
}

const ttm_tt_shape *ttm_gpt2_config_tt(const ttm_gpt2_config *config, int64_t layer,
                                       ttm_gpt2_matrix matrix)
{
    const ttm_tt_shape *shape = &config->tt[layer * TTM_GPT2_MATRIX_COUNT + (int64_t)matrix];
    return shape->core_count > 0 ? shape : NULL;
}

ttm_status ttm_gpt2_config_set_tt(ttm_gpt2_config *config, int64_t layer, ttm_gpt2_matrix matrix,
                                  const ttm_tt_shape *shape)
{
    if (layer < 0 || layer >= config->layers) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "there is no layer %" PRId64 ": the model has layers 0 to %" PRId64, layer,
                        config->layers - 1);
    }
    ttm_tt_shape *place = &config->tt[layer * TTM_GPT2_MATRIX_COUNT + (int64_t)matrix];
    if (shape == NULL) {
        memset(place, 0, sizeof *place);
        return TTM_OK;
    }
    int64_t in = 0;
    int64_t out = 0;
    ttm_gpt2_matrix_size(&in, &out, config, matrix);
    if (ttm_tt_shape_validate(shape, in, out) != TTM_OK) {
        return ttm_fail_context(TTM_ERROR_SHAPE, "layer %" PRId64 ", %s", layer,
                                ttm_gpt2_matrix_name(matrix));
    }
    *place = *shape;
    return TTM_OK;
}

void ttm_gpt2_matrix_size(int64_t *in, int64_t *out, const ttm_gpt2_config *config,
                          ttm_gpt2_matrix matrix)
{
    *in = matrix == TTM_GPT2_MLP_C_PROJ ? config->inner_width : config->width;
    switch (matrix) {
    case TTM_GPT2_ATTN_C_ATTN:
        *out = 3 * config->width;
        return;
    case TTM_GPT2_MLP_C_FC:
        *out = config->inner_width;
        return;
    case TTM_GPT2_ATTN_C_PROJ:
    case TTM_GPT2_MLP_C_PROJ:
    case TTM_GPT2_MATRIX_COUNT:
        break;
    }
    *out = config->width;
}

const char *ttm_gpt2_matrix_name(ttm_gpt2_matrix matrix)
{
    static const char *const names[TTM_GPT2_MATRIX_COUNT] = {"attn.c_attn", "attn.c_proj",
                                                             "mlp.c_fc", "mlp.c_proj"};
    return (unsigned)matrix < TTM_GPT2_MATRIX_COUNT ? names[matrix] : "unknown matrix";
}

/* Adds a·b to *count; false when that doesn't fit. */
static bool add_product(int64_t *count, int64_t a, int64_t b)
{
    int64_t product = 0;
    return !__builtin_mul_overflow(a, b, &product) &&
           !__builtin_add_overflow(*count, product, count);
}

/* *count = parameters of the whole model; false when they can't be counted. */
static bool count_parameters(int64_t *count, const ttm_gpt2_config *config)
{
    const int64_t width = config->width;
    *count = 0;
    bool fits = add_product(count, config->vocab_size, width) &&
                add_product(count, config->context, width) && add_product(count, 2, width);
    for (int64_t layer = 0; layer < config->layers && fits; layer++) {
        fits = add_product(count, 4, width); /* two layer norms */
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT && fits; matrix++) {
            const ttm_tt_shape *shape = ttm_gpt2_config_tt(config, layer, (ttm_gpt2_matrix)matrix);
            int64_t in = 0;
            int64_t out = 0;
            ttm_gpt2_matrix_size(&in, &out, config, (ttm_gpt2_matrix)matrix);
            fits = shape != NULL ? add_product(count, ttm_tt_shape_elements(shape), 1)
                                 : add_product(count, in, out);
            if (matrix < TTM_GPT2_MLP_C_FC || config->mlp_bias) {
                fits = fits && add_product(count, out, 1);
            }
        }
    }
    return fits;
}

int64_t ttm_gpt2_parameter_count(const ttm_gpt2_config *config)
{
    int64_t count = 0;
    return count_parameters(&count, config) ? count : -1;
}

static ttm_status check_extent(const char *name, int64_t value, int64_t largest)
{
    if (value < 1 || value > largest) {
        return ttm_fail(TTM_ERROR_SHAPE, "%s must be from 1 to %" PRId64 ", not %" PRId64, name,
                        largest, value);
    }
    return TTM_OK;
}

static ttm_status check_probability(const char *name, double value)
{
    if (!(value >= 0.0 && value < 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "%s must be at least 0 and less than 1, not %g", name,
                        value);
    }
    return TTM_OK;
}

static ttm_status check_matrices(const ttm_gpt2_config *config)
{
    for (int64_t layer = 0; layer < config->layers; layer++) {
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            const ttm_tt_shape *shape = ttm_gpt2_config_tt(config, layer, (ttm_gpt2_matrix)matrix);
            int64_t in = 0;
            int64_t out = 0;
            ttm_gpt2_matrix_size(&in, &out, config, (ttm_gpt2_matrix)matrix);
            if (shape != NULL && ttm_tt_shape_validate(shape, in, out) != TTM_OK) {
                return ttm_fail_context(TTM_ERROR_SHAPE, "layer %" PRId64 ", %s", layer,
                                        ttm_gpt2_matrix_name((ttm_gpt2_matrix)matrix));
            }
        }
    }
    return TTM_OK;
}

ttm_status ttm_gpt2_config_validate(const ttm_gpt2_config *config)
{
    if (config->tt == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the configuration is empty: make it with "
                                            "ttm_gpt2_config_init or from a preset");
    }
    TTM_TRY(check_extent("the vocabulary's size", config->vocab_size, MAX_EXTENT));
    TTM_TRY(check_extent("the context", config->context, MAX_EXTENT));
    TTM_TRY(check_extent("the number of layers", config->layers, MAX_LAYERS));
    TTM_TRY(check_extent("the width", config->width, MAX_EXTENT / 4));
    TTM_TRY(check_extent("the inner width", config->inner_width, MAX_EXTENT));
    TTM_TRY(check_extent("the number of heads", config->heads, config->width));
    if (config->width % config->heads != 0) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%" PRId64 " heads don't divide a width of %" PRId64
                        ": choose a width that is a multiple of the heads",
                        config->heads, config->width);
    }
    if (!(config->layer_norm_epsilon > 0.0) || !isfinite(config->layer_norm_epsilon)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "layer_norm_epsilon must be positive, not %g",
                        config->layer_norm_epsilon);
    }
    TTM_TRY(check_probability("embedding dropout", config->embedding_dropout));
    TTM_TRY(check_probability("attention dropout", config->attention_dropout));
    TTM_TRY(check_probability("residual dropout", config->residual_dropout));
    TTM_TRY(check_matrices(config));
    int64_t count = 0;
    /* Buffers are addressed in bytes, and f64 has 8 of them. */
    if (!count_parameters(&count, config) || count > INT64_MAX / 64) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "a model of %" PRId64 " layers and width %" PRId64
                        " has more parameters than can be addressed",
                        config->layers, config->width);
    }
    return TTM_OK;
}

bool ttm_gpt2_config_equal(const ttm_gpt2_config *a, const ttm_gpt2_config *b)
{
    if (a->vocab_size != b->vocab_size || a->context != b->context || a->layers != b->layers ||
        a->heads != b->heads || a->width != b->width || a->inner_width != b->inner_width ||
        a->layer_norm_epsilon != b->layer_norm_epsilon ||
        a->embedding_dropout != b->embedding_dropout ||
        a->attention_dropout != b->attention_dropout ||
        a->residual_dropout != b->residual_dropout || a->mlp_bias != b->mlp_bias) {
        return false;
    }
    for (int64_t index = 0; index < a->layers * TTM_GPT2_MATRIX_COUNT; index++) {
        const bool dense = a->tt[index].core_count == 0;
        if (dense != (b->tt[index].core_count == 0) ||
            (!dense && !ttm_tt_shape_equal(&a->tt[index], &b->tt[index]))) {
            return false;
        }
    }
    return true;
}
