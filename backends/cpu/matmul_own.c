/* Products by our own kernel (kernels/product.c), shared out over the threads.
 *
 * The threads first pack b together, then take blocks of out, for which each packs the rows of a
 * that it needs: every number of b is packed once, every number of a once for a wide block. Both
 * happen in one job of the pool, because a wait between them would leave threads idle: who has
 * nothing left to pack waits for the last strips only. What is packed at a time is limited, so that
 * it stays in the last cache and the workspace stays small.
 *
 * Where out is bf16 and the depth is done in parts, a thread keeps a block's sums in its scratch.
 */
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

/** Returns whether a thread needs a place for sums between the parts of the depth. */
static int needs_sums(const matmul *job)
{
    return job->out.dtype != TTM_F32 && job->value_floats == 0 &&
           job->kernels->product_parts(job->depth) > 1;
}

ttm_cpu_product ttm_cpu_matmul_describe(const matmul *job, const matrices *at,
                                        const matmul_block *block, int thread)
{
    static const ttm_cpu_activation activations[] = {
        [TTM_ACTIVATION_NONE] = TTM_CPU_IDENTITY,
        [TTM_ACTIVATION_GELU] = TTM_CPU_GELU,
        [TTM_ACTIVATION_GELU_BACKWARD] = TTM_CPU_GELU_BACKWARD,
    };
    const int64_t row = block->rows[0];
    const int64_t col = block->cols[0];
    float *scratch = job->scratch + (size_t)thread * job->scratch_floats;
    void *out = element_of(at->out, &job->out, row, col);
    const void *residual = element_of(at->residual, &job->residual, row, col);
    /* A residual that is out itself would be overwritten by sums of a part of the depth. */
    const int onto = residual == out && job->activation == TTM_ACTIVATION_NONE;
    ttm_cpu_product product = {
        .a = element_of(at->a, &job->a, row, 0),
        .a_row = job->a.transposed ? 1 : job->a.row,
        .a_col = job->a.transposed ? job->a.row : 1,
        .b = element_of(at->b, &job->b, 0, col),
        .b_row = job->b.transposed ? 1 : job->b.row,
        .b_col = job->b.transposed ? job->b.row : 1,
        .out = out,
        .out_row = job->out.row,
        .bias = element_of(job->bias.data, &job->bias, 0, col),
        .residual = onto ? NULL : residual,
        .residual_row = job->residual.row,
        .pre = element_of(at->pre, &job->pre, row, col),
        .pre_row = job->pre.row,
        .activation = activations[job->activation],
        .wide_out = job->out.dtype == TTM_F32,
        .add_out = job->beta || onto,
        .rows = block->rows[1] - row,
        .cols = block->cols[1] - col,
        .depth = job->depth,
        .alpha = job->alpha,
        .last_part = job->kernels->product_parts(job->depth),
        .scratch = scratch,
    };
    if (at->value != NULL) {
        product.partial = at->value + row * at->value_row + col;
        product.partial_row = at->value_row;
    } else if (needs_sums(job)) {
        product.partial = scratch + job->kernel_floats;
        product.partial_row = product.cols;
    }
    return product;
}

/* ---- Planning ---- */

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

/** Plans a thread's scratch for blocks of block_rows × block_cols, of which the kernel packs as
 * many columns. */
static void plan_scratch(matmul *job, int64_t packed_cols)
{
    job->kernel_floats =
        scratch_size((int64_t)job->kernels->product_scratch(packed_cols, job->depth));
    job->scratch_floats = job->kernel_floats +
                          (needs_sums(job) ? scratch_size(job->block_rows * job->block_cols) : 0);
}

void ttm_cpu_matmul_plan_shared(matmul *job)
{
    const int64_t parts = job->kernels->product_parts(job->depth);
    const int64_t deep = job->depth > 0 ? job->kernels->product_part_floats(job->depth) : 1;
    const int64_t all = round_up(job->cols, TTM_CPU_COL_EDGE);
    if (needs_sums(job) && deep * parts * all > PACKED_FLOATS) {
        /* Too deep to be packed at once: sums wait beside out from section to section. */
        job->value_floats = scratch_size(job->batch[0] * job->batch[1] * job->rows * job->cols);
    }
    const int64_t least_parts = needs_sums(job) ? parts : 1;
    int64_t most = PACKED_FLOATS / (deep * least_parts);
    most = most < TTM_CPU_COL_EDGE ? TTM_CPU_COL_EDGE : most;
    job->packed_cols = round_up(divide_up(all, divide_up(all, most)), TTM_CPU_COL_EDGE);
    const int64_t fitting = PACKED_FLOATS / (deep * job->packed_cols);
    job->packed_parts = fitting < least_parts ? least_parts : fitting < parts ? fitting : parts;
    job->packed_floats = scratch_size(deep * job->packed_parts * job->packed_cols);
    job->block_cols = job->packed_cols;
    job->block_rows = TTM_CPU_ROW_EDGE;
    choose_blocks(job);
    plan_scratch(job, 0);
}

void ttm_cpu_matmul_plan_batch(matmul *job)
{
    job->block_rows = job->rows;
    job->block_cols = job->cols;
    plan_scratch(job, job->cols);
}

/* ---- Running ---- */

/** Some columns and parts of the depth of one matrix. */
typedef struct section {
    const matmul *job;
    matrices at;
    int64_t cols[2];
    int64_t parts[2];
    int64_t packs;     /**< Pieces that are packed … */
    int64_t pack_cols; /**< … of so many columns each. */
    int64_t row_blocks;
    atomic_llong packs_done;
} section;

static ttm_cpu_product describe_part(const section *part, const matmul_block *block, int thread)
{
    ttm_cpu_product product = ttm_cpu_matmul_describe(part->job, &part->at, block, thread);
    product.packed_b = part->job->packed;
    product.packed_cols = part->job->packed_cols;
    product.packed_col = block->cols[0] - part->cols[0];
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
    const matmul_block all = {{0, part->job->rows}, {part->cols[0], part->cols[1]}};
    const ttm_cpu_product product = describe_part(part, &all, 0);
    const int64_t first = index * part->pack_cols;
    const int64_t last = smaller(first + part->pack_cols, part->cols[1] - part->cols[0]);
    part->job->kernels->product_pack(part->job->packed, &product, first, last);
    atomic_fetch_add(&part->packs_done, 1);
}

static void multiply_block(const section *part, int64_t index, int thread)
{
    const matmul *job = part->job;
    const int64_t row = index % part->row_blocks * job->block_rows;
    const int64_t col = part->cols[0] + index / part->row_blocks * job->block_cols;
    const matmul_block block = {{row, smaller(row + job->block_rows, job->rows)},
                                {col, smaller(col + job->block_cols, part->cols[1])}};
    const ttm_cpu_product product = describe_part(part, &block, thread);
    job->kernels->product(&product);
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

void ttm_cpu_matmul_run_shared(matmul *job)
{
    const int64_t parts = job->kernels->product_parts(job->depth);
    section part = {.job = job};
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

static void run_matrices(void *context, int64_t first, int64_t last, int thread)
{
    const matmul *job = context;
    const matmul_block all = {{0, job->rows}, {0, job->cols}};
    for (int64_t batch = first; batch < last; batch++) {
        const matrices at = ttm_cpu_matmul_find(job, batch);
        const ttm_cpu_product product = ttm_cpu_matmul_describe(job, &at, &all, thread);
        job->kernels->product(&product);
    }
}

void ttm_cpu_matmul_run_batch(matmul *job)
{
    ttm_cpu_parallel(job->device, job->batch[0] * job->batch[1], 1, run_matrices, job);
}
