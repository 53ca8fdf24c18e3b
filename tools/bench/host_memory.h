/* How fast the processor's own memory is, by loops that do nothing else: the roof of a device that
 * is the processor. */
#ifndef TTM_TOOLS_BENCH_HOST_MEMORY_H
#define TTM_TOOLS_BENCH_HOST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/** Bytes that a loop reads and writes per second. Lines that caches read because they are about to
 * be written don't count. */
typedef struct bench_memory_speeds {
    double read;
    double write;
    double copy;
    double triad; /**< out = a + 3·b */
} bench_memory_speeds;

/** *speeds = the best of many passes, by each of several loops in turn for about `seconds` (and
 * two passes at least), over arrays of `elements` floats on `threads` ≥ 1 threads, which touch
 * first what they use. Takes 12·elements bytes of memory. Returns false without memory or threads:
 * *speeds is zeros then. */
bool bench_host_memory_measure(bench_memory_speeds *speeds, size_t elements, int threads,
                               double seconds);

#endif
