/* Scores windows of a dataset in batches. */
#include "eval/perplexity.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory and position of a measurement. */
typedef struct measurement {
    const tool_model *opened;
    const ttm_dataset *dataset;
    const perplexity_settings *settings;
    bool bytes_known;
    int64_t next_begin; /* where the next window begins */
    int64_t scored_end; /* tokens before this one have been scored or can't be */
    int32_t *tokens;    /* [batch, block] */
    int32_t *targets;   /* [batch, block] */
    float *losses;      /* [batch, block] */
    ttm_tensor device_tokens;
    ttm_tensor device_targets;
    ttm_tensor device_losses;
    double sum;
    int64_t scored;
    uint64_t text_bytes;
} measurement;

static int allocate_on_host(measurement *state)
{
    const size_t count = (size_t)state->settings->batch * (size_t)state->settings->block;
    state->tokens = calloc(count, sizeof *state->tokens);
    state->targets = calloc(count, sizeof *state->targets);
    state->losses = calloc(count, sizeof *state->losses);
    if (state->tokens == NULL || state->targets == NULL || state->losses == NULL) {
        return tool_fail_text("no memory for %" PRId64 " windows of %" PRId64
                              " tokens: give a smaller --batch or --block",
                              state->settings->batch, state->settings->block);
    }
    return TOOL_GO_ON;
}

static ttm_status allocate_on_device(measurement *state)
{
    const int64_t shape[2] = {state->settings->batch, state->settings->block};
    const int64_t count = shape[0] * shape[1];
    ttm_device *device = state->opened->device;
    ttm_status status = ttm_tensor_alloc(&state->device_tokens, device, TTM_I32, 2, shape);
    if (status == TTM_OK) {
        status = ttm_tensor_alloc(&state->device_targets, device, TTM_I32, 2, shape);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_alloc(&state->device_losses, device, TTM_F32, 1, &count);
    }
    return status;
}

static void release(measurement *state)
{
    ttm_device *device = state->opened->device;
    ttm_stream_drain(state->opened->stream); /* after a failure something may be queued */
    ttm_tensor_free(&state->device_losses, device);
    ttm_tensor_free(&state->device_targets, device);
    ttm_tensor_free(&state->device_tokens, device);
    free(state->losses);
    free(state->targets);
    free(state->tokens);
}

/* Fills window `row`. Behind the end of the data stand tokens that nothing is predicted from. */
static ttm_status fill_window(measurement *state, int64_t row)
{
    const int64_t block = state->settings->block;
    const int64_t begin = state->next_begin;
    const int64_t left = state->settings->tokens - begin;
    const int64_t count = left < block ? left : block;
    int32_t *tokens = state->tokens + row * block;
    int32_t *targets = state->targets + row * block;
    for (int64_t index = 0; index < block; index++) {
        tokens[index] = 0;
        targets[index] = -1;
    }
    ttm_status status = ttm_dataset_read(tokens, state->dataset, (uint64_t)begin, (size_t)count);
    if (status != TTM_OK) {
        return status;
    }
    int64_t first = state->scored_end > begin ? state->scored_end : begin + 1;
    const int64_t end = begin + count;
    for (int64_t position = first; position < end; position++) {
        targets[position - begin - 1] = tokens[position - begin];
    }
    if (state->bytes_known && end > first) {
        uint64_t bytes = 0;
        status = ttm_dataset_text_bytes(&bytes, state->dataset, (uint64_t)first,
                                        (uint64_t)(end - first));
        state->text_bytes += bytes;
    }
    state->scored += end > first ? end - first : 0;
    state->scored_end = end;
    state->next_begin = end == state->settings->tokens ? end : begin + state->settings->stride;
    return status;
}

/* Scores the next windows, up to a batch of them. */
static ttm_status score_batch(measurement *state)
{
    const perplexity_settings *settings = state->settings;
    ttm_stream *stream = state->opened->stream;
    int64_t windows = 0;
    while (windows < settings->batch && state->next_begin < settings->tokens) {
        const ttm_status status = fill_window(state, windows++);
        if (status != TTM_OK) {
            return status;
        }
    }
    const ttm_tensor tokens = ttm_tensor_slice(&state->device_tokens, 0, 0, windows);
    const ttm_tensor targets = ttm_tensor_slice(&state->device_targets, 0, 0, windows);
    const ttm_tensor losses =
        ttm_tensor_slice(&state->device_losses, 0, 0, windows * settings->block);
    ttm_status status = ttm_tensor_write(stream, &tokens, state->tokens);
    if (status == TTM_OK) {
        status = ttm_tensor_write(stream, &targets, state->targets);
    }
    if (status == TTM_OK) {
        status = ttm_model_losses(state->opened->model, stream, &losses, &tokens, &targets);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_read(stream, state->losses, &losses);
    }
    for (int64_t index = 0; status == TTM_OK && index < windows * settings->block; index++) {
        state->sum += state->targets[index] >= 0 ? (double)state->losses[index] : 0.0;
    }
    return status;
}

static void show_progress(const measurement *state)
{
    if (state->settings->show_progress) {
        fprintf(stderr, "\r%3.0f %%  loss %.4f  %" PRId64 " tokens\033[K",
                100.0 * (double)state->next_begin / (double)state->settings->tokens,
                state->sum / (double)(state->scored > 0 ? state->scored : 1), state->scored);
        fflush(stderr);
    }
}

int perplexity_measure(perplexity_result *result, const tool_model *opened,
                       const ttm_dataset *dataset, bool bytes_known,
                       const perplexity_settings *settings)
{
    measurement state = {
        .opened = opened, .dataset = dataset, .settings = settings, .bytes_known = bytes_known};
    const double begin = tool_seconds();
    const int code = allocate_on_host(&state);
    if (code != TOOL_GO_ON) {
        release(&state);
        return code;
    }
    ttm_status status = allocate_on_device(&state);
    while (status == TTM_OK && state.next_begin < settings->tokens) {
        status = score_batch(&state);
        show_progress(&state);
    }
    if (settings->show_progress) {
        fputc('\n', stderr);
    }
    release(&state);
    if (status != TTM_OK) {
        return tool_fail(status);
    }
    if (state.scored == 0 || !isfinite(state.sum)) {
        return tool_fail_text("the loss over %" PRId64 " tokens isn't a finite number",
                              state.scored);
    }
    result->loss = state.sum / (double)state.scored;
    result->perplexity = exp(result->loss);
    result->tokens = state.scored;
    result->text_bytes = state.text_bytes;
    result->bits_per_byte =
        state.text_bytes > 0 ? state.sum / log(2.0) / (double)state.text_bytes : NAN;
    result->seconds = tool_seconds() - begin;
    return TOOL_GO_ON;
}
