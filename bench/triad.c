/* A STREAM-like triad, copy and read with plain loops, for checking what `ttm-bench devices`
 * measures: best of many passes over arrays far larger than the caches.
 *
 *     cc -O3 -march=native -fopenmp bench/triad.c -o triad && ./triad */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSES = 14, RUNS = 8, LANES = 16 };

static const size_t count = (size_t)128 << 20;

static double best(void (*pass)(float *, const float *, const float *), float *a, float *b,
                   float *c, double bytes)
{
    double least = 1e30;
    for (int k = 0; k < PASSES; k++) {
        const double began = omp_get_wtime();
        pass(a, b, c);
        const double took = omp_get_wtime() - began;
        least = took < least ? took : least;
    }
    return bytes * (double)count / least;
}

static void triad(float *a, const float *b, const float *c)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < count; i++) {
        a[i] = b[i] + 3.0F * c[i];
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

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* Each thread reads `runs` stretches of memory side by side: processors differ in what they like.
 */
static inline __attribute__((always_inline)) void read_runs(float *a, const float *b, int runs)
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

static void read_several(float *a, const float *b, const float *c)
{
    (void)c;
    read_runs(a, b, RUNS);
}

int main(void)
{
    float *arrays[3];
    for (int k = 0; k < 3; k++) {
        arrays[k] = malloc(count * sizeof(float));
        if (arrays[k] == NULL) {
            return 1;
        }
#pragma omp parallel for schedule(static)
        for (size_t i = 0; i < count; i++) {
            arrays[k][i] = (float)(i % 97) * 0.01F;
        }
    }
    const double one = best(read_one, arrays[0], arrays[1], arrays[2], 4.0);
    const double several = best(read_several, arrays[0], arrays[1], arrays[2], 4.0);
    printf("{\"triad\": %.4g, \"copy\": %.4g, \"read\": %.4g}\n",
           best(triad, arrays[0], arrays[1], arrays[2], 12.0),
           best(copy, arrays[0], arrays[1], arrays[2], 8.0), one > several ? one : several);
    return 0;
}
