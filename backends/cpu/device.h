/* An open cpu device, and how its threads share work. */
#ifndef TTM_CPU_DEVICE_H
#define TTM_CPU_DEVICE_H

#include "cpu/kernels/kernels.h"
#include "cpu/pool.h"

#include <ttm/backend.h>

struct ttm_backend_device {
    const ttm_cpu_kernels *kernels;
    ttm_cpu_pool *pool;
    int threads;         /**< Of the pool. */
    int one_run;         /**< Memory is fastest when read as one unbroken run. */
    int own_products;    /**< Large f32 products by our own kernel instead of the BLAS. */
    int onednn_products; /**< Large bf16 products by oneDNN instead of our own kernel. */
};

/** Runs `share` over items 0 … count − 1 in pieces of at most `piece` items, handed to the device's
 * threads as they get free. Which thread does what changes from run to run, so an item's result
 * must not depend on its thread or piece. Returns when all is done. */
void ttm_cpu_parallel(const ttm_backend_device *device, int64_t count, int64_t piece,
                      ttm_cpu_share share, void *context);

/** Returns a piece size that gives each thread several pieces, but pieces of at least `least`
 * items. */
int64_t ttm_cpu_piece(const ttm_backend_device *device, int64_t count, int64_t least);

#endif
