/* Running ops: one function each, on top of ttm_op_run. The contracts are in ttm/ops.h.
 *
 * All functions validate their arguments (TTM_ERROR_SHAPE, TTM_ERROR_DTYPE, TTM_ERROR_ARGUMENT),
 * queue the work on the stream and return. An op that the backend lacks is decomposed into others
 * or computed on the host. Pointers to optional tensors may be NULL. Tensors are only descriptions:
 * they needn't outlive the call, their memory must. */
#ifndef TTM_COMPUTE_H
#define TTM_COMPUTE_H

#include <ttm/ops.h>
#include <ttm/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Validates and runs any op; struct_size and workspace are filled in by the callee. */
TTM_API TTM_CHECKED ttm_status ttm_op_run(ttm_stream *stream, const ttm_op *op);

/** Names what the following ops of this stream are for ("layer 3 mlp.c_fc"); NULL for nothing. The
 * string is not copied. */
TTM_API void ttm_stream_set_label(ttm_stream *stream, const char *label);

/** Says which layer of a model the following ops of this stream belong to: labels then begin with
 * "layer 3 "; −1 for none. */
TTM_API void ttm_stream_set_layer(ttm_stream *stream, int64_t layer);

/** Returns an op's name as tools spell it ("matmul"), or "unknown". */
TTM_API const char *ttm_op_name(ttm_opcode opcode);

/** out = x, converted and permuted as the tensors say. */
TTM_API TTM_CHECKED ttm_status ttm_copy(ttm_stream *stream, const ttm_tensor *out,
                                        const ttm_tensor *x);

/** out = value everywhere. */
TTM_API TTM_CHECKED ttm_status ttm_fill(ttm_stream *stream, const ttm_tensor *out, double value);

/** out = alpha·a + beta·b, or alpha·a when b is NULL. */
TTM_API TTM_CHECKED ttm_status ttm_add(ttm_stream *stream, const ttm_tensor *out, double alpha,
                                       const ttm_tensor *a, double beta, const ttm_tensor *b);

/** What a product may do besides multiplying; zero or NULL members do nothing. Initialise with
 * TTM_MATMUL_OPTIONS. */
typedef struct ttm_matmul_options {
    double alpha;              /**< 1 by default. */
    double beta;               /**< 0 by default; 1 accumulates into out. */
    ttm_activation activation; /**< None by default. */
    const ttm_tensor *bias;
    const ttm_tensor *residual;
    const ttm_tensor *pre;
} ttm_matmul_options;
#define TTM_MATMUL_OPTIONS                              \
    {                                                   \
        1.0, 0.0, TTM_ACTIVATION_NONE, NULL, NULL, NULL \
    }

/** out = a·b with the options' epilogue; options may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_matmul(ttm_stream *stream, const ttm_tensor *out,
                                          const ttm_tensor *a, const ttm_tensor *b,
                                          const ttm_matmul_options *options);

/** out [cols] = beta·out + alpha·column sums of x [rows, cols]. */
TTM_API TTM_CHECKED ttm_status ttm_reduce_rows(ttm_stream *stream, const ttm_tensor *out,
                                               double beta, double alpha, const ttm_tensor *x);

/** out [1] = beta·out + Σ x². */
TTM_API TTM_CHECKED ttm_status ttm_sum_of_squares(ttm_stream *stream, const ttm_tensor *out,
                                                  double beta, const ttm_tensor *x);

/** out = gelu(x). */
TTM_API TTM_CHECKED ttm_status ttm_gelu(ttm_stream *stream, const ttm_tensor *out,
                                        const ttm_tensor *x);

/** dx = dy·gelu'(x). */
TTM_API TTM_CHECKED ttm_status ttm_gelu_backward(ttm_stream *stream, const ttm_tensor *dx,
                                                 const ttm_tensor *dy, const ttm_tensor *x);

/** out = residual + dropped(x); residual may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_dropout(ttm_stream *stream, const ttm_tensor *out,
                                           const ttm_tensor *x, const ttm_tensor *residual,
                                           const ttm_dropout_params *params);

/** out = row-wise softmax(scale·x). */
TTM_API TTM_CHECKED ttm_status ttm_softmax(ttm_stream *stream, const ttm_tensor *out,
                                           const ttm_tensor *x, double scale, int causal);

/** Layer norm; mean, rstd, residual and sum may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_layer_norm(ttm_stream *stream, const ttm_tensor *out,
                                              const ttm_tensor *mean, const ttm_tensor *rstd,
                                              const ttm_tensor *sum, const ttm_tensor *x,
                                              const ttm_tensor *residual, const ttm_tensor *gamma,
                                              const ttm_tensor *beta, double epsilon);

/** out = layer norm of x, times b, plus bias; with TTM_ACTIVATION_GELU gelu of that. bias may be
 * NULL. For few rows: many are faster by ttm_layer_norm and ttm_matmul. */
