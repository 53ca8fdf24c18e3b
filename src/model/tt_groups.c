/* W and dW of TT-matrices: where they are kept, and how they are built and reduced, all layers of
 * one shape in one call. */
#include "model/tt_groups.h"

#include "core/device_memory.h"
#include "core/error.h"

#include <stdio.h>
#include <ttm/device.h>

/* On a GPU the gradients of all matrices may take this part of the memory, so that all layers'
 * cores get theirs in a few large launches instead of hundreds of small ones. */
enum { GPU_GRADIENT_SHARE = 32 };

/* Returns matrices [layers, in, out] in `storage`, each at a multiple of the alignment. */
static ttm_tensor place_matrices(const ttm_model *model, const ttm_tensor *storage,
                                 const ttm_tt_shape *shape, int64_t layers)
{
    const int64_t in = ttm_tt_shape_in(shape);
    const int64_t out = ttm_tt_shape_out(shape);
    ttm_tensor view = ttm_tensor_at2(storage, 0, layers, ttm_model_align(model, in * out));
    view = ttm_tensor_slice(&view, 1, 0, in * out);
    return ttm_tensor_split(&view, 1, in, out);
}

int64_t ttm_tt_matrix_elements(const ttm_model *model, const ttm_tt_shape *shape)
{
    return ttm_model_align(model, ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
}

/* Allocates `layers` matrices of a group, and counts them. */
static ttm_status allocate_matrices(ttm_tensor *storage, ttm_model *model,
                                    const ttm_tt_group *group, ttm_dtype dtype, int64_t layers,
                                    const char *kind)
{
    int64_t count = 0;
    char what[96];
    if (__builtin_mul_overflow(ttm_tt_matrix_elements(model, group->shape), layers, &count) ||
        count > INT64_MAX / 8) {
        return ttm_fail(TTM_ERROR_SHAPE, "the matrices of TT layers can't be addressed");
    }
    snprintf(what, sizeof what, "%s built from the TT cores of %s", kind, group->label);
    TTM_TRY(ttm_model_allocate(storage, model, what, dtype, count));
    model->matrix_bytes += (uint64_t)count * ttm_dtype_bytes(dtype);
    return TTM_OK;
}

ttm_status ttm_tt_group_allocate(ttm_model *model, ttm_tt_group *group)
{
    if (ttm_tensor_present(&group->w)) {
        return TTM_OK;
    }
    TTM_TRY(allocate_matrices(&group->w_storage, model, group, model->options.dtype, group->layers,
                              "matrices"));
    group->w = place_matrices(model, &group->w_storage, group->shape, group->layers);
    return TTM_OK;
}

/* One dW for all groups, each of which uses the start of it. */
static ttm_status allocate_shared_gradient(ttm_model *model)
{
    const ttm_tt_group *largest = &model->groups[0];
    for (size_t index = 1; index < model->group_count; index++) {
        const ttm_tt_group *group = &model->groups[index];
        if (ttm_tt_matrix_elements(model, group->shape) >
            ttm_tt_matrix_elements(model, largest->shape)) {
            largest = group;
        }
    }
    TTM_TRY(allocate_matrices(&model->matrix_gradients, model, largest, model->master_dtype, 1,
                              "the gradient of a matrix"));
    for (size_t index = 0; index < model->group_count; index++) {
        ttm_tt_group *group = &model->groups[index];
        group->w_gradient = place_matrices(model, &model->matrix_gradients, group->shape, 1);
    }
    return TTM_OK;
}

/* Whether dW of every layer fits what a GPU has to spare, each group's in one allocation. */
static bool is_gpu_with_room(const ttm_model *model)
{
    const ttm_device_info *info = ttm_device_get_info(model->device);
    const uint64_t largest = ttm_device_allocation_limit(model->device);
    uint64_t left = info->memory_bytes / GPU_GRADIENT_SHARE;
    for (size_t index = 0; index < model->group_count; index++) {
        const ttm_tt_group *group = &model->groups[index];
        const uint64_t layers = (uint64_t)group->layers;
        const uint64_t matrix = (uint64_t)ttm_tt_matrix_elements(model, group->shape);
        const uint64_t fit = (left < largest ? left : largest) / ttm_model_wide_bytes(model);
        if (matrix > fit / layers) {
            return false;
        }
        left -= matrix * layers * ttm_model_wide_bytes(model);
    }
    return info->kind == TTM_DEVICE_GPU;
}

static bool reduces_per_step(const ttm_model *model)
{
    if (model->options.reduction != TTM_TT_REDUCE_AUTO) {
        return model->options.reduction == TTM_TT_REDUCE_PER_STEP;
    }
    return model->options.accumulation > 1 || is_gpu_with_room(model);
}

ttm_status ttm_tt_groups_allocate_gradients(ttm_model *model)
{
    if (model->group_count == 0) {
        return TTM_OK;
    }
    model->reduce_per_step = reduces_per_step(model);
    if (!model->reduce_per_step) {
        return allocate_shared_gradient(model);
    }
    for (size_t index = 0; index < model->group_count; index++) {
        ttm_tt_group *group = &model->groups[index];
        TTM_TRY(allocate_matrices(&group->w_gradient_storage, model, group, model->master_dtype,
                                  group->layers, "gradients of matrices"));
        group->w_gradient =
            place_matrices(model, &group->w_gradient_storage, group->shape, group->layers);
    }
    return TTM_OK;
}

ttm_status ttm_tt_group_build(ttm_model *model, ttm_tt_group *group, ttm_stream *stream)
{
    if (group->built) {
        return TTM_OK;
    }
    TTM_TRY(ttm_tt_group_allocate(model, group));
    TTM_TRY(ttm_tt_build(stream, &group->w, group->shape->core_count, group->cores));
    group->built = true;
    return TTM_OK;
}

ttm_status ttm_model_begin_step(ttm_model *model, ttm_stream *stream)
{
    ttm_stream_set_label(stream, "TT matrices");
    for (size_t index = 0; index < model->group_count; index++) {
        TTM_TRY(ttm_tt_group_build(model, &model->groups[index], stream));
    }
    ttm_stream_set_label(stream, NULL);
    return TTM_OK;
}

ttm_status ttm_model_end_step(ttm_model *model, ttm_stream *stream)
{
    if (!model->options.training) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "this model wasn't made for training");
    }
    if (!model->reduce_per_step) {
        return TTM_OK;
    }
    ttm_stream_set_label(stream, "TT core gradients");
    for (size_t index = 0; index < model->group_count; index++) {
        const ttm_tt_group *group = &model->groups[index];
        TTM_TRY(ttm_tt_gradient(stream, group->shape->core_count, group->core_gradients, 0.0,
                                &group->w_gradient, group->cores));
    }
    ttm_stream_set_label(stream, NULL);
    return TTM_OK;
}

