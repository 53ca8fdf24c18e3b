/* The training step, from top to bottom. */
#include "model/backward.h"
#include "model/forward.h"

#include "core/error.h"

#include <string.h>

static ttm_status check_micro_batch(const ttm_model *model, const ttm_micro_batch *batch)
{
    char text[160];
    if (!model->options.training) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "this model wasn't made for training: set ttm_model_options.training");
    }
    TTM_TRY(ttm_check_tokens(model, &batch->tokens, "tokens"));
    TTM_TRY(ttm_check_tokens(model, &batch->targets, "targets"));
    if (memcmp(batch->tokens.shape, batch->targets.shape, 2 * sizeof batch->tokens.shape[0]) != 0) {
        return ttm_fail(TTM_ERROR_SHAPE, "there must be one target for each token");
    }
    if (ttm_tensor_present(&batch->loss) && (batch->loss.dtype != model->master_dtype ||
                                             batch->loss.rank != 1 || batch->loss.shape[0] != 1)) {
        return ttm_fail(TTM_ERROR_SHAPE, "the loss must be %s [1], not %s",
                        ttm_dtype_name(model->master_dtype),
                        ttm_tensor_print(text, sizeof text, &batch->loss));
    }
    return TTM_OK;
}

/* loss = keep·loss + loss_scale·Σ losses. */
static ttm_status sum_losses(const ttm_pass *pass, const ttm_tensor *loss, double loss_scale)
{
    if (!ttm_tensor_present(loss)) {
        return TTM_OK;
    }
    const ttm_tensor column = ttm_tensor_at2(&pass->losses, 0, pass->rows, 1);
    return ttm_reduce_rows(pass->stream, loss, pass->keep, loss_scale, &column);
}

ttm_status ttm_model_forward_backward(ttm_model *model, ttm_stream *stream,
                                      const ttm_micro_batch *micro_batch)
{
    ttm_pass pass;
    const int64_t layers = model->config.layers;
    TTM_TRY(check_micro_batch(model, micro_batch));
    const int64_t batch = micro_batch->tokens.shape[0];
    const int64_t seq = micro_batch->tokens.shape[1];
    const double loss_scale = micro_batch->loss_scale != 0.0 ? micro_batch->loss_scale
                                                             : 1.0 / ((double)batch * (double)seq);
    TTM_TRY(ttm_pass_begin(&pass, model, stream, true, batch, seq, 0));
    pass.keep = micro_batch->first ? 0.0 : 1.0;
    pass.dropout = micro_batch->dropout;
    pass.dropout_seed = micro_batch->dropout_seed;
    pass.dropout_index = micro_batch->dropout_index;

    TTM_TRY(ttm_forward_embedding(&pass, &micro_batch->tokens));
    for (int64_t layer = 0; layer < layers; layer++) {
        TTM_TRY(ttm_forward_layer(&pass, layer));
    }
    TTM_TRY(ttm_forward_final_norm(&pass));

    TTM_TRY(ttm_backward_begin(&pass));
    TTM_TRY(ttm_backward_head(&pass, &micro_batch->targets, loss_scale));
    TTM_TRY(sum_losses(&pass, &micro_batch->loss, loss_scale));
    TTM_TRY(ttm_backward_final_norm(&pass));
    for (int64_t layer = layers - 1; layer >= 0; layer--) {
        TTM_TRY(ttm_backward_layer(&pass, layer));
    }
    TTM_TRY(ttm_backward_embedding(&pass, &micro_batch->tokens));
    ttm_stream_set_label(stream, NULL);
    return TTM_OK;
}
