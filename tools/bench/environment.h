/* The machine that a measurement was taken on, and how busy, hot and fast it was. */
#ifndef TTM_TOOLS_BENCH_ENVIRONMENT_H
#define TTM_TOOLS_BENCH_ENVIRONMENT_H

#include "bench/result.h"

/** Counters at the beginning, to be compared with those at the end. */
typedef struct bench_environment {
    double busy_ticks; /**< Of all processors, all programs. */
    double steal_ticks;
    double all_ticks;
    double throttle_events;
    double energy_microjoules;
    double seconds;
} bench_environment;

/** Notes what stays: processor, caches, kernel, variables that change speed; and the load, clock
 * and temperature now. */
void bench_environment_begin(bench_environment *environment, bench_result *result);

/** Notes what happened meanwhile: clock, load, time stolen by other machines, throttling, power. */
void bench_environment_end(const bench_environment *environment, bench_result *result);

/** Returns the size of the host's last-level cache in bytes, 0 when unknown. */
double bench_cache_bytes(void);

#endif
