/* Running one given plan from outside an op, as tuning does. */
#include <ttm/tune.h>

#include "core/device_internal.h"
#include "core/error.h"
#include "core/op_dispatch.h"
#include "core/stream_workspace.h"
#include "tt/plan_run.h"

/* Checks the tensors that the plan will take apart. */
static ttm_status check_rows(const ttm_tensor *tensor, const char *name, int64_t rows, int64_t cols)
{
    if (!ttm_tensor_present(tensor) || tensor->rank != 2 || tensor->shape[0] != rows ||
        tensor->shape[1] != cols || tensor->stride[1] != 1) {
        char text[160];
        return ttm_fail(TTM_ERROR_SHAPE, "%s must be [%lld, %lld] with unit stride, it is %s", name,
                        (long long)rows, (long long)cols,
                        ttm_tensor_print(text, sizeof text, tensor));
    }
    if (tensor->dtype != TTM_F32 && tensor->dtype != TTM_F64) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "%s: contraction plans run in f32 and f64, not %s",
                        name, ttm_dtype_name(tensor->dtype));
    }
    return TTM_OK;
}

static ttm_status check_cores(const ttm_tensor *cores, const ttm_tt_shape *shape, ttm_dtype dtype)
{
    for (int32_t k = 0; k < shape->core_count; k++) {
        const int64_t *sizes = cores[k].shape;
        if (cores[k].dtype != dtype || cores[k].rank != 5 || sizes[0] != 1 ||
            sizes[1] != shape->ranks[k] || sizes[2] != shape->in_modes[k] ||
            sizes[3] != shape->out_modes[k] || sizes[4] != shape->ranks[k + 1] ||
            !ttm_tensor_is_contiguous(&cores[k])) {
            char text[160];
            return ttm_fail(TTM_ERROR_SHAPE,
                            "core %d doesn't fit the plan, or isn't contiguous: %s", (int)k,
                            ttm_tensor_print(text, sizeof text, &cores[k]));
        }
    }
    return TTM_OK;
}

/* Scratch is planned first, as it is for an op. */
static ttm_status run(ttm_stream *stream, const ttm_tt_plan *plan,
                      const ttm_tt_plan_tensors *tensors)
{
    const size_t mark = ttm_scratch_mark(stream);
    if (stream->handle != NULL) {
        ttm_stream dry = {.device = stream->device};
        TTM_TRY(ttm_tt_plan_run(&dry, plan, tensors));
        TTM_TRY(ttm_stream_workspace_ensure(stream, dry.workspace_needed));
    }
    stream->depth++;
    const ttm_status status = ttm_tt_plan_run(stream, plan, tensors);
    stream->depth--;
    ttm_scratch_release(stream, mark);
    return status;
}

ttm_status ttm_tt_plan_apply(ttm_stream *stream, const ttm_tt_plan *plan, const ttm_tensor *result,
                             const ttm_tensor *x, const ttm_tensor *cores)
{
    const int64_t in = ttm_tt_shape_in(&plan->shape);
    const int64_t out = ttm_tt_shape_out(&plan->shape);
    const bool forward = plan->direction == TTM_TT_FORWARD;
    if (plan->direction == TTM_TT_CORE_GRADIENTS) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a plan for core gradients runs by ttm_tt_plan_apply_gradients");
    }
    TTM_TRY(check_rows(x, forward ? "x" : "dy", plan->rows, forward ? in : out));
    TTM_TRY(check_rows(result, forward ? "y" : "dx", plan->rows, forward ? out : in));
    TTM_TRY(check_cores(cores, &plan->shape, x->dtype));
    const ttm_tt_plan_tensors tensors = {.x = x, .cores = cores, .result = result};
    return run(stream, plan, &tensors);
}

ttm_status ttm_tt_plan_apply_gradients(ttm_stream *stream, const ttm_tt_plan *plan,
                                       const ttm_tensor *dcores, const ttm_tensor *dy,
                                       const ttm_tensor *x, const ttm_tensor *cores)
{
    if (plan->direction != TTM_TT_CORE_GRADIENTS) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the plan isn't one for core gradients");
    }
    TTM_TRY(check_rows(x, "x", plan->rows, ttm_tt_shape_in(&plan->shape)));
    TTM_TRY(check_rows(dy, "dy", plan->rows, ttm_tt_shape_out(&plan->shape)));
    TTM_TRY(check_cores(cores, &plan->shape, x->dtype));
    TTM_TRY(check_cores(dcores, &plan->shape, x->dtype));
    const ttm_tt_plan_tensors tensors = {.x = x, .dy = dy, .cores = cores, .dcores = dcores};
    return run(stream, plan, &tensors);
}
