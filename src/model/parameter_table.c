/* Where each parameter lies in the flat buffers.
 *
 * The order is: wte, wpe, the layers one behind the other, the final layer norm. Within a layer the
 * four tensors of the two layer norms come first, so that their gradients are cleared in one go.
 * Two layers with the same matrices have the same size: then a tensor of layer l + 1 lies at a
 * constant distance behind that of layer l, and the cores of many layers are one strided tensor.
 *
 * Spans follow from the configuration alone, unless a device's largest allocation is smaller than
 * one: so the order of sums over parameters, and with it every bit, is the same whatever a device
 * allows. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/device_memory.h"
#include "core/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES        64
#define DEFAULT_ALIGNMENT 64

/* Tensors of a layer besides cores: two norms of two, four matrices and four biases. */
#define LAYER_TENSORS 12
#define OUTER_TENSORS 4

/* A table being filled. */
typedef struct table_builder {
    ttm_parameter_table *table;
    const ttm_gpt2_config *config;
    int64_t alignment;
    bool overflow;
} table_builder;

/* Appends an entry with the next free offset. Its name is "transformer.", "h.LAYER." within a
 * layer, `place` and `part`, and the number of the core where it is one. */
static void add(table_builder *builder, ttm_parameter parameter, const char *place,
                const char *part)
{
    ttm_parameter_table *table = builder->table;
    char *name = table->names + table->count * NAME_BYTES;
    char layer[24] = "";
    char core[24] = "";
    if (parameter.layer >= 0) {
        snprintf(layer, sizeof layer, "h.%" PRId32 ".", parameter.layer);
    }
    if (parameter.core >= 0) {
        snprintf(core, sizeof core, ".%" PRId32, parameter.core);
    }
    snprintf(name, NAME_BYTES, "transformer.%s%s.%s%s", layer, place, part, core);
    parameter.name = name;
    parameter.count = 1;
    for (int32_t dim = 0; dim < parameter.rank; dim++) {
        builder->overflow |=
            __builtin_mul_overflow(parameter.count, parameter.shape[dim], &parameter.count);
    }
    parameter.offset = table->buffer_count;
    parameter.weight_decay = parameter.rank >= 2;
    parameter.learning_rate_scale = 1.0;
    table->items[table->count++] = parameter;
    table->parameter_count += parameter.count;
    int64_t end = 0;
    builder->overflow |= __builtin_add_overflow(table->buffer_count, parameter.count, &end) ||
                         __builtin_add_overflow(end, builder->alignment - 1, &end);
    table->buffer_count = end & ~(builder->alignment - 1);
}

static void add_norm(table_builder *builder, int32_t layer, const char *name)
{
    const ttm_parameter norm = {.kind = TTM_PARAMETER_NORM,
                                .rank = 1,
                                .shape = {builder->config->width},
                                .layer = layer,
                                .matrix = -1,
                                .core = -1};
    add(builder, norm, name, "weight");
    add(builder, norm, name, "bias");
}

static void add_matrix(table_builder *builder, int32_t layer, ttm_gpt2_matrix matrix)
{
    const ttm_tt_shape *shape = ttm_gpt2_config_tt(builder->config, layer, matrix);
    const char *name = ttm_gpt2_matrix_name(matrix);
    int64_t in = 0;
    int64_t out = 0;
    ttm_gpt2_matrix_size(&in, &out, builder->config, matrix);
    ttm_parameter parameter = {.layer = layer, .matrix = (int32_t)matrix, .core = -1};
    if (shape == NULL) {
        parameter.kind = TTM_PARAMETER_MATRIX;
        parameter.rank = 2;
        parameter.shape[0] = in;
        parameter.shape[1] = out;
        add(builder, parameter, name, "weight");
    } else {
        parameter.kind = TTM_PARAMETER_CORE;
        parameter.rank = 4;
        parameter.cores = shape->core_count;
        for (int32_t core = 0; core < shape->core_count; core++) {
            parameter.core = core;
            parameter.shape[0] = shape->ranks[core];
            parameter.shape[1] = shape->in_modes[core];
            parameter.shape[2] = shape->out_modes[core];
            parameter.shape[3] = shape->ranks[core + 1];
            add(builder, parameter, name, "cores");
        }
    }
    if (matrix < TTM_GPT2_MLP_C_FC || builder->config->mlp_bias) {
        const ttm_parameter bias = {.kind = TTM_PARAMETER_BIAS,
                                    .rank = 1,
                                    .shape = {out},
                                    .layer = layer,
                                    .matrix = (int32_t)matrix,
                                    .core = -1};
        add(builder, bias, name, "bias");
    }
}

static void add_all(table_builder *builder)
{
    const ttm_gpt2_config *config = builder->config;
    ttm_parameter embedding = {.kind = TTM_PARAMETER_EMBEDDING,
                               .rank = 2,
                               .shape = {config->vocab_size, config->width},
                               .layer = -1,
                               .matrix = -1,
                               .core = -1};
    add(builder, embedding, "wte", "weight");
    embedding.shape[0] = config->context;
    add(builder, embedding, "wpe", "weight");
    for (int32_t layer = 0; layer < config->layers; layer++) {
        add_norm(builder, layer, "ln_1");
        add_norm(builder, layer, "ln_2");
        for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
            add_matrix(builder, layer, (ttm_gpt2_matrix)matrix);
        }
    }
    add_norm(builder, -1, "ln_f");
}

