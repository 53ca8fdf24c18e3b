/* The functions of ttm/compute.h: each fills the slots of one op. */
#include <ttm/compute.h>

#include "core/error.h"

#include <string.h>

/* Copies an optional tensor into its slot; absent stays absent. */
static void set_slot(ttm_tensor *slot, const ttm_tensor *tensor)
{
    if (tensor != NULL) {
        *slot = *tensor;
    }
}

static ttm_status run(ttm_stream *stream, ttm_opcode opcode, const ttm_tensor *tensors,
                      uint32_t tensor_count, const void *params, size_t params_bytes)
{
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = opcode,
                       .tensor_count = tensor_count,
                       .tensors = tensors,
                       .params = params,
                       .params_bytes = params_bytes};
    return ttm_op_run(stream, &op);
}

ttm_status ttm_copy(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *x)
{
    ttm_tensor slots[TTM_COPY_TENSORS] = {0};
    set_slot(&slots[TTM_COPY_OUT], out);
    set_slot(&slots[TTM_COPY_X], x);
    return run(stream, TTM_OP_COPY, slots, TTM_COPY_TENSORS, NULL, 0);
}

ttm_status ttm_fill(ttm_stream *stream, const ttm_tensor *out, double value)
{
    ttm_tensor slots[TTM_FILL_TENSORS] = {0};
    set_slot(&slots[TTM_FILL_OUT], out);
    const ttm_fill_params params = {value};
    return run(stream, TTM_OP_FILL, slots, TTM_FILL_TENSORS, &params, sizeof params);
}

ttm_status ttm_add(ttm_stream *stream, const ttm_tensor *out, double alpha, const ttm_tensor *a,
                   double beta, const ttm_tensor *b)
{
    ttm_tensor slots[TTM_ADD_TENSORS] = {0};
    set_slot(&slots[TTM_ADD_OUT], out);
    set_slot(&slots[TTM_ADD_A], a);
    set_slot(&slots[TTM_ADD_B], b);
    const ttm_add_params params = {alpha, beta};
    return run(stream, TTM_OP_ADD, slots, TTM_ADD_TENSORS, &params, sizeof params);
}

ttm_status ttm_matmul(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *a,
                      const ttm_tensor *b, const ttm_matmul_options *options)
{
    static const ttm_matmul_options defaults = TTM_MATMUL_OPTIONS;
    const ttm_matmul_options *chosen = options != NULL ? options : &defaults;
    ttm_tensor slots[TTM_MATMUL_TENSORS] = {0};
    set_slot(&slots[TTM_MATMUL_OUT], out);
    set_slot(&slots[TTM_MATMUL_A], a);
    set_slot(&slots[TTM_MATMUL_B], b);
    set_slot(&slots[TTM_MATMUL_BIAS], chosen->bias);
    set_slot(&slots[TTM_MATMUL_RESIDUAL], chosen->residual);
    set_slot(&slots[TTM_MATMUL_PRE], chosen->pre);
    const ttm_matmul_params params = {chosen->alpha, chosen->beta, chosen->activation};
    return run(stream, TTM_OP_MATMUL, slots, TTM_MATMUL_TENSORS, &params, sizeof params);
}

ttm_status ttm_reduce_rows(ttm_stream *stream, const ttm_tensor *out, double beta, double alpha,
                           const ttm_tensor *x)
{
    ttm_tensor slots[TTM_REDUCE_ROWS_TENSORS] = {0};
    set_slot(&slots[TTM_REDUCE_ROWS_OUT], out);
    set_slot(&slots[TTM_REDUCE_ROWS_X], x);
    const ttm_reduce_rows_params params = {alpha, beta};
    return run(stream, TTM_OP_REDUCE_ROWS, slots, TTM_REDUCE_ROWS_TENSORS, &params, sizeof params);
}

