/* Runs plans on the host in double, each step as its layout says: permute, multiply, permute. */
#include "tt/plan_execute.h"

#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"
#include "tt/plan_steps.h"

/* A copy of an operand's data with its axes in another order; the caller frees it. */
static ttm_status permuted_copy(double **copy, const double *data, const ttm_tt_axis *axes,
                                int axis_count, double elements, const int *order)
{
    int64_t sizes[TTM_TT_MAX_AXES];
    TTM_TRY(ttm_array_new(copy, (size_t)elements, sizeof **copy, "a permuted operand of a plan"));
    for (int i = 0; i < axis_count; i++) {
        sizes[i] = axes[i].size;
    }
    ttm_dense_permute(*copy, data, axis_count, sizes, order);
    return TTM_OK;
}

/* Puts a product [M, N] into the order of the step's result. */
static ttm_status order_result(double **product, const ttm_plan_layout *layout,
                               const ttm_tt_operand *result)
{
    int order[TTM_TT_MAX_AXES] = {0};
    double *ordered = NULL;
    for (int i = 0; i < result->axis_count; i++) {
        for (int j = 0; j < layout->product_axis_count; j++) {
            if (layout->product_axes[j].kind == result->axes[i].kind &&
                layout->product_axes[j].index == result->axes[i].index) {
                order[i] = j;
            }
        }
    }
    TTM_TRY(permuted_copy(&ordered, *product, layout->product_axes, layout->product_axis_count,
                          result->elements, order));
    free(*product);
    *product = ordered;
    return TTM_OK;
}

static ttm_status run_step(double **product, const ttm_tt_plan *plan, const ttm_tt_step *step,
                           const double *left_data, const double *right_data)
{
    ttm_status status = TTM_OK;
    const ttm_tt_operand *left = &plan->operands[step->left];
    const ttm_tt_operand *right = &plan->operands[step->right];
    double *left_copy = NULL;
    double *right_copy = NULL;
    ttm_plan_layout layout;
    ttm_plan_layout_find(&layout, left, right);
    const size_t m = (size_t)layout.m;
    const size_t n = (size_t)layout.n;
    const size_t k = (size_t)layout.k;
    ttm_dense_view left_view = {left_data, layout.left_transposed ? 1 : k,
                                layout.left_transposed ? m : 1};
    ttm_dense_view right_view = {right_data, layout.right_transposed ? 1 : n,
                                 layout.right_transposed ? k : 1};
    if (layout.permute_left) {
        TTM_TRY_OUT(permuted_copy(&left_copy, left_data, left->axes, left->axis_count,
                                  left->elements, layout.left_order));
        left_view.data = left_copy;
    }
    if (layout.permute_right) {
        TTM_TRY_OUT(permuted_copy(&right_copy, right_data, right->axes, right->axis_count,
                                  right->elements, layout.right_order));
        right_view.data = right_copy;
    }
    TTM_TRY_OUT(ttm_array_new(product, m, n * sizeof **product, "a product of a plan"));
    ttm_dense_multiply_add(*product, n, 1.0, left_view, right_view, m, n, k);
    if (step->permute_result) {
        TTM_TRY_OUT(order_result(product, &layout, &plan->operands[step->result]));
    }
out:
    free(left_copy);
    free(right_copy);
    return status;
}

ttm_status ttm_tt_plan_execute_host(double *result, double *const *core_gradients,
                                    const ttm_tt_plan *plan, const double *x, const double *dy,
                                    const double *const *cores)
{
    ttm_status status = TTM_OK;
    const double *data[TTM_TT_MAX_OPERANDS] = {NULL};
    double *products[TTM_TT_MAX_STEPS] = {NULL};
    for (int32_t i = 0; i < plan->operand_count; i++) {
        const ttm_tt_operand *operand = &plan->operands[i];
        data[i] = operand->kind == TTM_TT_OPERAND_CORE ? cores[operand->core]
                  : operand->kind == TTM_TT_OPERAND_DY ? dy
                                                       : x;
    }
    for (int32_t i = 0; i < plan->step_count; i++) {
        const ttm_tt_step *step = &plan->steps[i];
        TTM_TRY_OUT(run_step(&products[i], plan, step, data[step->left], data[step->right]));
        data[step->result] = products[i];
        const size_t bytes = (size_t)plan->operands[step->result].elements * sizeof(double);
        if (step->gradient_core >= 0) {
            memcpy(core_gradients[step->gradient_core], products[i], bytes);
        } else if (i == plan->step_count - 1) {
            memcpy(result, products[i], bytes);
        }
    }
out:
    for (int32_t i = 0; i < plan->step_count; i++) {
        free(products[i]);
    }
    return status;
}
