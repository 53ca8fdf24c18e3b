/* From a tree to a list of matrix products.
 *
 * Two operands are contracted over all axes that they share; in every product that occurs here,
 * forward or backward, no axis is shared and kept, so each is one plain matrix product. For C = A·B
 * the reverse sweep has dA = dC·B over the axes of B that A lacks, and dB = A·dC over those of A
 * that B lacks: the same rule gives both. */
#include "tt/plan_steps.h"

#include <string.h>

static bool same_axis(const ttm_tt_axis *a, const ttm_tt_axis *b)
{
    return a->kind == b->kind && a->index == b->index;
}

static int find_axis(const ttm_tt_operand *operand, const ttm_tt_axis *axis)
{
    for (int i = 0; i < operand->axis_count; i++) {
        if (same_axis(&operand->axes[i], axis)) {
            return i;
        }
    }
    return -1;
}

/* The axes that `operand` shares with `other` and those it doesn't, each in the operand's order. */
typedef struct axis_groups {
    int shared_count;
    int own_count;
    int shared[TTM_TT_MAX_AXES];
    int own[TTM_TT_MAX_AXES];
    double own_size;
    double shared_size;
    bool together;     /* no group interrupts the other */
    bool shared_first; /* the shared ones stand in front */
} axis_groups;

static void group_axes(axis_groups *groups, const ttm_tt_operand *operand,
                       const ttm_tt_operand *other)
{
    int changes = 0;
    bool last_shared = false;
    *groups = (axis_groups){.own_size = 1.0, .shared_size = 1.0};
    for (int i = 0; i < operand->axis_count; i++) {
        const bool shared = find_axis(other, &operand->axes[i]) >= 0;
        if (shared) {
            groups->shared[groups->shared_count++] = i;
            groups->shared_size *= (double)operand->axes[i].size;
        } else {
            groups->own[groups->own_count++] = i;
            groups->own_size *= (double)operand->axes[i].size;
        }
        changes += i > 0 && shared != last_shared;
        last_shared = shared;
    }
    groups->together = changes <= 1;
    groups->shared_first = groups->own_count > 0 && groups->shared_count > 0 && !last_shared;
}

void ttm_plan_layout_find(ttm_plan_layout *layout, const ttm_tt_operand *left,
                          const ttm_tt_operand *right)
{
    axis_groups of_left;
    axis_groups of_right;
    group_axes(&of_left, left, right);
    group_axes(&of_right, right, left);
    *layout = (ttm_plan_layout){0};
    layout->m = of_left.own_size;
    layout->n = of_right.own_size;
    layout->k = of_left.shared_size;
    layout->permute_left = !of_left.together;
    bool same_order = true;
    for (int i = 0; i < of_left.shared_count; i++) {
        const int in_right = find_axis(right, &left->axes[of_left.shared[i]]);
        same_order = same_order && in_right == of_right.shared[i];
    }
    layout->permute_right = !of_right.together || (!layout->permute_left && !same_order);
    layout->left_transposed = !layout->permute_left && of_left.shared_first;
    layout->right_transposed =
        !layout->permute_right && of_right.own_count > 0 && !of_right.shared_first;
    for (int i = 0; i < of_left.own_count; i++) {
        layout->left_order[i] = of_left.own[i];
        layout->product_axes[layout->product_axis_count++] = left->axes[of_left.own[i]];
    }
    for (int i = 0; i < of_left.shared_count; i++) {
        const ttm_tt_axis *axis = layout->permute_left ? &right->axes[of_right.shared[i]]
                                                       : &left->axes[of_left.shared[i]];
        layout->left_order[of_left.own_count + i] = find_axis(left, axis);
        layout->right_order[i] = find_axis(right, axis);
    }
    for (int i = 0; i < of_right.own_count; i++) {
        layout->right_order[of_right.shared_count + i] = of_right.own[i];
        layout->product_axes[layout->product_axis_count++] = right->axes[of_right.own[i]];
    }
}

static void add_axis(ttm_tt_operand *operand, ttm_tt_axis_kind kind, int32_t index, int64_t size)
{
    if (size != 1) {
        operand->axes[operand->axis_count++] = (ttm_tt_axis){(int32_t)kind, index, size};
    }
    operand->elements *= (double)size;
}

static ttm_tt_operand start_operand(ttm_tt_operand_kind kind)
{
    return (ttm_tt_operand){.kind = (int32_t)kind, .core = -1, .elements = 1.0};
}

/* [rows, in modes] or [rows, out modes]. */
static ttm_tt_operand rows_operand(const ttm_tt_plan *plan, ttm_tt_operand_kind kind, bool out)
{
    const ttm_tt_shape *shape = &plan->shape;
    ttm_tt_operand operand = start_operand(kind);
    add_axis(&operand, TTM_TT_AXIS_ROWS, 0, plan->rows);
    for (int32_t core = 0; core < shape->core_count; core++) {
        add_axis(&operand, out ? TTM_TT_AXIS_OUT : TTM_TT_AXIS_IN, core,
                 out ? shape->out_modes[core] : shape->in_modes[core]);
    }
    return operand;
}

/* The product of cores first … last − 1 in the order in which joining leaves it: [rank, n, m, n, m
 * …, rank]. */