ttm_status ttm_sum_of_squares(ttm_stream *stream, const ttm_tensor *out, double beta,
                              const ttm_tensor *x)
{
    ttm_tensor slots[TTM_SUM_OF_SQUARES_TENSORS] = {0};
    set_slot(&slots[TTM_SUM_OF_SQUARES_OUT], out);
    set_slot(&slots[TTM_SUM_OF_SQUARES_X], x);
    const ttm_sum_of_squares_params params = {beta};
    return run(stream, TTM_OP_SUM_OF_SQUARES, slots, TTM_SUM_OF_SQUARES_TENSORS, &params,
               sizeof params);
}

ttm_status ttm_gelu(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *x)
{
    ttm_tensor slots[TTM_GELU_TENSORS] = {0};
    set_slot(&slots[TTM_GELU_OUT], out);
    set_slot(&slots[TTM_GELU_X], x);
    return run(stream, TTM_OP_GELU, slots, TTM_GELU_TENSORS, NULL, 0);
}

ttm_status ttm_gelu_backward(ttm_stream *stream, const ttm_tensor *dx, const ttm_tensor *dy,
                             const ttm_tensor *x)
{
    ttm_tensor slots[TTM_GELU_BACKWARD_TENSORS] = {0};
    set_slot(&slots[TTM_GELU_BACKWARD_DX], dx);
    set_slot(&slots[TTM_GELU_BACKWARD_DY], dy);
    set_slot(&slots[TTM_GELU_BACKWARD_X], x);
    return run(stream, TTM_OP_GELU_BACKWARD, slots, TTM_GELU_BACKWARD_TENSORS, NULL, 0);
}

ttm_status ttm_dropout(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *x,
                       const ttm_tensor *residual, const ttm_dropout_params *params)
{
    ttm_tensor slots[TTM_DROPOUT_TENSORS] = {0};
    set_slot(&slots[TTM_DROPOUT_OUT], out);
    set_slot(&slots[TTM_DROPOUT_X], x);
    set_slot(&slots[TTM_DROPOUT_RESIDUAL], residual);
    return run(stream, TTM_OP_DROPOUT, slots, TTM_DROPOUT_TENSORS, params, sizeof *params);
}

ttm_status ttm_softmax(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *x, double scale,
                       int causal)
{
    ttm_tensor slots[TTM_SOFTMAX_TENSORS] = {0};
    set_slot(&slots[TTM_SOFTMAX_OUT], out);
    set_slot(&slots[TTM_SOFTMAX_X], x);
    const ttm_softmax_params params = {scale, causal};
    return run(stream, TTM_OP_SOFTMAX, slots, TTM_SOFTMAX_TENSORS, &params, sizeof params);
}

ttm_status ttm_layer_norm(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *mean,
                          const ttm_tensor *rstd, const ttm_tensor *sum, const ttm_tensor *x,
                          const ttm_tensor *residual, const ttm_tensor *gamma,
                          const ttm_tensor *beta, double epsilon)
{
    ttm_tensor slots[TTM_LAYER_NORM_TENSORS] = {0};
    set_slot(&slots[TTM_LAYER_NORM_OUT], out);
    set_slot(&slots[TTM_LAYER_NORM_MEAN], mean);
    set_slot(&slots[TTM_LAYER_NORM_RSTD], rstd);
    set_slot(&slots[TTM_LAYER_NORM_SUM], sum);
    set_slot(&slots[TTM_LAYER_NORM_X], x);
    set_slot(&slots[TTM_LAYER_NORM_RESIDUAL], residual);
    set_slot(&slots[TTM_LAYER_NORM_GAMMA], gamma);
    set_slot(&slots[TTM_LAYER_NORM_BETA], beta);
    const ttm_layer_norm_params params = {epsilon};
    return run(stream, TTM_OP_LAYER_NORM, slots, TTM_LAYER_NORM_TENSORS, &params, sizeof params);
}

