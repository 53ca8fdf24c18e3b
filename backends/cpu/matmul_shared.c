/* Products by our own kernel (kernels/product.c), shared out over the threads.
 *
 * The threads first pack b together, then take blocks of out, for which each packs the rows of a
 * that it needs: every number of b is packed once, every number of a once for a wide block. Both
 * happen in one job of the pool, because a wait between them would leave threads idle: who has
 * nothing left to pack waits for the last strips only. What is packed at a time is limited, so that
 * it stays in the last cache and the workspace stays small. */
#include "cpu/matmul.h"

#include <math.h>
#include <stdatomic.h>

/** Most floats of b that are packed at a time: 16 MiB. */
#define PACKED_FLOATS ((int64_t)1 << 22)
/** Pieces that each thread packs. */
#define PACKS_A_THREAD 8
/** The tallest block, whose rows of a stay in L2. */
#define MOST_ROWS 96
/** Prices in multiply-accumulates: packing a number of a; starting on a column of b for a block. */
#define PACKING_PRICE 20.0
#define COLUMN_PRICE  4.0
/** The part of a block that threads wait at the end. */
#define WAIT_PRICE 0.4

/** A block as our own kernel takes it. */
static ttm_cpu_product describe(const matmul *job, const matrices *at, const int64_t rows[2],
                                const int64_t cols[2], int thread)
{
    static const ttm_cpu_activation activations[] = {
        [TTM_ACTIVATION_NONE] = TTM_CPU_IDENTITY,
        [TTM_ACTIVATION_GELU] = TTM_CPU_GELU,
        [TTM_ACTIVATION_GELU_BACKWARD] = TTM_CPU_GELU_BACKWARD,
    };
    float *out = at->out + rows[0] * job->out.row + cols[0];
    const float *residual =
        at->residual == NULL ? NULL : at->residual + rows[0] * job->residual.row + cols[0];
    /* A residual that is out itself would be overwritten by sums of a part of the depth. */
    const int onto = residual == out && job->activation == TTM_ACTIVATION_NONE;
    return (ttm_cpu_product){
        .a = element(at->a, &job->a, rows[0], 0),
        .a_row = job->a.transposed ? 1 : job->a.row,
        .a_col = job->a.transposed ? job->a.row : 1,
        .b = element(at->b, &job->b, 0, cols[0]),
        .b_row = job->b.transposed ? 1 : job->b.row,
        .b_col = job->b.transposed ? job->b.row : 1,
        .out = out,
        .out_row = job->out.row,
        .partial = at->value + rows[0] * at->value_row + cols[0],
        .partial_row = at->value_row,
        .bias = job->bias == NULL ? NULL : job->bias + cols[0],
        .residual = onto ? NULL : residual,
        .residual_row = job->residual.row,
        .pre = at->pre == NULL ? NULL : at->pre + rows[0] * job->pre.row + cols[0],
        .pre_row = job->pre.row,
        .activation = activations[job->activation],
        .add_out = job->beta || onto,
        .rows = rows[1] - rows[0],
        .cols = cols[1] - cols[0],
        .depth = job->depth,
        .alpha = job->alpha,
        .last_part = job->device->kernels->product_parts(job->depth),
        .scratch = job->scratch + (size_t)thread * job->scratch_floats,
    };
}

void ttm_cpu_matmul_own_block(const matmul *job, const matrices *at, const int64_t rows[2],
                              const int64_t cols[2], int thread)
{
    const ttm_cpu_product product = describe(job, at, rows, cols, thread);
    job->device->kernels->product(&product);
}

/* ---- Planning ---- */

static int64_t round_up(int64_t count, int64_t edge)
{
    return divide_up(count, edge) * edge;
}

/** Returns roughly what blocks of rows × cols cost, in multiply-accumulates for each step of the
 * depth. */
static double price_blocks(const matmul *job, int64_t rows, int64_t cols)
{
    const double blocks = (double)(divide_up(job->rows, rows) * divide_up(job->packed_cols, cols));
    const double rounds = fmax(blocks / job->device->threads, 1.0);
    const double block =
        (double)(rows * cols) + PACKING_PRICE * (double)rows + COLUMN_PRICE * (double)cols;
    return (rounds + WAIT_PRICE) * block;
}

/** Chooses how out is cut: low blocks where there would be too few, otherwise wide ones. */
static void choose_blocks(matmul *job)
{
    const int64_t tallest = round_up(job->rows, TTM_CPU_ROW_EDGE);
    double best = INFINITY;
    for (int64_t rows = tallest < MOST_ROWS ? tallest : MOST_ROWS; rows > 0;
         rows -= TTM_CPU_ROW_EDGE) {
        int64_t cols = job->packed_cols;
        for (int64_t count = 1; cols > TTM_CPU_COL_EDGE; count++) {
            cols = round_up(divide_up(job->packed_cols, count), TTM_CPU_COL_EDGE);
            const double price = price_blocks(job, rows, cols);
            if (price < best) {
                best = price;
                job->block_rows = rows;
                job->block_cols = cols;
            }
        }
    }
}

