/* The host's clock, for times that the device can't tell. */
#ifndef TTM_CORE_HOST_CLOCK_H
#define TTM_CORE_HOST_CLOCK_H

#include <stdint.h>
#include <time.h>

/** Returns nanoseconds since some moment in the past; never goes back. */
static inline uint64_t ttm_host_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
