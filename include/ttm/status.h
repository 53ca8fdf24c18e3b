/* Status codes and the thread-local error message.
 *
 * Every function that can fail returns a ttm_status. On failure the calling thread's message says
 * what was wrong, with which value, and what to do about it; it names the file, tensor or device
 * concerned. */
#ifndef TTM_STATUS_H
#define TTM_STATUS_H

#include <ttm/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What became of a call. The numbers are part of the plugin ABI and never change. */
typedef enum ttm_status {
    TTM_OK = 0,
    TTM_ERROR_ARGUMENT = 1,      /**< A value outside its documented range. */
    TTM_ERROR_SHAPE = 2,         /**< Shapes, strides or ranks that don't fit together. */
    TTM_ERROR_DTYPE = 3,         /**< An element type that isn't allowed here. */
    TTM_ERROR_UNSUPPORTED = 4,   /**< Valid, but this device or build can't do it. */
    TTM_ERROR_OUT_OF_MEMORY = 5, /**< Host or device memory ran out. */
    TTM_ERROR_DEVICE = 6,        /**< The device or its driver reported a failure. */
    TTM_ERROR_IO = 7,            /**< The operating system refused to read, write or rename. */
    TTM_ERROR_FORMAT = 8,        /**< A file isn't what its format promises. */
    TTM_ERROR_NOT_FOUND = 9,     /**< No such file, preset, backend, device or key. */
    TTM_ERROR_NUMERIC = 10,      /**< NaN or infinity where a finite number must be. */
    TTM_ERROR_PLUGIN = 11,       /**< A plugin couldn't be loaded or broke its contract. */
    TTM_ERROR_INTERRUPTED = 12,  /**< Stopped on request; what was promised is on disk. */
    TTM_ERROR_INTERNAL = 13      /**< A broken invariant of libttm itself: please report it. */
} ttm_status;

/** Returns the calling thread's last error message, "" when there was none. The string belongs to
 * libttm and stays valid until the thread's next failing call. Thread-safe. */
TTM_API const char *ttm_error_message(void);

/** Returns a short fixed name of a status, such as "out of memory". Thread-safe. */
TTM_API const char *ttm_status_name(ttm_status status);

#ifdef __cplusplus
}
#endif

#endif
