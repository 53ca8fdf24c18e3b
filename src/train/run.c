/* The run: steps, and after each what is due: metrics, validation, sample, checkpoint. */
#include "train/run.h"

#include "core/error.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Whether something that happens every `interval` steps, and at the end, happens after this step.
 */
static bool is_due(const ttm_trainer *trainer, int64_t interval)
{
    const int64_t step = trainer->state.step;
    return interval > 0 && (step % interval == 0 || step == trainer->options.steps);
}

ttm_status ttm_trainer_validate(bool *best, ttm_trainer *trainer)
{
    ttm_train_state *state = &trainer->state;
    ttm_trainer_validation result = {.step = state->step};
    TTM_TRY(ttm_validation_set_loss(&result.loss, &result.tokens, &trainer->validation,
                                    trainer->model, trainer->stream, &trainer->buffers));
    if (!isfinite(result.loss)) {
        return ttm_fail(TTM_ERROR_NUMERIC,
                        "the validation loss is %g after step %" PRId64
                        ": training stopped, the last good checkpoint in '%s' is kept; try a lower "
                        "learning rate or a longer warm-up",
                        result.loss, state->step, trainer->folder.path);
    }
    result.perplexity = exp(result.loss);
    result.bits_per_byte = (double)NAN;
    if (trainer->validation.text_bytes > 0) {
        result.bits_per_byte = result.loss * (double)result.tokens /
                               (log(2.0) * (double)trainer->validation.text_bytes);
    }
    result.best = !(result.loss >= state->best_validation_loss);
    if (result.best) {
        state->best_validation_loss = result.loss;
        state->best_step = state->step;
    }
    trainer->last_validation_loss = result.loss;
    trainer->last_bits_per_byte = result.bits_per_byte;
    *best = result.best;
    TTM_TRY(ttm_metrics_validation(&trainer->metrics, &result));
    if (trainer->setup.events.validation != NULL) {
        trainer->setup.events.validation(trainer->setup.events.user, &result);
    }
    return TTM_OK;
}

/* Takes the next step, counts it and reports it. */
static ttm_status advance(ttm_trainer *trainer)
{
    const ttm_trainer_options *options = &trainer->options;
    ttm_train_state *state = &trainer->state;
    ttm_trainer_step result = {.step = state->step + 1};
    const uint64_t step_tokens =
        (uint64_t)options->accumulation * (uint64_t)options->batch * (uint64_t)options->seq;
    const double before = now_seconds();
    TTM_TRY(ttm_trainer_take_step(&result, trainer));
    const double after = now_seconds();
    state->step++;
    state->next_batch += (uint64_t)options->accumulation;
    state->tokens += step_tokens;
    state->seconds = trainer->seconds_before + (after - trainer->started_at);
    trainer->last_loss = result.loss;
    result.tokens = state->tokens;
    result.seconds = state->seconds;
    result.tokens_per_second = (double)step_tokens / fmax(after - before, 1e-9);
    TTM_TRY(ttm_metrics_step(&trainer->metrics, &result));
    if (trainer->setup.events.step != NULL) {
        trainer->setup.events.step(trainer->setup.events.user, &result);
    }
    return TTM_OK;
}

/* A step whose validation is the best so far is checkpointed too: `best` points to it. */
static ttm_status after_step(ttm_trainer *trainer, bool stop)
{
    const ttm_trainer_options *options = &trainer->options;
    bool best = false;
    if (trainer->validation.used > 0 && is_due(trainer, options->validation_interval)) {
        TTM_TRY(ttm_trainer_validate(&best, trainer));
    }
    const bool last = trainer->state.step == options->steps;
    if (best || stop || last || is_due(trainer, options->checkpoint_interval)) {
        TTM_TRY(ttm_trainer_write_checkpoint(trainer));
    }
    if (is_due(trainer, options->sample_interval)) {
        TTM_TRY(ttm_trainer_make_sample(trainer));
    }
    return TTM_OK;
}

ttm_status ttm_trainer_run(ttm_trainer *trainer)
{
    trainer->seconds_before = trainer->state.seconds;
    trainer->started_at = now_seconds();
    while (trainer->state.step < trainer->options.steps) {
        TTM_TRY(advance(trainer));
        /* Taken, so that a run that is called again goes on. */
        const bool stop = atomic_exchange(&trainer->stop, 0) != 0;
        TTM_TRY(after_step(trainer, stop));
        if (stop && trainer->state.step < trainer->options.steps) {
            return ttm_fail(TTM_ERROR_INTERRUPTED,
                            "stopped on request after step %" PRId64 " of %" PRId64
                            ", with a checkpoint in '%s'",
                            trainer->state.step, trainer->options.steps, trainer->folder.path);
        }
    }
    return TTM_OK;
}

void ttm_trainer_request_stop(ttm_trainer *trainer)
{
    atomic_store(&trainer->stop, 1);
}
