/* The choice among the loops that were compiled. */
#include "bench/memory_loops.h"

extern const bench_memory_loops bench_memory_loops_baseline;

#if defined(TTM_BENCH_HAVE_AVX)
extern const bench_memory_loops bench_memory_loops_avx;
extern const bench_memory_loops bench_memory_loops_avx512;
#endif

const bench_memory_loops *bench_memory_loops_find(int skip)
{
    const bench_memory_loops *usable[3];
    int count = 0;
#if defined(TTM_BENCH_HAVE_AVX)
    if (__builtin_cpu_supports("avx512f")) {
        usable[count++] = &bench_memory_loops_avx512;
    }
    if (__builtin_cpu_supports("avx")) {
        usable[count++] = &bench_memory_loops_avx;
    }
#endif
    usable[count++] = &bench_memory_loops_baseline;
    return skip < count ? usable[skip] : NULL;
}
