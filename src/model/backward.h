/* The backward pass, piece by piece, from the head to the embedding. Gradients of parameters are
 * added to, or with pass->keep = 0 replaced. residual_gradient holds the loss's gradient with
 * respect to the residual stream at the point reached. */
#ifndef TTM_MODEL_BACKWARD_H
#define TTM_MODEL_BACKWARD_H

#include "model/model_internal.h"
#include <ttm/compute.h>

/** Clears the gradients that the ops only add to, unless they are to be kept: those of layer norms
 * and positions. */
TTM_CHECKED ttm_status ttm_backward_begin(const ttm_pass *pass);

/** Losses, and the gradients of normed (into scratch) and wte: the forward and backward pass of
 * head and cross entropy, a chunk of rows at a time, so that never all logits exist. */
TTM_CHECKED ttm_status ttm_backward_head(const ttm_pass *pass, const ttm_tensor *targets,
                                         double loss_scale);

/** residual_gradient = that of final_input. */
TTM_CHECKED ttm_status ttm_backward_final_norm(const ttm_pass *pass);

/** residual_gradient: that of a layer's output → that of its input. */
TTM_CHECKED ttm_status ttm_backward_layer(const ttm_pass *pass, int64_t layer);

/** Gradients of wte (added to the head's) and wpe. */
TTM_CHECKED ttm_status ttm_backward_embedding(const ttm_pass *pass, const ttm_tensor *tokens);

#endif
