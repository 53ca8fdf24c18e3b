/* Contraction plans: in which order x and the cores of a TT-matrix are multiplied.
 *
 * y = x·W can be computed by building W and one product, by absorbing the cores into x one after
 * the other from either side, or by anything between: the cores between two points are joined to a
 * partial product first, then absorbed. Which is best depends on the shape, the number of rows and
 * the device. The planner enumerates all trees whose intermediate results are partial products of
 * neighbouring cores, or x with a run of neighbouring cores absorbed (3^(cores − 1) ways to absorb,
 * each with its best partial products), prices them and takes the cheapest.
 *
 * A plan is a list of plain matrix products between operands; what permutations each product needs
 * is in it too. */
#ifndef TTM_TT_PLAN_H
#define TTM_TT_PLAN_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>
#include <ttm/tt.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a plan computes. */
typedef enum ttm_tt_direction {
    TTM_TT_FORWARD = 0,        /**< y [rows, out] = x [rows, in]·W. */
    TTM_TT_INPUT_GRADIENT = 1, /**< dx [rows, in] = dy [rows, out]·Wᵀ. */
    TTM_TT_CORE_GRADIENTS =
        2 /**< dG1 … dGd from x [rows, in], dy [rows, out] and the cores: the reverse sweep over a
               forward tree, which computes the tree's partial products once and shares them. */
} ttm_tt_direction;

/** What time costs on a device: measured there, or guessed. */
typedef struct ttm_tt_cost_model {
    size_t struct_size;
    double product_flops; /**< Speed of a large matrix product, floating-point operations per second
                             (2 per MAC). */
    double copy_bytes; /**< Speed of a permuting copy, bytes read plus bytes written per second. */
    double launch_seconds; /**< Fixed cost of one product or one copy. */
    double element_bytes;  /**< Size of an element: 4 for f32, 2 for bf16. */
} ttm_tt_cost_model;

/** A two-core CPU, for want of a measurement. */
#define TTM_TT_COST_MODEL_INIT                           \
    {                                                    \
        sizeof(ttm_tt_cost_model), 1e11, 1e10, 2e-6, 4.0 \
    }

/** Counts multiply-accumulates only. */
#define TTM_TT_COST_MODEL_MACS                          \
    {                                                   \
        sizeof(ttm_tt_cost_model), 2.0, 1e300, 0.0, 4.0 \
    }

/** What an axis of an operand runs over. */
typedef enum ttm_tt_axis_kind {
    TTM_TT_AXIS_ROWS = 0, /**< rows of x and y; index 0. */
    TTM_TT_AXIS_IN = 1,   /**< in_modes[index]. */
    TTM_TT_AXIS_OUT = 2,  /**< out_modes[index]. */
    TTM_TT_AXIS_RANK = 3  /**< ranks[index]. */
} ttm_tt_axis_kind;

/** One axis. */
typedef struct ttm_tt_axis {
    int32_t kind; /**< ttm_tt_axis_kind. */
    int32_t index;
    int64_t size;
} ttm_tt_axis;

/** What an operand is. */
typedef enum ttm_tt_operand_kind {
    TTM_TT_OPERAND_X = 0,     /**< x; in the input gradient dy takes its place. */
    TTM_TT_OPERAND_CORE = 1,  /**< Core `core`. */
    TTM_TT_OPERAND_DY = 2,    /**< dy, in plans for core gradients. */
    TTM_TT_OPERAND_RESULT = 3 /**< Result of a step. */
} ttm_tt_operand_kind;

#define TTM_TT_MAX_AXES     20
#define TTM_TT_MAX_STEPS    24
#define TTM_TT_MAX_OPERANDS 36

/** A tensor of a plan, dense, row-major in the order of its axes. Axes of size 1 aren't listed. */
typedef struct ttm_tt_operand {
    int32_t kind; /**< ttm_tt_operand_kind. */
    int32_t core; /**< Core of a TTM_TT_OPERAND_CORE, else −1. */
    int32_t axis_count;
    ttm_tt_axis axes[TTM_TT_MAX_AXES];
    double elements;
} ttm_tt_operand;

