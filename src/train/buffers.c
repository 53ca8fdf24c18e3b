/* Allocation of a trainer's own memory. The sizes here and in the two *_bytes functions must agree:
 * a test compares the plan with what the device counted. */
#include "train/buffers.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum { SCALARS = 2 };

static ttm_status allocate_device(ttm_train_buffers *buffers, ttm_dtype moment_dtype,
                                  int64_t buffer_count, int64_t batch, int64_t seq)
{
    ttm_device *device = buffers->device;
    const int64_t tokens[2] = {batch, seq};
    const int64_t rows = batch * seq;
    const int64_t scalars = SCALARS;
    TTM_TRY(ttm_tensor_alloc(&buffers->first_moment, device, moment_dtype, 1, &buffer_count));
    TTM_TRY(ttm_tensor_alloc(&buffers->second_moment, device, moment_dtype, 1, &buffer_count));
    TTM_TRY(ttm_tensor_alloc(&buffers->tokens, device, TTM_I32, 2, tokens));
    TTM_TRY(ttm_tensor_alloc(&buffers->targets, device, TTM_I32, 2, tokens));
    TTM_TRY(ttm_tensor_alloc(&buffers->losses, device, TTM_F32, 1, &rows));
    TTM_TRY(ttm_tensor_alloc(&buffers->scalars, device, TTM_F32, 1, &scalars));
    buffers->loss = ttm_tensor_at1(&buffers->scalars, 0, 1);
    buffers->norm_squared = ttm_tensor_at1(&buffers->scalars, 1, 1);
    return TTM_OK;
}

ttm_status ttm_train_buffers_new(ttm_train_buffers *buffers, ttm_stream *stream,
                                 ttm_dtype moment_dtype, int64_t buffer_count, int64_t batch,
                                 int64_t seq)
{
    memset(buffers, 0, sizeof *buffers);
    buffers->device = ttm_stream_device(stream);
    const size_t rows = (size_t)batch * (size_t)seq;
    TTM_TRY(allocate_device(buffers, moment_dtype, buffer_count, batch, seq));
    TTM_TRY(ttm_array_new(&buffers->host_tokens, rows, sizeof(int32_t), "tokens of a batch"));
    TTM_TRY(ttm_array_new(&buffers->host_targets, rows, sizeof(int32_t), "targets of a batch"));
    TTM_TRY(ttm_array_new(&buffers->host_losses, rows, sizeof(float), "losses of a batch"));
    TTM_TRY(ttm_tensor_zero(stream, &buffers->first_moment));
    return ttm_tensor_zero(stream, &buffers->second_moment);
}

void ttm_train_buffers_free(ttm_train_buffers *buffers)
{
    if (buffers->device != NULL) {
        ttm_tensor_free(&buffers->first_moment, buffers->device);
        ttm_tensor_free(&buffers->second_moment, buffers->device);
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
