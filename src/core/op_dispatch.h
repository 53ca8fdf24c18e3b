/* How an op gets done: natively, decomposed into simpler ops, or on the host. Also the scratch
 * memory that decompositions use. */
#ifndef TTM_CORE_OP_DISPATCH_H
#define TTM_CORE_OP_DISPATCH_H

#include <stdbool.h>
#include <ttm/compute.h>
#include <ttm/profile.h>
#include <ttm/tt_split.h>

/** Runs an op in terms of simpler ones on the same stream, taking scratch through ttm_scratch_take.
 * Returns TTM_ERROR_UNSUPPORTED, without having queued anything, for a form that it has no simpler
 * ops for. It must make the same calls whether or not the tensors have memory. */
typedef ttm_status (*ttm_decomposition)(ttm_stream *stream, const ttm_op *op);

/** Returns the decomposition of an opcode, or NULL. */
ttm_decomposition ttm_decomposition_of(ttm_opcode opcode);

/** *tensor = contiguous scratch, valid until the enclosing op returns or ttm_scratch_release is
 * called with an earlier mark. */
TTM_CHECKED ttm_status ttm_scratch_take(ttm_tensor *tensor, ttm_stream *stream, ttm_dtype dtype,
                                        int32_t rank, const int64_t *shape);

/** Returns how much scratch is taken, to give back all later takes by ttm_scratch_release. */
size_t ttm_scratch_mark(const ttm_stream *stream);

/** Gives back the scratch taken since `mark`. */
void ttm_scratch_release(ttm_stream *stream, size_t mark);

/** Computes an op on the host with staging copies (op_fallback.c); *staged_bytes = bytes copied
 * both ways. */
TTM_CHECKED ttm_status ttm_op_run_on_host(size_t *staged_bytes, ttm_stream *stream,
                                          const ttm_op *op);

/** Finds the cheapest order of joining a list of cores [layers, r, n, m, r'], which ends at the
 * first absent one or at TTM_TT_MAX_CORES (op_cost.c). */
void ttm_build_order_of_cores(ttm_tt_build_order *order, const ttm_tensor *cores);

/* Decompositions of the TT ops; in src/tt, since they need the planner. */
ttm_status ttm_decompose_tt_build(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_tt_gradient(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_tt_linear(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_tt_linear_backward(ttm_stream *stream, const ttm_op *op);

/* Decompositions of the other ops; in op_decompose.c. */
ttm_status ttm_decompose_matmul(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_layer_norm(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_dropout(ttm_stream *stream, const ttm_op *op);
ttm_status ttm_decompose_norm_matmul(ttm_stream *stream, const ttm_op *op);

#endif
