/* Steps of a whole model, unwatched and profiled in turn: what `train` and `generate` share. */
#ifndef TTM_TOOLS_BENCH_STEPS_H
#define TTM_TOOLS_BENCH_STEPS_H

#include "bench/breakdown.h"

/** Steps that are being measured. */
typedef struct bench_steps {
    bench_session *session;
    const char *name;               /**< Of the entry of group "step". */
    ttm_status (*take)(void *user); /**< Takes a step. */
    void *user;
    ttm_profile *profile;
    bench_breakdown breakdown;
} bench_steps;

/** Prepares to measure; the caller ends with bench_steps_close, whatever is returned. */
ttm_status bench_steps_open(bench_steps *steps, bench_session *session, const char *name,
                            ttm_status (*take)(void *user), void *user);

/** Takes steps until one is no longer faster than the one before it. */
ttm_status bench_steps_warm_up(bench_steps *steps);

/** Takes `count` pairs of steps: adds times of the unwatched ones to the entry, and what the others
 * tell to the breakdown. */
ttm_status bench_steps_measure(bench_steps *steps, int64_t count);

/** Notes shares and totals, and writes the trace that was asked for. Returns the entry of the steps
 * in *entry. */
ttm_status bench_steps_finish(bench_entry **entry, bench_steps *steps);

/** Frees what steps own. */
void bench_steps_close(bench_steps *steps);

#endif