TTM_API TTM_CHECKED ttm_status ttm_norm_matmul(ttm_stream *stream, const ttm_tensor *out,
                                               const ttm_tensor *x, const ttm_tensor *gamma,
                                               const ttm_tensor *beta, const ttm_tensor *b,
                                               const ttm_tensor *bias, double epsilon,
                                               ttm_activation activation);

/** Gradients of layer norm; dgamma and dbeta are added to, dx too when dx_beta is 1. */
TTM_API TTM_CHECKED ttm_status ttm_layer_norm_backward(
    ttm_stream *stream, const ttm_tensor *dx, double dx_beta, const ttm_tensor *dgamma,
    const ttm_tensor *dbeta, const ttm_tensor *dy, const ttm_tensor *x, const ttm_tensor *gamma,
    const ttm_tensor *mean, const ttm_tensor *rstd);

/** Attention; lse may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_attention(ttm_stream *stream, const ttm_tensor *out,
                                             const ttm_tensor *lse, const ttm_tensor *q,
                                             const ttm_tensor *k, const ttm_tensor *v,
                                             const ttm_attention_params *params);

/** Gradients of attention. */
TTM_API TTM_CHECKED ttm_status ttm_attention_backward(ttm_stream *stream, const ttm_tensor *dq,
                                                      const ttm_tensor *dk, const ttm_tensor *dv,
                                                      const ttm_tensor *dout, const ttm_tensor *q,
                                                      const ttm_tensor *k, const ttm_tensor *v,
                                                      const ttm_tensor *out, const ttm_tensor *lse,
                                                      const ttm_attention_params *params);

/** loss per row, and dlogits (may be NULL, may be logits itself). */
TTM_API TTM_CHECKED ttm_status ttm_cross_entropy(ttm_stream *stream, const ttm_tensor *loss,
                                                 const ttm_tensor *dlogits,
                                                 const ttm_tensor *logits,
                                                 const ttm_tensor *targets, double gradient_scale);

/** out = table[tokens] + positions; positions may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_embedding(ttm_stream *stream, const ttm_tensor *out,
                                             const ttm_tensor *tokens, const ttm_tensor *table,
                                             const ttm_tensor *positions, int64_t sequence_length,
                                             int64_t position_start);

/** dtable and dpositions (may be NULL) are added to. */
TTM_API TTM_CHECKED ttm_status ttm_embedding_backward(ttm_stream *stream, const ttm_tensor *dtable,
                                                      const ttm_tensor *dpositions,
                                                      const ttm_tensor *dout,
                                                      const ttm_tensor *tokens,
                                                      int64_t sequence_length,
                                                      int64_t position_start);

/** tokens [rows] = tokens drawn from logits [rows, vocab] with the random words [rows, 2]. */
TTM_API TTM_CHECKED ttm_status ttm_sample_rows(ttm_stream *stream, const ttm_tensor *tokens,
                                               const ttm_tensor *logits, const ttm_tensor *random,
                                               const ttm_sample_params *params);

/** One AdamW step; norm_squared and working may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_adamw(ttm_stream *stream, const ttm_tensor *parameters,
                                         const ttm_tensor *gradients,
                                         const ttm_tensor *first_moment,
                                         const ttm_tensor *second_moment,
                                         const ttm_tensor *norm_squared, const ttm_tensor *working,
                                         const ttm_adamw_params *params);

/** w [layers, in, out] = the matrices of `core_count` cores, cores[k] being [layers, r_k, n_k, m_k,
 * r_{k+1}]. */
TTM_API TTM_CHECKED ttm_status ttm_tt_build(ttm_stream *stream, const ttm_tensor *w,
                                            int32_t core_count, const ttm_tensor *cores);

/** dcores[k] = beta·dcores[k] + the gradient that dw [layers, in, out] gives. */
TTM_API TTM_CHECKED ttm_status ttm_tt_gradient(ttm_stream *stream, int32_t core_count,
                                               const ttm_tensor *dcores, double beta,
                                               const ttm_tensor *dw, const ttm_tensor *cores);

/** y = x·W(cores) + bias; bias may be NULL. */
TTM_API TTM_CHECKED ttm_status ttm_tt_linear(ttm_stream *stream, const ttm_tensor *y,
                                             const ttm_tensor *x, const ttm_tensor *bias,
                                             int32_t core_count, const ttm_tensor *cores);

/** Gradients of ttm_tt_linear; dx and dbias may be NULL; dcores and dbias are added to. */
TTM_API TTM_CHECKED ttm_status ttm_tt_linear_backward(ttm_stream *stream, const ttm_tensor *dx,
                                                      const ttm_tensor *dbias, int32_t core_count,
                                                      const ttm_tensor *dcores,
                                                      const ttm_tensor *dy, const ttm_tensor *x,
                                                      const ttm_tensor *cores);

#ifdef __cplusplus
}
#endif

#endif
