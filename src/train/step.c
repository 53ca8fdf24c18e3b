/* One optimiser step from top to bottom: batches in, gradients, norm, AdamW, loss out. Everything
 * is queued on one stream; reading the loss back is the only time that the host waits. */
#include "core/error.h"
#include "train/run.h"
#include "train/schedule.h"

#include <inttypes.h>
#include <math.h>
#include <ttm/compute.h>

/* Keeps the dropout masks apart from the data order, which uses the seed as it is. */
#define DROPOUT_SEED_OFFSET UINT64_C(0x9E3779B97F4A7C15)

static ttm_status run_micro_batch(ttm_trainer *trainer, uint64_t batch_index, bool first)
{
    const ttm_trainer_options *options = &trainer->options;
    ttm_train_buffers *buffers = &trainer->buffers;
    TTM_TRY(ttm_sampler_batch(buffers->host_tokens, buffers->host_targets, trainer->sampler,
                              batch_index));
    TTM_TRY(ttm_tensor_write(trainer->stream, &buffers->tokens, buffers->host_tokens));
    TTM_TRY(ttm_tensor_write(trainer->stream, &buffers->targets, buffers->host_targets));
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = buffers->tokens;
    micro_batch.targets = buffers->targets;
    micro_batch.loss = buffers->loss;
    micro_batch.loss_scale =
        1.0 / ((double)options->accumulation * (double)options->batch * (double)options->seq);
    micro_batch.first = first;
    micro_batch.dropout_seed = options->seed + DROPOUT_SEED_OFFSET;
    micro_batch.dropout_index = batch_index;
    return ttm_model_forward_backward(trainer->model, trainer->stream, &micro_batch);
}

/* Squared norm of all gradients, then AdamW over all parameters: one op each for every span. */
static ttm_status update_parameters(ttm_trainer *trainer, const ttm_trainer_step *step)
{
    const ttm_trainer_options *options = &trainer->options;
    const ttm_train_buffers *buffers = &trainer->buffers;
    const ttm_adamw_params params = {
        .learning_rate = step->learning_rate,
        .beta1 = options->beta1,
        .beta2 = options->beta2,
        .epsilon = options->epsilon,
        .max_norm = options->clip_norm,
        .gradient_scale = 1.0,
        .step = step->step,
    };
    for (size_t span = 0; span < buffers->span_count; span++) {
        const ttm_tensor gradients = ttm_model_gradients(trainer->model, span);
        TTM_TRY(ttm_sum_of_squares(trainer->stream, &buffers->norm_squared, span > 0 ? 1.0 : 0.0,
                                   &gradients));
    }
    for (size_t span = 0; span < buffers->span_count; span++) {
        const ttm_tensor parameters = ttm_model_parameters(trainer->model, span);
        const ttm_tensor gradients = ttm_model_gradients(trainer->model, span);
        const ttm_tensor working = ttm_model_working_parameters(trainer->model, span);
        const ttm_adamw_params span_params = ttm_segments_params(&trainer->segments, span, &params);
        TTM_TRY(ttm_adamw(trainer->stream, &parameters, &gradients, &buffers->first_moment[span],
                          &buffers->second_moment[span], &buffers->norm_squared,
                          ttm_tensor_present(&working) ? &working : NULL, &span_params));
    }
    ttm_model_parameters_stepped(trainer->model);
    return TTM_OK;
}

/* A NaN may carry a sign, which would read "-nan". */
static double printable(float value)
{
    return isnan(value) ? (double)NAN : (double)value;
}

ttm_status ttm_trainer_take_step(ttm_trainer_step *result, ttm_trainer *trainer)
{
    const ttm_trainer_options *options = &trainer->options;
    const uint64_t first_batch = trainer->state.next_batch;
    float scalars[2];
    TTM_TRY(ttm_model_begin_step(trainer->model, trainer->stream));
    for (int64_t micro = 0; micro < options->accumulation; micro++) {
        TTM_TRY(run_micro_batch(trainer, first_batch + (uint64_t)micro, micro == 0));
    }
    TTM_TRY(ttm_model_end_step(trainer->model, trainer->stream));
    result->learning_rate = ttm_schedule_learning_rate(options, result->step);
    TTM_TRY(update_parameters(trainer, result));
    TTM_TRY(ttm_tensor_read(trainer->stream, scalars, &trainer->buffers.scalars));
    result->loss = scalars[0];
    result->gradient_norm = sqrtf(scalars[1]);
    if (!isfinite(result->loss) || !isfinite(result->gradient_norm)) {
        return ttm_fail(
            TTM_ERROR_NUMERIC,
            "the loss is %g and the gradient norm %g in step %" PRId64
            " (learning rate %g): training stopped, the last good checkpoint in '%s' is "
            "kept; try a lower learning rate or a longer warm-up",
            printable(result->loss), printable(result->gradient_norm), result->step,
            result->learning_rate, trainer->folder.path);
    }
    return TTM_OK;
}
