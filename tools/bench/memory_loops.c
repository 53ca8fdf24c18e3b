/* One instruction set's loops over memory. */
#include "bench/memory_loops.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES          64
#define STORE_PAST(to, value) _mm512_stream_ps(to, (__m512)(value))
#elif defined(__AVX__)
#define VECTOR_BYTES          32
#define STORE_PAST(to, value) _mm256_stream_ps(to, (__m256)(value))
#elif defined(__SSE2__)
#define VECTOR_BYTES          16
#define STORE_PAST(to, value) _mm_stream_ps(to, (__m128)(value))
#else
/* 64-bit Arm sees by itself that whole lines are written, and doesn't read them first. */
#define VECTOR_BYTES          16
#define STORE_PAST(to, value) (*(vector *)(to) = (value))
#endif

enum { LANES = VECTOR_BYTES / 4, LINE_VECTORS = 64 / VECTOR_BYTES, MOST_RUNS = 8 };

typedef float vector __attribute__((vector_size(VECTOR_BYTES), may_alias));

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Compilers turn loops that copy or fill into calls of the C library, which chooses by itself. */
#define KEEP_THE_LOOP __asm__ volatile("" ::: "memory")

static void finish_stores(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* `runs` is known where this is inlined, so the sums stay in registers. */
ALWAYS_INLINE double read_runs(const float *x, size_t count, const int runs)
{
    const size_t stretch = count / (size_t)runs;
    vector sums[MOST_RUNS] = {{0}};
    double total = 0.0;
    for (size_t i = 0; i < stretch; i += LANES) {
#pragma GCC unroll 8
        for (int run = 0; run < runs; run++) {
            sums[run] += *(const vector *)(x + (size_t)run * stretch + i);
        }
    }
    for (int k = 0; k < MOST_RUNS * LANES; k++) {
        total += (double)sums[k / LANES][k % LANES];
    }
    return total;
}

static double read_one(const float *x, size_t count)
{
    return read_runs(x, count, 1);
}

static double read_two(const float *x, size_t count)
{
    return read_runs(x, count, 2);
}

static double read_four(const float *x, size_t count)
{
    return read_runs(x, count, 4);
}

static double read_eight(const float *x, size_t count)
{
    return read_runs(x, count, 8);
}

static void copy_cached(float *out, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        *(vector *)(out + i) = *(const vector *)(x + i);
        KEEP_THE_LOOP;
    }
}

static void copy_past(float *out, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        STORE_PAST(out + i, *(const vector *)(x + i));
    }
    finish_stores();
}

static void triad_cached(float *out, const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        *(vector *)(out + i) = *(const vector *)(a + i) + 3.0F * *(const vector *)(b + i);
    }
}

static void triad_past(float *out, const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i += LANES) {
        STORE_PAST(out + i, *(const vector *)(a + i) + 3.0F * *(const vector *)(b + i));
    }
    finish_stores();
}

static void fill_cached(float *out, float value, size_t count)
{
    const vector values = value - (vector){0};
    for (size_t i = 0; i < count; i += LANES) {
        *(vector *)(out + i) = values;
        KEEP_THE_LOOP;
    }
}

static void fill_past(float *out, float value, size_t count)
{
    const vector values = value - (vector){0};
    for (size_t i = 0; i < count; i += LANES) {
        STORE_PAST(out + i, values);
    }
    finish_stores();
}

#define TABLE_JOIN(level) bench_memory_loops_##level
#define TABLE_NAME(level) TABLE_JOIN(level)

extern const bench_memory_loops TABLE_NAME(TTM_BENCH_LEVEL);

const bench_memory_loops TABLE_NAME(TTM_BENCH_LEVEL) = {
    .read = {read_one, read_two, read_four, read_eight},
    .copy = {copy_cached, copy_past},
    .triad = {triad_cached, triad_past},
    .fill = {fill_cached, fill_past},
};