void ttm_cpu_matmul_plan_shared(matmul *job)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    const int64_t parts = kernels->product_parts(job->depth);
    const int64_t part_depth = job->depth > 0 ? divide_up(job->depth, parts) : 1;
    const int64_t all = round_up(job->cols, TTM_CPU_COL_EDGE);
    int64_t most = PACKED_FLOATS / part_depth;
    most = most < TTM_CPU_COL_EDGE ? TTM_CPU_COL_EDGE : most;
    job->packed_cols = round_up(divide_up(all, divide_up(all, most)), TTM_CPU_COL_EDGE);
    const int64_t fitting = PACKED_FLOATS / (part_depth * job->packed_cols);
    job->packed_parts = fitting < 1 ? 1 : fitting < parts ? fitting : parts;
    job->packed_floats = (size_t)(part_depth * job->packed_parts * job->packed_cols);
    job->scratch_floats = (size_t)round_up((int64_t)kernels->product_scratch(0, job->depth), 16);
    job->block_cols = job->packed_cols;
    job->block_rows = TTM_CPU_ROW_EDGE;
    choose_blocks(job);
}

/* ---- Running ---- */

/** Some columns and parts of the depth of one matrix. */
typedef struct section {
    const matmul *job;
    matrices at;
    float *packed;
    int64_t cols[2];
    int64_t parts[2];
    int64_t packs;     /**< Pieces that are packed … */
    int64_t pack_cols; /**< … of so many columns each. */
    int64_t row_blocks;
    atomic_llong packs_done;
} section;

static ttm_cpu_product describe_part(const section *part, const int64_t rows[2],
                                     const int64_t cols[2], int thread)
{
    ttm_cpu_product product = describe(part->job, &part->at, rows, cols, thread);
    product.packed_b = part->packed;
    product.packed_cols = part->job->packed_cols;
    product.packed_col = cols[0] - part->cols[0];
    product.first_part = part->parts[0];
    product.last_part = part->parts[1];
    return product;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void pack_columns(section *part, int64_t index)
{
    const int64_t rows[2] = {0, part->job->rows};
    const ttm_cpu_product product = describe_part(part, rows, part->cols, 0);
    const int64_t first = index * part->pack_cols;
    const int64_t last = smaller(first + part->pack_cols, part->cols[1] - part->cols[0]);
    part->job->device->kernels->product_pack(part->packed, &product, first, last);
    atomic_fetch_add(&part->packs_done, 1);
}

static void multiply_block(const section *part, int64_t index, int thread)
{
    const matmul *job = part->job;
    const int64_t row = index % part->row_blocks * job->block_rows;
    const int64_t col = part->cols[0] + index / part->row_blocks * job->block_cols;
    const int64_t rows[2] = {row, smaller(row + job->block_rows, job->rows)};
    const int64_t cols[2] = {col, smaller(col + job->block_cols, part->cols[1])};
    const ttm_cpu_product product = describe_part(part, rows, cols, thread);
    job->device->kernels->product(&product);
}

/** Pieces are handed out in their order, so that whoever waits for a pack knows that a thread is at
 * it. */
static void run_pieces(void *context, int64_t first, int64_t last, int thread)
{
    section *part = context;
    for (int64_t piece = first; piece < last; piece++) {
        if (piece < part->packs) {
            pack_columns(part, piece);
            continue;
        }
        for (int waited = 0; atomic_load(&part->packs_done) < part->packs;) {
            ttm_cpu_pool_wait(&waited);
        }
        multiply_block(part, piece - part->packs, thread);
    }
}

static void run_section(section *part)
{
    const matmul *job = part->job;
    const int64_t cols = part->cols[1] - part->cols[0];
    const int64_t wanted = divide_up(cols, (int64_t)job->device->threads * PACKS_A_THREAD);
    part->pack_cols = round_up(wanted, TTM_CPU_PACKED_COLS);
    part->packs = divide_up(cols, part->pack_cols);
    part->row_blocks = divide_up(job->rows, job->block_rows);
    atomic_init(&part->packs_done, 0);
    ttm_cpu_parallel(job->device, part->packs + part->row_blocks * divide_up(cols, job->block_cols),
                     1, run_pieces, part);
}

void ttm_cpu_matmul_run_shared(const matmul *job)
{
    const int64_t parts = job->device->kernels->product_parts(job->depth);
    section part = {
        .job = job,
        .packed = job->scratch + (size_t)job->device->threads * job->scratch_floats,
    };
    for (int64_t batch = 0; batch < job->batch[0] * job->batch[1]; batch++) {
        part.at = ttm_cpu_matmul_find(job, batch);
        for (int64_t col = 0; col < job->cols; col += job->packed_cols) {
            part.cols[0] = col;
            part.cols[1] = smaller(col + job->packed_cols, job->cols);
            for (int64_t first = 0; first < parts; first += job->packed_parts) {
                part.parts[0] = first;
                part.parts[1] = smaller(first + job->packed_parts, parts);
                run_section(&part);
            }
        }
    }
}