ttm_status ttm_norm_matmul(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *x,
                           const ttm_tensor *gamma, const ttm_tensor *beta, const ttm_tensor *b,
                           const ttm_tensor *bias, double epsilon, ttm_activation activation)
{
    ttm_tensor slots[TTM_NORM_MATMUL_TENSORS] = {0};
    set_slot(&slots[TTM_NORM_MATMUL_OUT], out);
    set_slot(&slots[TTM_NORM_MATMUL_X], x);
    set_slot(&slots[TTM_NORM_MATMUL_GAMMA], gamma);
    set_slot(&slots[TTM_NORM_MATMUL_BETA], beta);
    set_slot(&slots[TTM_NORM_MATMUL_B], b);
    set_slot(&slots[TTM_NORM_MATMUL_BIAS], bias);
    const ttm_norm_matmul_params params = {epsilon, activation};
    return run(stream, TTM_OP_NORM_MATMUL, slots, TTM_NORM_MATMUL_TENSORS, &params, sizeof params);
}

ttm_status ttm_layer_norm_backward(ttm_stream *stream, const ttm_tensor *dx, double dx_beta,
                                   const ttm_tensor *dgamma, const ttm_tensor *dbeta,
                                   const ttm_tensor *dy, const ttm_tensor *x,
                                   const ttm_tensor *gamma, const ttm_tensor *mean,
                                   const ttm_tensor *rstd)
{
    ttm_tensor slots[TTM_LAYER_NORM_BACKWARD_TENSORS] = {0};
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_DX], dx);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_DGAMMA], dgamma);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_DBETA], dbeta);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_DY], dy);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_X], x);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_GAMMA], gamma);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_MEAN], mean);
    set_slot(&slots[TTM_LAYER_NORM_BACKWARD_RSTD], rstd);
    const ttm_layer_norm_backward_params params = {dx_beta};
    return run(stream, TTM_OP_LAYER_NORM_BACKWARD, slots, TTM_LAYER_NORM_BACKWARD_TENSORS, &params,
               sizeof params);
}

ttm_status ttm_attention(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *lse,
                         const ttm_tensor *q, const ttm_tensor *k, const ttm_tensor *v,
                         const ttm_attention_params *params)
{
    ttm_tensor slots[TTM_ATTENTION_TENSORS] = {0};
    set_slot(&slots[TTM_ATTENTION_OUT], out);
    set_slot(&slots[TTM_ATTENTION_LSE], lse);
    set_slot(&slots[TTM_ATTENTION_Q], q);
    set_slot(&slots[TTM_ATTENTION_K], k);
    set_slot(&slots[TTM_ATTENTION_V], v);
    return run(stream, TTM_OP_ATTENTION, slots, TTM_ATTENTION_TENSORS, params, sizeof *params);
}

ttm_status ttm_attention_backward(ttm_stream *stream, const ttm_tensor *dq, const ttm_tensor *dk,
                                  const ttm_tensor *dv, const ttm_tensor *dout, const ttm_tensor *q,
                                  const ttm_tensor *k, const ttm_tensor *v, const ttm_tensor *out,
                                  const ttm_tensor *lse, const ttm_attention_params *params)
{
    ttm_tensor slots[TTM_ATTENTION_BACKWARD_TENSORS] = {0};
    set_slot(&slots[TTM_ATTENTION_BACKWARD_DQ], dq);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_DK], dk);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_DV], dv);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_DOUT], dout);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_Q], q);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_K], k);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_V], v);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_OUT], out);
    set_slot(&slots[TTM_ATTENTION_BACKWARD_LSE], lse);
    return run(stream, TTM_OP_ATTENTION_BACKWARD, slots, TTM_ATTENTION_BACKWARD_TENSORS, params,
               sizeof *params);
}

