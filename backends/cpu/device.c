#include "cpu/device.h"

#include <omp.h>
#include <stdatomic.h>

/** Pieces a thread should get: enough that one slow thread doesn't hold up the rest. */
#define PIECES_A_THREAD 8

void ttm_cpu_parallel(const ttm_backend_device *device, int64_t count, int64_t piece,
                      ttm_cpu_share share, void *context)
{
    const int64_t pieces = piece > 0 ? (count + piece - 1) / piece : 0;
    const int threads = pieces < device->threads ? (int)pieces : device->threads;
    if (threads <= 1) {
        for (int64_t first = 0; first < count; first += piece) {
            share(context, first, first + piece < count ? first + piece : count, 0);
        }
        return;
    }
    atomic_llong next = 0;
#pragma omp parallel num_threads(threads)
    {
        const int thread = omp_get_thread_num();
        for (;;) {
            const int64_t taken = atomic_fetch_add_explicit(&next, 1, memory_order_relaxed);
            if (taken >= pieces) {
                break;
            }
            const int64_t first = taken * piece;
            share(context, first, first + piece < count ? first + piece : count, thread);
        }
    }
}

int64_t ttm_cpu_piece(const ttm_backend_device *device, int64_t count, int64_t least)
{
    const int64_t wanted = (int64_t)device->threads * PIECES_A_THREAD;
    const int64_t piece = (count + wanted - 1) / wanted;
    return piece < least ? least : piece;
}
