/* Streams: an in-order queue each, and events. Nothing here waits for the device but what is asked
 * to. */
#include "opencl/stream.h"

#include "opencl/stream_kernels.h"

#include <stdlib.h>
#include <string.h>

struct ttm_backend_event {
    cl_event event;
    const opencl_description *description;
};

ttm_status opencl_stream_fail(const ttm_backend_stream *stream, cl_int error, const char *doing)
{
    return opencl_fail_call(error, stream->device->description->name, doing);
}

/* Waits until a command has ended. rusticl's own waits give up after a second in which its thread
 * wasn't given a processor, without an error: so the command is asked whether it has ended. */
cl_int opencl_wait_for_command(cl_event event)
{
    cl_int progress = CL_QUEUED;
    cl_int error = CL_SUCCESS;
    while (error == CL_SUCCESS && progress > CL_COMPLETE) {
        error = clWaitForEvents(1, &event);
        if (error == CL_SUCCESS) {
            error = clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof progress,
                                   &progress, NULL);
        }
    }
    return error == CL_SUCCESS && progress < 0 ? progress : error;
}

cl_int opencl_finish_command(cl_int queued, cl_event event)
{
    if (queued != CL_SUCCESS) {
        return queued;
    }
    const cl_int error = opencl_wait_for_command(event);
    clReleaseEvent(event);
    return error;
}

/* Pinned host memory: buffers that the driver allocates on the host are copied without a detour. */
static cl_int make_staging(ttm_backend_stream *stream)
{
    const size_t bytes = (size_t)OPENCL_STAGING_SLOTS * OPENCL_STAGING_SLOT_BYTES;
    cl_int error = CL_SUCCESS;
    stream->staging = clCreateBuffer(
        stream->device->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &error);
    if (error == CL_SUCCESS) {
        stream->staging_bytes =
            clEnqueueMapBuffer(stream->queue, stream->staging, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE,
                               0, bytes, 0, NULL, NULL, &error);
    }
    for (int i = 0; error == CL_SUCCESS && i < OPENCL_STAGING_SLOTS; i++) {
        stream->slots[i].bytes = stream->staging_bytes + (size_t)i * OPENCL_STAGING_SLOT_BYTES;
    }
    return error;
}

ttm_status opencl_stream_create(ttm_backend_stream **stream, ttm_backend_device *device)
{
    ttm_backend_stream *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a stream");
    }
    cl_int error = CL_SUCCESS;
    made->device = device;
    made->queue = clCreateCommandQueue(device->context, device->description->id,
                                       CL_QUEUE_PROFILING_ENABLE, &error);
    if (error == CL_SUCCESS) {
        error = make_staging(made);
    }
    if (error != CL_SUCCESS) {
        const ttm_status status = opencl_stream_fail(made, error, "make a stream");
        opencl_stream_destroy(made);
        return status;
    }
    *stream = made;
    return TTM_OK;
}

/* A marker behind everything: its status tells of commands that failed after they were queued,
 * which clFinish doesn't on all drivers. */
static cl_int wait_for_queue(ttm_backend_stream *stream)
{
    cl_event marker = NULL;
    const cl_int queued = clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, &marker);
    cl_int error = opencl_finish_command(queued, marker);
    if (error == CL_SUCCESS) {
        error = clFinish(stream->queue);
    }
    stream->unflushed = 0;
    return error;
}

ttm_status opencl_stream_synchronize(ttm_backend_stream *stream)
{
    const cl_int error = wait_for_queue(stream);
    return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "finish queued work");
}

void opencl_stream_destroy(ttm_backend_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    if (stream->queue != NULL) {
        wait_for_queue(stream);
    }
    if (stream->staging_bytes != NULL) {
        clEnqueueUnmapMemObject(stream->queue, stream->staging, stream->staging_bytes, 0, NULL,
                                NULL);
    }
    if (stream->queue != NULL) {
        clFinish(stream->queue);
    }
    opencl_stream_kernels_free(stream->kernels);
    for (int i = 0; i < OPENCL_STAGING_SLOTS; i++) {
        if (stream->slots[i].event != NULL) {
            clReleaseEvent(stream->slots[i].event);
        }
    }
    if (stream->staging != NULL) {
        clReleaseMemObject(stream->staging);
    }
    if (stream->adamw_chunks.buffer != NULL) {
        clReleaseMemObject(stream->adamw_chunks.buffer);
    }
    free(stream->adamw_chunks.copy);
    if (stream->mark != NULL) {
        clReleaseMemObject(stream->mark);
    }
    if (stream->queue != NULL) {
        clReleaseCommandQueue(stream->queue);
    }
    free(stream);
}

