/* SVD by Golub and Kahan: Householder bidiagonalisation, then implicitly shifted QR steps on the
 * bidiagonal matrix (Golub and Van Loan, Matrix Computations, 8.6). Only the left vectors are kept.
 * The plane rotations of many steps are queued and applied to a narrow strip of columns at a time,
 * which then stays in the cache. */
#include "tt/svd.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"

/* Rows `row` and `partner` of Uᵀ become c·row + s·partner and c·partner − s·row. */
typedef struct rotation {
    size_t row;
    size_t partner;
    double c;
    double s;
} rotation;

typedef struct bidiagonal {
    size_t n;
    double *diagonal; /* n */
    double *upper;    /* n − 1 */
    double *left;     /* Uᵀ [n, n] */
    rotation *queue;
    size_t queued;
    size_t queue_capacity;
    double tiny; /* what counts as 0 on the diagonal */
} bidiagonal;

/* One step of the bidiagonalisation, right half fused into the left one: row by row, the left
 * reflector of column k is applied, then the right reflector of row k, so that the matrix is read
 * twice and written once a step. */
static void eliminate(double *a, size_t n, size_t k, double *factor, double *sums)
{
    *factor = ttm_dense_reflector(a + k * n + k, n, n - k);
    const size_t behind = n - k - 1;
    if (behind == 0) {
        return;
    }
    double *pivot_row = a + k * n + k + 1;
    memcpy(sums, pivot_row, behind * sizeof *sums);
    for (size_t row = k + 1; row < n; row++) {
        const double v = a[row * n + k];
        const double *restrict values = a + row * n + k + 1;
        for (size_t j = 0; j < behind; j++) {
            sums[j] += v * values[j];
        }
    }
    for (size_t j = 0; j < behind; j++) {
        sums[j] *= *factor;
        pivot_row[j] -= sums[j];
    }
    const double right_factor = ttm_dense_reflector(pivot_row, 1, behind);
    const double head = pivot_row[0];
    pivot_row[0] = 1.0;
    for (size_t row = k + 1; row < n; row++) {
        const double v = a[row * n + k];
        double *restrict values = a + row * n + k + 1;
        const double *restrict right = pivot_row;
        double product = 0.0;
        for (size_t j = 0; j < behind; j++) {
            values[j] -= v * sums[j];
        }
        for (size_t j = 0; j < behind; j++) {
            product += values[j] * right[j];
        }
        product *= right_factor;
        for (size_t j = 0; j < behind; j++) {
            values[j] -= product * right[j];
        }
    }
    pivot_row[0] = head;
}

static ttm_status bidiagonalise(bidiagonal *b, double *a)
{
    ttm_status status = TTM_OK;
    const size_t n = b->n;
    double *factors = NULL;
    double *sums = NULL;
    double *q = NULL;
    TTM_TRY_OUT(ttm_array_new(&factors, n, sizeof *factors, "the factors of an SVD"));
    TTM_TRY_OUT(ttm_array_new(&sums, n, sizeof *sums, "the sums of an SVD"));
    TTM_TRY_OUT(ttm_array_new(&q, n, n * sizeof *q, "the left vectors of an SVD"));
    for (size_t k = 0; k < n; k++) {
        eliminate(a, n, k, &factors[k], sums);
        b->diagonal[k] = a[k * n + k];
        if (k + 1 < n) {
            b->upper[k] = a[k * n + k + 1];
        }
    }
    TTM_TRY_OUT(ttm_dense_form_q(q, a, factors, n, n));
    ttm_dense_transpose(b->left, q, n, n);
out:
    free(factors);
    free(sums);
    free(q);
    return status;
}

static void flush_rotations(bidiagonal *b)
{
    enum { STRIP = 32 };
    for (size_t first = 0; first < b->n; first += STRIP) {
        const size_t width = b->n - first < STRIP ? b->n - first : STRIP;
        for (size_t i = 0; i < b->queued; i++) {
            const rotation turn = b->queue[i];
            double *restrict row = b->left + turn.row * b->n + first;
            double *restrict partner = b->left + turn.partner * b->n + first;
            for (size_t j = 0; j < width; j++) {
                const double upper = row[j];
                row[j] = turn.c * upper + turn.s * partner[j];
                partner[j] = turn.c * partner[j] - turn.s * upper;
            }
        }
    }
    b->queued = 0;
}

