/* TT_BUILD, TT_GRADIENT, TT_LINEAR, TT_LINEAR_BACKWARD, by way of the whole matrix in double.
 *
 * W[(i_0 … i_{d-1}), (j_0 … j_{d-1})] = G_0[i_0, j_0] · … · G_{d-1}[i_{d-1}, j_{d-1}], each factor
 * an r_k × r_{k+1} matrix (arXiv 2306.02697). With the partial products
 *     left_k  [I, J, a] = G_0 · … · G_{k-1}   over the first modes,  [rows I, cols J, rank r_k]
 *     right_k [b, I, J] = G_k · … · G_{d-1}   over the last modes,   [rank r_k, rows I, cols J]
 * W = left_d, and the gradient of Σ dw·W with respect to core k is
 *     dG_k[a, i, j, b] = Σ_{I,J} Σ_{I',J'} left_k[I, J, a] · dw[(I i I'), (J j J')] ·
 * right_{k+1}[b, I', J'].
 */
#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* A core [left, rows, cols, right] as doubles. */
struct core {
    int64_t left;  /* r_k */
    int64_t rows;  /* n_k */
    int64_t cols;  /* m_k */
    int64_t right; /* r_{k+1} */
    double *values;
};

/* The cores of one TT-matrix of one layer, and their partial products. */
struct train {
    int count; /* d */
    struct core cores[TTM_OP_MAX_CORES];
    struct core left[TTM_OP_MAX_CORES + 1];  /* left_k: `left` is 1, `right` is r_k */
    struct core right[TTM_OP_MAX_CORES + 1]; /* right_k: `left` is r_k, `right` is 1 */
};

/* a·b, −1 where that is too large: y = x·W may be asked for where W can't even be counted. */
static int64_t times(int64_t a, int64_t b)
{
    int64_t product = 0;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ? -1 : product;
}

static int64_t core_size(const struct core *core)
{
    return times(times(core->left, core->rows), times(core->cols, core->right));
}

/* The product of two neighbours: [a.left, a.rows·b.rows, a.cols·b.cols, b.right]. */
static struct core product_shape(const struct core *a, const struct core *b)
{
    return (struct core){.left = a->left,
                         .rows = times(a->rows, b->rows),
                         .cols = times(a->cols, b->cols),
                         .right = b->right};
}

/* ab[l, (I i), (J j), r] = Σ_s a[l, I, J, s]·b[s, i, j, r] */
static void multiply(const struct core *ab, const struct core *a, const struct core *b)
{
    for (int64_t i = 0; i < core_size(ab); i++) {
        ab->values[i] = 0.0;
    }
    for (int64_t l = 0; l < a->left; l++) {
        for (int64_t I = 0; I < a->rows; I++) {
            for (int64_t J = 0; J < a->cols; J++) {
                for (int64_t s = 0; s < a->right; s++) {
                    const double factor =
                        a->values[((l * a->rows + I) * a->cols + J) * a->right + s];
                    for (int64_t i = 0; i < b->rows; i++) {
                        double *row =
                            ab->values +
                            ((l * ab->rows + I * b->rows + i) * ab->cols + J * b->cols) * ab->right;
                        add_scaled(row, factor, b->values + (s * b->rows + i) * b->cols * b->right,
                                   b->cols * b->right);
                    }
                }
            }
        }
    }
}

/* Describes the cores in op->tensors[first_slot …] and takes memory for them and all their partial
 * products. */
static struct train make_train(struct scratch *scratch, const ttm_op *op, int first_slot)
{
    static const struct core one = {.left = 1, .rows = 1, .cols = 1, .right = 1};
    struct train train = {0};
    const ttm_tensor *cores = &op->tensors[first_slot];
    while (train.count < TTM_OP_MAX_CORES && ttm_tensor_present(&cores[train.count])) {
        const int64_t *shape = cores[train.count].shape;
        train.cores[train.count++] =
            (struct core){.left = shape[1], .rows = shape[2], .cols = shape[3], .right = shape[4]};
    }
    train.left[0] = one;
    train.right[train.count] = one;
    for (int k = 0; k < train.count; k++) {
        const int back = train.count - 1 - k;
        train.left[k + 1] = product_shape(&train.left[k], &train.cores[k]);
        train.right[back] = product_shape(&train.cores[back], &train.right[back + 1]);
    }
    for (int k = 0; k <= train.count; k++) {
        train.left[k].values = scratch_take(scratch, 1, core_size(&train.left[k]));
        train.right[k].values = scratch_take(scratch, 1, core_size(&train.right[k]));
        if (k < train.count) {
            train.cores[k].values = scratch_take(scratch, 1, core_size(&train.cores[k]));
        }
    }
    return train;
}

