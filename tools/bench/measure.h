/* Timing a piece of work: warm-up until it is stable, then samples until the interval of their
 * median is as narrow as wished or time is up. */
#ifndef TTM_TOOLS_BENCH_MEASURE_H
#define TTM_TOOLS_BENCH_MEASURE_H

#include "bench/session.h"

/** Queues the work once. `call` counts from 0, for work that rotates over buffers. */
typedef ttm_status (*bench_work)(void *user, uint64_t call);

/** How a measurement went. */
typedef struct bench_timing {
    uint64_t calls_per_sample; /**< Short work is repeated within a sample. */
    size_t warm_up_samples;
    bool stable;    /**< The warm-up settled before its time was up. */
    double best_ns; /**< Fastest sample, device clock, per call. */
    double wall_ns; /**< Median on the host's clock, per call. */
} bench_timing;

/** Times `work` and appends samples (nanoseconds per call on the device's clock) to `series`;
 * `timing` may be NULL. The command line says how long and how precisely. */
ttm_status bench_measure(bench_series *series, bench_timing *timing, bench_session *session,
                         bench_work work, void *user);

/** Nanoseconds on the host's clock since some moment. */
double bench_now_ns(void);

#endif
