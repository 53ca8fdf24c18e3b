/* Formatted text into a buffer of fixed size. */
#include "tt/text_writer.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/error.h"

void ttm_text_put(ttm_text_writer *out, const char *format, ...)
{
    if (out->full || out->used >= out->bytes) {
        out->full = true;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(out->text + out->used, out->bytes - out->used, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= out->bytes - out->used) {
        out->full = true;
    } else {
        out->used += (size_t)length;
    }
}

ttm_status ttm_text_finish(const ttm_text_writer *out, const char *what)
{
    return out->full
               ? ttm_fail(TTM_ERROR_ARGUMENT, "%zu bytes are too few for %s", out->bytes, what)
               : TTM_OK;
}
