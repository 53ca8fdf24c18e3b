/* Finds in the flat buffers what each layer needs, once, when a model is created. */
#include "model/model_internal.h"

#include "core/error.h"
#include "model/tt_groups.h"

/* The table is walked from front to back; its order is that of parameter_table.c. */
typedef struct table_cursor {
    const ttm_model *model;
    size_t next;
} table_cursor;

static const ttm_parameter *next_parameter(table_cursor *cursor)
{
    return &cursor->model->table.items[cursor->next++];
}

static void bind(ttm_tensor *value, ttm_tensor *gradient, table_cursor *cursor)
{
    const ttm_parameter *parameter = next_parameter(cursor);
    const ttm_tensor master = ttm_model_parameter(cursor->model, parameter);
    *value = ttm_model_working_view(cursor->model, parameter->span, &master);
    *gradient = ttm_model_gradient(cursor->model, parameter);
}

static void bind_norm(ttm_model_norm *norm, table_cursor *cursor)
{
    bind(&norm->gain, &norm->gain_gradient, cursor);
    bind(&norm->bias, &norm->bias_gradient, cursor);
}

/* Returns the gradients from table entry `first` to `last` of one span, padding between them
 * included, as one flat tensor. */
static ttm_tensor gradient_range(const ttm_model *model, size_t first, size_t last)
{
    const ttm_parameter *begin = &model->table.items[first];
    const ttm_parameter *end = &model->table.items[last];
    const ttm_tensor gradients = ttm_model_gradients(model, (size_t)begin->span);
    return ttm_tensor_at1(&gradients, begin->offset - model->table.spans[begin->span].offset,
                          end->offset + end->count - begin->offset);
}

/* Cores are bound to the parameters themselves, not to the working copy: the matrix that is built
 * from them is rounded once. Puts a layer's cores into a group: into that of the layer before where
 * the distance between the two layers' cores is that of the group's, all cores lie in one span and
 * all matrices find room in one allocation, else into a new one. */
static void bind_cores(ttm_model *model, ttm_model_matrix *matrix, const ttm_model_matrix *previous,
                       const ttm_tt_shape *shape, table_cursor *cursor)
{
    ttm_tensor cores[TTM_TT_MAX_CORES];
    ttm_tensor gradients[TTM_TT_MAX_CORES];
    ttm_tt_group *group = previous != NULL ? previous->group : NULL;
    const int32_t span = cursor->model->table.items[cursor->next].span;
    bool joins =
        group != NULL && ttm_tt_shape_equal(group->shape, shape) && group->span == span &&
        ttm_tt_matrix_elements(model, shape) <=
            ttm_model_span_elements(model->device, model->options.dtype) / (group->layers + 1);
    const int64_t element_bytes = (int64_t)ttm_dtype_bytes(model->master_dtype);
    int64_t distance = 0;
    for (int32_t core = 0; core < shape->core_count; core++) {
        const ttm_parameter *parameter = next_parameter(cursor);
        const ttm_tensor value = ttm_model_parameter(model, parameter);
        const ttm_tensor gradient = ttm_model_gradient(model, parameter);
        cores[core] = ttm_tensor_broadcast(&value, 0, 1);
        gradients[core] = ttm_tensor_broadcast(&gradient, 0, 1);
        if (joins) {
            const ttm_tensor *first = &group->cores[core];
            const int64_t step = (int64_t)(value.offset - first->offset) / element_bytes;
            distance = core == 0 ? step / group->layers : distance;
            joins = step == distance * group->layers &&
                    (group->layers == 1 || distance == first->stride[0]);
        }
    }
    if (!joins) {
        group = &model->groups[model->group_count++];
        group->shape = shape;
        group->label = matrix->label;
        group->span = span;
    }
    for (int32_t core = 0; core < shape->core_count; core++) {
        if (!joins) {
            group->cores[core] = cores[core];
            group->core_gradients[core] = gradients[core];
        }
        group->cores[core].shape[0] = group->layers + 1;
        group->cores[core].stride[0] = distance;
        group->core_gradients[core].shape[0] = group->layers + 1;
        group->core_gradients[core].stride[0] = distance;
    }
    matrix->group = group;
    matrix->place = group->layers++;
}

static void bind_matrix(ttm_model *model, int64_t layer, ttm_gpt2_matrix kind, table_cursor *cursor)
{
    ttm_model_matrix *matrix = &model->layers[layer].matrices[kind];
    const ttm_model_matrix *previous = layer > 0 ? &model->layers[layer - 1].matrices[kind] : NULL;
    const ttm_tt_shape *shape = ttm_gpt2_config_tt(&model->config, layer, kind);
    matrix->label = ttm_gpt2_matrix_name(kind);
    ttm_gpt2_matrix_size(&matrix->in, &matrix->out, &model->config, kind);
    if (shape != NULL) {
        bind_cores(model, matrix, previous, shape, cursor);
    } else {
        bind(&matrix->weight, &matrix->weight_gradient, cursor);
    }
    if (kind < TTM_GPT2_MLP_C_FC || model->config.mlp_bias) {
        bind(&matrix->bias, &matrix->bias_gradient, cursor);
    }
}

ttm_status ttm_model_bind_parameters(ttm_model *model)
{
    table_cursor cursor = {model, 0};
    bind(&model->token_embedding, &model->token_embedding_gradient, &cursor);
    bind(&model->position_embedding, &model->position_embedding_gradient, &cursor);
    for (int64_t index = 0; index < model->config.layers; index++) {
        ttm_model_layer *layer = &model->layers[index];
        const size_t norms = cursor.next;
        bind_norm(&layer->norm_1, &cursor);
        bind_norm(&layer->norm_2, &cursor);
        layer->norm_gradients = gradient_range(model, norms, cursor.next - 1);
        for (int kind = 0; kind < TTM_GPT2_MATRIX_COUNT; kind++) {
            bind_matrix(model, index, (ttm_gpt2_matrix)kind, &cursor);
        }
    }
    const size_t norms = cursor.next;
    bind_norm(&model->final_norm, &cursor);
    model->final_norm_gradients = gradient_range(model, norms, cursor.next - 1);
    if (cursor.next != model->table.count) {
        return ttm_fail(TTM_ERROR_INTERNAL, "%zu of %zu parameters were bound", cursor.next,
                        model->table.count);
    }
    return TTM_OK;
}
