/* A MATMUL as op_matmul.c reads it, for those who compute it: our own kernels (matmul_own.c), those
 * for few rows (matmul_thin.c), a BLAS (matmul_blas.c). NORM_MATMUL is one for few rows, too. */
#ifndef TTM_CPU_MATMUL_H
#define TTM_CPU_MATMUL_H

#include "cpu/device.h"
#include "cpu/op.h"

/** What the edges of a block are multiples of: whole register blocks of product.c at any level. */
#define TTM_CPU_ROW_EDGE 24
#define TTM_CPU_COL_EDGE 48
/** Floats that parts of the workspace are rounded up to. */
#define TTM_CPU_SCRATCH_EDGE 16

/** A matrix operand as the BLAS wants it. */
typedef struct operand {
    const unsigned char *data; /**< NULL where absent. */
    ttm_dtype dtype;
    size_t bytes; /**< Of an element. */
    int64_t batch_stride[2];
    int64_t row;    /**< Distance between rows, or between columns where transposed. */
    int transposed; /**< Columns, not rows, are contiguous. */
} operand;

typedef struct matmul {
    const ttm_backend_device *device;
    const ttm_cpu_kernels *kernels; /**< For the element type of a and b. */
    int64_t batch[2];
    int64_t rows;
    int64_t cols;
    int64_t depth;
    operand a;
    operand b;
    operand out;
    operand residual;
    operand pre;
    operand bias; /**< One row. */
    float alpha;
    int beta;
    ttm_activation activation;
    int thin;           /**< Few rows: bound by reading b. */
    int64_t row_blocks; /**< Blocks of one matrix. */
    int64_t col_blocks;
    int64_t block_rows;
    int64_t block_cols;

    /* Where parts of the workspace lie, and how many floats they have; 0: not needed. */
    float *value; /**< Every matrix of the batch once: where out can't hold sums until the
                       activation. */
    size_t value_floats;
    float *scratch; /**< A thread's own: its kernel's scratch, then its sums of parts. */
    size_t scratch_floats;
    size_t kernel_floats; /**< The first part of that. */
    float *packed;        /**< Part of b that the threads share; none: each packs its own. */
    size_t packed_floats;
    int64_t packed_cols; /**< Columns of such a part, and parts of the depth in it. */
    int64_t packed_parts;
    float *partial; /**< [parts, rows, cols] sums of parts of the depth of a thin product. */
    size_t partial_floats;
    int64_t parts;                      /**< Number of those; 0: the depth isn't cut. */
    struct ttm_cpu_matmul_codes *codes; /**< oneDNN's. */
    float *wide_a;                      /**< a [rows, depth] as floats, for a thin product. */
    size_t wide_floats;
    int normalises_a; /**< wide_a becomes the layer norm of a, by `norm` but for its out. */
    ttm_cpu_layer_norm norm;
} matmul;

/** Addresses of one matrix of the batch. */
typedef struct matrices {
    const unsigned char *a;
    const unsigned char *b;
    const unsigned char *residual;
    unsigned char *out;
    unsigned char *pre;
    float *value; /**< Where sums may be kept: out or pre where they are f32, else the buffer; may
                       be NULL. */
    int64_t value_row;
} matrices;

/** Some rows and columns of a matrix: first, and one past the last. */
typedef struct matmul_block {
    int64_t rows[2];
    int64_t cols[2];
} matmul_block;

/** Reads the op; returns whether it is supported. */
int ttm_cpu_matmul_read(matmul *job, const ttm_backend_device *device, const ttm_op *op);

/** Returns whether the kernels for few rows take it. */
int ttm_cpu_matmul_is_thin(const matmul *job);

/** Lays the parts of the workspace out from `base` on, or nowhere where that is NULL; returns how
 * many floats they are. */
size_t ttm_cpu_matmul_lay_out(matmul *job, float *base);

/** Returns the addresses of matrix `batch` of the batch. */
matrices ttm_cpu_matmul_find(const matmul *job, int64_t batch);

/** Returns the address of element (row, col); NULL stays NULL. */
static inline void *element_of(const void *data, const operand *form, int64_t row, int64_t col)
{
    return moved(data, form->transposed ? col * form->row + row : row * form->row + col,
                 form->bytes);
}

static inline int64_t divide_up(int64_t count, int64_t parts)
{
    return (count + parts - 1) / parts;
}

static inline int64_t round_up(int64_t count, int64_t edge)
{
    return divide_up(count, edge) * edge;
}

static inline size_t scratch_size(int64_t floats)
{
    return (size_t)round_up(floats, TTM_CPU_SCRATCH_EDGE);
}

/* ---- Ways to compute it. Each plans its blocks and its floats of workspace; `run` may be called
 * when the parts of the workspace have addresses. ---- */

/** Products by our own kernel for which the threads share what they pack of b. */
void ttm_cpu_matmul_plan_shared(matmul *job);
void ttm_cpu_matmul_run_shared(matmul *job);

/** Many products by our own kernel: a thread does a whole matrix. */
void ttm_cpu_matmul_plan_batch(matmul *job);
void ttm_cpu_matmul_run_batch(matmul *job);

/** Products with at most TTM_CPU_THIN_ROWS rows. */
void ttm_cpu_matmul_plan_thin(matmul *job);
void ttm_cpu_matmul_run_thin(matmul *job);

/** bf16 products by oneDNN, where the device uses it. Returns whether the library has code for the
 * shape; `end` gives that back. */
int ttm_cpu_matmul_plan_onednn(matmul *job);
void ttm_cpu_matmul_run_onednn(matmul *job);
void ttm_cpu_matmul_end_onednn(matmul *job);

/** Describes a block as our own kernel takes it, with the scratch of `thread`. */
ttm_cpu_product ttm_cpu_matmul_describe(const matmul *job, const matrices *at,
                                        const matmul_block *block, int thread);

/** f32 products by the BLAS. */
void ttm_cpu_matmul_plan_blas(matmul *job);
void ttm_cpu_matmul_run_blas(matmul *job);

#endif
