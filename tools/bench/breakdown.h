/* Where the time of a step goes: profiled steps added up by op, by layer, by part of a layer and by
 * call. */
#ifndef TTM_TOOLS_BENCH_BREAKDOWN_H
#define TTM_TOOLS_BENCH_BREAKDOWN_H

#include "bench/session.h"

#include <ttm/profile.h>

/** Sums over profiled steps. Zeroed means empty. */
typedef struct bench_breakdown {
    bench_series slowdowns; /**< Host time of each profiled step over that of its unwatched twin. */
    bench_series accounts;  /**< Of each profiled step: device time in ops and gaps over its host
                               time. */
    size_t steps;
    double fallback_calls;
    double calls;
} bench_breakdown;

/** Adds a stopped profile of one step: a value to each entry of the groups "op", "layer", "part"
 * and "call", and to "wall", "device", "ops" and "gaps" of group "profile". `unwatched_ns` is the
 * host time of the same step without the profiler. */
void bench_breakdown_add(bench_breakdown *breakdown, bench_session *session,
                         const ttm_profile *profile, double unwatched_ns);

/** Sets shares, floors and the facts of section "step"; `name` is the entry of the unwatched steps.
 */
void bench_breakdown_finish(bench_breakdown *breakdown, bench_session *session, const char *name);

/** Frees what a breakdown owns. */
void bench_breakdown_free(bench_breakdown *breakdown);

/** Writes a profile as Chrome trace events to `path`. Returns 0, after a message, on failure. */
int bench_write_trace(const char *path, const ttm_profile *profile, const bench_result *result,
                      const char *what);

#endif