ttm_status ttm_cross_entropy(ttm_stream *stream, const ttm_tensor *loss, const ttm_tensor *dlogits,
                             const ttm_tensor *logits, const ttm_tensor *targets,
                             double gradient_scale)
{
    ttm_tensor slots[TTM_CROSS_ENTROPY_TENSORS] = {0};
    set_slot(&slots[TTM_CROSS_ENTROPY_LOSS], loss);
    set_slot(&slots[TTM_CROSS_ENTROPY_DLOGITS], dlogits);
    set_slot(&slots[TTM_CROSS_ENTROPY_LOGITS], logits);
    set_slot(&slots[TTM_CROSS_ENTROPY_TARGETS], targets);
    const ttm_cross_entropy_params params = {gradient_scale};
    return run(stream, TTM_OP_CROSS_ENTROPY, slots, TTM_CROSS_ENTROPY_TENSORS, &params,
               sizeof params);
}

ttm_status ttm_embedding(ttm_stream *stream, const ttm_tensor *out, const ttm_tensor *tokens,
                         const ttm_tensor *table, const ttm_tensor *positions,
                         int64_t sequence_length, int64_t position_start)
{
    ttm_tensor slots[TTM_EMBEDDING_TENSORS] = {0};
    set_slot(&slots[TTM_EMBEDDING_OUT], out);
    set_slot(&slots[TTM_EMBEDDING_TOKENS], tokens);
    set_slot(&slots[TTM_EMBEDDING_TABLE], table);
    set_slot(&slots[TTM_EMBEDDING_POSITIONS], positions);
    const ttm_embedding_params params = {sequence_length, position_start};
    return run(stream, TTM_OP_EMBEDDING, slots, TTM_EMBEDDING_TENSORS, &params, sizeof params);
}

ttm_status ttm_sample_rows(ttm_stream *stream, const ttm_tensor *tokens, const ttm_tensor *logits,
                           const ttm_tensor *random, const ttm_sample_params *params)
{
    ttm_tensor slots[TTM_SAMPLE_TENSORS] = {0};
    set_slot(&slots[TTM_SAMPLE_TOKENS], tokens);
    set_slot(&slots[TTM_SAMPLE_LOGITS], logits);
    set_slot(&slots[TTM_SAMPLE_RANDOM], random);
    return run(stream, TTM_OP_SAMPLE, slots, TTM_SAMPLE_TENSORS, params, sizeof *params);
}

ttm_status ttm_embedding_backward(ttm_stream *stream, const ttm_tensor *dtable,
                                  const ttm_tensor *dpositions, const ttm_tensor *dout,
                                  const ttm_tensor *tokens, int64_t sequence_length,
                                  int64_t position_start)
{
    ttm_tensor slots[TTM_EMBEDDING_BACKWARD_TENSORS] = {0};
    set_slot(&slots[TTM_EMBEDDING_BACKWARD_DTABLE], dtable);
    set_slot(&slots[TTM_EMBEDDING_BACKWARD_DPOSITIONS], dpositions);
    set_slot(&slots[TTM_EMBEDDING_BACKWARD_DOUT], dout);
    set_slot(&slots[TTM_EMBEDDING_BACKWARD_TOKENS], tokens);
    const ttm_embedding_params params = {sequence_length, position_start};
    return run(stream, TTM_OP_EMBEDDING_BACKWARD, slots, TTM_EMBEDDING_BACKWARD_TENSORS, &params,
               sizeof params);
}

ttm_status ttm_adamw(ttm_stream *stream, const ttm_tensor *parameters, const ttm_tensor *gradients,
                     const ttm_tensor *first_moment, const ttm_tensor *second_moment,
                     const ttm_tensor *norm_squared, const ttm_tensor *working,
                     const ttm_adamw_params *params)
{
    ttm_tensor slots[TTM_ADAMW_TENSORS] = {0};
    set_slot(&slots[TTM_ADAMW_PARAMETERS], parameters);
    set_slot(&slots[TTM_ADAMW_GRADIENTS], gradients);
    set_slot(&slots[TTM_ADAMW_FIRST_MOMENT], first_moment);
    set_slot(&slots[TTM_ADAMW_SECOND_MOMENT], second_moment);
    set_slot(&slots[TTM_ADAMW_NORM_SQUARED], norm_squared);
    set_slot(&slots[TTM_ADAMW_WORKING], working);
    return run(stream, TTM_OP_ADAMW, slots, TTM_ADAMW_TENSORS, params, sizeof *params);
}