ttm_status opencl_stream_keep(opencl_kept_data *kept, ttm_backend_stream *stream, const void *data,
                              size_t bytes)
{
    if (kept->buffer != NULL && kept->bytes == bytes && memcmp(kept->copy, data, bytes) == 0) {
        return TTM_OK;
    }
    void *copy = malloc(bytes);
    if (copy == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a copy of %zu bytes", bytes);
    }
    memcpy(copy, data, bytes);
    if (kept->buffer != NULL) {
        clReleaseMemObject(kept->buffer); /* commands in flight keep it alive */
    }
    free(kept->copy);
    cl_int error = CL_SUCCESS;
    kept->copy = copy;
    kept->bytes = bytes;
    kept->buffer = clCreateBuffer(stream->device->context, CL_MEM_READ_ONLY, bytes, NULL, &error);
    if (error == CL_SUCCESS) {
        error = opencl_upload(stream, kept->buffer, 0, copy, bytes);
    }
    if (error != CL_SUCCESS) {
        kept->bytes = 0;
        return opencl_stream_fail(stream, error, "keep a table");
    }
    return TTM_OK;
}

/* ---- Events ---- */

static cl_int event_time(cl_ulong *nanoseconds, cl_event event)
{
    return clGetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof *nanoseconds,
                                   nanoseconds, NULL);
}

/* Finds out, once a stream, whether its markers carry a time: NVIDIA's barriers were seen with 0,
 * and other drivers have refused one. There a fill of four bytes, which is work, marks it. */
static cl_int choose_mark(ttm_backend_stream *stream)
{
    cl_event marker = NULL;
    cl_ulong nanoseconds = 0;
    cl_int error = clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, &marker);
    if (error != CL_SUCCESS) {
        return error;
    }
    error = opencl_wait_for_command(marker);
    if (error == CL_SUCCESS &&
        (event_time(&nanoseconds, marker) != CL_SUCCESS || nanoseconds == 0)) {
        opencl_log(TTM_LOG_DEBUG, "markers of %s carry no time; fills mark it",
                   stream->device->description->name);
        stream->mark = clCreateBuffer(stream->device->context, CL_MEM_READ_WRITE, sizeof(cl_uint),
                                      NULL, &error);
    }
    clReleaseEvent(marker);
    stream->knows_marks = error == CL_SUCCESS;
    return error;
}

/* Queues what carries the time at which all before it has ended. */
static cl_int enqueue_mark(cl_event *event, ttm_backend_stream *stream)
{
    const cl_uint zero = 0;
    const cl_int error = stream->knows_marks ? CL_SUCCESS : choose_mark(stream);
    if (error != CL_SUCCESS) {
        return error;
    }
    return stream->mark == NULL ? clEnqueueMarkerWithWaitList(stream->queue, 0, NULL, event)
                                : clEnqueueFillBuffer(stream->queue, stream->mark, &zero,
                                                      sizeof zero, 0, sizeof zero, 0, NULL, event);
}

ttm_status opencl_event_record(ttm_backend_event **event, ttm_backend_stream *stream)
{
    ttm_backend_event *made = malloc(sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an event");
    }
    made->description = stream->device->description;
    cl_int error = enqueue_mark(&made->event, stream);
    if (error != CL_SUCCESS) {
        free(made);
        return opencl_stream_fail(stream, error, "record an event");
    }
    error = clFlush(stream->queue); /* another stream may wait for it */
    stream->unflushed = 0;
    if (error != CL_SUCCESS) {
        opencl_event_destroy(made);
        return opencl_stream_fail(stream, error, "record an event");
    }
    *event = made;
    return TTM_OK;
}

ttm_status opencl_event_wait(ttm_backend_stream *stream, ttm_backend_event *event)
{
    const cl_int error = clEnqueueBarrierWithWaitList(stream->queue, 1, &event->event, NULL);
    return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, "wait for an event");
}

ttm_status opencl_event_synchronize(ttm_backend_event *event)
{
    const cl_int error = opencl_wait_for_command(event->event);
    return error == CL_SUCCESS
               ? TTM_OK
               : opencl_fail_call(error, event->description->name, "wait for an event");
}

ttm_status opencl_event_elapsed_ns(uint64_t *elapsed_ns, ttm_backend_event *start,
                                   ttm_backend_event *end)
{
    cl_ulong first = 0;
    cl_ulong last = 0;
    cl_int error = event_time(&first, start->event);
    if (error == CL_SUCCESS) {
        error = event_time(&last, end->event);
    }
    if (error != CL_SUCCESS) {
        return opencl_fail_call(error, start->description->name, "take a time");
    }
    *elapsed_ns = last > first ? last - first : 0;
    return TTM_OK;
}

void opencl_event_destroy(ttm_backend_event *event)
{
    if (event != NULL) {
        clReleaseEvent(event->event);
        free(event);
    }
}
