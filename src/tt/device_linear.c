/* TT_LINEAR and its backward in terms of products and copies, in the order of contraction that the
 * planner finds cheapest. */
#include "core/device_internal.h"
#include "core/error.h"
#include "core/op_dispatch.h"
#include "tt/plan_run.h"

#include <ttm/tune.h>

static ttm_status shape_of_cores(ttm_tt_shape *shape, const ttm_tensor *cores)
{
    shape->core_count = 0;
    shape->ranks[0] = 1;
    while (shape->core_count < TTM_TT_MAX_CORES && ttm_tensor_present(&cores[shape->core_count])) {
        const int32_t k = shape->core_count++;
        shape->in_modes[k] = cores[k].shape[2];
        shape->out_modes[k] = cores[k].shape[3];
        shape->ranks[k + 1] = cores[k].shape[4];
    }
    return ttm_tt_shape_check(shape);
}

/* The plans know only f32 and f64: partial products in a narrow type would be rounded at every
 * step. */
static ttm_status check_type(const ttm_op *op, ttm_dtype dtype)
{
    if (dtype != TTM_F32 && dtype != TTM_F64) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "%s: no decomposition for %s",
                        ttm_op_name(op->opcode), ttm_dtype_name(dtype));
    }
    return TTM_OK;
}

ttm_status ttm_decompose_tt_linear(ttm_stream *stream, const ttm_op *op)
{
    const ttm_tensor *x = &op->tensors[TTM_TT_LINEAR_X];
    const ttm_tensor *y = &op->tensors[TTM_TT_LINEAR_Y];
    const ttm_tensor *bias = &op->tensors[TTM_TT_LINEAR_BIAS];
    const ttm_tensor *cores = &op->tensors[TTM_TT_LINEAR_CORE];
    TTM_TRY(check_type(op, x->dtype));
    if (x->shape[0] == 0) {
        return TTM_OK;
    }
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    TTM_TRY(shape_of_cores(&shape, cores));
    TTM_TRY(ttm_tt_plan_find_for_device(&plan, stream->device, x->dtype, &shape, x->shape[0],
                                        TTM_TT_FORWARD));
    const ttm_tt_plan_tensors tensors = {.x = x, .cores = cores, .result = y};
    TTM_TRY(ttm_tt_plan_run(stream, &plan, &tensors));
    if (!ttm_tensor_present(bias)) {
        return TTM_OK;
    }
    const ttm_tensor rows = ttm_tensor_broadcast(bias, 0, y->shape[0]);
    return ttm_add(stream, y, 1.0, y, 1.0, &rows);
}

ttm_status ttm_decompose_tt_linear_backward(ttm_stream *stream, const ttm_op *op)
{
    const ttm_tensor *x = &op->tensors[TTM_TT_LINEAR_BACKWARD_X];
    const ttm_tensor *dx = &op->tensors[TTM_TT_LINEAR_BACKWARD_DX];
    const ttm_tensor *dy = &op->tensors[TTM_TT_LINEAR_BACKWARD_DY];
    const ttm_tensor *dbias = &op->tensors[TTM_TT_LINEAR_BACKWARD_DBIAS];
    const ttm_tensor *cores = &op->tensors[TTM_TT_LINEAR_BACKWARD_CORE];
    TTM_TRY(check_type(op, x->dtype));
    if (x->shape[0] == 0) {
        return TTM_OK;
    }
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    TTM_TRY(shape_of_cores(&shape, cores));
    const size_t mark = ttm_scratch_mark(stream);
    if (ttm_tensor_present(dx)) {
        TTM_TRY(ttm_tt_plan_find_for_device(&plan, stream->device, x->dtype, &shape, x->shape[0],
                                            TTM_TT_INPUT_GRADIENT));
        const ttm_tt_plan_tensors tensors = {.x = dy, .cores = cores, .result = dx};
        TTM_TRY(ttm_tt_plan_run(stream, &plan, &tensors));
        ttm_scratch_release(stream, mark);
    }
    TTM_TRY(ttm_tt_plan_find_for_device(&plan, stream->device, x->dtype, &shape, x->shape[0],
                                        TTM_TT_CORE_GRADIENTS));
    const ttm_tt_plan_tensors tensors = {
        .x = x, .dy = dy, .cores = cores, .dcores = &op->tensors[TTM_TT_LINEAR_BACKWARD_DCORE]};
    TTM_TRY(ttm_tt_plan_run(stream, &plan, &tensors));
    ttm_scratch_release(stream, mark);
    return ttm_tensor_present(dbias) ? ttm_reduce_rows(stream, dbias, 1.0, 1.0, dy) : TTM_OK;
}
