/* The backward pass of GPT-2. In a pass that recomputes, outputs of layer norms and of GELU are
 * computed again from what they were computed from, which costs a pass over memory and saves
 * 6·width of 16·width numbers a token and layer. */
#include "model/backward.h"

#include "core/error.h"
#include "model/forward.h"
#include "model/linear.h"
#include "model/product.h"

ttm_status ttm_backward_begin(const ttm_pass *pass)
{
    const ttm_model *model = pass->model;
    if (pass->keep != 0.0) {
        return TTM_OK;
    }
    TTM_TRY(ttm_tensor_zero(pass->stream, &model->position_embedding_gradient));
    for (int64_t layer = 0; layer < model->config.layers; layer++) {
        TTM_TRY(ttm_tensor_zero(pass->stream, &model->layers[layer].norm_gradients));
    }
    return ttm_tensor_zero(pass->stream, &model->final_norm_gradients);
}

/* Rows start … start + count − 1 of the head. */
static ttm_status head_chunk(const ttm_pass *pass, const ttm_tensor *targets, double loss_scale,
                             int64_t start, int64_t count)
{
    const ttm_model *model = pass->model;
    const ttm_tensor hidden = ttm_tensor_slice(&pass->normed, 0, start, count);
    const ttm_tensor hidden_gradient = ttm_tensor_slice(&pass->scratch, 0, start, count);
    const ttm_tensor logits = ttm_tensor_slice(&pass->logits, 0, 0, count);
    const ttm_tensor losses = ttm_tensor_slice(&pass->losses, 0, start, count);
    const ttm_tensor chunk_targets = ttm_tensor_slice(targets, 0, start, count);
    TTM_TRY(ttm_forward_logits(pass, &logits, &hidden));
    TTM_TRY(ttm_cross_entropy(pass->stream, &losses, &logits, &logits, &chunk_targets, loss_scale));
    TTM_TRY(ttm_pass_matmul(pass, &hidden_gradient, &logits, &model->token_embedding, NULL));
    const ttm_tensor transposed = ttm_tensor_transpose(&logits, 0, 1);
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.beta = start == 0 ? pass->keep : 1.0;
    return ttm_pass_matmul(pass, &model->token_embedding_gradient, &transposed, &hidden, &options);
}

ttm_status ttm_backward_head(const ttm_pass *pass, const ttm_tensor *targets, double loss_scale)
{
    const ttm_tensor flat = ttm_tensor_reshape(targets, 1, &pass->rows);
    for (int64_t start = 0; start < pass->rows; start += pass->logit_rows) {
        const int64_t left = pass->rows - start;
        TTM_TRY(head_chunk(pass, &flat, loss_scale, start,
                           left < pass->logit_rows ? left : pass->logit_rows));
    }
    return TTM_OK;
}

/* residual_gradient = keep·residual_gradient + what the gradient of a layer norm's output (in
 * scratch) gives. */
static ttm_status backward_norm(const ttm_pass *pass, const ttm_model_norm *norm, double keep,
                                const ttm_tensor *x, const ttm_tensor *mean, const ttm_tensor *rstd)
{
    ttm_stream_set_label(pass->stream, "layer norm");
    return ttm_layer_norm_backward(pass->stream, &pass->residual_gradient, keep,
                                   &norm->gain_gradient, &norm->bias_gradient, &pass->scratch, x,
                                   &norm->gain, mean, rstd);
}

ttm_status ttm_backward_final_norm(const ttm_pass *pass)
{
    return backward_norm(pass, &pass->model->final_norm, 0.0, &pass->final_input, &pass->final_mean,
                         &pass->final_rstd);
}

/* *gradient = that of a branch before its dropout, in scratch where there is dropout. */
static ttm_status branch_gradient(const ttm_tensor **gradient, const ttm_pass *pass,
                                  const ttm_dropout_params *dropout)
{
    *gradient = &pass->residual_gradient;
    if (dropout->probability > 0.0) {
        *gradient = &pass->scratch;
        return ttm_dropout(pass->stream, &pass->scratch, &pass->residual_gradient, NULL, dropout);
    }
    return TTM_OK;
}

/* y = the layer norm of x, which the forward pass has put there and may have overwritten since. */
static ttm_status restore_norm(const ttm_pass *pass, const ttm_model_norm *norm,
                               const ttm_tensor *y, const ttm_tensor *x)
{
    return pass->recomputes ? ttm_forward_norm(pass, norm, y, x, NULL, NULL) : TTM_OK;
}

