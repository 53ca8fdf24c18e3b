/* One function an op. Each computes the formula that ttm/ops.h states, in double, on tensors that
 * the core has validated; the only failure is TTM_ERROR_OUT_OF_MEMORY. */
#ifndef TTM_REFERENCE_RUN_H
#define TTM_REFERENCE_RUN_H

#include <ttm/backend.h>

ttm_status run_copy(const ttm_op *op);
ttm_status run_fill(const ttm_op *op);
ttm_status run_add(const ttm_op *op);
ttm_status run_matmul(const ttm_op *op);
ttm_status run_reduce_rows(const ttm_op *op);
ttm_status run_sum_of_squares(const ttm_op *op);
ttm_status run_gelu(const ttm_op *op);
ttm_status run_gelu_backward(const ttm_op *op);
ttm_status run_dropout(const ttm_op *op);
ttm_status run_softmax(const ttm_op *op);
ttm_status run_layer_norm(const ttm_op *op);
ttm_status run_layer_norm_backward(const ttm_op *op);
ttm_status run_attention(const ttm_op *op);
ttm_status run_attention_backward(const ttm_op *op);
ttm_status run_cross_entropy(const ttm_op *op);
ttm_status run_embedding(const ttm_op *op);
ttm_status run_embedding_backward(const ttm_op *op);
ttm_status run_adamw(const ttm_op *op);
ttm_status run_tt_build(const ttm_op *op);
ttm_status run_tt_gradient(const ttm_op *op);
ttm_status run_tt_linear(const ttm_op *op);
ttm_status run_tt_linear_backward(const ttm_op *op);
ttm_status run_sample(const ttm_op *op);
ttm_status run_norm_matmul(const ttm_op *op);

#endif
