/* What this machine can do at most: SGEMM by the BLAS's own threads on GPT-2's products, and memory
 * read bandwidth. Printed beside benchmarks, so that they can be judged.
 *
 *     cc -O3 -march=native -fopenmp bench/roofs.c -o roofs $(pkg-config --cflags --libs openblas)
 *     ./roofs [read]      with `read` the bandwidth alone, which takes a second */
#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static float *random_array(size_t count)
{
    float *values = malloc(count * sizeof *values);
    unsigned state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / 16777216.0F - 0.5F;
    }
    return values;
}

/* Best of several runs, in GFLOP/s. */
static double product_speed(int m, int n, int k)
{
    float *a = random_array((size_t)m * k);
    float *b = random_array((size_t)k * n);
    float *c = random_array((size_t)m * n);
    double best = 1e30;
    for (int run = 0; run < 5; run++) {
        const double start = now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0F, a, k, b, n, 0.0F, c,
                    n);
        const double elapsed = now() - start;
        best = elapsed < best ? elapsed : best;
    }
    free(a);
    free(b);
    free(c);
    return 2e-9 * m * n * k / best;
}

typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));

/* Runs of memory that a thread reads side by side: one, or several, as some processors want it. */
#define RUNS 8

/* One pass over `count` floats by all threads; returns a sum, so that none is left out. */
static inline __attribute__((always_inline)) double read_once(const float *values, size_t count,
                                                              const int runs)
{
    double sum = 0.0;
#pragma omp parallel reduction(+ : sum)
    {
        const size_t share = count / (size_t)omp_get_num_threads() / (size_t)runs / 64 * 64;
        const float *first = values + (size_t)omp_get_thread_num() * share * (size_t)runs;
        lanes part[RUNS] = {0};
        for (size_t i = 0; i < share; i += 16) {
#pragma GCC unroll 8
            for (int run = 0; run < runs; run++) {
                part[run] += *(const lanes *)(first + (size_t)run * share + i);
            }
        }
        for (size_t lane = 0; lane < 16 * RUNS; lane++) {
            sum += (double)part[lane / 16][lane % 16];
        }
    }
    return sum;
}

/* Best of several passes over 512 MiB, in GB/s. */
static double read_speed(void)
{
    const size_t count = (size_t)1 << 27;
    float *values = random_array(count);
    double best = 1e30;
    double total = 0.0;
    for (int pass = 0; pass < 14; pass++) {
        const double start = now();
        total += pass % 2 == 0 ? read_once(values, count, 1) : read_once(values, count, RUNS);
        const double elapsed = now() - start;
        best = elapsed < best ? elapsed : best;
    }
    free(values);
    return total == 0.123 ? 0.0 : 4e-9 * (double)count / best;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "read") == 0) {
        printf("{\"read_gb_per_s\": %.1f}\n", read_speed());
        return 0;
    }
    static const int shapes[][3] = {
        {2048, 3072, 768}, {2048, 768, 3072}, {2048, 2304, 768}, {2048, 50257, 768}};
    printf("{\"blas\": \"%s\", \"threads\": %d, \"read_gb_per_s\": %.1f", openblas_get_config(),
           omp_get_max_threads(), read_speed());
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        printf(", \"sgemm_%dx%dx%d_gflops\": %.0f", shapes[i][0], shapes[i][1], shapes[i][2],
               product_speed(shapes[i][0], shapes[i][1], shapes[i][2]));
    }
    printf("}\n");
    return 0;
}
