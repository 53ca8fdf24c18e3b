/* Tells a caller's callback how far long work has come, but not more than a few times a second. */
#ifndef TTM_TEXT_PROGRESS_H
#define TTM_TEXT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <ttm/tokenizer.h>

typedef struct ttm_progress {
    ttm_text_progress callback; /**< May be NULL. */
    void *user;
    const char *stage;
    uint64_t total;
    int64_t told_ns; /**< When the callback was called last; 0: never. */
} ttm_progress;

/** Calls the callback when enough time has passed since the last call, or with `now`.
 * TTM_ERROR_INTERRUPTED when it wants the work to stop. */
TTM_CHECKED ttm_status ttm_progress_tell(ttm_progress *progress, uint64_t done, bool now);

#endif