/* Loads one layer's cores and computes left_k for all k; the last is W. */
static void build_left(const struct train *train, const ttm_tensor *cores, int64_t layer)
{
    train->left[0].values[0] = 1.0;
    for (int k = 0; k < train->count; k++) {
        load_contiguous(train->cores[k].values, &cores[k], layer * cores[k].stride[0],
                        core_size(&train->cores[k]));
        multiply(&train->left[k + 1], &train->left[k], &train->cores[k]);
    }
}

/* Computes right_k for all k but 0, from cores that build_left has loaded. */
static void build_right(const struct train *train)
{
    train->right[train->count].values[0] = 1.0;
    for (int k = train->count - 1; k > 0; k--) {
        multiply(&train->right[k], &train->cores[k], &train->right[k + 1]);
    }
}

/* rest[a, (i I'), (j J')] = Σ_{I,J} left[I, J, a]·dw[(I i I'), (J j J')], with `shape` that of rest
 * [r_k, rows (i I'), cols (j J')] */
static void contract_left(double *rest, const struct core *shape, const struct core *left,
                          const double *dw)
{
    const int64_t cols = left->cols * shape->cols;
    for (int64_t i = 0; i < core_size(shape); i++) {
        rest[i] = 0.0;
    }
    for (int64_t I = 0; I < left->rows; I++) {
        for (int64_t J = 0; J < left->cols; J++) {
            for (int64_t a = 0; a < left->right; a++) {
                const double factor = left->values[(I * left->cols + J) * left->right + a];
                for (int64_t i = 0; i < shape->rows; i++) {
                    add_scaled(rest + (a * shape->rows + i) * shape->cols, factor,
                               dw + (I * shape->rows + i) * cols + J * shape->cols, shape->cols);
                }
            }
        }
    }
}

/* dcore[a, i, j, b] += Σ_{I',J'} rest[a, (i I'), (j J')]·right[b, I', J'] */
static void contract_right(const struct core *dcore, const double *rest, const struct core *right)
{
    double *element = dcore->values;
    for (int64_t a = 0; a < dcore->left; a++) {
        for (int64_t i = 0; i < dcore->rows; i++) {
            for (int64_t j = 0; j < dcore->cols; j++) {
                for (int64_t b = 0; b < dcore->right; b++, element++) {
                    for (int64_t I = 0; I < right->rows; I++) {
                        const int64_t row = (a * dcore->rows + i) * right->rows + I;
                        *element +=
                            dot(rest + (row * dcore->cols + j) * right->cols,
                                right->values + (b * right->rows + I) * right->cols, right->cols);
                    }
                }
            }
        }
    }
}

/* dcore_k = beta·dcore_k + the gradient from dw [in, out], for all cores of one layer. build_left
 * has been called; `rest` has room for the largest right_k; the cores' values are overwritten. */
static void core_gradients(const struct train *train, const ttm_tensor *dcores, int64_t layer,
                           double beta, const double *dw, double *rest)
{
    build_right(train);
    for (int k = 0; k < train->count; k++) {
        const struct core *dcore = &train->cores[k]; /* the core itself isn't needed any more */
        const int64_t first = layer * dcores[k].stride[0];
        if (beta != 0.0) {
            load_contiguous(dcore->values, &dcores[k], first, core_size(dcore));
        }
        for (int64_t i = 0; i < core_size(dcore); i++) {
            dcore->values[i] = beta == 0.0 ? 0.0 : beta * dcore->values[i];
        }
        contract_left(rest, &train->right[k], &train->left[k], dw);
        contract_right(dcore, rest, &train->right[k + 1]);
        store_contiguous(&dcores[k], first, core_size(dcore), dcore->values);
    }
}

/* The most elements that contract_left writes for any core. */
static int64_t largest_rest(const struct train *train)
{
    int64_t largest = 0;
    for (int k = 0; k < train->count; k++) {
        const int64_t size = core_size(&train->right[k]);
        largest = size > largest ? size : largest;
    }
    return largest;
}

ttm_status run_tt_build(const ttm_op *op)
{
    const ttm_tensor *w_tensor = &op->tensors[TTM_TT_BUILD_W];
    struct scratch scratch = {0};
    const struct train train = make_train(&scratch, op, TTM_TT_BUILD_CORE);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    const struct core *w = &train.left[train.count];
    for (int64_t layer = 0; layer < w_tensor->shape[0]; layer++) {
        build_left(&train, &op->tensors[TTM_TT_BUILD_CORE], layer);
        for (int64_t i = 0; i < w->rows; i++) {
            store_row(w_tensor, layer * w->rows + i, w->values + i * w->cols);
        }
    }
    return scratch_end(&scratch);
}

