/* Reads, writes, copies and fills. Each ends before its call returns, whether it is to block or
 * not. */
#include "device_buffer.h"
#include "device_event.h"

#include <string.h>

enum { MOST_PATTERN_BYTES = 128 };

static cl_int check_range(cl_command_queue queue, cl_mem buffer, size_t offset, size_t bytes)
{
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    if (buffer->context != queue->context) {
        return CL_INVALID_CONTEXT;
    }
    /* Nothing at all is an error before OpenCL 2.1. */
    return bytes > 0 && offset <= buffer->bytes && bytes <= buffer->bytes - offset
               ? CL_SUCCESS
               : CL_INVALID_VALUE;
}

/* Checks a transfer between a buffer and the host. */
static cl_int check_transfer(cl_command_queue queue, cl_mem buffer, size_t offset, size_t bytes,
                             const void *host, cl_mem_flags forbidden)
{
    const cl_int error = check_range(queue, buffer, offset, bytes);
    if (error != CL_SUCCESS) {
        return error;
    }
    if (host == NULL) {
        return CL_INVALID_VALUE;
    }
    return (buffer->flags & (forbidden | CL_MEM_HOST_NO_ACCESS)) == 0 ? CL_SUCCESS
                                                                      : CL_INVALID_OPERATION;
}

static cl_int read_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                          size_t bytes, void *target, cl_uint count, const cl_event *events,
                          cl_event *event)
{
    device_command command;
    cl_int error = device_command_begin(&command, queue, CL_COMMAND_READ_BUFFER, count, events);
    (void)blocking;
    if (error == CL_SUCCESS) {
        error = check_transfer(queue, buffer, offset, bytes, target, CL_MEM_HOST_WRITE_ONLY);
    }
    if (error != CL_SUCCESS) {
        return error;
    }
    memcpy(target, buffer->data + offset, bytes);
    return device_command_end(&command, event);
}

static cl_int write_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                           size_t bytes, const void *source, cl_uint count, const cl_event *events,
                           cl_event *event)
{
    device_command command;
    cl_int error = device_command_begin(&command, queue, CL_COMMAND_WRITE_BUFFER, count, events);
    (void)blocking;
    if (error == CL_SUCCESS) {
        error = check_transfer(queue, buffer, offset, bytes, source, CL_MEM_HOST_READ_ONLY);
    }
    if (error != CL_SUCCESS) {
        return error;
    }
    memcpy(buffer->data + offset, source, bytes);
    return device_command_end(&command, event);
}

static cl_mem memory_of(cl_mem buffer)
{
    return buffer->parent != NULL ? buffer->parent : buffer;
}

static int overlap(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    return a < b + bytes && b < a + bytes;
}

static cl_int copy_buffer(cl_command_queue queue, cl_mem source, cl_mem target,
                          size_t source_offset, size_t target_offset, size_t bytes, cl_uint count,
                          const cl_event *events, cl_event *event)
{
    device_command command;
    cl_int error = device_command_begin(&command, queue, CL_COMMAND_COPY_BUFFER, count, events);
    if (error == CL_SUCCESS) {
        error = check_range(queue, source, source_offset, bytes);
    }
    if (error == CL_SUCCESS) {
        error = check_range(queue, target, target_offset, bytes);
    }
    if (error != CL_SUCCESS) {
        return error;
    }
    const unsigned char *from = source->data + source_offset;
    unsigned char *to = target->data + target_offset;
    if (memory_of(source) == memory_of(target) && overlap(from, to, bytes)) {
        return CL_MEM_COPY_OVERLAP;
    }
    memcpy(to, from, bytes);
    return device_command_end(&command, event);
}

static cl_int fill_buffer(cl_command_queue queue, cl_mem buffer, const void *pattern,
                          size_t pattern_bytes, size_t offset, size_t bytes, cl_uint count,
                          const cl_event *events, cl_event *event)
{
    device_command command;
    cl_int error = device_command_begin(&command, queue, CL_COMMAND_FILL_BUFFER, count, events);
    if (error == CL_SUCCESS) {
        error = check_range(queue, buffer, offset, bytes);
    }
    if (error != CL_SUCCESS) {
        return error;
    }
    if (pattern == NULL || pattern_bytes == 0 || pattern_bytes > MOST_PATTERN_BYTES ||
        (pattern_bytes & (pattern_bytes - 1)) != 0 || offset % pattern_bytes != 0 ||
        bytes % pattern_bytes != 0) {
        return CL_INVALID_VALUE;
    }
    for (size_t at = 0; at < bytes; at += pattern_bytes) {
        memcpy(buffer->data + offset + at, pattern, pattern_bytes);
    }
    return device_command_end(&command, event);
}

void device_fill_transfer(cl_icd_dispatch *table)
{
    table->clEnqueueReadBuffer = read_buffer;
    table->clEnqueueWriteBuffer = write_buffer;
    table->clEnqueueCopyBuffer = copy_buffer;
    table->clEnqueueFillBuffer = fill_buffer;
}