static void rotate_left(bidiagonal *b, size_t row, size_t partner, double c, double s)
{
    if (b->queued == b->queue_capacity) {
        flush_rotations(b);
    }
    b->queue[b->queued++] = (rotation){row, partner, c, s};
}

/* (c, s) with c·y + s·z = r ≥ 0 and c·z − s·y = 0; returns r. */
static double plane_rotation(double *c, double *s, double y, double z)
{
    const double r = hypot(y, z);
    *c = r > 0.0 ? y / r : 1.0;
    *s = r > 0.0 ? z / r : 0.0;
    return r;
}

/* A zero at diagonal[row]: clears upper[row] by rotating row `row` with each row below it in the
 * block. */
static void clear_row(bidiagonal *b, size_t row, size_t high)
{
    double bulge = b->upper[row];
    b->upper[row] = 0.0;
    for (size_t i = row + 1; i <= high && bulge != 0.0; i++) {
        double c = 0.0;
        double s = 0.0;
        b->diagonal[i] = plane_rotation(&c, &s, b->diagonal[i], bulge);
        rotate_left(b, i, row, c, s);
        if (i < high) {
            bulge = -s * b->upper[i];
            b->upper[i] *= c;
        }
    }
}

/* A zero at diagonal[high]: clears upper[high − 1] by rotations of columns, which U doesn't see. */
static void clear_column(bidiagonal *b, size_t low, size_t high)
{
    double bulge = b->upper[high - 1];
    b->upper[high - 1] = 0.0;
    for (size_t i = high; i-- > low;) {
        double c = 0.0;
        double s = 0.0;
        b->diagonal[i] = plane_rotation(&c, &s, b->diagonal[i], bulge);
        if (i > low) {
            bulge = -s * b->upper[i - 1];
            b->upper[i - 1] *= c;
        }
    }
}

/* The eigenvalue of the trailing 2 × 2 block of BᵀB that is nearer to its last element (Wilkinson).
 */
static double wilkinson_shift(const bidiagonal *b, size_t low, size_t high)
{
    const double above = high - 1 > low ? b->upper[high - 2] : 0.0;
    const double d1 = b->diagonal[high - 1];
    const double d2 = b->diagonal[high];
    const double e = b->upper[high - 1];
    const double t11 = d1 * d1 + above * above;
    const double t22 = d2 * d2 + e * e;
    const double t12 = d1 * e;
    const double half = (t11 - t22) / 2.0;
    const double root = hypot(half, t12);
    const double divisor = half + (half < 0.0 ? -root : root);
    return divisor != 0.0 ? t22 - t12 * t12 / divisor : t22;
}

static void qr_step(bidiagonal *b, size_t low, size_t high)
{
    double *d = b->diagonal;
    double *e = b->upper;
    double y = d[low] * d[low] - wilkinson_shift(b, low, high);
    double z = d[low] * e[low];
    for (size_t k = low; k < high; k++) {
        double c = 0.0;
        double s = 0.0;
        const double r = plane_rotation(&c, &s, y, z);
        if (k > low) {
            e[k - 1] = r;
        }
        y = c * d[k] + s * e[k];
        e[k] = c * e[k] - s * d[k];
        z = s * d[k + 1];
        d[k + 1] *= c;
        d[k] = plane_rotation(&c, &s, y, z);
        rotate_left(b, k, k + 1, c, s);
        y = c * e[k] + s * d[k + 1];
        d[k + 1] = c * d[k + 1] - s * e[k];
        if (k + 1 < high) {
            z = s * e[k + 1];
            e[k + 1] *= c;
        }
    }
    e[high - 1] = y;
}

