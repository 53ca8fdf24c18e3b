#include "cpu/device.h"

/** Pieces a thread should get: enough that one slow thread doesn't hold up the rest. */
#define PIECES_A_THREAD 8

void ttm_cpu_parallel(const ttm_backend_device *device, int64_t count, int64_t piece,
                      ttm_cpu_share share, void *context)
{
    ttm_cpu_pool_run(device->pool, count, piece > 0 ? piece : 1, share, context);
}

int64_t ttm_cpu_piece(const ttm_backend_device *device, int64_t count, int64_t least)
{
    const int64_t wanted = (int64_t)device->threads * PIECES_A_THREAD;
    const int64_t piece = (count + wanted - 1) / wanted;
    return piece < least ? least : piece;
}
