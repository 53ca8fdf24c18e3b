/* Validation loss over a fixed set of windows. Losses of tokens are summed in double in a fixed
 * order, so that the result depends on weights and data alone. */
#include "train/validation.h"

#include "core/error.h"

#include <inttypes.h>

/* Returns the first token of window number `index` of the chosen ones. */
static uint64_t window_start(const ttm_validation_set *set, uint64_t index)
{
    /* index·window_count/used, in two parts because the product needn't fit. */
    const uint64_t whole = set->window_count / set->used;
    const uint64_t rest = set->window_count % set->used;
    return (index * whole + index * rest / set->used) * (uint64_t)set->seq;
}

static ttm_status count_text(ttm_validation_set *set)
{
    for (uint64_t i = 0; i < set->used; i++) {
        uint64_t bytes = 0;
        const ttm_status status =
            ttm_dataset_text_bytes(&bytes, set->data, window_start(set, i) + 1, (uint64_t)set->seq);
        if (status == TTM_ERROR_UNSUPPORTED) {
            set->text_bytes = 0;
            return TTM_OK;
        }
        TTM_TRY(status);
        set->text_bytes += bytes;
    }
    return TTM_OK;
}

ttm_status ttm_validation_set_init(ttm_validation_set *set, const ttm_dataset *data, int64_t batch,
                                   int64_t seq, int64_t windows)
{
    const uint64_t tokens = ttm_dataset_token_count(data);
    if (tokens <= (uint64_t)seq) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the validation data has %" PRIu64 " tokens, a sequence needs %" PRId64
                        ": give more validation data, a smaller seq, or a validation-interval of 0",
                        tokens, seq + 1);
    }
    *set = (ttm_validation_set){.data = data, .batch = batch, .seq = seq};
    set->window_count = (tokens - 1) / (uint64_t)seq;
    set->used = set->window_count < (uint64_t)windows ? set->window_count : (uint64_t)windows;
    return count_text(set);
}

/* Fills the host buffers with windows first … first + batch − 1; rows beyond the last window repeat
 * it, and their targets don't count. */
static ttm_status fill_batch(const ttm_validation_set *set, uint64_t first,
                             ttm_train_buffers *buffers)
{
    const size_t seq = (size_t)set->seq;
    for (int64_t row = 0; row < set->batch; row++) {
        const uint64_t index = first + (uint64_t)row;
        const bool counts = index < set->used;
        const uint64_t start = window_start(set, counts ? index : set->used - 1);
        int32_t *tokens = buffers->host_tokens + (size_t)row * seq;
        int32_t *targets = buffers->host_targets + (size_t)row * seq;
        TTM_TRY(ttm_dataset_read(tokens, set->data, start, seq));
        if (counts) {
            TTM_TRY(ttm_dataset_read(targets, set->data, start + 1, seq));
            continue;
        }
        for (size_t i = 0; i < seq; i++) {
            targets[i] = -1;
        }
    }
    return TTM_OK;
}

ttm_status ttm_validation_set_loss(double *loss, uint64_t *tokens, const ttm_validation_set *set,
                                   ttm_model *model, ttm_stream *stream, ttm_train_buffers *buffers)
{
    double sum = 0.0;
    const size_t rows = (size_t)set->batch * (size_t)set->seq;
    for (uint64_t first = 0; first < set->used; first += (uint64_t)set->batch) {
        TTM_TRY(fill_batch(set, first, buffers));
        TTM_TRY(ttm_tensor_write(stream, &buffers->tokens, buffers->host_tokens));
        TTM_TRY(ttm_tensor_write(stream, &buffers->targets, buffers->host_targets));
        TTM_TRY(
            ttm_model_losses(model, stream, &buffers->losses, &buffers->tokens, &buffers->targets));
        TTM_TRY(ttm_tensor_read(stream, buffers->host_losses, &buffers->losses));
        for (size_t i = 0; i < rows; i++) {
            sum += (double)buffers->host_losses[i];
        }
    }
    *tokens = set->used * (uint64_t)set->seq;
    *loss = sum / (double)*tokens;
    return TTM_OK;
}
