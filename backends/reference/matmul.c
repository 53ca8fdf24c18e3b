/* MATMUL: products of matrices in batches, with bias, GELU and residual.
 *
 * A block of rows of `a` is multiplied by all of `b` at once, so that a row of `b` is converted to
 * double once a block. Each element is the sum over k in ascending order, in double. */
#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

enum { ROW_BLOCK = 32 };

/* The op's tensors and its current rows as doubles. */
struct product {
    const ttm_op *op;
    int64_t inner; /* K */
    int64_t cols;  /* N */
    double *a;     /* [ROW_BLOCK, K] */
    double *b;     /* one row of b */
    double *sums;  /* [ROW_BLOCK, N]: a·b */
    double *bias;  /* [N], zeros when absent */
    double *out;   /* one row each, zeros when absent */
    double *residual;
    double *pre;
};

static void load_if_present(double *target, const ttm_tensor *tensor, int64_t row)
{
    if (ttm_tensor_present(tensor)) {
        load_row(target, tensor, row);
    }
}

/* sums[r, :] = Σ_k a[first_row + r, k]·b[k, :] for the rows of one block. Rows are numbered through
 * all batches. */
static void multiply_block(const struct product *p, int64_t first_row, int64_t rows, int64_t batch)
{
    for (int64_t r = 0; r < rows; r++) {
        load_row(p->a + r * p->inner, &p->op->tensors[TTM_MATMUL_A], first_row + r);
    }
    for (int64_t i = 0; i < rows * p->cols; i++) {
        p->sums[i] = 0.0;
    }
    for (int64_t k = 0; k < p->inner; k++) {
        load_row(p->b, &p->op->tensors[TTM_MATMUL_B], batch * p->inner + k);
        for (int64_t r = 0; r < rows; r++) {
            add_scaled(p->sums + r * p->cols, p->a[r * p->inner + k], p->b, p->cols);
        }
    }
}

/* Turns the sums of one row into what the op writes. */
static void finish_row(const struct product *p, const double *sums, int64_t row)
{
    const ttm_tensor *tensors = p->op->tensors;
    const ttm_matmul_params *params = p->op->params;
    const ttm_tensor *pre_tensor = &tensors[TTM_MATMUL_PRE];

    if (params->beta != 0.0) {
        load_row(p->out, &tensors[TTM_MATMUL_OUT], row);
    }
    load_if_present(p->residual, &tensors[TTM_MATMUL_RESIDUAL], row);
    if (params->activation == TTM_ACTIVATION_GELU_BACKWARD) {
        load_row(p->pre, pre_tensor, row);
    }
    for (int64_t j = 0; j < p->cols; j++) {
        const double before = params->beta != 0.0 ? params->beta * p->out[j] : 0.0;
        const double value = params->alpha * sums[j] + before + p->bias[j];
        double result = value;
        if (params->activation == TTM_ACTIVATION_GELU) {
            result = gelu(value);
            p->pre[j] = value;
        } else if (params->activation == TTM_ACTIVATION_GELU_BACKWARD) {
            result = value * gelu_slope(p->pre[j]);
        }
        p->out[j] = result + p->residual[j];
    }
    if (params->activation == TTM_ACTIVATION_GELU && ttm_tensor_present(pre_tensor)) {
        store_row(pre_tensor, row, p->pre);
    }
    store_row(&tensors[TTM_MATMUL_OUT], row, p->out);
}

ttm_status run_matmul(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
    const int64_t rows = out->shape[out->rank - 2];
    const int64_t batches = rows > 0 ? row_count(out) / rows : 0;
    struct scratch scratch = {0};
    struct product p = {
        .op = op, .inner = row_length(&op->tensors[TTM_MATMUL_A]), .cols = row_length(out)};
    p.a = scratch_take(&scratch, ROW_BLOCK, p.inner);
    p.b = scratch_take(&scratch, 1, p.cols);
    p.sums = scratch_take(&scratch, ROW_BLOCK, p.cols);
    p.bias = scratch_take(&scratch, 1, p.cols);
    p.out = scratch_take(&scratch, 1, p.cols);
    p.residual = scratch_take(&scratch, 1, p.cols);
    p.pre = scratch_take(&scratch, 1, p.cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_if_present(p.bias, &op->tensors[TTM_MATMUL_BIAS], 0);
    for (int64_t batch = 0; batch < batches; batch++) {
        for (int64_t i = 0; i < rows; i += ROW_BLOCK) {
            const int64_t first_row = batch * rows + i;
            const int64_t block = rows - i < ROW_BLOCK ? rows - i : ROW_BLOCK;
            multiply_block(&p, first_row, block, batch);
            for (int64_t r = 0; r < block; r++) {
                finish_row(&p, p.sums + r * p.cols, first_row + r);
            }
        }
    }
    return scratch_end(&scratch);
}
