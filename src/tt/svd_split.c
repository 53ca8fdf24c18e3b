/* The truncated SVD of a rectangular matrix. A QR of the longer side comes first (Chan 1982), so
 * that the SVD proper is of the smaller side's size; the rest is computed as leftᵀ·a, so that right
 * vectors are never needed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"
#include "tt/svd.h"

static size_t choose_rank(double *discarded_squares, const double *sigma, size_t n, size_t max_rank,
                          double allowed_squares)
{
    size_t rank = n;
    double tail = 0.0;
    while (rank > 1) {
        const double longer_tail = tail + sigma[rank - 1] * sigma[rank - 1];
        if (rank <= max_rank && !(allowed_squares > 0.0 && longer_tail <= allowed_squares)) {
            break;
        }
        tail = longer_tail;
        rank--;
    }
    *discarded_squares = tail;
    return rank;
}

/* work [longer, shorter] (the transpose of a when a is wide) is factorised in place; square
 * [shorter, shorter] gets what the SVD is of: R for a tall a, Rᵀ for a wide one. */
static ttm_status reduce(double *work, double *factors, double *square, double *triangle,
                         const double *a, size_t rows, size_t columns)
{
    const bool wide = rows <= columns;
    const size_t shorter = wide ? rows : columns;
    const size_t longer = wide ? columns : rows;
    if (wide) {
        ttm_dense_transpose(work, a, rows, columns);
    } else {
        memcpy(work, a, rows * columns * sizeof *a);
    }
    TTM_TRY(ttm_dense_qr(work, factors, longer, shorter));
    ttm_dense_copy_r(triangle, work, longer, shorter);
    if (wide) {
        ttm_dense_transpose(square, triangle, shorter, shorter);
    } else {
        memcpy(square, triangle, shorter * shorter * sizeof *square);
    }
    return TTM_OK;
}

/* left and rest of the chosen rank, from Uᵀ of the square matrix. */
static ttm_status expand(ttm_svd_part *part, const double *u_transposed, const double *triangle,
                         const double *work, const double *factors, const double *a, size_t rows,
                         size_t columns)
{
    const bool wide = rows <= columns;
    const size_t shorter = wide ? rows : columns;
    TTM_TRY(ttm_array_new(&part->left, rows, part->rank * sizeof(double), "a TT core"));
    TTM_TRY(ttm_array_new(&part->rest, columns, part->rank * sizeof(double), "the rest of an SVD"));
    for (size_t i = 0; i < shorter; i++) {
        for (size_t j = 0; j < part->rank; j++) {
            part->left[i * part->rank + j] = u_transposed[j * shorter + i];
        }
    }
    if (wide) {
        ttm_dense_multiply(part->rest, u_transposed, a, part->rank, columns, rows);
        return TTM_OK;
    }
    ttm_dense_multiply(part->rest, u_transposed, triangle, part->rank, columns, columns);
    return ttm_dense_apply_q(part->left, part->rank, work, factors, rows, columns);
}

static ttm_status check_finite(const double *a, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i])) {
            return ttm_fail(TTM_ERROR_NUMERIC,
                            "a matrix to be decomposed contains %s (element %zu)",
                            isnan(a[i]) ? "NaN" : "infinity", i);
        }
    }
    return TTM_OK;
}

ttm_status ttm_svd_split(ttm_svd_part *part, const double *a, size_t rows, size_t columns,
                         size_t max_rank, double allowed_squares)
{
    ttm_status status = TTM_OK;
    const size_t shorter = rows < columns ? rows : columns;
    double *work = NULL;
    double *factors = NULL;
    double *square = NULL;
    double *triangle = NULL;
    double *u_transposed = NULL;
    double *sigma = NULL;
    *part = (ttm_svd_part){0};
    TTM_TRY(check_finite(a, rows * columns));
    TTM_TRY_OUT(ttm_array_new(&work, rows, columns * sizeof(double), "a copy for an SVD"));
    TTM_TRY_OUT(ttm_array_new(&factors, shorter, sizeof(double), "the factors of a QR"));
    TTM_TRY_OUT(ttm_array_new(&square, shorter, shorter * sizeof(double), "an SVD"));
    TTM_TRY_OUT(ttm_array_new(&triangle, shorter, shorter * sizeof(double), "an SVD"));
    TTM_TRY_OUT(ttm_array_new(&u_transposed, shorter, shorter * sizeof(double), "an SVD"));
    TTM_TRY_OUT(ttm_array_new(&sigma, shorter, sizeof(double), "singular values"));
    TTM_TRY_OUT(reduce(work, factors, square, triangle, a, rows, columns));
    TTM_TRY_OUT(ttm_svd_left(u_transposed, sigma, square, shorter));
    part->rank = choose_rank(&part->discarded_squares, sigma, shorter, max_rank, allowed_squares);
    TTM_TRY_OUT(expand(part, u_transposed, triangle, work, factors, a, rows, columns));
out:
    free(work);
    free(factors);
    free(square);
    free(triangle);
    free(u_transposed);
    free(sigma);
    if (status != TTM_OK) {
        ttm_svd_part_free(part);
    }
    return status;
}

void ttm_svd_part_free(ttm_svd_part *part)
{
    free(part->left);
    free(part->rest);
    *part = (ttm_svd_part){0};
}
