/* Running a contraction plan with device ops: each step is a product, before it copies that bring
 * the operands' axes into order.
 *
 * An operand here is a tensor and a stride for each of the plan's axes. A permutation merges axes
 * that stay neighbours, so that few dimensions remain; where they are more than a tensor has, it is
 * done in several copies. */
#include "tt/plan_run.h"

#include "core/error.h"
#include "core/op_dispatch.h"

#include <string.h>

/* A plan's operand on the device. */
typedef struct placed {
    ttm_tensor base; /* Where element 0 lies; its own shape doesn't matter. */
    int64_t stride[TTM_TT_MAX_AXES];
} placed;

typedef struct plan_run {
    ttm_stream *stream;
    const ttm_tt_plan *plan;
    const ttm_tt_plan_tensors *tensors;
    placed operands[TTM_TT_MAX_OPERANDS];
} plan_run;

/* One axis of a permutation: its extent, and its strides on both sides. */
typedef struct moved_axis {
    int64_t size;
    int64_t from;
    int64_t to;
} moved_axis;

static void set_dense_strides(placed *operand, const ttm_tt_operand *info)
{
    int64_t stride = 1;
    for (int32_t axis = info->axis_count - 1; axis >= 0; axis--) {
        operand->stride[axis] = stride;
        stride *= info->axes[axis].size;
    }
}

static int32_t find_axis(const ttm_tt_operand *info, const ttm_tt_axis *axis)
{
    for (int32_t i = 0; i < info->axis_count; i++) {
        if (info->axes[i].kind == axis->kind && info->axes[i].index == axis->index) {
            return i;
        }
    }
    return -1;
}

/* Merges axes that are neighbours on both sides and leaves out those of one element; returns how
 * many are left. */
static int32_t merge_axes(moved_axis *axes, int32_t count)
{
    int32_t merged = 0;
    for (int32_t i = 0; i < count; i++) {
        const moved_axis axis = axes[i];
        moved_axis *last = merged > 0 ? &axes[merged - 1] : NULL;
        if (axis.size == 1) {
            continue;
        }
        if (last != NULL && last->to == axis.to * axis.size &&
            last->from == axis.from * axis.size) {
            *last = (moved_axis){last->size * axis.size, axis.from, axis.to};
        } else {
            axes[merged++] = axis;
        }
    }
    return merged;
}

/* The shortest axis but the innermost, without which runs of neighbours would be broken up. */
static int32_t find_shortest(const moved_axis *axes, int32_t count)
{
    int32_t shortest = 0;
    for (int32_t i = 1; i + 1 < count; i++) {
        shortest = axes[i].size < axes[shortest].size ? i : shortest;
    }
    return shortest;
}

/* Takes axes out of `axes` until a tensor can have those that are left. */
static int32_t take_surplus(moved_axis surplus[TTM_TT_MAX_AXES], moved_axis *axes, int32_t *count)
{
    int32_t taken = 0;
    while (*count > TTM_MAX_RANK) {
        const int32_t shortest = find_shortest(axes, *count);
        surplus[taken++] = axes[shortest];
        (*count)--;
        memmove(axes + shortest, axes + shortest + 1, (size_t)(*count - shortest) * sizeof axes[0]);
    }
    return taken;
}

/* Moves both tensors' beginnings to where the surplus axes have their element number `index`. */
static void go_to(ttm_tensor *to, ttm_tensor *from, const moved_axis *surplus, int32_t count,
                  int64_t index)
{
    const int64_t bytes = (int64_t)ttm_dtype_bytes(to->dtype);
    for (int32_t i = 0; i < count; i++) {
        const int64_t place = index % surplus[i].size;
        index /= surplus[i].size;
        to->offset += (size_t)(place * surplus[i].to * bytes);
        from->offset += (size_t)(place * surplus[i].from * bytes);
    }
}

/* target = source, or target += source, axis by axis: at once, or, where more axes remain than a
 * tensor has, once for each element of the shortest ones. `axes` is in the target's order and not
 * kept. */
static ttm_status move_axes(ttm_stream *stream, const ttm_tensor *target, const ttm_tensor *source,
                            moved_axis *axes, int32_t count, bool add)
{
    moved_axis surplus[TTM_TT_MAX_AXES];
    int64_t repeats = 1;
    count = merge_axes(axes, count);
    const int32_t surplus_count = take_surplus(surplus, axes, &count);
    for (int32_t i = 0; i < surplus_count; i++) {
        repeats *= surplus[i].size;
    }
    for (int64_t index = 0; index < repeats; index++) {
        ttm_tensor to = *target;
        ttm_tensor from = *source;
        to.rank = count;
        from.rank = count;
        for (int32_t dim = 0; dim < count; dim++) {
            to.shape[dim] = axes[dim].size;
            to.stride[dim] = axes[dim].to;
            from.shape[dim] = axes[dim].size;
            from.stride[dim] = axes[dim].from;
        }
        go_to(&to, &from, surplus, surplus_count, index);
        TTM_TRY(add ? ttm_add(stream, &to, 1.0, &to, 1.0, &from) : ttm_copy(stream, &to, &from));
    }
    return TTM_OK;
}

