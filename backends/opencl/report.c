/* Names of OpenCL errors, and one-line messages that say what to do. */
#include "opencl/report.h"

#include <stdarg.h>
#include <stdio.h>

static const ttm_backend_host *libttm;

void opencl_report_start(const ttm_backend_host *host)
{
    libttm = host;
}

ttm_status opencl_fail(ttm_status status, const char *format, ...)
{
    if (libttm != NULL && libttm->error != NULL) {
        char message[4096];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(message, sizeof message, format, arguments);
        va_end(arguments);
        libttm->error(message);
    }
    return status;
}

void opencl_log(ttm_log_level level, const char *format, ...)
{
    if (libttm != NULL && libttm->log != NULL) {
        char line[4096];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(line, sizeof line, format, arguments);
        va_end(arguments);
        libttm->log(level, line);
    }
}

#define NAME_OF(error) \
    case error:        \
        return #error

const char *opencl_error_name(cl_int error)
{
    switch (error) {
        NAME_OF(CL_SUCCESS);
        NAME_OF(CL_DEVICE_NOT_FOUND);
        NAME_OF(CL_DEVICE_NOT_AVAILABLE);
        NAME_OF(CL_COMPILER_NOT_AVAILABLE);
        NAME_OF(CL_MEM_OBJECT_ALLOCATION_FAILURE);
        NAME_OF(CL_OUT_OF_RESOURCES);
        NAME_OF(CL_OUT_OF_HOST_MEMORY);
        NAME_OF(CL_PROFILING_INFO_NOT_AVAILABLE);
        NAME_OF(CL_MEM_COPY_OVERLAP);
        NAME_OF(CL_BUILD_PROGRAM_FAILURE);
        NAME_OF(CL_MAP_FAILURE);
        NAME_OF(CL_MISALIGNED_SUB_BUFFER_OFFSET);
        NAME_OF(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
        NAME_OF(CL_COMPILE_PROGRAM_FAILURE);
        NAME_OF(CL_LINKER_NOT_AVAILABLE);
        NAME_OF(CL_LINK_PROGRAM_FAILURE);
        NAME_OF(CL_KERNEL_ARG_INFO_NOT_AVAILABLE);
        NAME_OF(CL_INVALID_VALUE);
        NAME_OF(CL_INVALID_PLATFORM);
        NAME_OF(CL_INVALID_DEVICE);
        NAME_OF(CL_INVALID_CONTEXT);
        NAME_OF(CL_INVALID_QUEUE_PROPERTIES);
        NAME_OF(CL_INVALID_COMMAND_QUEUE);
        NAME_OF(CL_INVALID_MEM_OBJECT);
        NAME_OF(CL_INVALID_BINARY);
        NAME_OF(CL_INVALID_BUILD_OPTIONS);
        NAME_OF(CL_INVALID_PROGRAM);
        NAME_OF(CL_INVALID_PROGRAM_EXECUTABLE);
        NAME_OF(CL_INVALID_KERNEL_NAME);
        NAME_OF(CL_INVALID_KERNEL);
        NAME_OF(CL_INVALID_ARG_INDEX);
        NAME_OF(CL_INVALID_ARG_VALUE);
        NAME_OF(CL_INVALID_ARG_SIZE);
        NAME_OF(CL_INVALID_KERNEL_ARGS);
        NAME_OF(CL_INVALID_WORK_DIMENSION);
        NAME_OF(CL_INVALID_WORK_GROUP_SIZE);
        NAME_OF(CL_INVALID_WORK_ITEM_SIZE);
        NAME_OF(CL_INVALID_GLOBAL_OFFSET);
        NAME_OF(CL_INVALID_EVENT_WAIT_LIST);
        NAME_OF(CL_INVALID_EVENT);
        NAME_OF(CL_INVALID_OPERATION);
        NAME_OF(CL_INVALID_BUFFER_SIZE);
        NAME_OF(CL_INVALID_GLOBAL_WORK_SIZE);
    case -1001:
        return "CL_PLATFORM_NOT_FOUND_KHR";
    case -9999:
        return "illegal read or write by a kernel (NVIDIA)";
    default:
        return "unknown OpenCL error";
    }
}

static int is_memory_error(cl_int error)
{
    return error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY;
}

/* Errors that a working program doesn't get from a working device. */
static int is_lost_device(cl_int error)
{
    switch (error) {
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_INVALID_COMMAND_QUEUE:
    case CL_INVALID_CONTEXT:
    case CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST:
    case -9999:
        return 1;
    default:
        return 0;
    }
}

ttm_status opencl_fail_call(cl_int error, const char *device_name, const char *doing)
{
    const char *advice = "";
    if (is_memory_error(error)) {
        advice = "; use a smaller batch, a shorter sequence or a smaller model";
    } else if (error == CL_OUT_OF_RESOURCES) {
        advice =
            "; the device is out of memory or was lost: use a smaller batch, else restart from "
            "the last checkpoint and look at the driver's log";
    } else if (is_lost_device(error)) {
        advice = "; the device was lost: restart from the last checkpoint and look at the driver's "
                 "log";
    }
    return opencl_fail(is_memory_error(error) ? TTM_ERROR_OUT_OF_MEMORY : TTM_ERROR_DEVICE,
                       "can't %s on %s: %s (%d)%s", doing, device_name, opencl_error_name(error),
                       (int)error, advice);
}
