/* A STREAM-like triad, copy and read with plain loops, for checking what `ttm-bench devices`
 * measures: best of many passes over arrays far larger than the caches.
 *
 *     cc -O3 -march=native -fopenmp bench/triad.c -o triad && ./triad */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSES = 40 };

static const size_t count = (size_t)32 << 20;

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

static void square(float *a, const float *b, const float *c)
{
    double sum = 0.0;
    (void)c;
#pragma omp parallel for schedule(static) reduction(+ : sum)
    for (size_t block = 0; block < count / 4096; block++) {
        float part[64] = {0};
        for (size_t i = 0; i < 4096; i += 64) {
            for (size_t lane = 0; lane < 64; lane++) {
                const float value = b[block * 4096 + i + lane];
                part[lane] += value * value;
            }
        }
        for (size_t lane = 0; lane < 64; lane++) {
            sum += (double)part[lane];
        }
    }
    a[0] = (float)sum;
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
    printf("{\"triad\": %.4g, \"copy\": %.4g, \"read\": %.4g}\n",
           best(triad, arrays[0], arrays[1], arrays[2], 12.0),
           best(copy, arrays[0], arrays[1], arrays[2], 8.0),
           best(square, arrays[0], arrays[1], arrays[2], 4.0));
    return 0;
}
