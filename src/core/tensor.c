/* Tensor memory: allocation and copies between host and device. Views are in tensor_view.c. */
#include <ttm/tensor.h>

#include "core/checked.h"
#include "core/device_internal.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "core/plugin_host.h"
#include "core/profile_hook.h"

#include <inttypes.h>
#include <string.h>

static ttm_status contiguous_bytes(size_t *bytes, const ttm_tensor *tensor, const char *what)
{
    if (!ttm_tensor_present(tensor) || !ttm_tensor_is_contiguous(tensor)) {
        char text[160];
        return ttm_fail(TTM_ERROR_SHAPE, "%s needs a contiguous tensor, not %s", what,
                        ttm_tensor_print(text, sizeof text, tensor));
    }
    *bytes = (size_t)ttm_tensor_count(tensor) * ttm_dtype_bytes(tensor->dtype);
    if (tensor->offset > tensor->memory_bytes || *bytes > tensor->memory_bytes - tensor->offset) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%s: %zu bytes at offset %zu reach beyond an allocation of %zu", what,
                        *bytes, tensor->offset, tensor->memory_bytes);
    }
    return TTM_OK;
}

ttm_status ttm_tensor_alloc(ttm_tensor *tensor, ttm_device *device, ttm_dtype dtype, int32_t rank,
                            const int64_t *shape)
{
    memset(tensor, 0, sizeof *tensor);
    ttm_tensor wanted = ttm_tensor_describe(dtype, rank, shape);
    if (!ttm_tensor_present(&wanted)) {
        return ttm_fail(
            TTM_ERROR_SHAPE,
            "can't allocate a tensor of type %s and rank %d: sizes are negative or too large",
            ttm_dtype_name(dtype), (int)rank);
    }
    size_t bytes = (size_t)ttm_tensor_count(&wanted) * ttm_dtype_bytes(dtype);
    /* A tensor of no elements still gets an allocation, so that it has an owner. */
    wanted.memory_bytes = bytes > 0 ? bytes : ttm_dtype_bytes(dtype);
    TTM_TRY(ttm_device_memory_alloc(&wanted.memory, device, wanted.memory_bytes));
    *tensor = wanted;
    return TTM_OK;
}

void ttm_tensor_free(ttm_tensor *tensor, ttm_device *device)
{
    if (tensor->memory != NULL) {
        ttm_device_memory_free(device, tensor->memory, tensor->memory_bytes);
    }
    memset(tensor, 0, sizeof *tensor);
}

ttm_status ttm_tensor_write(ttm_stream *stream, const ttm_tensor *tensor, const void *source)
{
    if (stream->handle == NULL) {
        return TTM_OK;
    }
    size_t bytes = 0;
    TTM_TRY(contiguous_bytes(&bytes, tensor, "writing to the device"));
    if (bytes == 0) {
        return TTM_OK;
    }
    const size_t call = ttm_profile_begin_transfer(stream, "write", bytes);
    const ttm_status status = TTM_PLUGIN_CALL(stream->device->backend, memory_write, stream->handle,
                                              tensor->memory, tensor->offset, source, bytes);
    ttm_profile_end(stream, call);
    return status;
}

ttm_status ttm_tensor_read(ttm_stream *stream, void *target, const ttm_tensor *tensor)
{
    if (stream->handle == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a planning stream holds no data to read");
    }
    size_t bytes = 0;
    TTM_TRY(contiguous_bytes(&bytes, tensor, "reading from the device"));
    if (bytes == 0) {
        return TTM_OK;
    }
    const size_t call = ttm_profile_begin_transfer(stream, "read", bytes);
    const ttm_status status = TTM_PLUGIN_CALL(stream->device->backend, memory_read, stream->handle,
                                              target, tensor->memory, tensor->offset, bytes);
    ttm_profile_end(stream, call);
    return status;
}

static ttm_status zero_bytes(ttm_stream *stream, const ttm_tensor *tensor, size_t bytes)
{
    const ttm_backend *backend = stream->device->backend;
    if (bytes > 0 && backend->memory_zero != NULL) {
        return TTM_PLUGIN_CALL(backend, memory_zero, stream->handle, tensor->memory, tensor->offset,
                               bytes);
    }
    static const char zeros[65536];
    for (size_t done = 0; done < bytes; done += sizeof zeros) {
        size_t part = bytes - done < sizeof zeros ? bytes - done : sizeof zeros;
        TTM_TRY(TTM_PLUGIN_CALL(backend, memory_write, stream->handle, tensor->memory,
                                tensor->offset + done, zeros, part));
    }
    return TTM_OK;
}

ttm_status ttm_tensor_zero(ttm_stream *stream, const ttm_tensor *tensor)
{
    if (stream->handle == NULL) {
        return TTM_OK;
    }
    size_t bytes = 0;
    TTM_TRY(contiguous_bytes(&bytes, tensor, "clearing"));
    const size_t call = ttm_profile_begin_transfer(stream, "zero", bytes);
    const ttm_status status = zero_bytes(stream, tensor, bytes);
    ttm_profile_end(stream, call);
    return status;
}

ttm_status ttm_tensor_map(void **pointer, ttm_device *device, const ttm_tensor *tensor)
{
    *pointer = NULL;
    if (!ttm_tensor_present(tensor) || tensor->memory == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "can't map a tensor without memory");
    }
    if (device->backend->memory_map == NULL ||
        (device->info.capabilities & TTM_DEVICE_CAN_MAP) == 0) {
        return TTM_OK;
    }
    char *base = device->backend->memory_map(device->handle, tensor->memory);
    if (base != NULL) {
        *pointer = base + tensor->offset;
    }
    return TTM_OK;
}