/** One matrix product: [M axes, N axes] = left as [M, K]·right as [K, N]. K are the axes that left
 * and right share; M the left's others, N the right's others, each in their operand's order. An
 * operand that stands as [M, K] or [K, M] (left), [K, N] or [N, K] (right), with K in one order on
 * both sides, is used as it is; else it is permuted first. The K axes are in the left's order, or
 * in the right's where the left is permuted. */
typedef struct ttm_tt_step {
    int32_t left;           /**< Index in operands. */
    int32_t right;          /**< Index in operands. */
    int32_t result;         /**< Index in operands. */
    int32_t permute_left;   /**< 1: left must be copied to [M, K] first. */
    int32_t permute_right;  /**< 1: right must be copied to [K, N] first. */
    int32_t gradient_core;  /**< Core whose gradient the result is, else −1. */
    int32_t permute_result; /**< 1: the product isn't in its result's order and must be permuted. */
    double m;
    double n;
    double k;
} ttm_tt_step;

/** A plan. Operands are x (or dy), the cores, then (core gradients) dy, then the results of the
 * steps in order. */
typedef struct ttm_tt_plan {
    ttm_tt_shape shape; /**< As given: for the input gradient, too, that of W. */
    int64_t rows;
    ttm_tt_direction direction;
    int32_t operand_count;
    int32_t step_count;
    ttm_tt_operand operands[TTM_TT_MAX_OPERANDS];
    ttm_tt_step steps[TTM_TT_MAX_STEPS];
    char text[64]; /**< The tree, as ttm_tt_plan_parse reads it. */
} ttm_tt_plan;

/** What a plan costs. seconds = 2·macs/product_flops + copied_bytes/copy_bytes +
 * launches·launch_seconds. */
typedef struct ttm_tt_plan_price {
    double macs;         /**< Multiply-accumulates. */
    double copied_bytes; /**< Bytes that permutations read and write. */
    int32_t launches;    /**< Products and permutations. */
    double seconds;
} ttm_tt_plan_price;

/** *plan = the cheapest plan for `rows` rows. model NULL: TTM_TT_COST_MODEL_INIT.
 * Among equals the one found first wins, so that the same question always gets the same answer.
 * Errors: TTM_ERROR_SHAPE; TTM_ERROR_ARGUMENT for rows < 1, an unknown direction or a cost model
 * with a speed that isn't positive. Thread-safe. */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_find(ttm_tt_plan *plan, const ttm_tt_shape *shape,
                                                int64_t rows, ttm_tt_direction direction,
                                                const ttm_tt_cost_model *model);

/** *plan = the plan with the tree in `text`: x and G1 … Gd (dy stands for x in the input gradient),
 * two terms side by side are contracted, parentheses group, every group has two terms: `x ((G1 G2)
 * (G3 G4))` builds W first,
 * `((x G1) G2) G3` goes core by core. Terms of a group may stand in either order if they are
 * neighbours. For core gradients the text is the forward tree that is swept backwards. Errors: as
 * ttm_tt_plan_find; TTM_ERROR_ARGUMENT with the text and the place for anything that isn't such a
 * tree. */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_parse(ttm_tt_plan *plan, const char *text,
                                                 const ttm_tt_shape *shape, int64_t rows,
                                                 ttm_tt_direction direction);

/** Writes a plan for people into text[text_bytes]: the tree on the first line, then one line a step
 * with its operands, m, n, k and permutations. The first line alone can be parsed again.
 * TTM_ERROR_ARGUMENT when it doesn't fit (4 KiB do). */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_print(char *text, size_t text_bytes,
                                                 const ttm_tt_plan *plan);

/** *price = what the plan costs under `model` (NULL: TTM_TT_COST_MODEL_INIT). TTM_ERROR_ARGUMENT
 * for a model with a speed that isn't positive. */
TTM_API TTM_CHECKED ttm_status ttm_tt_plan_cost(ttm_tt_plan_price *price, const ttm_tt_plan *plan,
                                                const ttm_tt_cost_model *model);

#ifdef __cplusplus
}
#endif

#endif
