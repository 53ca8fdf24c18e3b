/* The BLAS behind the products. Any CBLAS does; with OpenBLAS the plugin also holds it to one
 * thread per call, because the plugin shares out products over its own threads. */
#ifndef TTM_CPU_BLAS_H
#define TTM_CPU_BLAS_H

#include <stddef.h>
#include <stdint.h>

/** Makes calls into the BLAS run on the calling thread alone, where the BLAS lets itself be told,
 * and warns once through the host's log where its kernels are older than the processor. */
void ttm_cpu_blas_start(void);

/** Writes the library's version and kernel set ("OpenBLAS 0.3.21, Cooperlake kernels"). */
void ttm_cpu_blas_describe(char *text, size_t bytes);

/** c = alpha·op(a)·op(b) + beta·c, row-major, on the calling thread. c [rows, cols]; op(a)
 * [rows, depth], op(b) [depth, cols]; transposed operands lie the other way round. */
void ttm_cpu_sgemm(int transpose_a, int transpose_b, int64_t rows, int64_t cols, int64_t depth,
                   float alpha, const float *a, int64_t a_row, const float *b, int64_t b_row,
                   float beta, float *c, int64_t c_row);

#endif
