/* Log lines. One line an event, on stderr unless a sink is set; `TTM_LOG=error|warning|info|debug`
 * chooses how much (default: warning). */
#ifndef TTM_LOG_H
#define TTM_LOG_H

#include <ttm/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How important a line is. The numbers are part of the plugin ABI. */
typedef enum ttm_log_level {
    TTM_LOG_ERROR = 0,
    TTM_LOG_WARNING = 1,
    TTM_LOG_INFO = 2,
    TTM_LOG_DEBUG = 3
} ttm_log_level;

/** Receives a finished line without its newline. Called with a lock held: it must not log. */
typedef void (*ttm_log_sink)(void *user, ttm_log_level level, const char *line);

/** Writes one line at `level` (printf format); a number that is no level counts as the nearest.
 * Text beyond 4095 bytes is cut off. Thread-safe; lines never mix. */
TTM_API void ttm_log(ttm_log_level level, const char *format, ...) TTM_PRINTF(2, 3);

/** Shows lines up to `level`. Overrides `TTM_LOG`. Thread-safe. */
TTM_API void ttm_log_set_level(ttm_log_level level);

/** Sends lines to `sink(user, …)`, or to stderr again when `sink` is NULL. Thread-safe. */
TTM_API void ttm_log_set_sink(ttm_log_sink sink, void *user);

/** Returns whether lines at `level` are shown, to skip the work of preparing one. Thread-safe. */
TTM_API int ttm_log_enabled(ttm_log_level level);

#ifdef __cplusplus
}
#endif

#endif
