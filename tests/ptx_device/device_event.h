/* Commands, which run while they are queued, and events, which are complete once they are there. */
#ifndef TESTS_PTX_DEVICE_EVENT_H
#define TESTS_PTX_DEVICE_EVENT_H

#include "device_context.h"

/* Keeps its queue. */
struct _cl_event {
    device_object object;
    cl_command_queue queue;
    cl_command_type type;
    cl_ulong queued_ns; /* also when it was submitted and started; by CLOCK_MONOTONIC */
    cl_ulong end_ns;
};

typedef struct device_command {
    cl_command_queue queue;
    cl_command_type type;
    cl_ulong queued_ns;
} device_command;

/* What each command checks first: its queue, that the context isn't lost, the events that it waits
 * for. */
cl_int device_command_begin(device_command *command, cl_command_queue queue, cl_command_type type,
                            cl_uint count, const cl_event *events);
/* The event of a command that has run, where it is wanted. */
cl_int device_command_end(const device_command *command, cl_event *event);

#endif