ttm_status run_tt_gradient(const ttm_op *op)
{
    const ttm_tensor *dw_tensor = &op->tensors[TTM_TT_GRADIENT_DW];
    const ttm_tt_gradient_params *params = op->params;
    struct scratch scratch = {0};
    const struct train train = make_train(&scratch, op, TTM_TT_GRADIENT_CORE);
    const struct core *w = &train.left[train.count];
    double *dw = scratch_take(&scratch, w->rows, w->cols);
    double *rest = scratch_take(&scratch, 1, largest_rest(&train));
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    for (int64_t layer = 0; layer < dw_tensor->shape[0]; layer++) {
        for (int64_t i = 0; i < w->rows; i++) {
            load_row(dw + i * w->cols, dw_tensor, layer * w->rows + i);
        }
        build_left(&train, &op->tensors[TTM_TT_GRADIENT_CORE], layer);
        core_gradients(&train, &op->tensors[TTM_TT_GRADIENT_DCORE], layer, params->beta, dw, rest);
    }
    return scratch_end(&scratch);
}

/* y = x·W + bias */
ttm_status run_tt_linear(const ttm_op *op)
{
    const ttm_tensor *y_tensor = &op->tensors[TTM_TT_LINEAR_Y];
    const ttm_tensor *bias = &op->tensors[TTM_TT_LINEAR_BIAS];
    struct scratch scratch = {0};
    const struct train train = make_train(&scratch, op, TTM_TT_LINEAR_CORE);
    const struct core *w = &train.left[train.count];
    double *x = scratch_take(&scratch, 1, w->rows);
    double *y = scratch_take(&scratch, 1, w->cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    build_left(&train, &op->tensors[TTM_TT_LINEAR_CORE], 0);
    for (int64_t row = 0; row < row_count(y_tensor); row++) {
        load_row(x, &op->tensors[TTM_TT_LINEAR_X], row);
        for (int64_t j = 0; j < w->cols; j++) {
            y[j] = 0.0;
        }
        if (ttm_tensor_present(bias)) {
            load_row(y, bias, 0);
        }
        for (int64_t i = 0; i < w->rows; i++) {
            add_scaled(y, x[i], w->values + i * w->cols, w->cols);
        }
        store_row(y_tensor, row, y);
    }
    return scratch_end(&scratch);
}

/* dx = dy·Wᵀ; dW = xᵀ·dy, and from it the cores' gradients; dbias += Σ_rows dy */
ttm_status run_tt_linear_backward(const ttm_op *op)
{
    const ttm_tensor *dx_tensor = &op->tensors[TTM_TT_LINEAR_BACKWARD_DX];
    const ttm_tensor *dy_tensor = &op->tensors[TTM_TT_LINEAR_BACKWARD_DY];
    const ttm_tensor *dbias_tensor = &op->tensors[TTM_TT_LINEAR_BACKWARD_DBIAS];
    struct scratch scratch = {0};
    const struct train train = make_train(&scratch, op, TTM_TT_LINEAR_BACKWARD_CORE);
    const struct core *w = &train.left[train.count];
    double *x = scratch_take(&scratch, 1, w->rows);
    double *dx = scratch_take(&scratch, 1, w->rows);
    double *dy = scratch_take(&scratch, 1, w->cols);
    double *dbias = scratch_take(&scratch, 1, w->cols);
    double *dw = scratch_take(&scratch, w->rows, w->cols);
    double *rest = scratch_take(&scratch, 1, largest_rest(&train));
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    build_left(&train, &op->tensors[TTM_TT_LINEAR_BACKWARD_CORE], 0);
    if (ttm_tensor_present(dbias_tensor)) {
        load_row(dbias, dbias_tensor, 0);
    }
    for (int64_t row = 0; row < row_count(dy_tensor); row++) {
        load_row(x, &op->tensors[TTM_TT_LINEAR_BACKWARD_X], row);
        load_row(dy, dy_tensor, row);
        add_scaled(dbias, 1.0, dy, w->cols);
        for (int64_t i = 0; i < w->rows; i++) {
            dx[i] = dot(dy, w->values + i * w->cols, w->cols);
            add_scaled(dw + i * w->cols, x[i], dy, w->cols);
        }
        if (ttm_tensor_present(dx_tensor)) {
            store_row(dx_tensor, row, dx);
        }
    }
    if (ttm_tensor_present(dbias_tensor)) {
        store_row(dbias_tensor, 0, dbias);
    }
    core_gradients(&train, &op->tensors[TTM_TT_LINEAR_BACKWARD_DCORE], 0, 1.0, dw, rest);
    return scratch_end(&scratch);
}
