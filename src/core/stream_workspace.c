/* Scratch memory of a stream. */
#include "core/stream_workspace.h"

#include "core/checked.h"
#include "core/device_internal.h"
#include "core/device_memory.h"
#include "core/error.h"

static ttm_status grow(ttm_stream *stream, size_t bytes)
{
    ttm_device *device = stream->device;
    size_t capacity = 0;
    if (stream->workspace_used > 0) {
        return ttm_fail(TTM_ERROR_INTERNAL,
                        "the workspace can't grow to %zu bytes while %zu of %zu are in use", bytes,
                        stream->workspace_used, stream->workspace.memory_bytes);
    }
    if (!ttm_checked_align(&capacity, bytes, device->info.alignment_bytes) ||
        !ttm_checked_align(&capacity, capacity, sizeof(float)) || capacity > INT64_MAX) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "a workspace of %zu bytes can't be addressed",
                        bytes);
    }
    TTM_TRY(ttm_stream_synchronize(stream));
    ttm_stream_workspace_free(stream);
    ttm_tensor made = {.dtype = TTM_F32, .rank = 1, .memory_bytes = capacity};
    ttm_status status = ttm_device_memory_alloc(&made.memory, device, capacity);
    if (status != TTM_OK) {
        return ttm_fail_context(status, "a workspace for ops");
    }
    made.shape[0] = (int64_t)(capacity / sizeof(float));
    made.stride[0] = 1;
    stream->workspace = made;
    return TTM_OK;
}

static ttm_status make_room(ttm_stream *stream, size_t bytes)
{
    if (stream->handle == NULL || bytes <= stream->workspace.memory_bytes) {
        return TTM_OK;
    }
    return grow(stream, bytes);
}

ttm_status ttm_stream_workspace_ensure(ttm_stream *stream, size_t bytes)
{
    if (bytes > stream->workspace_needed) {
        stream->workspace_needed = bytes;
    }
    return make_room(stream, bytes);
}

void ttm_stream_workspace_free(ttm_stream *stream)
{
    ttm_device_memory_free(stream->device, stream->workspace.memory,
                           stream->workspace.memory_bytes);
    stream->workspace = (ttm_tensor){0};
}

ttm_status ttm_stream_reserve_workspace(ttm_stream *stream, size_t bytes)
{
    return make_room(stream, bytes);
}

size_t ttm_stream_workspace_bytes(const ttm_stream *stream)
{
    return stream->workspace_needed;
}
