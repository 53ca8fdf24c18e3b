/* Copies between host and device, and within the device.
 *
 * A device with memory of its own is reached by DMA, which needs pinned host memory; from other
 * memory drivers copy piece by piece, and wait. So what goes up or down is copied through pinned
 * slots, several of them in flight: the host copies one while the device fills or empties others.
 * Where host and device share memory, large copies go directly; small writes take a slot even
 * there, so that they needn't wait. */
#include "opencl/flat.h"

#include <stdlib.h>
#include <string.h>

/* Reads of less don't take a slot: they are waited for at once, and the driver has memory of its
 * own for them. */
#define LEAST_STAGED_READ ((size_t)64 * 1024)

/* Without pinned transfers, the largest write that goes through slots. */
#define MOST_SMALL_WRITE ((size_t)1 << 20)

static ttm_status check_range(const ttm_memory *memory, size_t offset, size_t bytes)
{
    if (offset > memory->bytes || bytes > memory->bytes - offset) {
        return opencl_fail(TTM_ERROR_ARGUMENT,
                           "%zu bytes at offset %zu lie outside an allocation of %zu bytes", bytes,
                           offset, memory->bytes);
    }
    return TTM_OK;
}

/* Whether large copies take the slots too. TTM_OPENCL_STAGING=pinned|direct decides otherwise. */
static int pins_all(const ttm_backend_device *device)
{
    const char *wish = getenv("TTM_OPENCL_STAGING");
    if (wish != NULL && strcmp(wish, "pinned") == 0) {
        return 1;
    }
    return !device->description->limits.shares_host_memory &&
           (wish == NULL || strcmp(wish, "direct") != 0);
}

static size_t piece_of(size_t left)
{
    return left < OPENCL_STAGING_SLOT_BYTES ? left : OPENCL_STAGING_SLOT_BYTES;
}

/* Waits until a slot's last command has ended. */
static cl_int empty_slot(opencl_staging_slot *slot)
{
    if (slot->event == NULL) {
        return CL_SUCCESS;
    }
    const cl_int error = opencl_wait_for_command(slot->event);
    clReleaseEvent(slot->event);
    slot->event = NULL;
    return error;
}

/* *slot = the next slot, empty: it is waited for only if it is still in use from several copies
 * ago. */
static cl_int take_slot(opencl_staging_slot **slot, ttm_backend_stream *stream)
{
    *slot = &stream->slots[stream->next_slot];
    stream->next_slot = (stream->next_slot + 1) % OPENCL_STAGING_SLOTS;
    return empty_slot(*slot);
}

static cl_int upload_staged(ttm_backend_stream *stream, cl_mem buffer, size_t offset,
                            const unsigned char *source, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    size_t done = 0;
    while (error == CL_SUCCESS && done < bytes) {
        opencl_staging_slot *slot = NULL;
        const size_t piece = piece_of(bytes - done);
        error = take_slot(&slot, stream);
        if (error == CL_SUCCESS) {
            memcpy(slot->bytes, source + done, piece);
            error = clEnqueueWriteBuffer(stream->queue, buffer, CL_FALSE, offset + done, piece,
                                         slot->bytes, 0, NULL, &slot->event);
        }
        if (error == CL_SUCCESS && bytes > OPENCL_STAGING_SLOT_BYTES) {
            error = clFlush(stream->queue); /* begin while the host copies the next piece */
        }
        done += piece;
    }
    return error;
}

/* As many pieces in flight as there are slots; the oldest is copied out and its slot used again. A
 * failure leaves commands in slots, whose events the next use waits for. */
static cl_int download_staged(ttm_backend_stream *stream, unsigned char *target, cl_mem buffer,
                              size_t offset, size_t bytes)
{
    cl_int error = CL_SUCCESS;
    size_t queued = 0;
    size_t taken = 0;
    int oldest = stream->next_slot;
    while (error == CL_SUCCESS && taken < bytes) {
        if (queued < bytes &&
            queued - taken < (size_t)OPENCL_STAGING_SLOTS * OPENCL_STAGING_SLOT_BYTES) {
            opencl_staging_slot *slot = NULL;
            const size_t piece = piece_of(bytes - queued);
            error = take_slot(&slot, stream);
            if (error == CL_SUCCESS) {
                error = clEnqueueReadBuffer(stream->queue, buffer, CL_FALSE, offset + queued, piece,
                                            slot->bytes, 0, NULL, &slot->event);
            }
            queued += piece;
            continue;
        }
        opencl_staging_slot *slot = &stream->slots[oldest];
        const size_t piece = piece_of(bytes - taken);
        oldest = (oldest + 1) % OPENCL_STAGING_SLOTS;
        error = empty_slot(slot);
        if (error == CL_SUCCESS) {
            memcpy(target + taken, slot->bytes, piece);
        }
        taken += piece;
    }
    return error;
}

cl_int opencl_upload(ttm_backend_stream *stream, cl_mem buffer, size_t offset, const void *source,
                     size_t bytes)
{
    const int staged = bytes <= MOST_SMALL_WRITE || pins_all(stream->device);
    if (staged && !stream->device->description->needs_blocking_writes) {
        return upload_staged(stream, buffer, offset, source, bytes);
    }
    cl_event written = NULL;
    const cl_int queued = clEnqueueWriteBuffer(stream->queue, buffer, CL_TRUE, offset, bytes,
                                               source, 0, NULL, &written);
    return opencl_finish_command(queued, written);
}

static cl_int download(ttm_backend_stream *stream, void *target, cl_mem buffer, size_t offset,
                       size_t bytes)
{
    if (bytes >= LEAST_STAGED_READ && pins_all(stream->device)) {
        return download_staged(stream, target, buffer, offset, bytes);
    }
    cl_event done = NULL;
    const cl_int queued =
        clEnqueueReadBuffer(stream->queue, buffer, CL_TRUE, offset, bytes, target, 0, NULL, &done);
    return opencl_finish_command(queued, done);
}

ttm_status opencl_memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes)
{
    const ttm_status status = check_range(memory, offset, bytes);
    if (status != TTM_OK || bytes == 0) {
        return status;
    }
    const cl_int error = opencl_upload(stream, memory->buffer, offset, source, bytes);
    return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "write to memory");
}

ttm_status opencl_memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes)
{
    const ttm_status status = check_range(memory, offset, bytes);
    if (status != TTM_OK || bytes == 0) {
        return status;
    }
    const cl_int error = download(stream, target, memory->buffer, offset, bytes);
    stream->unflushed = 0;
    return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "read memory");
}

ttm_status opencl_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                              ttm_memory *source, size_t source_offset, size_t bytes)
{
    ttm_status status = check_range(target, target_offset, bytes);
    if (status == TTM_OK) {
        status = check_range(source, source_offset, bytes);
    }
    if (status != TTM_OK || bytes == 0) {
        return status;
    }
    return opencl_flat_copy(stream, target, target_offset, source, source_offset, bytes);
}

ttm_status opencl_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                              size_t bytes)
{
    const ttm_status status = check_range(memory, offset, bytes);
    if (status != TTM_OK || bytes == 0) {
        return status;
    }
    const size_t pattern = offset % 4 == 0 && bytes % 4 == 0 ? 4 : 1;
    return opencl_flat_fill(stream, memory, offset, 0, pattern, bytes);
}
