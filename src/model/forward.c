/* The forward pass of GPT-2 (pre-LN, tanh GELU, learned positions, tied embeddings). */
#include "model/forward.h"

#include "core/error.h"
#include "model/linear.h"
#include "model/product.h"

#include <math.h>
#include <ttm/random.h>

ttm_dropout_params ttm_pass_dropout(const ttm_pass *pass, int64_t layer, int site)
{
    const ttm_gpt2_config *config = &pass->model->config;
    ttm_dropout_params params = {0};
    if (!pass->dropout) {
        return params;
    }
    params.probability = site == TTM_SITE_EMBEDDING   ? config->embedding_dropout
                         : site == TTM_SITE_ATTENTION ? config->attention_dropout
                                                      : config->residual_dropout;
    const uint32_t place = (uint32_t)(layer * TTM_SITES_PER_LAYER + site);
    const uint32_t counter[4] = {(uint32_t)pass->dropout_index,
                                 (uint32_t)(pass->dropout_index >> 32), place, 0};
    const uint32_t key[2] = {(uint32_t)pass->dropout_seed, (uint32_t)(pass->dropout_seed >> 32)};
    uint32_t block[4];
    ttm_philox4x32(block, counter, key);
    params.seed = (uint64_t)block[1] << 32 | block[0];
    return params;
}

ttm_attention_params ttm_pass_attention(const ttm_pass *pass, int64_t layer)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, layer, TTM_SITE_ATTENTION);
    const int64_t head_size = config->width / config->heads;
    const ttm_attention_params params = {.scale = 1.0 / sqrt((double)head_size),
                                         .dropout = dropout.probability,
                                         .seed = dropout.seed,
                                         .causal = 1};
    return params;
}

ttm_status ttm_forward_norm(const ttm_pass *pass, const ttm_model_norm *norm, const ttm_tensor *y,
                            const ttm_tensor *x, const ttm_tensor *mean, const ttm_tensor *rstd)
{
    ttm_stream_set_label(pass->stream, "layer norm");
    return ttm_layer_norm(pass->stream, y, mean, rstd, NULL, x, NULL, &norm->gain, &norm->bias,
                          pass->model->config.layer_norm_epsilon);
}

ttm_status ttm_forward_embedding(const ttm_pass *pass, const ttm_tensor *tokens)
{
    const ttm_model *model = pass->model;
    const ttm_tensor flat = ttm_tensor_reshape(tokens, 1, &pass->rows);
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, 0, TTM_SITE_EMBEDDING);
    ttm_stream_set_label(pass->stream, "embedding");
    TTM_TRY(ttm_embedding(pass->stream, &pass->first_input, &flat, &model->token_embedding,
                          &model->position_embedding, pass->seq, 0));
    if (dropout.probability > 0.0) {
        return ttm_dropout(pass->stream, &pass->first_input, &pass->first_input, NULL, &dropout);
    }
    return TTM_OK;
}

/* out = residual + dropped(x·W + b): how a branch joins the residual stream. */
static ttm_status join_branch(const ttm_pass *pass, const ttm_model_matrix *matrix,
                              const ttm_tensor *out, const ttm_tensor *residual,
                              const ttm_tensor *x, const ttm_dropout_params *dropout)
{
    if (dropout->probability > 0.0) {
        TTM_TRY(ttm_linear_forward(pass, matrix, &pass->scratch, x, NULL));
        return ttm_dropout(pass->stream, out, &pass->scratch, residual, dropout);
    }
    const ttm_linear_epilogue epilogue = {.residual = residual, .scratch = &pass->scratch};
    return ttm_linear_forward(pass, matrix, out, x, &epilogue);
}

ttm_status ttm_forward_qkv(const ttm_pass *pass, int64_t layer)
{
    const ttm_model_layer *parameters = &pass->model->layers[layer];
    const ttm_model_matrix *matrix = &parameters->matrices[TTM_GPT2_ATTN_C_ATTN];
    const ttm_layer_activations *kept = &pass->layers[layer];
    if (ttm_linear_takes_norm(pass, matrix)) {
        return ttm_linear_forward_normed(pass, matrix, &kept->qkv, &kept->input,
                                         &parameters->norm_1, false);
    }
    TTM_TRY(ttm_forward_norm(pass, &parameters->norm_1, &kept->normed_1, &kept->input,
                             ttm_optional(&kept->mean_1), ttm_optional(&kept->rstd_1)));
    return ttm_linear_forward(pass, matrix, &kept->qkv, &kept->normed_1, NULL);
}