/* Diagonalises; the singular values may come out negative and unsorted. */
static ttm_status diagonalise(bidiagonal *b)
{
    size_t steps_left = 60 * b->n + 60; /* 2 to 3 steps a value are usual */
    size_t high = b->n - 1;
    while (high > 0) {
        size_t low = high;
        for (; low > 0; low--) {
            const double neighbours = fabs(b->diagonal[low]) + fabs(b->diagonal[low - 1]);
            if (fabs(b->upper[low - 1]) <= DBL_EPSILON * neighbours ||
                fabs(b->upper[low - 1]) <= b->tiny) {
                b->upper[low - 1] = 0.0;
                break;
            }
        }
        if (low == high) {
            high--;
            continue;
        }
        if (steps_left-- == 0) {
            return ttm_fail(
                TTM_ERROR_NUMERIC,
                "an SVD of size %zu doesn't converge: are there NaN or infinite numbers?", b->n);
        }
        size_t zero = low;
        while (zero <= high && fabs(b->diagonal[zero]) > b->tiny) {
            zero++;
        }
        if (zero < high) {
            b->diagonal[zero] = 0.0;
            clear_row(b, zero, high);
        } else if (zero == high) {
            b->diagonal[high] = 0.0;
            clear_column(b, low, high);
        } else {
            qr_step(b, low, high);
        }
    }
    flush_rotations(b);
    return TTM_OK;
}

typedef struct ordered_value {
    double sigma;
    size_t row;
} ordered_value;

static int compare_values(const void *first, const void *second)
{
    const ordered_value *a = first;
    const ordered_value *b = second;
    if (a->sigma != b->sigma) {
        return a->sigma > b->sigma ? -1 : 1;
    }
    return (a->row > b->row) - (a->row < b->row);
}

/* Puts |diagonal| and the rows of Uᵀ in descending order. A negative value's sign belongs to V. */
static ttm_status sort_values(double *u_transposed, double *sigma, const bidiagonal *b)
{
    ordered_value *values = NULL;
    TTM_TRY(ttm_array_new(&values, b->n, sizeof *values, "the order of an SVD"));
    for (size_t i = 0; i < b->n; i++) {
        values[i] = (ordered_value){fabs(b->diagonal[i]), i};
    }
    qsort(values, b->n, sizeof *values, compare_values);
    for (size_t i = 0; i < b->n; i++) {
        sigma[i] = values[i].sigma;
        memcpy(u_transposed + i * b->n, b->left + values[i].row * b->n, b->n * sizeof(double));
    }
    free(values);
    return TTM_OK;
}

static double largest_element(const double *a, size_t count)
{
    double largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double size = fabs(a[i]);
        if (!(size <= largest)) { /* NaN passes, too */
            largest = size;
        }
        if (isnan(largest)) {
            break;
        }
    }
    return largest;
}

ttm_status ttm_svd_left(double *u_transposed, double *sigma, double *a, size_t n)
{
    ttm_status status = TTM_OK;
    bidiagonal b = {.n = n, .queue_capacity = 16 * n + 16};
    const double scale = largest_element(a, n * n);
    if (!isfinite(scale)) {
        return ttm_fail(TTM_ERROR_NUMERIC, "NaN or infinity in a matrix that an SVD is wanted of");
    }
    TTM_TRY_OUT(ttm_array_new(&b.diagonal, n, sizeof(double), "the diagonal of an SVD"));
    TTM_TRY_OUT(ttm_array_new(&b.upper, n, sizeof(double), "the diagonal of an SVD"));
    TTM_TRY_OUT(ttm_array_new(&b.left, n, n * sizeof(double), "the left vectors of an SVD"));
    TTM_TRY_OUT(ttm_array_new(&b.queue, b.queue_capacity, sizeof(rotation), "an SVD's rotations"));
    /* Scaled to 1: squares of the values are formed, and mustn't overflow or vanish. */
    for (size_t i = 0; i < n * n && scale > 0.0; i++) {
        a[i] /= scale;
    }
    TTM_TRY_OUT(bidiagonalise(&b, a));
    for (size_t i = 0; i < n; i++) {
        b.tiny = fmax(b.tiny, fabs(b.diagonal[i]) + fabs(b.upper[i]));
    }
    b.tiny *= DBL_EPSILON / 4.0;
    TTM_TRY_OUT(diagonalise(&b));
    TTM_TRY_OUT(sort_values(u_transposed, sigma, &b));
    for (size_t i = 0; i < n; i++) {
        sigma[i] *= scale;
    }
out:
    free(b.diagonal);
    free(b.upper);
    free(b.left);
    free(b.queue);
    return status;
}
