/* From a tree to a list of matrix products, and how each product lays out its operands. */
#ifndef TTM_TT_PLAN_STEPS_H
#define TTM_TT_PLAN_STEPS_H

#include <stdbool.h>
#include <ttm/tt_plan.h>

#include "tt/plan_tree.h"

/** How two operands are multiplied. */
typedef struct ttm_plan_layout {
    int left_order[TTM_TT_MAX_AXES];  /**< Axes of left as [M, K]. */
    int right_order[TTM_TT_MAX_AXES]; /**< Axes of right as [K, N]. */
    bool permute_left;
    bool permute_right;
    bool left_transposed;  /**< Not permuted, stands as [K, M]. */
    bool right_transposed; /**< Not permuted, stands as [N, K]. */
    int product_axis_count;
    ttm_tt_axis product_axes[TTM_TT_MAX_AXES]; /**< [M, N]. */
    double m;
    double n;
    double k;
} ttm_plan_layout;

/** Finds the layout of left·right. */
void ttm_plan_layout_find(ttm_plan_layout *layout, const ttm_tt_operand *left,
                          const ttm_tt_operand *right);

/** Fills the operands, steps and text of a plan whose shape, rows and direction are set. */
void ttm_plan_steps_build(ttm_tt_plan *plan, const ttm_plan_tree *tree);

#endif