static ttm_status backward_mlp(const ttm_pass *pass, int64_t layer)
{
    const ttm_model_layer *parameters = &pass->model->layers[layer];
    const ttm_model_matrix *fc = &parameters->matrices[TTM_GPT2_MLP_C_FC];
    const ttm_model_matrix *projection = &parameters->matrices[TTM_GPT2_MLP_C_PROJ];
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, layer, TTM_SITE_MLP_BRANCH);
    const ttm_tensor *gradient = NULL;
    TTM_TRY(branch_gradient(&gradient, pass, &dropout));
    if (pass->recomputes) {
        TTM_TRY(ttm_gelu(pass->stream, &kept->expanded, &kept->pre));
    }
    TTM_TRY(ttm_linear_backward_parameters(pass, projection, gradient, &kept->expanded));
    const ttm_tensor *pre_gradient = &kept->expanded; /* whose values aren't needed any more */
    TTM_TRY(ttm_linear_backward_input(pass, projection, pre_gradient, gradient, &kept->pre));
    TTM_TRY(restore_norm(pass, &parameters->norm_2, &kept->normed_2, &kept->middle));
    TTM_TRY(ttm_linear_backward_parameters(pass, fc, pre_gradient, &kept->normed_2));
    TTM_TRY(ttm_linear_backward_input(pass, fc, &pass->scratch, pre_gradient, NULL));
    return backward_norm(pass, &parameters->norm_2, 1.0, &kept->middle, &kept->mean_2,
                         &kept->rstd_2);
}

static ttm_status backward_heads(const ttm_pass *pass, int64_t layer)
{
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_attention_params params = ttm_pass_attention(pass, layer);
    const ttm_tensor dq = ttm_pass_heads(pass, &pass->qkv_gradient, 0);
    const ttm_tensor dk = ttm_pass_heads(pass, &pass->qkv_gradient, 1);
    const ttm_tensor dv = ttm_pass_heads(pass, &pass->qkv_gradient, 2);
    const ttm_tensor dout = ttm_pass_heads(pass, &pass->attention_gradient, 0);
    const ttm_tensor q = ttm_pass_heads(pass, &kept->qkv, 0);
    const ttm_tensor k = ttm_pass_heads(pass, &kept->qkv, 1);
    const ttm_tensor v = ttm_pass_heads(pass, &kept->qkv, 2);
    const ttm_tensor out = ttm_pass_heads(pass, &kept->attention, 0);
    ttm_stream_set_label(pass->stream, "attention");
    return ttm_pass_attend_backward(pass, &dq, &dk, &dv, &dout, &q, &k, &v, &out, &kept->lse,
                                    &params);
}

static ttm_status backward_attention(const ttm_pass *pass, int64_t layer)
{
    const ttm_model_layer *parameters = &pass->model->layers[layer];
    const ttm_model_matrix *qkv = &parameters->matrices[TTM_GPT2_ATTN_C_ATTN];
    const ttm_model_matrix *projection = &parameters->matrices[TTM_GPT2_ATTN_C_PROJ];
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, layer, TTM_SITE_ATTENTION_BRANCH);
    const ttm_tensor *gradient = NULL;
    TTM_TRY(branch_gradient(&gradient, pass, &dropout));
    TTM_TRY(ttm_linear_backward_parameters(pass, projection, gradient, &kept->attention));
    TTM_TRY(ttm_linear_backward_input(pass, projection, &pass->attention_gradient, gradient, NULL));
    TTM_TRY(backward_heads(pass, layer));
    TTM_TRY(restore_norm(pass, &parameters->norm_1, &kept->normed_1, &kept->input));
    TTM_TRY(ttm_linear_backward_parameters(pass, qkv, &pass->qkv_gradient, &kept->normed_1));
    TTM_TRY(ttm_linear_backward_input(pass, qkv, &pass->scratch, &pass->qkv_gradient, NULL));
    return backward_norm(pass, &parameters->norm_1, 1.0, &kept->input, &kept->mean_1,
                         &kept->rstd_1);
}

ttm_status ttm_backward_layer(const ttm_pass *pass, int64_t layer)
{
    ttm_stream_set_layer(pass->stream, layer);
    TTM_TRY(backward_mlp(pass, layer));
    TTM_TRY(backward_attention(pass, layer));
    ttm_stream_set_layer(pass->stream, -1);
    return TTM_OK;
}

ttm_status ttm_backward_embedding(const ttm_pass *pass, const ttm_tensor *tokens)
{
    const ttm_model *model = pass->model;
    const ttm_tensor flat = ttm_tensor_reshape(tokens, 1, &pass->rows);
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, 0, TTM_SITE_EMBEDDING);
    const ttm_tensor *gradient = NULL;
    TTM_TRY(branch_gradient(&gradient, pass, &dropout));
    ttm_stream_set_label(pass->stream, "embedding");
    return ttm_embedding_backward(pass->stream, &model->token_embedding_gradient,
                                  &model->position_embedding_gradient, gradient, &flat, pass->seq,
                                  0);
}
