/* Passes without gradient over whole sequences: losses for evaluation, and logits. */
#include "model/forward.h"

#include "core/error.h"

#include <inttypes.h>

/* Forward pass up to normed, the input of the head. */
static ttm_status forward_hidden(ttm_pass *pass, ttm_model *model, ttm_stream *stream,
                                 const ttm_tensor *tokens, int64_t logit_rows)
{
    TTM_TRY(ttm_check_tokens(model, tokens, "tokens"));
    TTM_TRY(
        ttm_pass_begin(pass, model, stream, false, tokens->shape[0], tokens->shape[1], logit_rows));
    TTM_TRY(ttm_forward_embedding(pass, tokens));
    for (int64_t layer = 0; layer < model->config.layers; layer++) {
        TTM_TRY(ttm_forward_layer(pass, layer));
    }
    return ttm_forward_final_norm(pass);
}

ttm_status ttm_model_losses(ttm_model *model, ttm_stream *stream, const ttm_tensor *losses,
                            const ttm_tensor *tokens, const ttm_tensor *targets)
{
    ttm_pass pass;
    TTM_TRY(ttm_check_tokens(model, targets, "targets"));
    TTM_TRY(forward_hidden(&pass, model, stream, tokens, 0));
    if (ttm_tensor_count(targets) != pass.rows || losses->rank != 1 ||
        losses->shape[0] != pass.rows || losses->dtype != model->master_dtype) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%" PRId64 " tokens need as many targets and %s losses [%" PRId64 "]",
                        pass.rows, ttm_dtype_name(model->master_dtype), pass.rows);
    }
    const ttm_tensor flat = ttm_tensor_reshape(targets, 1, &pass.rows);
    for (int64_t start = 0; start < pass.rows; start += pass.logit_rows) {
        const int64_t left = pass.rows - start;
        const int64_t count = left < pass.logit_rows ? left : pass.logit_rows;
        const ttm_tensor hidden = ttm_tensor_slice(&pass.normed, 0, start, count);
        const ttm_tensor logits = ttm_tensor_slice(&pass.logits, 0, 0, count);
        const ttm_tensor chunk_losses = ttm_tensor_slice(losses, 0, start, count);
        const ttm_tensor chunk_targets = ttm_tensor_slice(&flat, 0, start, count);
        TTM_TRY(ttm_forward_logits(&pass, &logits, &hidden));
        TTM_TRY(ttm_cross_entropy(stream, &chunk_losses, NULL, &logits, &chunk_targets, 1.0));
    }
    ttm_stream_set_label(stream, NULL);
    return TTM_OK;
}

ttm_status ttm_model_logits(ttm_model *model, ttm_stream *stream, const ttm_tensor *logits,
                            const ttm_tensor *tokens)
{
    ttm_pass pass;
    TTM_TRY(forward_hidden(&pass, model, stream, tokens, 1));
    if (logits->rank != 2 || logits->shape[0] != pass.rows ||
        logits->shape[1] != model->config.vocab_size || logits->dtype != model->master_dtype) {
        return ttm_fail(TTM_ERROR_SHAPE, "logits must be %s [%" PRId64 ", %" PRId64 "]",
                        ttm_dtype_name(model->master_dtype), pass.rows, model->config.vocab_size);
    }
    TTM_TRY(ttm_forward_logits(&pass, logits, &pass.normed));
    ttm_stream_set_label(stream, NULL);
    return TTM_OK;
}
