/* Contexts and queues: both little more than their counts. */
#include "device_context.h"

#include <stdlib.h>

/* ---- Contexts ---- */

static cl_int check_context_properties(const cl_context_properties *properties)
{
    for (; properties != NULL && properties[0] != 0; properties += 2) {
        if (properties[0] != CL_CONTEXT_PLATFORM) {
            return CL_INVALID_PROPERTY;
        }
        if (!device_is((const void *)properties[1], DEVICE_PLATFORM)) {
            return CL_INVALID_PLATFORM;
        }
    }
    return CL_SUCCESS;
}

static cl_context
create_context(const cl_context_properties *properties, cl_uint count, const cl_device_id *devices,
               void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *),
               void *user_data, cl_int *error)
{
    cl_int status = check_context_properties(properties);
    if (status == CL_SUCCESS &&
        (devices == NULL || count == 0 || (notify == NULL && user_data != NULL))) {
        status = CL_INVALID_VALUE;
    }
    for (cl_uint i = 0; status == CL_SUCCESS && i < count; i++) {
        if (!device_is(devices[i], DEVICE_DEVICE)) {
            status = CL_INVALID_DEVICE;
        }
    }
    cl_context made = status == CL_SUCCESS ? calloc(1, sizeof *made) : NULL;
    if (status == CL_SUCCESS && made == NULL) {
        status = CL_OUT_OF_HOST_MEMORY;
    }
    if (made != NULL) {
        device_object_start(&made->object, DEVICE_CONTEXT);
    }
    device_set_error(error, status);
    return made;
}

void device_context_release(cl_context context)
{
    if (device_release(context)) {
        free(context);
    }
}

static cl_int retain_context(cl_context context)
{
    if (!device_is(context, DEVICE_CONTEXT)) {
        return CL_INVALID_CONTEXT;
    }
    device_retain(context);
    return CL_SUCCESS;
}

static cl_int release_context(cl_context context)
{
    if (!device_is(context, DEVICE_CONTEXT)) {
        return CL_INVALID_CONTEXT;
    }
    device_context_release(context);
    return CL_SUCCESS;
}

static cl_int context_info(cl_context context, cl_context_info what, size_t room, void *value,
                           size_t *needed)
{
    const cl_device_id device = device_only();
    const cl_uint one = 1;
    if (!device_is(context, DEVICE_CONTEXT)) {
        return CL_INVALID_CONTEXT;
    }
    const cl_uint references = device_references(context);
    switch (what) {
    case CL_CONTEXT_REFERENCE_COUNT:
        return device_answer(room, value, needed, &references, sizeof references);
    case CL_CONTEXT_NUM_DEVICES:
        return device_answer(room, value, needed, &one, sizeof one);
    case CL_CONTEXT_DEVICES:
        return device_answer(room, value, needed, (const void *)&device, sizeof device);
    default:
        return CL_INVALID_VALUE;
    }
}

/* ---- Queues ---- */

static cl_command_queue create_queue(cl_context context, cl_device_id device,
                                     cl_command_queue_properties properties, cl_int *error)
{
    const cl_command_queue_properties known =
        CL_QUEUE_PROFILING_ENABLE | CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE;
    cl_int status = CL_SUCCESS;
    if (!device_is(context, DEVICE_CONTEXT)) {
        status = CL_INVALID_CONTEXT;
    } else if (!device_is(device, DEVICE_DEVICE)) {
        status = CL_INVALID_DEVICE;
    } else if ((properties & ~known) != 0) {
        status = CL_INVALID_VALUE;
    } else if ((properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0) {
        status = CL_INVALID_QUEUE_PROPERTIES;
    }
    cl_command_queue made = status == CL_SUCCESS ? calloc(1, sizeof *made) : NULL;
    if (status == CL_SUCCESS && made == NULL) {
        status = CL_OUT_OF_HOST_MEMORY;
    }
    if (made != NULL) {
        device_object_start(&made->object, DEVICE_QUEUE);
        device_retain(context);
        made->context = context;
        made->properties = properties;
    }
    device_set_error(error, status);
    return made;
}

static cl_command_queue create_queue_with_properties(cl_context context, cl_device_id device,
                                                     const cl_queue_properties *properties,
                                                     cl_int *error)
{
    cl_command_queue_properties wanted = 0;
    for (; properties != NULL && properties[0] != 0; properties += 2) {
        if (properties[0] != CL_QUEUE_PROPERTIES) {
            device_set_error(error, CL_INVALID_VALUE);
            return NULL;
        }
        wanted = properties[1];
    }
    return create_queue(context, device, wanted, error);
}

void device_queue_release(cl_command_queue queue)
{
    if (device_release(queue)) {
        device_context_release(queue->context);
        free(queue);
    }
}

static cl_int retain_queue(cl_command_queue queue)
{
    if (!device_is(queue, DEVICE_QUEUE)) {
        return CL_INVALID_COMMAND_QUEUE;
    }
    device_retain(queue);
    return CL_SUCCESS;
}

static cl_int release_queue(cl_command_queue queue)
{
    if (!device_is(queue, DEVICE_QUEUE)) {
        return CL_INVALID_COMMAND_QUEUE;
    }
    device_queue_release(queue);
    return CL_SUCCESS;
}

static cl_int queue_info(cl_command_queue queue, cl_command_queue_info what, size_t room,
                         void *value, size_t *needed)
{
    const cl_device_id device = device_only();
    if (!device_is(queue, DEVICE_QUEUE)) {
        return CL_INVALID_COMMAND_QUEUE;
    }
    const cl_uint references = device_references(queue);
    switch (what) {
    case CL_QUEUE_CONTEXT:
        return device_answer(room, value, needed, (const void *)&queue->context,
                             sizeof queue->context);
    case CL_QUEUE_DEVICE:
        return device_answer(room, value, needed, (const void *)&device, sizeof device);
    case CL_QUEUE_REFERENCE_COUNT:
        return device_answer(room, value, needed, &references, sizeof references);
    case CL_QUEUE_PROPERTIES:
        return device_answer(room, value, needed, &queue->properties, sizeof queue->properties);
    default:
        return CL_INVALID_VALUE;
    }
}

void device_fill_context(cl_icd_dispatch *table)
{
    table->clCreateContext = create_context;
    table->clRetainContext = retain_context;
    table->clReleaseContext = release_context;
    table->clGetContextInfo = context_info;
    table->clCreateCommandQueue = create_queue;
    table->clCreateCommandQueueWithProperties = create_queue_with_properties;
    table->clRetainCommandQueue = retain_queue;
    table->clReleaseCommandQueue = release_queue;
    table->clGetCommandQueueInfo = queue_info;
}
