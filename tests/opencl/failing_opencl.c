/* An LD_PRELOAD that makes OpenCL calls fail on purpose, for tests of the opencl backend.
 *
 * TTM_TEST_CL_FAIL=FUNCTION:AFTER:CODE: from call number AFTER + 1 on, FUNCTION returns CODE.
 * Functions: clGetDeviceIDs, clEnqueueNDRangeKernel, clCreateBuffer, clWaitForEvents.
 * TTM_TEST_CL_GROUP=N: devices say that a group may have N work-items at most.
 * TTM_TEST_CL_ALLOCATION=BYTES: devices say that an allocation may have so many bytes at most.
 * TTM_TEST_CL_GRID=N: launches of more groups in the second or third dimension fail, as on NVIDIA's
 * GPUs of more than 65535. TTM_TEST_CL_MARKERS=zero|refused: markers carry 0 for a time, or none.
 */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_long calls;

/* The real function; the loader is looked up by name because the plugin has it to itself. */
static void *real(const char *name)
{
    void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    void *function = loader != NULL ? dlsym(loader, name) : NULL;
    if (function == NULL) {
        fprintf(stderr, "failing_opencl: no %s\n", name);
        abort();
    }
    return function;
}

/* Whether this call of `name` is to fail, and with what. */
static int fails(const char *name, cl_int *code)
{
    char function[64] = "";
    long after = 0;
    int number = 0;
    const char *wish = getenv("TTM_TEST_CL_FAIL");
    if (wish == NULL || sscanf(wish, "%63[^:]:%ld:%d", function, &after, &number) != 3 ||
        strcmp(function, name) != 0) {
        return 0;
    }
    *code = number;
    return atomic_fetch_add(&calls, 1) >= after;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                              const size_t *offset, const size_t *global, const size_t *local,
                              cl_uint event_count, const cl_event *events, cl_event *event)
{
    static __typeof__(&clEnqueueNDRangeKernel) next;
    cl_int code = CL_SUCCESS;
    if (next == NULL) {
        *(void **)&next = real("clEnqueueNDRangeKernel");
    }
    const char *grid = getenv("TTM_TEST_CL_GRID");
    for (cl_uint i = 1; grid != NULL && local != NULL && i < dimensions; i++) {
        if (global[i] / local[i] > strtoul(grid, NULL, 10)) {
            return CL_INVALID_GLOBAL_WORK_SIZE;
        }
    }
    return fails("clEnqueueNDRangeKernel", &code)
               ? code
               : next(queue, kernel, dimensions, offset, global, local, event_count, events, event);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host,
                      cl_int *error)
{
    static __typeof__(&clCreateBuffer) next;
    cl_int code = CL_SUCCESS;
    if (next == NULL) {
        *(void **)&next = real("clCreateBuffer");
    }
    if (fails("clCreateBuffer", &code)) {
        if (error != NULL) {
            *error = code;
        }
        return NULL;
    }
    return next(context, flags, bytes, host, error);
}

cl_int clWaitForEvents(cl_uint count, const cl_event *events)
{
    static __typeof__(&clWaitForEvents) next;
    cl_int code = CL_SUCCESS;
    if (next == NULL) {
        *(void **)&next = real("clWaitForEvents");
    }
    return fails("clWaitForEvents", &code) ? code : next(count, events);
}

cl_int clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint room,
                      cl_device_id *devices, cl_uint *count)
{
    static __typeof__(&clGetDeviceIDs) next;
    cl_int code = CL_SUCCESS;
    if (next == NULL) {
        *(void **)&next = real("clGetDeviceIDs");
    }
    return fails("clGetDeviceIDs", &code) ? code : next(platform, type, room, devices, count);
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t bytes, void *value,
                       size_t *needed)
{
    static __typeof__(&clGetDeviceInfo) next;
    const char *group = getenv("TTM_TEST_CL_GROUP");
    const char *allocation = getenv("TTM_TEST_CL_ALLOCATION");
    if (next == NULL) {
        *(void **)&next = real("clGetDeviceInfo");
    }
    const cl_int error = next(device, what, bytes, value, needed);
    if (error == CL_SUCCESS && value != NULL) {
        if (what == CL_DEVICE_MAX_WORK_GROUP_SIZE && group != NULL) {
            *(size_t *)value = strtoul(group, NULL, 10);
        } else if (what == CL_DEVICE_MAX_MEM_ALLOC_SIZE && allocation != NULL) {
            *(cl_ulong *)value = strtoull(allocation, NULL, 10);
        }
    }
    return error;
}

cl_int clGetEventProfilingInfo(cl_event event, cl_profiling_info what, size_t bytes, void *value,
                               size_t *needed)
{
    static __typeof__(&clGetEventProfilingInfo) next;
    static __typeof__(&clGetEventInfo) get_info;
    cl_command_type type = 0;
    const char *markers = getenv("TTM_TEST_CL_MARKERS");
    if (next == NULL) {
        *(void **)&get_info = real("clGetEventInfo");
        *(void **)&next = real("clGetEventProfilingInfo");
    }
    const cl_int error = next(event, what, bytes, value, needed);
    get_info(event, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL);
    if (markers == NULL || type != CL_COMMAND_MARKER) {
        return error;
    }
    if (strcmp(markers, "zero") == 0) {
        memset(value, 0, bytes);
        return CL_SUCCESS;
    }
    return CL_PROFILING_INFO_NOT_AVAILABLE;
}
