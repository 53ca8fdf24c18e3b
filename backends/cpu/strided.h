/* Loops over tensors of one shape and any strides, reduced to as few and as long runs as there
 * are. */
#ifndef TTM_CPU_STRIDED_H
#define TTM_CPU_STRIDED_H

#include "cpu/device.h"

/** The most tensors in one loop. */
#define TTM_CPU_LOOP_TENSORS 3

/** A nest of loops. Dimensions of extent 1 are gone, and neighbours that every tensor steps through
 * alike are one. */
typedef struct ttm_cpu_loops {
    int tensors;
    int rank;      /**< At least 1. */
    int64_t count; /**< Elements. */
    int64_t shape[TTM_MAX_RANK];
    int64_t stride[TTM_CPU_LOOP_TENSORS][TTM_MAX_RANK]; /**< In elements. */
} ttm_cpu_loops;

/** Plans the loops over tensors[0 … count). With `reorder`, dimensions are sorted by the first
 * tensor's strides, so that it is written from front to back; without, the order stays row-major.
 */
void ttm_cpu_loops_plan(ttm_cpu_loops *loops, const ttm_tensor *const *tensors, int count,
                        int reorder);

/** Returns whether every tensor steps by 1 along the innermost loop. */
int ttm_cpu_loops_unit(const ttm_cpu_loops *loops);

/** One piece of the innermost loop. */
typedef struct ttm_cpu_run {
    int64_t offset[TTM_CPU_LOOP_TENSORS]; /**< Of the first element, in elements. */
    int64_t start;                        /**< Number of the first element, in loop order. */
    int64_t count;                        /**< Elements, at least 1. */
} ttm_cpu_run;

typedef void (*ttm_cpu_run_function)(void *context, const ttm_cpu_run *run);

/** Calls `function` for pieces of the innermost loop, each element once, in parallel. */
void ttm_cpu_loops_run(const ttm_backend_device *device, const ttm_cpu_loops *loops,
                       ttm_cpu_run_function function, void *context);

#endif
