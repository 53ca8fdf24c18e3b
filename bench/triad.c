/* A STREAM-like triad, copy, read and fill with plain loops, for checking what `ttm-bench devices`
 * measures: best of many passes over arrays far larger than the caches. Bytes are STREAM's: lines
 * that a cache reads because they are about to be written don't count, so stores past the caches,
 * which STREAM gets from a good compiler, are tried too.
 *
 *     cc -O3 -march=native -fopenmp bench/triad.c -o triad && ./triad [PASSES [MIB]]
 *
 * PASSES over each way of each loop (8), MIB the size of an array (512). */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

enum { WAYS = 4, RUNS = 8, LANES = 16 };

static size_t count = (size_t)128 << 20; /* Elements of an array, a multiple of RUNS·LANES. */

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

static inline __attribute__((always_inline)) void store_past(float *to, lanes value)
{
#if defined(__AVX512F__)
    _mm512_stream_ps(to, (__m512)value);
#elif defined(__SSE2__)
    for (int k = 0; k < LANES; k += 4) {
        _mm_stream_ps(to + k, (__m128){value[k], value[k + 1], value[k + 2], value[k + 3]});
    }
#else
    *(lanes *)to = value;
#endif
}

static void triad(float *a, const float *b, const float *c)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        a[i] = b[i] + 3.0F * c[i];
    }
}

static void triad_past(float *a, const float *b, const float *c)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += LANES) {
        store_past(a + i, *(const lanes *)(b + i) + 3.0F * *(const lanes *)(c + i));
    }
}

static void copy(float *a, const float *b, const float *c)
{
    (void)c;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        a[i] = b[i];
    }
}

static void copy_past(float *a, const float *b, const float *c)
{
    (void)c;
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += LANES) {
        store_past(a + i, *(const lanes *)(b + i));
    }
}

static void fill(float *a, const float *b, const float *c)
{
    (void)c;
    const float value = b[1]; /* Not zero: processors know lines of zeros. */
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        a[i] = value;
    }
}

static void fill_past(float *a, const float *b, const float *c)
{
    (void)c;
    const lanes value = b[1] - (lanes){0};
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i += LANES) {
        store_past(a + i, value);
    }
}

/* Each thread reads `runs` stretches of memory side by side: processors differ in what they like.
 */
static inline __attribute__((always_inline)) void read_runs(float *a, const float *b,
                                                            const int runs)
{
    double sum = 0.0;
#pragma omp parallel reduction(+ : sum)
    {
        const size_t stretch = count / (size_t)omp_get_num_threads() / (size_t)runs / LANES * LANES;
        const float *first = b + (size_t)omp_get_thread_num() * stretch * (size_t)runs;
        lanes part[RUNS] = {0};
        for (size_t i = 0; i < stretch; i += LANES) {
#pragma GCC unroll 8
            for (int run = 0; run < runs; run++) {
                part[run] += *(const lanes *)(first + (size_t)run * stretch + i);
            }
        }
        for (size_t k = 0; k < (size_t)RUNS * LANES; k++) {
            sum += (double)part[k / LANES][k % LANES];
        }
    }
    a[0] = (float)sum;
}

static void read_one(float *a, const float *b, const float *c)
{
    (void)c;
    read_runs(a, b, 1);
}

static void read_two(float *a, const float *b, const float *c)
{
    (void)c;
    read_runs(a, b, 2);
}

static void read_four(float *a, const float *b, const float *c)
{
    (void)c;
    read_runs(a, b, 4);
}

static void read_eight(float *a, const float *b, const float *c)
{
    (void)c;
    read_runs(a, b, RUNS);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        double bytes;
        void (*ways[WAYS])(float *, const float *, const float *);
    } loops[] = {{"triad", 12.0, {triad, triad_past}},
                 {"copy", 8.0, {copy, copy_past}},
                 {"read", 4.0, {read_one, read_two, read_four, read_eight}},
                 {"write", 4.0, {fill, fill_past}}};
    const size_t huge_page = (size_t)2 << 20;
    const int passes = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8;
    float *arrays[3];
    count = argc > 2 ? strtoul(argv[2], NULL, 10) << 18 : count;
    for (int k = 0; k < 3; k++) {
        void *memory = NULL;
        if (posix_memalign(&memory, huge_page, count * sizeof(float)) != 0) {
            return 1;
        }
        madvise(memory, count * sizeof(float), MADV_HUGEPAGE);
        arrays[k] = memory;
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++) {
            arrays[k][i] = (float)(i % 97) * 0.01F;
        }
    }
    /* Ways in turn, since the machine's speed changes while one is measured. */
    double fastest[sizeof loops / sizeof *loops] = {0};
    for (int pass = 0; pass < passes * WAYS; pass++) {
        for (size_t k = 0; k < sizeof loops / sizeof *loops; k++) {
            void (*const way)(float *, const float *, const float *) = loops[k].ways[pass % WAYS];
            if (way != NULL) {
                const double began = omp_get_wtime();
                way(arrays[0], arrays[1], arrays[2]);
                const double speed = loops[k].bytes * (double)count / (omp_get_wtime() - began);
                fastest[k] = speed > fastest[k] ? speed : fastest[k];
            }
        }
    }
    for (size_t k = 0; k < sizeof loops / sizeof *loops; k++) {
        printf("%s\"%s\": %.4g", k == 0 ? "{" : ", ", loops[k].name, fastest[k]);
    }
    printf("}\n");
    return 0;
}