static ttm_tt_operand product_operand(const ttm_tt_plan *plan, int32_t first, int32_t last)
{
    const ttm_tt_shape *shape = &plan->shape;
    ttm_tt_operand operand = start_operand(TTM_TT_OPERAND_RESULT);
    add_axis(&operand, TTM_TT_AXIS_RANK, first, shape->ranks[first]);
    for (int32_t core = first; core < last; core++) {
        add_axis(&operand, TTM_TT_AXIS_IN, core, shape->in_modes[core]);
        add_axis(&operand, TTM_TT_AXIS_OUT, core, shape->out_modes[core]);
    }
    add_axis(&operand, TTM_TT_AXIS_RANK, last, shape->ranks[last]);
    return operand;
}

/* Adds the step left·right; the result gets the order of `wanted`, or the product's own when that
 * is NULL. Returns its operand. */
static int32_t add_step(ttm_tt_plan *plan, int32_t left, int32_t right,
                        const ttm_tt_operand *wanted, int32_t gradient_core)
{
    ttm_plan_layout layout;
    ttm_plan_layout_find(&layout, &plan->operands[left], &plan->operands[right]);
    ttm_tt_operand result = start_operand(TTM_TT_OPERAND_RESULT);
    result.elements = layout.m * layout.n;
    result.axis_count = layout.product_axis_count;
    memcpy(result.axes, layout.product_axes, sizeof result.axes);
    ttm_tt_step step = {.left = left,
                        .right = right,
                        .result = plan->operand_count,
                        .permute_left = layout.permute_left,
                        .permute_right = layout.permute_right,
                        .gradient_core = gradient_core,
                        .m = layout.m,
                        .n = layout.n,
                        .k = layout.k};
    if (wanted != NULL) {
        for (int i = 0; i < result.axis_count; i++) {
            if (!same_axis(&result.axes[i], &wanted->axes[i])) {
                step.permute_result = 1;
            }
        }
        memcpy(result.axes, wanted->axes, sizeof result.axes);
    }
    plan->operands[plan->operand_count] = result;
    plan->steps[plan->step_count++] = step;
    return plan->operand_count++;
}

/* Operands of the tree's nodes: x is operand 0, core k operand 1 + k, like their nodes. */
static void add_forward(ttm_tt_plan *plan, int32_t operand_of[TTM_PLAN_MAX_NODES],
                        const ttm_plan_tree *tree, int32_t node_end, const ttm_tt_operand *wanted)
{
    for (int32_t i = 0; i < node_end; i++) {
        const ttm_plan_node *node = &tree->nodes[i];
        const bool root = i == tree->node_count - 1;
        operand_of[i] = node->left < 0
                            ? i
                            : add_step(plan, operand_of[node->left], operand_of[node->right],
                                       root ? wanted : NULL, -1);
    }
}

/* From the root down: gradient_of[node] is complete when its parent has been done, as every node
 * has one parent. */
static void add_backward(ttm_tt_plan *plan, const int32_t operand_of[TTM_PLAN_MAX_NODES],
                         const ttm_plan_tree *tree, int32_t dy)
{
    int32_t gradient_of[TTM_PLAN_MAX_NODES] = {0};
    gradient_of[tree->node_count - 1] = dy;
    for (int32_t i = tree->node_count - 1; i > tree->core_count; i--) {
        const ttm_plan_node *node = &tree->nodes[i];
        const ttm_plan_node *left = &tree->nodes[node->left];
        const ttm_plan_node *right = &tree->nodes[node->right];
        const ttm_tt_operand right_order = product_operand(plan, right->first, right->last);
        gradient_of[node->right] = add_step(plan, operand_of[node->left], gradient_of[i],
                                            &right_order, right->left < 0 ? right->first : -1);
        if (node->left == 0) {
            continue; /* x itself: its gradient is another plan's */
        }
        const ttm_tt_operand left_order = product_operand(plan, left->first, left->last);
        gradient_of[node->left] = add_step(plan, gradient_of[i], operand_of[node->right],
                                           left->has_x ? NULL : &left_order,
                                           !left->has_x && left->left < 0 ? left->first : -1);
    }
}

void ttm_plan_steps_build(ttm_tt_plan *plan, const ttm_plan_tree *tree)
{
    const bool input_gradient = plan->direction == TTM_TT_INPUT_GRADIENT;
    const bool core_gradients = plan->direction == TTM_TT_CORE_GRADIENTS;
    int32_t operand_of[TTM_PLAN_MAX_NODES] = {0};
    plan->step_count = 0;
    plan->operands[0] = rows_operand(plan, TTM_TT_OPERAND_X, input_gradient);
    for (int32_t core = 0; core < plan->shape.core_count; core++) {
        plan->operands[core + 1] = product_operand(plan, core, core + 1);
        plan->operands[core + 1].kind = TTM_TT_OPERAND_CORE;
        plan->operands[core + 1].core = core;
    }
    plan->operand_count = plan->shape.core_count + 1;
    if (core_gradients) {
        /* What is contracted with x itself (W, where it is built first) is nobody's factor, as x's
         * gradient isn't wanted; it is the node before the root. */
        const bool whole_unused = tree->nodes[tree->node_count - 1].left == 0;
        const int32_t dy = plan->operand_count++;
        plan->operands[dy] = rows_operand(plan, TTM_TT_OPERAND_DY, true);
        add_forward(plan, operand_of, tree, tree->node_count - (whole_unused ? 2 : 1), NULL);
        add_backward(plan, operand_of, tree, dy);
    } else {
        const ttm_tt_operand wanted = rows_operand(plan, TTM_TT_OPERAND_RESULT, !input_gradient);
        add_forward(plan, operand_of, tree, tree->node_count, &wanted);
    }
    ttm_plan_tree_print(plan->text, tree, plan->direction);
}
