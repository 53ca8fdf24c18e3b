/* Events, markers and barriers, and what waits. */
#include "device_event.h"

#include <stdlib.h>
#include <time.h>

static cl_ulong now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (cl_ulong)now.tv_sec * 1000000000u + (cl_ulong)now.tv_nsec;
}

static cl_int check_lost(cl_context context)
{
    return atomic_load(&context->lost) ? CL_OUT_OF_RESOURCES : CL_SUCCESS;
}

static cl_int check_events(cl_context context, cl_uint count, const cl_event *events)
{
    if ((count == 0) != (events == NULL)) {
        return CL_INVALID_EVENT_WAIT_LIST;
    }
    for (cl_uint i = 0; i < count; i++) {
        if (!device_is(events[i], DEVICE_EVENT)) {
            return CL_INVALID_EVENT_WAIT_LIST;
        }
        if (events[i]->queue->context != context) {
            return CL_INVALID_CONTEXT;
        }
    }
    return CL_SUCCESS;
}

cl_int device_command_begin(device_command *command, cl_command_queue queue, cl_command_type type,
                            cl_uint count, const cl_event *events)
{
    if (!device_is(queue, DEVICE_QUEUE)) {
        return CL_INVALID_COMMAND_QUEUE;
    }
    *command = (device_command){.queue = queue, .type = type, .queued_ns = now_ns()};
    const cl_int error = check_lost(queue->context);
    return error == CL_SUCCESS ? check_events(queue->context, count, events) : error;
}

cl_int device_command_end(const device_command *command, cl_event *event)
{
    if (event == NULL) {
        return CL_SUCCESS;
    }
    cl_event made = calloc(1, sizeof *made);
    if (made == NULL) {
        return CL_OUT_OF_HOST_MEMORY;
    }
    device_object_start(&made->object, DEVICE_EVENT);
    device_retain(command->queue);
    made->queue = command->queue;
    made->type = command->type;
    made->queued_ns = command->queued_ns;
    made->end_ns = now_ns();
    *event = made;
    return CL_SUCCESS;
}

/* ---- Events ---- */

static cl_int wait_for_events(cl_uint count, const cl_event *events)
{
    if (count == 0 || events == NULL) {
        return CL_INVALID_VALUE;
    }
    for (cl_uint i = 0; i < count; i++) {
        if (!device_is(events[i], DEVICE_EVENT)) {
            return CL_INVALID_EVENT;
        }
        if (events[i]->queue->context != events[0]->queue->context) {
            return CL_INVALID_CONTEXT;
        }
    }
    return check_lost(events[0]->queue->context);
}

static cl_int retain_event(cl_event event)
{
    if (!device_is(event, DEVICE_EVENT)) {
        return CL_INVALID_EVENT;
    }
    device_retain(event);
    return CL_SUCCESS;
}

static cl_int release_event(cl_event event)
{
    if (!device_is(event, DEVICE_EVENT)) {
        return CL_INVALID_EVENT;
    }
    if (device_release(event)) {
        device_queue_release(event->queue);
        free(event);
    }
    return CL_SUCCESS;
}

static cl_int event_info(cl_event event, cl_event_info what, size_t room, void *value,
                         size_t *needed)
{
    const cl_int complete = CL_COMPLETE;
    if (!device_is(event, DEVICE_EVENT)) {
        return CL_INVALID_EVENT;
    }
    const cl_uint references = device_references(event);
    switch (what) {
    case CL_EVENT_COMMAND_QUEUE:
        return device_answer(room, value, needed, (const void *)&event->queue, sizeof event->queue);
    case CL_EVENT_CONTEXT:
        return device_answer(room, value, needed, (const void *)&event->queue->context,
                             sizeof event->queue->context);
    case CL_EVENT_COMMAND_TYPE:
        return device_answer(room, value, needed, &event->type, sizeof event->type);
    case CL_EVENT_COMMAND_EXECUTION_STATUS:
        return device_answer(room, value, needed, &complete, sizeof complete);
    case CL_EVENT_REFERENCE_COUNT:
        return device_answer(room, value, needed, &references, sizeof references);
    default:
        return CL_INVALID_VALUE;
    }
}

static cl_int event_profiling_info(cl_event event, cl_profiling_info what, size_t room, void *value,
                                   size_t *needed)
{
    if (!device_is(event, DEVICE_EVENT)) {
        return CL_INVALID_EVENT;
    }
    if ((event->queue->properties & CL_QUEUE_PROFILING_ENABLE) == 0) {
        return CL_PROFILING_INFO_NOT_AVAILABLE;
    }
    switch (what) {
    case CL_PROFILING_COMMAND_QUEUED:
    case CL_PROFILING_COMMAND_SUBMIT:
    case CL_PROFILING_COMMAND_START:
        return device_answer(room, value, needed, &event->queued_ns, sizeof event->queued_ns);
    case CL_PROFILING_COMMAND_END:
        return device_answer(room, value, needed, &event->end_ns, sizeof event->end_ns);
    default:
        return CL_INVALID_VALUE;
    }
}

/* ---- Commands that do nothing but wait ---- */

static cl_int enqueue_nothing(cl_command_queue queue, cl_command_type type, cl_uint count,
                              const cl_event *events, cl_event *event)
{
    device_command command;
    const cl_int error = device_command_begin(&command, queue, type, count, events);
    return error == CL_SUCCESS ? device_command_end(&command, event) : error;
}

static cl_int enqueue_marker(cl_command_queue queue, cl_uint count, const cl_event *events,
                             cl_event *event)
{
    return enqueue_nothing(queue, CL_COMMAND_MARKER, count, events, event);
}

static cl_int enqueue_barrier(cl_command_queue queue, cl_uint count, const cl_event *events,
                              cl_event *event)
{
    return enqueue_nothing(queue, CL_COMMAND_BARRIER, count, events, event);
}

static cl_int finish(cl_command_queue queue)
{
    return device_is(queue, DEVICE_QUEUE) ? check_lost(queue->context) : CL_INVALID_COMMAND_QUEUE;
}

void device_fill_event(cl_icd_dispatch *table)
{
    table->clWaitForEvents = wait_for_events;
    table->clRetainEvent = retain_event;
    table->clReleaseEvent = release_event;
    table->clGetEventInfo = event_info;
    table->clGetEventProfilingInfo = event_profiling_info;
    table->clEnqueueMarkerWithWaitList = enqueue_marker;
    table->clEnqueueBarrierWithWaitList = enqueue_barrier;
    table->clFlush = finish;
    table->clFinish = finish;
}
