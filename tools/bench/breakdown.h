/* Where the time of a step goes: profiled steps added up by op, by layer, by part of a layer and by
 * call. */
#ifndef TTM_TOOLS_BENCH_BREAKDOWN_H
#define TTM_TOOLS_BENCH_BREAKDOWN_H

#include "bench/session.h"

#include <ttm/profile.h>

/** Sums over profiled steps. Zeroed means empty. */
typedef struct bench_breakdown {
    bench_series walls;   /**< Host time of each profiled step, */
    bench_series devices; /**< device time, */
    bench_series sums;    /**< ops and gaps together, */
    bench_series gaps;    /**< gaps alone. */
    double fallback_calls;
    double calls;
} bench_breakdown;

/** Adds a stopped profile of one step: a value to each entry of the groups "op", "layer", "part"
 * and "call". */
void bench_breakdown_add(bench_breakdown *breakdown, bench_session *session,
                         const ttm_profile *profile);

/** Sets shares, floors and the facts of section "step". `plain` are host times of the same steps
 * without the profiler. Frees the breakdown. */
void bench_breakdown_finish(bench_breakdown *breakdown, bench_session *session,
                            const bench_series *plain);

/** Writes a profile as Chrome trace events to `path`. Returns 0, after a message, on failure. */
int bench_write_trace(const char *path, const ttm_profile *profile, const bench_result *result,
                      const char *what);

#endif
