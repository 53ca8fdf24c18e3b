/* oneDNN behind a handful of functions: bf16 products with f32 sums, on the calling thread alone.
 * Used where it has instructions that our kernels don't, such as AMX.
 *
 * The library is opened at run time, when it is first wanted: it brings an OpenMP and an OpenCL
 * loader along, which a process that doesn't need it is spared. */
#ifndef TTM_CPU_ONEDNN_H
#define TTM_CPU_ONEDNN_H

#include <stddef.h>
#include <stdint.h>

/** Opens the library, once a process; returns whether products can be computed. Thread-safe. */
int ttm_cpu_onednn_start(void);

/** Writes the library's version ("oneDNN 2.6.3"); the empty string where it isn't open. */
void ttm_cpu_onednn_describe(char *text, size_t bytes);

/** A matrix of bf16 elements, by strides in elements. */
typedef struct ttm_cpu_onednn_matrix {
    int64_t rows;
    int64_t cols;
    int64_t row;
    int64_t col;
} ttm_cpu_onednn_matrix;

/** Compiled code for products of one shape. May be run by several threads at a time. */
typedef struct ttm_cpu_onednn_product ttm_cpu_onednn_product;

/** Returns code for sums [rows, cols] f32 (rows `sums_row` apart) = a·b with a [rows, depth] of
 * contiguous rows and b in the layout that the library likes best, or NULL where it has none. */
ttm_cpu_onednn_product *ttm_cpu_onednn_create(int64_t rows, int64_t cols, int64_t depth,
                                              int64_t a_row, int64_t sums_row);

/** Returns the bytes of b in that layout, and of the scratch for one run. */
size_t ttm_cpu_onednn_packed_bytes(const ttm_cpu_onednn_product *product);
size_t ttm_cpu_onednn_scratch_bytes(const ttm_cpu_onednn_product *product);

/** Brings b, which lies as `form` says, into that layout; returns whether it could. */
int ttm_cpu_onednn_pack(const ttm_cpu_onednn_product *product, void *packed, const void *b,
                        const ttm_cpu_onednn_matrix *form);

/** Copies a, which lies as `form` says, to contiguous rows as the product reads them; returns
 * whether it could. */
int ttm_cpu_onednn_copy_rows(const ttm_cpu_onednn_product *product, void *rows, const void *a,
                             const ttm_cpu_onednn_matrix *form);

/** Computes the sums; returns whether it could. */
int ttm_cpu_onednn_run(const ttm_cpu_onednn_product *product, float *sums, const void *a,
                       const void *packed, void *scratch);

/** NULL is fine. */
void ttm_cpu_onednn_destroy(ttm_cpu_onednn_product *product);

#endif
