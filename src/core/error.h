/* How the library reports a failure: one call sets the thread's message and gives the status to
 * return. */
#ifndef TTM_CORE_ERROR_H
#define TTM_CORE_ERROR_H

#include <stdarg.h>
#include <ttm/status.h>

/** Room for any error message. */
#define TTM_ERROR_BYTES 4096

/** Sets the calling thread's error message (printf format, cut to TTM_ERROR_BYTES) and returns
 * `status`. Use as `return ttm_fail(TTM_ERROR_SHAPE, "core %d: rank %zu exceeds …", …)`. */
ttm_status ttm_fail(ttm_status status, const char *format, ...) TTM_PRINTF(2, 3);

/** Like ttm_fail, with arguments as va_list. */
ttm_status ttm_fail_va(ttm_status status, const char *format, va_list arguments) TTM_PRINTF(2, 0);

/** Puts "context: " before the thread's message, so that an outer layer can say what it was doing.
 * Returns `status`. */
ttm_status ttm_fail_context(ttm_status status, const char *format, ...) TTM_PRINTF(2, 3);

/** Returns from the calling function when `expression` isn't TTM_OK. For functions that own nothing
 * yet. */
#define TTM_TRY(expression)                        \
    do {                                           \
        ttm_status ttm_try_status_ = (expression); \
        if (ttm_try_status_ != TTM_OK) {           \
            return ttm_try_status_;                \
        }                                          \
    } while (0)

/** Sets `status` and jumps to the label `out` when `expression` isn't TTM_OK. For functions with
 * one exit path. */
#define TTM_TRY_OUT(expression) \
    do {                        \
        status = (expression);  \
        if (status != TTM_OK) { \
            goto out;           \
        }                       \
    } while (0)

#endif
