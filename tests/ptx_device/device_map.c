/* Mapping: the host gets a copy, and what it has written there goes to the buffer when it is
 * unmapped. Who takes mapped memory for the buffer's own finds out. */
#include "device_buffer.h"
#include "device_event.h"

#include <stdlib.h>
#include <string.h>

static cl_int check_map(cl_command_queue queue, cl_mem buffer, cl_map_flags flags, size_t offset,
                        size_t bytes)
{
    const cl_map_flags usual = CL_MAP_READ | CL_MAP_WRITE;
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    if (buffer->context != queue->context) {
        return CL_INVALID_CONTEXT;
    }
    if (offset > buffer->bytes || bytes == 0 || bytes > buffer->bytes - offset ||
        (flags & ~(usual | CL_MAP_WRITE_INVALIDATE_REGION)) != 0 ||
        ((flags & usual) != 0 && (flags & CL_MAP_WRITE_INVALIDATE_REGION) != 0)) {
        return CL_INVALID_VALUE;
    }
    const int reads = (flags & CL_MAP_READ) != 0;
    const int writes = (flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0;
    const cl_mem_flags forbidden = CL_MEM_HOST_NO_ACCESS | (reads ? CL_MEM_HOST_WRITE_ONLY : 0) |
                                   (writes ? CL_MEM_HOST_READ_ONLY : 0);
    return (buffer->flags & forbidden) == 0 ? CL_SUCCESS : CL_INVALID_OPERATION;
}

static device_mapping *make_mapping(cl_mem buffer, cl_map_flags flags, size_t offset, size_t bytes)
{
    device_mapping *made = calloc(1, sizeof *made);
    unsigned char *copy = malloc(bytes);
    if (made == NULL || copy == NULL) {
        free(made);
        free(copy);
        return NULL;
    }
    *made = (device_mapping){.copy = copy, .offset = offset, .bytes = bytes, .flags = flags};
    if ((flags & CL_MAP_WRITE_INVALIDATE_REGION) != 0) {
        memset(copy, DEVICE_UNWRITTEN, bytes);
    } else {
        memcpy(copy, buffer->data + offset, bytes);
    }
    device_lock();
    made->next = buffer->mappings;
    buffer->mappings = made;
    device_unlock();
    return made;
}

static void *map_buffer(cl_command_queue queue, cl_mem buffer, cl_bool blocking, cl_map_flags flags,
                        size_t offset, size_t bytes, cl_uint count, const cl_event *events,
                        cl_event *event, cl_int *error)
{
    device_command command;
    device_mapping *mapping = NULL;
    cl_int status = device_command_begin(&command, queue, CL_COMMAND_MAP_BUFFER, count, events);
    (void)blocking;
    if (status == CL_SUCCESS) {
        status = check_map(queue, buffer, flags, offset, bytes);
    }
    if (status == CL_SUCCESS) {
        mapping = make_mapping(buffer, flags, offset, bytes);
        status = mapping != NULL ? device_command_end(&command, event) : CL_MAP_FAILURE;
    }
    device_set_error(error, status);
    return mapping != NULL ? mapping->copy : NULL;
}

/* Takes a mapping from the buffer's list; NULL where `copy` isn't one. */
static device_mapping *take_mapping(cl_mem buffer, const void *copy)
{
    device_lock();
    device_mapping **place = &buffer->mappings;
    while (*place != NULL && (*place)->copy != copy) {
        place = &(*place)->next;
    }
    device_mapping *taken = *place;
    if (taken != NULL) {
        *place = taken->next;
    }
    device_unlock();
    return taken;
}

static cl_int unmap(cl_command_queue queue, cl_mem buffer, void *copy, cl_uint count,
                    const cl_event *events, cl_event *event)
{
    device_command command;
    const cl_int error =
        device_command_begin(&command, queue, CL_COMMAND_UNMAP_MEM_OBJECT, count, events);
    if (error != CL_SUCCESS) {
        return error;
    }
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    if (buffer->context != queue->context) {
        return CL_INVALID_CONTEXT;
    }
    device_mapping *mapping = take_mapping(buffer, copy);
    if (mapping == NULL) {
        return CL_INVALID_VALUE;
    }
    if ((mapping->flags & (CL_MAP_WRITE | CL_MAP_WRITE_INVALIDATE_REGION)) != 0) {
        memcpy(buffer->data + mapping->offset, mapping->copy, mapping->bytes);
    }
    free(mapping->copy);
    free(mapping);
    return device_command_end(&command, event);
}

void device_fill_map(cl_icd_dispatch *table)
{
    table->clEnqueueMapBuffer = map_buffer;
    table->clEnqueueUnmapMemObject = unmap;
}
