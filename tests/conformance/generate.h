/* Generators: one function an op chooses shapes, types, layouts, parameters, optional slots and
 * aliases within the op's contract. What they share is here too. */
#ifndef TTM_CONFORMANCE_GENERATE_H
#define TTM_CONFORMANCE_GENERATE_H

#include "conformance/case.h"

/** Cases below this index are plain: contiguous, aligned, no extent of 0. */
enum { PLAIN_CASES = 8 };

/** Shapes an operand and gives it a layout; its values stay unset (an output that isn't read). */
void slot_shape(conformance_case *made, uint32_t slot, ttm_dtype dtype, unsigned layout,
                int32_t rank, const int64_t *shape);

/** Like slot_shape, and fills it with random values around `shift`. */
TTM_CHECKED ttm_status slot_random(conformance_case *made, uint32_t slot, ttm_dtype dtype,
                                   unsigned layout, double shift, double scale, int32_t rank,
                                   const int64_t *shape);

/** Makes output `slot` the very tensor of input `with`. */
void slot_share(conformance_case *made, uint32_t slot, uint32_t with);

/** Sets the values of a shaped slot. */
TTM_CHECKED ttm_status slot_fill(conformance_case *made, uint32_t slot, const double *source);

/** Returns true once in `times`. */
bool case_once_in(conformance_case *made, int64_t times);

/** Returns an extent as draw_extent does, now and then 0 if the case isn't plain. */
int64_t case_extent(conformance_case *made, int64_t largest);

/** Draws a shape of rank 0 to `largest_rank` with at most `largest_count` elements; returns its
 * rank. */
int32_t case_shape(conformance_case *made, int64_t *shape, int32_t largest_rank,
                   int64_t largest_count);

/** Draws 0 to 2 batch extents of at most 3 each; returns how many. */
int32_t case_batch(conformance_case *made, int64_t *shape);

/** Returns the type of RESULT slots: the case's, or f32. */
ttm_dtype case_result_type(conformance_case *made);

/** Returns the type of slots that are the case's in memory: f32 for TF32. */
ttm_dtype case_stored_type(const conformance_case *made);

/** Returns the type of sums: f32, or f64 where the data are. */
ttm_dtype case_sum_type(const conformance_case *made);

/** Makes an output slot read too, with random values, or leaves it unset. */
TTM_CHECKED ttm_status slot_output(conformance_case *made, uint32_t slot, ttm_dtype dtype,
                                   unsigned layout, bool read, int32_t rank, const int64_t *shape);

ttm_status generate_copy(conformance_case *made, const struct target *oracle);
ttm_status generate_fill(conformance_case *made, const struct target *oracle);
ttm_status generate_add(conformance_case *made, const struct target *oracle);
ttm_status generate_gelu(conformance_case *made, const struct target *oracle);
ttm_status generate_gelu_backward(conformance_case *made, const struct target *oracle);
ttm_status generate_dropout(conformance_case *made, const struct target *oracle);
ttm_status generate_matmul(conformance_case *made, const struct target *oracle);
ttm_status generate_reduce_rows(conformance_case *made, const struct target *oracle);
ttm_status generate_sum_of_squares(conformance_case *made, const struct target *oracle);
ttm_status generate_softmax(conformance_case *made, const struct target *oracle);
ttm_status generate_layer_norm(conformance_case *made, const struct target *oracle);
ttm_status generate_layer_norm_backward(conformance_case *made, const struct target *oracle);
ttm_status generate_attention(conformance_case *made, const struct target *oracle);
ttm_status generate_attention_backward(conformance_case *made, const struct target *oracle);
ttm_status generate_cross_entropy(conformance_case *made, const struct target *oracle);
ttm_status generate_embedding(conformance_case *made, const struct target *oracle);
ttm_status generate_embedding_backward(conformance_case *made, const struct target *oracle);
ttm_status generate_adamw(conformance_case *made, const struct target *oracle);
ttm_status generate_tt_build(conformance_case *made, const struct target *oracle);
ttm_status generate_tt_gradient(conformance_case *made, const struct target *oracle);
ttm_status generate_tt_linear(conformance_case *made, const struct target *oracle);
ttm_status generate_tt_linear_backward(conformance_case *made, const struct target *oracle);
ttm_status generate_sample(conformance_case *made, const struct target *oracle);
ttm_status generate_norm_matmul(conformance_case *made, const struct target *oracle);

#endif
