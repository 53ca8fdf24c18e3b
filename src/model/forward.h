/* The forward pass, piece by piece: training, evaluation and generation are made of these. */
#ifndef TTM_MODEL_FORWARD_H
#define TTM_MODEL_FORWARD_H

#include "model/model_internal.h"
#include <ttm/compute.h>

/** Where dropout acts: site 0 is the embedding, each layer has three more. */
enum {
    TTM_SITE_EMBEDDING = 0,
    TTM_SITE_ATTENTION = 1,
    TTM_SITE_ATTENTION_BRANCH = 2,
    TTM_SITE_MLP_BRANCH = 3,
    TTM_SITES_PER_LAYER = 3
};

/** Returns DROPOUT's parameters for a site of a layer in this pass; probability 0 where nothing is
 * dropped. Every site of every micro-batch has a seed of its own. */
ttm_dropout_params ttm_pass_dropout(const ttm_pass *pass, int64_t layer, int site);

/** Returns ATTENTION's parameters for a layer. */
ttm_attention_params ttm_pass_attention(const ttm_pass *pass, int64_t layer);

/** first_input = dropped(wte[tokens] + wpe). */
TTM_CHECKED ttm_status ttm_forward_embedding(const ttm_pass *pass, const ttm_tensor *tokens);

/** One layer: input → output. */
TTM_CHECKED ttm_status ttm_forward_layer(const ttm_pass *pass, int64_t layer);

/** Parts of a layer, for generation, which puts its own attention between them.
 * input → qkv; attention → middle; middle → output. */
TTM_CHECKED ttm_status ttm_forward_qkv(const ttm_pass *pass, int64_t layer);
TTM_CHECKED ttm_status ttm_forward_attention_branch(const ttm_pass *pass, int64_t layer);
TTM_CHECKED ttm_status ttm_forward_mlp(const ttm_pass *pass, int64_t layer);

/** normed = final layer norm of final_input. */
TTM_CHECKED ttm_status ttm_forward_final_norm(const ttm_pass *pass);

/** logits [rows, vocab] = hidden [rows, width]·wteᵀ. */
TTM_CHECKED ttm_status ttm_forward_logits(const ttm_pass *pass, const ttm_tensor *logits,
                                          const ttm_tensor *hidden);

/** y = layer norm of x, for the forward pass (with mean and rstd) and, in a pass that recomputes,
 * again in the backward pass (both NULL). */
TTM_CHECKED ttm_status ttm_forward_norm(const ttm_pass *pass, const ttm_model_norm *norm,
                                        const ttm_tensor *y, const ttm_tensor *x,
                                        const ttm_tensor *mean, const ttm_tensor *rstd);

#endif