/* Copies cores into their slots. */
static ttm_status set_cores(ttm_tensor *slots, int32_t core_count, const ttm_tensor *cores)
{
    if (core_count < 1 || core_count > TTM_OP_MAX_CORES) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a TT-matrix has 1 to %d cores, not %d",
                        TTM_OP_MAX_CORES, (int)core_count);
    }
    memcpy(slots, cores, (size_t)core_count * sizeof *slots);
    return TTM_OK;
}

ttm_status ttm_tt_build(ttm_stream *stream, const ttm_tensor *w, int32_t core_count,
                        const ttm_tensor *cores)
{
    ttm_tensor slots[TTM_TT_BUILD_TENSORS] = {0};
    set_slot(&slots[TTM_TT_BUILD_W], w);
    TTM_TRY(set_cores(&slots[TTM_TT_BUILD_CORE], core_count, cores));
    return run(stream, TTM_OP_TT_BUILD, slots, TTM_TT_BUILD_TENSORS, NULL, 0);
}

ttm_status ttm_tt_gradient(ttm_stream *stream, int32_t core_count, const ttm_tensor *dcores,
                           double beta, const ttm_tensor *dw, const ttm_tensor *cores)
{
    ttm_tensor slots[TTM_TT_GRADIENT_TENSORS] = {0};
    set_slot(&slots[TTM_TT_GRADIENT_DW], dw);
    TTM_TRY(set_cores(&slots[TTM_TT_GRADIENT_CORE], core_count, cores));
    TTM_TRY(set_cores(&slots[TTM_TT_GRADIENT_DCORE], core_count, dcores));
    const ttm_tt_gradient_params params = {beta};
    return run(stream, TTM_OP_TT_GRADIENT, slots, TTM_TT_GRADIENT_TENSORS, &params, sizeof params);
}

ttm_status ttm_tt_linear(ttm_stream *stream, const ttm_tensor *y, const ttm_tensor *x,
                         const ttm_tensor *bias, int32_t core_count, const ttm_tensor *cores)
{
    ttm_tensor slots[TTM_TT_LINEAR_TENSORS] = {0};
    set_slot(&slots[TTM_TT_LINEAR_Y], y);
    set_slot(&slots[TTM_TT_LINEAR_X], x);
    set_slot(&slots[TTM_TT_LINEAR_BIAS], bias);
    TTM_TRY(set_cores(&slots[TTM_TT_LINEAR_CORE], core_count, cores));
    return run(stream, TTM_OP_TT_LINEAR, slots, TTM_TT_LINEAR_TENSORS, NULL, 0);
}

ttm_status ttm_tt_linear_backward(ttm_stream *stream, const ttm_tensor *dx, const ttm_tensor *dbias,
                                  int32_t core_count, const ttm_tensor *dcores,
                                  const ttm_tensor *dy, const ttm_tensor *x,
                                  const ttm_tensor *cores)
{
    ttm_tensor slots[TTM_TT_LINEAR_BACKWARD_TENSORS] = {0};
    set_slot(&slots[TTM_TT_LINEAR_BACKWARD_DX], dx);
    set_slot(&slots[TTM_TT_LINEAR_BACKWARD_DY], dy);
    set_slot(&slots[TTM_TT_LINEAR_BACKWARD_X], x);
    set_slot(&slots[TTM_TT_LINEAR_BACKWARD_DBIAS], dbias);
    TTM_TRY(set_cores(&slots[TTM_TT_LINEAR_BACKWARD_CORE], core_count, cores));
    TTM_TRY(set_cores(&slots[TTM_TT_LINEAR_BACKWARD_DCORE], core_count, dcores));
    return run(stream, TTM_OP_TT_LINEAR_BACKWARD, slots, TTM_TT_LINEAR_BACKWARD_TENSORS, NULL, 0);
}