static ttm_status forward_attention(const ttm_pass *pass, int64_t layer)
{
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_attention_params params = ttm_pass_attention(pass, layer);
    const ttm_tensor q = ttm_pass_heads(pass, &kept->qkv, 0);
    const ttm_tensor k = ttm_pass_heads(pass, &kept->qkv, 1);
    const ttm_tensor v = ttm_pass_heads(pass, &kept->qkv, 2);
    const ttm_tensor out = ttm_pass_heads(pass, &kept->attention, 0);
    ttm_stream_set_label(pass->stream, "attention");
    return ttm_pass_attend(pass, &out, ttm_optional(&kept->lse), &q, &k, &v, &params);
}

ttm_status ttm_forward_attention_branch(const ttm_pass *pass, int64_t layer)
{
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, layer, TTM_SITE_ATTENTION_BRANCH);
    return join_branch(pass, &pass->model->layers[layer].matrices[TTM_GPT2_ATTN_C_PROJ],
                       &kept->middle, &kept->input, &kept->attention, &dropout);
}

/* expanded = gelu(layer norm of middle, times W, plus b). */
static ttm_status expand(const ttm_pass *pass, int64_t layer)
{
    const ttm_model_layer *parameters = &pass->model->layers[layer];
    const ttm_model_matrix *matrix = &parameters->matrices[TTM_GPT2_MLP_C_FC];
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_linear_epilogue epilogue = {.gelu = true, .pre = ttm_optional(&kept->pre)};
    if (ttm_linear_takes_norm(pass, matrix)) {
        return ttm_linear_forward_normed(pass, matrix, &kept->expanded, &kept->middle,
                                         &parameters->norm_2, true);
    }
    TTM_TRY(ttm_forward_norm(pass, &parameters->norm_2, &kept->normed_2, &kept->middle,
                             ttm_optional(&kept->mean_2), ttm_optional(&kept->rstd_2)));
    return ttm_linear_forward(pass, matrix, &kept->expanded, &kept->normed_2, &epilogue);
}

ttm_status ttm_forward_mlp(const ttm_pass *pass, int64_t layer)
{
    const ttm_model_layer *parameters = &pass->model->layers[layer];
    const ttm_layer_activations *kept = &pass->layers[layer];
    const ttm_dropout_params dropout = ttm_pass_dropout(pass, layer, TTM_SITE_MLP_BRANCH);
    TTM_TRY(expand(pass, layer));
    return join_branch(pass, &parameters->matrices[TTM_GPT2_MLP_C_PROJ], &kept->output,
                       &kept->middle, &kept->expanded, &dropout);
}

ttm_status ttm_forward_layer(const ttm_pass *pass, int64_t layer)
{
    ttm_stream_set_layer(pass->stream, layer);
    TTM_TRY(ttm_forward_qkv(pass, layer));
    TTM_TRY(forward_attention(pass, layer));
    TTM_TRY(ttm_forward_attention_branch(pass, layer));
    TTM_TRY(ttm_forward_mlp(pass, layer));
    ttm_stream_set_layer(pass->stream, -1);
    return TTM_OK;
}

ttm_status ttm_forward_final_norm(const ttm_pass *pass)
{
    return ttm_forward_norm(pass, &pass->model->final_norm, &pass->normed, &pass->final_input,
                            ttm_optional(&pass->final_mean), ttm_optional(&pass->final_rstd));
}

ttm_status ttm_forward_logits(const ttm_pass *pass, const ttm_tensor *logits,
                              const ttm_tensor *hidden)
{
    const ttm_tensor head = ttm_tensor_transpose(&pass->model->token_embedding, 0, 1);
    ttm_stream_set_label(pass->stream, "head");
    return ttm_pass_matmul(pass, logits, hidden, &head, NULL);
}