/* The axes of a step's operand as [M, K] (left) or [K, N] (right); K's order is always the left
 * operand's. Returns their number, and in *first_group how many belong to the first of the two. */
static int32_t ordered_axes(int32_t *order, int32_t *first_group, const plan_run *run,
                            const ttm_tt_step *step, bool is_left)
{
    const ttm_tt_operand *left = &run->plan->operands[step->left];
    const ttm_tt_operand *right = &run->plan->operands[step->right];
    const ttm_tt_operand *own = is_left ? left : right;
    int32_t count = 0;
    for (int32_t pass = 0; pass < 2; pass++) {
        const bool shared_pass = (pass == 0) != is_left;
        const ttm_tt_operand *source = shared_pass ? left : own;
        for (int32_t axis = 0; axis < source->axis_count; axis++) {
            const bool shared = find_axis(left, &source->axes[axis]) >= 0 &&
                                find_axis(right, &source->axes[axis]) >= 0;
            if (shared == shared_pass) {
                order[count++] = find_axis(own, &source->axes[axis]);
            }
        }
        if (pass == 0) {
            *first_group = count;
        }
    }
    return count;
}

/* Whether axes form one strided dimension; *stride = its stride (`single` where they hold one
 * element). */
static bool is_one_dimension(int64_t *stride, const moved_axis *axes, int32_t count, int64_t single)
{
    moved_axis own[TTM_TT_MAX_AXES];
    for (int32_t i = 0; i < count; i++) {
        own[i] = (moved_axis){axes[i].size, axes[i].from, axes[i].from};
    }
    const int32_t merged = merge_axes(own, count);
    if (merged > 1) {
        return false;
    }
    *stride = merged == 1 ? own[0].from : single;
    return true;
}

/* *matrix = a step's operand as a matrix [rows, cols]: a view where its axes lie right, else a copy
 * in scratch. */
static ttm_status bring_operand(ttm_tensor *matrix, const plan_run *run, const ttm_tt_step *step,
                                bool is_left)
{
    const int32_t index = is_left ? step->left : step->right;
    const ttm_tt_operand *info = &run->plan->operands[index];
    const placed *operand = &run->operands[index];
    const int64_t rows = (int64_t)(is_left ? step->m : step->k);
    const int64_t cols = (int64_t)(is_left ? step->k : step->n);
    int32_t order[TTM_TT_MAX_AXES];
    int32_t first_group = 0;
    moved_axis axes[TTM_TT_MAX_AXES];
    const int32_t count = ordered_axes(order, &first_group, run, step, is_left);
    int64_t dense = rows * cols;
    for (int32_t i = 0; i < count; i++) {
        dense /= info->axes[order[i]].size;
        axes[i] = (moved_axis){info->axes[order[i]].size, operand->stride[order[i]], dense};
    }
    *matrix = operand->base;
    matrix->rank = 2;
    matrix->shape[0] = rows;
    matrix->shape[1] = cols;
    if (is_one_dimension(&matrix->stride[0], axes, first_group, cols) &&
        is_one_dimension(&matrix->stride[1], axes + first_group, count - first_group, 1)) {
        return TTM_OK;
    }
    TTM_TRY(ttm_scratch_take(matrix, run->stream, operand->base.dtype, 2, (int64_t[]){rows, cols}));
    return move_axes(run->stream, matrix, &operand->base, axes, count, false);
}

/* Where axis `axis` of a final result lies in the caller's tensor: y [rows, Π m] or dx [rows, Π n],
 * or a core gradient [r, n, m, r']. */
static int64_t final_stride(const plan_run *run, const ttm_tt_step *step, const ttm_tt_axis *axis)
{
    const ttm_tt_shape *shape = &run->plan->shape;
    if (step->gradient_core >= 0) {
        const int32_t core = step->gradient_core;
        const int64_t after_in = shape->out_modes[core] * shape->ranks[core + 1];
        switch (axis->kind) {
        case TTM_TT_AXIS_IN:
            return after_in;
        case TTM_TT_AXIS_OUT:
            return shape->ranks[core + 1];
        default:
            return axis->index == core ? shape->in_modes[core] * after_in : 1;
        }
    }
    if (axis->kind == TTM_TT_AXIS_ROWS) {
        return run->tensors->result->stride[0];
    }
    const int64_t *modes = axis->kind == TTM_TT_AXIS_IN ? shape->in_modes : shape->out_modes;
    int64_t stride = run->tensors->result->stride[1];
    for (int32_t later = axis->index + 1; later < shape->core_count; later++) {
        stride *= modes[later];
    }
    return axis->kind == TTM_TT_AXIS_RANK ? 0 : stride;
}

