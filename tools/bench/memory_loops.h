/* Loops that do nothing but move memory, compiled once per instruction set (tools/meson.build):
 * what a processor's memory is capable of, whatever a plugin makes of it. */
#ifndef TTM_TOOLS_BENCH_MEMORY_LOOPS_H
#define TTM_TOOLS_BENCH_MEMORY_LOOPS_H

#include <stddef.h>

/** Ways of reading: one run of memory, or 2, 4 or 8 side by side. Processors differ in what they
 * like: a run keeps its own prefetcher going. */
enum { BENCH_READ_WAYS = 4 };

/** Ways of storing: through the caches, which first read each line that is about to be written; and
 * past them, where the instruction set has such stores. */
enum { BENCH_STORE_CACHED, BENCH_STORE_PAST_CACHES, BENCH_STORE_WAYS };

/** Counts must be multiples of this, and addresses of as many bytes. */
enum { BENCH_MEMORY_GRAIN = 128 };

/** Arrays are [count] and don't overlap. Each function uses the calling thread alone. */
typedef struct bench_memory_loops {
    double (*read[BENCH_READ_WAYS])(const float *x, size_t count); /**< Their sum. */
    void (*copy[BENCH_STORE_WAYS])(float *out, const float *x, size_t count);
    /** out = a + 3·b. */
    void (*triad[BENCH_STORE_WAYS])(float *out, const float *a, const float *b, size_t count);
    void (*fill[BENCH_STORE_WAYS])(float *out, float value, size_t count);
} bench_memory_loops;

/** Returns the loops of the best instruction set that this processor has. With `skip` > 0 so many
 * better ones are passed over; NULL when none is left. */
const bench_memory_loops *bench_memory_loops_find(int skip);

#endif
