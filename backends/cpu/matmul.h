/* A MATMUL as op_matmul.c reads it, for those who compute it. */
#ifndef TTM_CPU_MATMUL_H
#define TTM_CPU_MATMUL_H

#include "cpu/device.h"

#include <ttm/ops.h>

/** What the edges of a block are multiples of: whole register blocks of product.c at any level. */
#define TTM_CPU_ROW_EDGE 24
#define TTM_CPU_COL_EDGE 48

/** A matrix operand as the BLAS wants it. */
typedef struct operand {
    const float *data;
    int64_t batch_stride[2];
    int64_t row;    /**< Distance between rows, or between columns where transposed. */
    int transposed; /**< Columns, not rows, are contiguous. */
} operand;

typedef struct matmul {
    const ttm_backend_device *device;
    int64_t batch[2];
    int64_t rows;
    int64_t cols;
    int64_t depth;
    operand a;
    operand b;
    operand out;
    operand residual;
    operand pre;
    const float *bias;
    float alpha;
    int beta;
    ttm_activation activation;
    float *value;   /**< Where out can't hold the product until the activation: a buffer. */
    float *scratch; /**< For our own kernel: scratch_floats a thread, then packed_floats. */
    size_t scratch_floats;
    size_t packed_floats; /**< Part of b that the threads share; 0: each packs its own. */
    int64_t packed_cols;  /**< Columns of such a part, and parts of the depth in it. */
    int64_t packed_parts;
    int thin;           /**< Few rows: bound by reading b. */
    int64_t parts;      /**< Parts of the depth that are summed up by themselves; 0: not cut. */
    float *partial;     /**< [parts, rows, cols] sums of the parts. */
    int64_t row_blocks; /**< Blocks of one matrix. */
    int64_t col_blocks;
    int64_t block_rows;
    int64_t block_cols;
} matmul;

/** Addresses of one matrix of the batch. */
typedef struct matrices {
    const float *a;
    const float *b;
    const float *residual;
    float *out;
    float *pre;
    float *value; /**< Receives the product: out, pre or the buffer. */
    int64_t value_row;
} matrices;

/** Returns the addresses of matrix `batch` of the batch. */
matrices ttm_cpu_matmul_find(const matmul *job, int64_t batch);

/** Returns the address of element (row, col). */
static inline const float *element(const float *data, const operand *form, int64_t row, int64_t col)
{
    return form->transposed ? data + col * form->row + row : data + row * form->row + col;
}

static inline int64_t divide_up(int64_t count, int64_t parts)
{
    return (count + parts - 1) / parts;
}

/** Plans a product by our own kernel for which the threads share what they pack of b: its blocks,
 * scratch_floats and packed_floats. */
void ttm_cpu_matmul_plan_shared(matmul *job);

/** Does it. */
void ttm_cpu_matmul_run_shared(const matmul *job);

/** A block by our own kernel, which puts bias, activation and residual on as it stores, and packs
 * what it needs of b itself. */
void ttm_cpu_matmul_own_block(const matmul *job, const matrices *at, const int64_t rows[2],
                              const int64_t cols[2], int thread);

#endif
