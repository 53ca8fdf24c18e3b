/* The clock behind progress reports. */
#include "text/progress.h"

#include "core/error.h"
#include <time.h>

static const int64_t INTERVAL_NS = 250000000;

ttm_status ttm_progress_tell(ttm_progress *progress, uint64_t done, bool now)
{
    if (progress->callback == NULL) {
        return TTM_OK;
    }
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now_ns = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
    if (!now && progress->told_ns != 0 && now_ns - progress->told_ns < INTERVAL_NS) {
        return TTM_OK;
    }
    progress->told_ns = now_ns;
    if (!progress->callback(progress->user, progress->stage, done, progress->total)) {
        return ttm_fail(TTM_ERROR_INTERRUPTED, "stopped on request while %s", progress->stage);
    }
    return TTM_OK;
}
