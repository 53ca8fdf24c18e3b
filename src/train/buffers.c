/* Allocation of a trainer's own memory. The sizes here and in the two *_bytes functions must agree:
 * a test compares the plan with what the device counted. */
#include "train/buffers.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum { SCALARS = 2 };

static ttm_status allocate_moments(ttm_train_buffers *buffers, ttm_stream *stream, ttm_dtype dtype,
                                   const ttm_parameter_table *table)
{
    ttm_tensor **const moments[2] = {&buffers->first_moment, &buffers->second_moment};
    buffers->span_count = table->span_count;
    for (int which = 0; which < 2; which++) {
        TTM_TRY(ttm_array_new(moments[which], table->span_count, sizeof **moments[which],
                              "moments of the optimiser"));
    }
    for (size_t span = 0; span < table->span_count; span++) {
        for (int which = 0; which < 2; which++) {
            ttm_tensor *moment = &(*moments[which])[span];
            TTM_TRY(ttm_tensor_alloc(moment, buffers->device, dtype, 1, &table->spans[span].count));
            TTM_TRY(ttm_tensor_zero(stream, moment));
        }
    }
    return TTM_OK;
}

static ttm_status allocate_batch(ttm_train_buffers *buffers, int64_t batch, int64_t seq)
{
    ttm_device *device = buffers->device;
    const int64_t tokens[2] = {batch, seq};
    const int64_t rows = batch * seq;
    const int64_t scalars = SCALARS;
    TTM_TRY(ttm_tensor_alloc(&buffers->tokens, device, TTM_I32, 2, tokens));
    TTM_TRY(ttm_tensor_alloc(&buffers->targets, device, TTM_I32, 2, tokens));
    TTM_TRY(ttm_tensor_alloc(&buffers->losses, device, TTM_F32, 1, &rows));
    TTM_TRY(ttm_tensor_alloc(&buffers->scalars, device, TTM_F32, 1, &scalars));
    buffers->loss = ttm_tensor_at1(&buffers->scalars, 0, 1);
    buffers->norm_squared = ttm_tensor_at1(&buffers->scalars, 1, 1);
    return TTM_OK;
}

ttm_status ttm_train_buffers_new(ttm_train_buffers *buffers, ttm_stream *stream,
                                 ttm_dtype moment_dtype, const ttm_parameter_table *table,
                                 int64_t batch, int64_t seq)
{
    memset(buffers, 0, sizeof *buffers);
    buffers->device = ttm_stream_device(stream);
    const size_t rows = (size_t)batch * (size_t)seq;
    TTM_TRY(allocate_moments(buffers, stream, moment_dtype, table));
    TTM_TRY(allocate_batch(buffers, batch, seq));
    TTM_TRY(ttm_array_new(&buffers->host_tokens, rows, sizeof(int32_t), "tokens of a batch"));
    TTM_TRY(ttm_array_new(&buffers->host_targets, rows, sizeof(int32_t), "targets of a batch"));
    return ttm_array_new(&buffers->host_losses, rows, sizeof(float), "losses of a batch");
}

static void free_moments(const ttm_train_buffers *buffers, ttm_tensor *moments)
{
    for (size_t span = 0; moments != NULL && span < buffers->span_count; span++) {
        ttm_tensor_free(&moments[span], buffers->device);
    }
    free(moments);
}

void ttm_train_buffers_free(ttm_train_buffers *buffers)
{
    if (buffers->device != NULL) {
        free_moments(buffers, buffers->first_moment);
        free_moments(buffers, buffers->second_moment);
        ttm_tensor_free(&buffers->tokens, buffers->device);
        ttm_tensor_free(&buffers->targets, buffers->device);
        ttm_tensor_free(&buffers->losses, buffers->device);
        ttm_tensor_free(&buffers->scalars, buffers->device);
    }
    free(buffers->host_tokens);
    free(buffers->host_targets);
    free(buffers->host_losses);
    memset(buffers, 0, sizeof *buffers);
}

uint64_t ttm_train_buffers_batch_bytes(int64_t batch, int64_t seq)
{
    const uint64_t rows = (uint64_t)batch * (uint64_t)seq;
    return rows * (2 * sizeof(int32_t) + sizeof(float)) + SCALARS * sizeof(float);
}

uint64_t ttm_train_buffers_host_bytes(int64_t batch, int64_t seq)
{
    return (uint64_t)batch * (uint64_t)seq * (2 * sizeof(int32_t) + sizeof(float));
}
