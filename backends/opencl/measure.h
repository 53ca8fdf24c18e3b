/* How long queued work takes, for tuning. */
#ifndef TTM_OPENCL_MEASURE_H
#define TTM_OPENCL_MEASURE_H

#include "opencl/device.h"

/** A way of doing something takes this part of the time, or less, to be worth a change. */
#define OPENCL_WORTH_CHANGING 0.97

/** What is measured. */
typedef struct opencl_measured {
    ttm_backend_stream *stream;
    /** Queues it once; *done = 0 where it can't be done in the way that is measured. */
    ttm_status (*run)(int *done, const void *context);
    const void *context;
} opencl_measured;

/** *seconds = the shortest time, infinite where it can't be done. It is run once before, so that
 * kernels are built and proven; what takes less than 2 ms is repeated within a sample, what takes
 * more than 0.1 s is measured twice instead of four times, and what takes twice as long as `most`
 * isn't measured again. */
ttm_status opencl_measure(double *seconds, const opencl_measured *measured, double most);

/** Writes `count` random numbers in ±1 of f32 or bf16: zeros would be faster on some devices. */
ttm_status opencl_fill_random(ttm_backend_stream *stream, ttm_memory *memory, ttm_dtype dtype,
                              size_t count);

#endif
