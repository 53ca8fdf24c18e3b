/* Contexts and queues. */
#ifndef TESTS_PTX_DEVICE_CONTEXT_H
#define TESTS_PTX_DEVICE_CONTEXT_H

#include "device_object.h"

#include <stdatomic.h>

struct _cl_context {
    device_object object;
    atomic_int lost; /* once a kernel has failed, as CUDA's are */
};

/* Keeps its context. Commands run while they are queued, in the caller's thread: a queue has none
 * that wait. */
struct _cl_command_queue {
    device_object object;
    cl_context context;
    cl_command_queue_properties properties;
};

void device_context_release(cl_context context);
void device_queue_release(cl_command_queue queue);

#endif
