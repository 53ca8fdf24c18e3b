/* The threads that a device computes with: they stay, so that sharing out an op takes about a
 * microsecond, and they are awake while a step is running. */
#ifndef TTM_CPU_POOL_H
#define TTM_CPU_POOL_H

#include <stdint.h>

typedef struct ttm_cpu_pool ttm_cpu_pool;

/** Does items first … last − 1 on thread `thread` (0 ≤ thread < threads of the pool). */
typedef void (*ttm_cpu_share)(void *context, int64_t first, int64_t last, int thread);

/** Returns a pool of `threads` ≥ 1 threads, of which the caller of ttm_cpu_pool_run is one, or NULL
 * when there is no memory for it. The others start with the first work; where the system refuses
 * some, the rest do it. With `pinned` ≠ 0 each of them stays on a processor of its own. */
ttm_cpu_pool *ttm_cpu_pool_create(int threads, int pinned);

/** Ends the threads. No work may be running. NULL is fine. */
void ttm_cpu_pool_destroy(ttm_cpu_pool *pool);

/** Runs `share` over items 0 … count − 1 in pieces of at most `piece` ≥ 1 items, each taken by the
 * thread that is free next; returns when all are done, which doesn't wait for a thread that took
 * none. May be called by several threads at a time: who finds the pool busy does its work alone, as
 * thread 0. */
void ttm_cpu_pool_run(ttm_cpu_pool *pool, int64_t count, int64_t piece, ttm_cpu_share share,
                      void *context);

/** Passes a little time inside a piece that waits for another one, which has been taken already:
 * pieces are handed out in their order. *waited is 0 at first. */
void ttm_cpu_pool_wait(int *waited);

#endif
