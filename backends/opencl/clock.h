/* The host's clock, for what is timed by it: builds, probes, tuning. */
#ifndef TTM_OPENCL_CLOCK_H
#define TTM_OPENCL_CLOCK_H

#include <time.h>

/** Returns seconds since some moment; never goes back. */
static inline double opencl_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