ttm_status ttm_tt_group_reduce_layer(ttm_tt_group *group, int64_t place, double keep,
                                     ttm_stream *stream)
{
    ttm_tensor cores[TTM_TT_MAX_CORES];
    ttm_tensor gradients[TTM_TT_MAX_CORES];
    for (int32_t core = 0; core < group->shape->core_count; core++) {
        cores[core] = ttm_tensor_slice(&group->cores[core], 0, place, 1);
        gradients[core] = ttm_tensor_slice(&group->core_gradients[core], 0, place, 1);
    }
    return ttm_tt_gradient(stream, group->shape->core_count, gradients, keep, &group->w_gradient,
                           cores);
}

/* Returns the matrix at `place` of [layers, in, out] as [in, out]. */
static ttm_tensor layer_matrix(const ttm_tensor *matrices, int64_t place)
{
    ttm_tensor matrix = ttm_tensor_slice(matrices, 0, place, 1);
    matrix.rank = 2;
    for (int dim = 0; dim < 2; dim++) {
        matrix.shape[dim] = matrix.shape[dim + 1];
        matrix.stride[dim] = matrix.stride[dim + 1];
    }
    return matrix;
}

ttm_tensor ttm_tt_group_matrix(const ttm_tt_group *group, int64_t place)
{
    return layer_matrix(&group->w, place);
}

ttm_tensor ttm_tt_group_matrix_gradient(const ttm_tt_group *group, int64_t place)
{
    return layer_matrix(&group->w_gradient, group->w_gradient.shape[0] == 1 ? 0 : place);
}