static size_t most_tensors(const ttm_gpt2_config *config)
{
    size_t count = OUTER_TENSORS + (size_t)config->layers * LAYER_TENSORS;
    for (int64_t index = 0; index < config->layers * TTM_GPT2_MATRIX_COUNT; index++) {
        count += (size_t)config->tt[index].core_count;
    }
    return count;
}

/* Whether a span may begin with this parameter: the gradients of a layer's norms are cleared in one
 * call, and the cores of a matrix lie together with those of other layers. */
static bool may_begin_span(const ttm_parameter *parameter, const ttm_parameter *previous)
{
    return parameter->kind != previous->kind || parameter->layer != previous->layer ||
           parameter->matrix != previous->matrix ||
           (parameter->kind != TTM_PARAMETER_NORM && parameter->kind != TTM_PARAMETER_CORE);
}

/* Fills spans greedily with whole parameters. */
static void divide(ttm_parameter_table *table, int64_t span_elements)
{
    ttm_parameter_span *span = table->spans;
    size_t begin = 0;
    for (size_t next = 1; next <= table->count; next++) {
        if (next < table->count && !may_begin_span(&table->items[next], &table->items[next - 1])) {
            continue;
        }
        const int64_t start = table->items[begin].offset;
        const int64_t end = next < table->count ? table->items[next].offset : table->buffer_count;
        if (end - span->offset > span_elements && start > span->offset) {
            span++;
            span->offset = start;
        }
        span->count = end - span->offset;
        for (; begin < next; begin++) {
            table->items[begin].span = (int32_t)(span - table->spans);
        }
    }
    table->span_count = (size_t)(span - table->spans) + 1;
}

ttm_status ttm_parameter_table_new(ttm_parameter_table *table, const ttm_gpt2_config *config,
                                   int64_t alignment, int64_t span_elements)
{
    memset(table, 0, sizeof *table);
    if (alignment < 0 || (alignment & (alignment - 1)) != 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "an alignment must be a power of two, not %" PRId64,
                        alignment);
    }
    TTM_TRY(ttm_gpt2_config_validate(config));
    const size_t count = most_tensors(config);
    table_builder builder = {table, config, alignment > 0 ? alignment : DEFAULT_ALIGNMENT, false};
    ttm_status status =
        ttm_array_new(&table->items, count, sizeof *table->items, "the parameter table");
    if (status == TTM_OK) {
        status = ttm_array_new(&table->names, count, NAME_BYTES, "the parameters' names");
    }
    if (status == TTM_OK) {
        status = ttm_array_new(&table->spans, count, sizeof *table->spans, "the parameters' spans");
    }
    if (status == TTM_OK) {
        add_all(&builder);
        if (builder.overflow || table->buffer_count > INT64_MAX / 8) {
            status = ttm_fail(TTM_ERROR_SHAPE, "the model's parameters can't be addressed");
        } else {
            divide(table, span_elements > 0 ? span_elements : TTM_SPAN_ELEMENTS);
        }
    }
    if (status != TTM_OK) {
        ttm_parameter_table_free(table);
    }
    return status;
}

int64_t ttm_model_span_elements(const ttm_device *device, ttm_dtype dtype)
{
    const uint64_t widest = dtype == TTM_F64 ? sizeof(double) : sizeof(float);
    const uint64_t most = ttm_device_allocation_limit(device) / widest;
    if (most > (uint64_t)TTM_SPAN_ELEMENTS) {
        return TTM_SPAN_ELEMENTS;
    }
    return most > 0 ? (int64_t)most : 1;
}

int64_t ttm_model_alignment(const ttm_device *device, ttm_dtype dtype)
{
    const int64_t bytes = (int64_t)ttm_device_get_info(device)->alignment_bytes;
    const int64_t narrowest = dtype == TTM_BF16 ? 2 : 4;
    const int64_t alignment = bytes / (dtype == TTM_F64 ? 8 : narrowest);
    return alignment > DEFAULT_ALIGNMENT ? alignment : DEFAULT_ALIGNMENT;
}

ttm_status ttm_parameter_table_for_device(ttm_parameter_table *table, const ttm_gpt2_config *config,
                                          const ttm_device *device, ttm_dtype dtype)
{
    return ttm_parameter_table_new(table, config, ttm_model_alignment(device, dtype),
                                   ttm_model_span_elements(device, dtype));
}

void ttm_parameter_table_free(ttm_parameter_table *table)
{
    free(table->spans);
    free(table->items);
    free(table->names);
    memset(table, 0, sizeof *table);
}

const ttm_parameter *ttm_parameter_table_find(const ttm_parameter_table *table, const char *name)
{
    static const char prefix[] = "transformer.";
    const size_t prefix_length = sizeof prefix - 1;
    if (strncmp(name, prefix, prefix_length) == 0) {
        name += prefix_length;
    }
    for (size_t index = 0; index < table->count; index++) {
        if (strcmp(table->items[index].name + prefix_length, name) == 0) {
            return &table->items[index];
        }
    }
    return NULL;
}
