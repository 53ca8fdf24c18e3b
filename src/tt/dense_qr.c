/* Householder QR, blocked: a panel of PANEL columns is factorised, then its reflectors are applied
 * to the rest at once as I − V·T·Vᵀ (Schreiber and Van Loan 1989), so that nearly all work is
 * matrix products that stay in the cache. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"

enum { PANEL = 32 };

double ttm_dense_reflector(double *x, size_t stride, size_t count)
{
    double largest = 0.0;
    for (size_t i = 1; i < count; i++) {
        largest = fmax(largest, fabs(x[i * stride]));
    }
    if (largest == 0.0) {
        return 0.0;
    }
    largest = fmax(largest, fabs(x[0]));
    double squares = 0.0; /* scaled, so that neither tiny nor huge columns lose anything */
    for (size_t i = 0; i < count; i++) {
        const double scaled = x[i * stride] / largest;
        squares += scaled * scaled;
    }
    const double norm = largest * sqrt(squares);
    const double head = x[0] > 0.0 ? -norm : norm;
    const double pivot = x[0] - head;
    for (size_t i = 1; i < count; i++) {
        x[i * stride] /= pivot;
    }
    x[0] = head;
    return -pivot / head;
}

/* Factorises columns first … first + width − 1, rows from `first` on, of a with n columns. */
static void factorise_panel(double *a, double *factors, size_t m, size_t n, size_t first,
                            size_t width)
{
    double sums[PANEL];
    for (size_t column = first; column < first + width; column++) {
        const size_t behind = first + width - column - 1;
        factors[column] = ttm_dense_reflector(a + column * n + column, n, m - column);
        if (factors[column] == 0.0 || behind == 0) {
            continue;
        }
        double *pivot_row = a + column * n + column + 1;
        memcpy(sums, pivot_row, behind * sizeof *sums);
        for (size_t row = column + 1; row < m; row++) {
            const double v = a[row * n + column];
            const double *restrict values = a + row * n + column + 1;
            for (size_t j = 0; j < behind; j++) {
                sums[j] += v * values[j];
            }
        }
        for (size_t j = 0; j < behind; j++) {
            sums[j] *= factors[column];
            pivot_row[j] -= sums[j];
        }
        for (size_t row = column + 1; row < m; row++) {
            const double v = a[row * n + column];
            double *restrict values = a + row * n + column + 1;
            for (size_t j = 0; j < behind; j++) {
                values[j] -= v * sums[j];
            }
        }
    }
}

/* Buffers for one panel's reflectors as I − V·T·Vᵀ and for their products. */
typedef struct panel {
    double *v;        /* [m, PANEL], unit lower trapezoidal */
    double *products; /* [PANEL, columns], twice */
    double t[PANEL * PANEL];
} panel;

static ttm_status panel_new(panel *out, size_t m, size_t columns)
{
    out->v = NULL;
    out->products = NULL;
    TTM_TRY(ttm_array_new(&out->v, m, PANEL * sizeof(double), "the reflectors of a QR"));
    return ttm_array_new(&out->products, columns, 2 * PANEL * sizeof(double),
                         "the products of a QR");
}

static void panel_free(panel *out)
{
    free(out->v);
    free(out->products);
}

/* Takes V out of columns first … first + width − 1 of a, and computes T, upper triangular: T's
 * column j is −factor_j·T·(Vᵀ·v_j) above its diagonal element factor_j. */
static void panel_load(panel *out, const double *a, const double *factors, size_t m, size_t n,
                       size_t first, size_t width)
{
    const size_t height = m - first;
    double gram[PANEL * PANEL] = {0.0};
    for (size_t row = 0; row < height; row++) {
        for (size_t j = 0; j < width; j++) {
            const double below = row > j ? a[(first + row) * n + first + j] : 0.0;
            out->v[row * width + j] = row == j ? 1.0 : below;
        }
    }
    ttm_dense_multiply_add(gram, width, 1.0, (ttm_dense_view){out->v, 1, width},
                           (ttm_dense_view){out->v, width, 1}, width, width, height);
    memset(out->t, 0, sizeof out->t);
    for (size_t j = 0; j < width; j++) {
        const double factor = factors[first + j];
        out->t[j * width + j] = factor;
        for (size_t i = 0; i < j; i++) {
            double sum = 0.0;
            for (size_t l = i; l < j; l++) {
                sum += out->t[i * width + l] * gram[l * width + j];
            }
            out->t[i * width + j] = -factor * sum;
        }
    }
}

/* c [height, columns] −= V·(T or Tᵀ)·Vᵀ·c. */
static void panel_apply(panel *with, bool transposed, double *c, size_t c_stride, size_t columns,
                        size_t height, size_t width)
{
    double *first = with->products;
    double *second = with->products + width * columns;
    const ttm_dense_view v = {with->v, width, 1};
    const ttm_dense_view v_transposed = {with->v, 1, width};
    const ttm_dense_view t = {with->t, transposed ? 1 : width, transposed ? width : 1};
    memset(with->products, 0, 2 * width * columns * sizeof(double));
    ttm_dense_multiply_add(first, columns, 1.0, v_transposed, (ttm_dense_view){c, c_stride, 1},
                           width, columns, height);
    ttm_dense_multiply_add(second, columns, 1.0, t, (ttm_dense_view){first, columns, 1}, width,
                           columns, width);
    ttm_dense_multiply_add(c, c_stride, -1.0, v, (ttm_dense_view){second, columns, 1}, height,
                           columns, width);
}

static size_t panel_width(size_t count, size_t first)
{
    return count - first < PANEL ? count - first : PANEL;
}

ttm_status ttm_dense_qr(double *a, double *factors, size_t m, size_t n)
{
    ttm_status status = TTM_OK;
    const size_t count = m < n ? m : n;
    panel block;
    TTM_TRY_OUT(panel_new(&block, m, n));
    for (size_t first = 0; first < count; first += PANEL) {
        const size_t width = panel_width(count, first);
        const size_t behind = first + width;
        factorise_panel(a, factors, m, n, first, width);
        if (behind < n) {
            panel_load(&block, a, factors, m, n, first, width);
            panel_apply(&block, true, a + first * n + behind, n, n - behind, m - first, width);
        }
    }
out:
    panel_free(&block);
    return status;
}

ttm_status ttm_dense_apply_q(double *c, size_t columns, const double *a, const double *factors,
                             size_t m, size_t n)
{
    ttm_status status = TTM_OK;
    const size_t count = m < n ? m : n;
    panel block;
    TTM_TRY_OUT(panel_new(&block, m, columns));
    for (size_t end = count; end > 0;) {
        const size_t first = (end - 1) / PANEL * PANEL;
        panel_load(&block, a, factors, m, n, first, end - first);
        panel_apply(&block, false, c + first * columns, columns, columns, m - first, end - first);
        end = first;
    }
out:
    panel_free(&block);
    return status;
}

ttm_status ttm_dense_form_q(double *q, const double *a, const double *factors, size_t m, size_t n)
{
    const size_t count = m < n ? m : n;
    memset(q, 0, m * count * sizeof *q);
    for (size_t i = 0; i < count; i++) {
        q[i * count + i] = 1.0;
    }
    return ttm_dense_apply_q(q, count, a, factors, m, n);
}

void ttm_dense_copy_r(double *r, const double *a, size_t m, size_t n)
{
    const size_t count = m < n ? m : n;
    for (size_t row = 0; row < count; row++) {
        for (size_t column = 0; column < n; column++) {
            r[row * n + column] = column < row ? 0.0 : a[row * n + column];
        }
    }
}
