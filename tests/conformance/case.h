/* One case: an op on tensors with values, as generated from (seed, op, index). */
#ifndef TTM_CONFORMANCE_CASE_H
#define TTM_CONFORMANCE_CASE_H

#include "conformance/draw.h"
#include "conformance/operand.h"
#include "conformance/target.h"

/** Parts that ADAMW's segments are cut into at most. */
enum { CASE_SEGMENTS = 4 };

/** An op's parameters, whichever it takes. */
typedef union case_params {
    ttm_fill_params fill;
    ttm_add_params add;
    ttm_matmul_params matmul;
    ttm_reduce_rows_params reduce_rows;
    ttm_sum_of_squares_params sum_of_squares;
    ttm_dropout_params dropout;
    ttm_softmax_params softmax;
    ttm_layer_norm_params layer_norm;
    ttm_layer_norm_backward_params layer_norm_backward;
    ttm_attention_params attention;
    ttm_cross_entropy_params cross_entropy;
    ttm_embedding_params embedding;
    ttm_adamw_params adamw;
    ttm_tt_gradient_params tt_gradient;
    ttm_sample_params sample;
    ttm_norm_matmul_params norm_matmul;
} case_params;

/** A case. */
typedef struct conformance_case {
    ttm_opcode opcode;
    uint64_t index;
    uint64_t seed;
    ttm_random random;
    layout_style style;
    ttm_dtype dtype; /**< Type of the data slots. */
    case_params params;
    ttm_adamw_segment segments[CASE_SEGMENTS];
    struct operand slots[TTM_OP_MAX_TENSORS];
    int32_t same_as[TTM_OP_MAX_TENSORS]; /**< The slot whose very tensor this slot is, or itself. */
} conformance_case;

/** Results of an op in double: one array of the slot's count elements for each output slot, NULL
 * for others. Zero-initialised before. */
typedef struct case_results {
    double *values[TTM_OP_MAX_TENSORS];
} case_results;

/** Generates a case. `dtype` is the type of its data, TTM_DTYPE_NONE for all types in turn: another
 * type, another case. `oracle` computes inputs that depend on others, such as attention's output
 * for its backward. The caller frees the case with case_free, after a failure too. */
TTM_CHECKED ttm_status case_generate(conformance_case *made, ttm_opcode opcode, uint64_t index,
                                     uint64_t seed, ttm_dtype dtype, const struct target *oracle);

/** Frees a case's values. */
void case_free(conformance_case *made);

/** Describes a case's op for `tensors`; the op points into both. */
ttm_op case_op(const conformance_case *made, const ttm_tensor *tensors);

/** Returns whether the op of a case writes this slot, and whether it reads it. */
bool case_writes(const conformance_case *made, uint32_t slot);
bool case_reads(const conformance_case *made, uint32_t slot);

/** What of its inputs a case is computed from. */
typedef enum case_inputs {
    CASE_EXACT = 0,    /**< From themselves. */
    CASE_ABSOLUTE = 1, /**< From their absolute values: |·|_abs of each result. */
    CASE_SQUARED = 2   /**< From their squares, and the root of the results: |·|_rss. */
} case_inputs;

/** Computes the case on the oracle from f64 copies of what `inputs` says. The caller frees *results
 * with case_results_free, after a failure too. */
TTM_CHECKED ttm_status case_oracle(case_results *results, const conformance_case *made,
                                   const struct target *oracle, case_inputs inputs);

/** Frees results. */
void case_results_free(case_results *results);

/** Writes one line that describes the case: types, shapes, strides, parameters. */
void case_describe(char *text, size_t text_bytes, const conformance_case *made);

#endif