/* Moves a finished result from its product's order to where the caller wants it. */
static ttm_status deliver(const plan_run *run, const ttm_tt_step *step)
{
    const ttm_tt_operand *info = &run->plan->operands[step->result];
    const placed *result = &run->operands[step->result];
    const bool gradient = step->gradient_core >= 0;
    const ttm_tensor *target =
        gradient ? &run->tensors->dcores[step->gradient_core] : run->tensors->result;
    moved_axis axes[TTM_TT_MAX_AXES];
    for (int32_t axis = 0; axis < info->axis_count; axis++) {
        axes[axis] = (moved_axis){info->axes[axis].size, result->stride[axis],
                                  final_stride(run, step, &info->axes[axis])};
    }
    return move_axes(run->stream, target, &result->base, axes, info->axis_count, gradient);
}

/* Strides of a step's result as its product leaves it: the left operand's own axes, then the right
 * one's. The plan may list the axes in another order, the one that is wanted; outer ranks of extent
 * 1 may be missing there. */
static void set_product_strides(placed *result, const plan_run *run, const ttm_tt_step *step)
{
    const ttm_tt_operand *left = &run->plan->operands[step->left];
    const ttm_tt_operand *right = &run->plan->operands[step->right];
    const ttm_tt_operand *info = &run->plan->operands[step->result];
    int64_t stride = 1;
    for (int32_t side = 1; side >= 0; side--) {
        const ttm_tt_operand *own = side == 0 ? left : right;
        const ttm_tt_operand *other = side == 0 ? right : left;
        for (int32_t axis = own->axis_count - 1; axis >= 0; axis--) {
            if (find_axis(other, &own->axes[axis]) >= 0) {
                continue;
            }
            const int32_t place = find_axis(info, &own->axes[axis]);
            if (place >= 0) {
                result->stride[place] = stride;
            }
            stride *= own->axes[axis].size;
        }
    }
}

/* Whether a product can write the caller's result itself; *matrix = the result as [m, n] then. */
static bool writes_result(ttm_tensor *matrix, const plan_run *run, const ttm_tt_step *step)
{
    const ttm_tensor *result = run->tensors->result;
    if (result == NULL || step != &run->plan->steps[run->plan->step_count - 1] ||
        step->permute_result != 0) {
        return false;
    }
    const int64_t shape[2] = {(int64_t)step->m, (int64_t)step->n};
    *matrix = shape[0] == result->shape[0] ? *result : ttm_tensor_reshape(result, 2, shape);
    return ttm_tensor_present(matrix) != 0;
}

static ttm_status run_step(plan_run *run, const ttm_tt_step *step)
{
    placed *result = &run->operands[step->result];
    const int64_t shape[2] = {(int64_t)step->m, (int64_t)step->n};
    const bool straight = writes_result(&result->base, run, step);
    if (!straight) {
        TTM_TRY(ttm_scratch_take(&result->base, run->stream, run->tensors->x->dtype, 2, shape));
        set_product_strides(result, run, step);
    }
    const size_t mark = ttm_scratch_mark(run->stream);
    ttm_tensor left;
    ttm_tensor right;
    TTM_TRY(bring_operand(&left, run, step, true));
    TTM_TRY(bring_operand(&right, run, step, false));
    TTM_TRY(ttm_matmul(run->stream, &result->base, &left, &right, NULL));
    ttm_scratch_release(run->stream, mark);
    const bool last = step == &run->plan->steps[run->plan->step_count - 1];
    const bool final = step->gradient_core >= 0 || (last && run->tensors->result != NULL);
    return final && !straight ? deliver(run, step) : TTM_OK;
}

/* x, dy [rows, …]: the row axis comes first and may have any stride. */
static void place_rows(placed *operand, const ttm_tt_operand *info, const ttm_tensor *tensor)
{
    operand->base = *tensor;
    set_dense_strides(operand, info);
    for (int32_t axis = 0; axis < info->axis_count; axis++) {
        operand->stride[axis] *= tensor->stride[1];
        if (info->axes[axis].kind == TTM_TT_AXIS_ROWS) {
            operand->stride[axis] = tensor->stride[0];
        }
    }
}

ttm_status ttm_tt_plan_run(ttm_stream *stream, const ttm_tt_plan *plan,
                           const ttm_tt_plan_tensors *tensors)
{
    plan_run run = {.stream = stream, .plan = plan, .tensors = tensors};
    for (int32_t i = 0; i < plan->operand_count; i++) {
        const ttm_tt_operand *info = &plan->operands[i];
        switch ((ttm_tt_operand_kind)info->kind) {
        case TTM_TT_OPERAND_X:
            place_rows(&run.operands[i], info, tensors->x);
            break;
        case TTM_TT_OPERAND_DY:
            place_rows(&run.operands[i], info, tensors->dy);
            break;
        case TTM_TT_OPERAND_CORE:
            run.operands[i].base = tensors->cores[info->core];
            set_dense_strides(&run.operands[i], info);
            break;
        case TTM_TT_OPERAND_RESULT:
            break;
        }
    }
    for (int32_t i = 0; i < plan->step_count; i++) {
        TTM_TRY(run_step(&run, &plan->steps[i]));
    }
    return TTM_OK;
}
