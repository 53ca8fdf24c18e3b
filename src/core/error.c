/* The thread-local error message. One fixed buffer per thread: reporting an error must not need
 * memory. */
#include "core/error.h"

#include <stdio.h>
#include <string.h>

static _Thread_local char message[TTM_ERROR_BYTES];

const char *ttm_error_message(void)
{
    return message;
}

ttm_status ttm_fail_va(ttm_status status, const char *format, va_list arguments)
{
    /* The arguments may point into the old message: format beside it, then replace it. */
    char fresh[TTM_ERROR_BYTES];
    vsnprintf(fresh, sizeof fresh, format, arguments);
    memcpy(message, fresh, sizeof message);
    return status;
}

ttm_status ttm_fail(ttm_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ttm_fail_va(status, format, arguments);
    va_end(arguments);
    return status;
}

ttm_status ttm_fail_context(ttm_status status, const char *format, ...)
{
    char old[TTM_ERROR_BYTES];
    char context[TTM_ERROR_BYTES];
    va_list arguments;
    memcpy(old, message, sizeof old);
    va_start(arguments, format);
    vsnprintf(context, sizeof context, format, arguments);
    va_end(arguments);
    return ttm_fail(status, "%s: %s", context, old);
}

const char *ttm_status_name(ttm_status status)
{
    switch (status) {
    case TTM_OK:
        return "ok";
    case TTM_ERROR_ARGUMENT:
        return "invalid argument";
    case TTM_ERROR_SHAPE:
        return "shape mismatch";
    case TTM_ERROR_DTYPE:
        return "wrong element type";
    case TTM_ERROR_UNSUPPORTED:
        return "not supported";
    case TTM_ERROR_OUT_OF_MEMORY:
        return "out of memory";
    case TTM_ERROR_DEVICE:
        return "device failure";
    case TTM_ERROR_IO:
        return "input/output error";
    case TTM_ERROR_FORMAT:
        return "malformed file";
    case TTM_ERROR_NOT_FOUND:
        return "not found";
    case TTM_ERROR_NUMERIC:
        return "not a finite number";
    case TTM_ERROR_PLUGIN:
        return "plugin failure";
    case TTM_ERROR_INTERRUPTED:
        return "interrupted";
    case TTM_ERROR_INTERNAL:
        return "internal error";
    }
    return "unknown status";
}
