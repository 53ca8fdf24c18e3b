/* Singular value decomposition on the host, in double: what TT-SVD and rank rounding need of it. */
#ifndef TTM_TT_SVD_H
#define TTM_TT_SVD_H

#include <stddef.h>
#include <ttm/status.h>

/** a [n, n] = U·Σ·Vᵀ: u_transposed [n, n] gets Uᵀ (row i is the i-th left singular vector), sigma
 * [n] the singular values, largest first. V isn't computed. a is destroyed. Errors in sigma are a
 * small multiple of the unit round-off times the largest; U is orthogonal to a small multiple of
 * the unit round-off, whatever the rank. TTM_ERROR_OUT_OF_MEMORY; TTM_ERROR_NUMERIC when it doesn't
 * converge, which only NaN or infinity in a can cause. */
TTM_CHECKED ttm_status ttm_svd_left(double *u_transposed, double *sigma, double *a, size_t n);

/** The truncated SVD as an orthonormal part and the rest. */
typedef struct ttm_svd_part {
    size_t rank;
    double *left;             /**< [rows, rank], orthonormal columns. */
    double *rest;             /**< [rank, columns] = leftᵀ·a. */
    double discarded_squares; /**< ‖a − left·rest‖²_F. */
} ttm_svd_part;

/** Splits a [rows, columns] into left·rest with at most max_rank columns, and as few as keep
 * discarded_squares ≤ allowed_squares; with allowed_squares 0 exactly min(rows, columns, max_rank),
 * whatever the values. Free the part with ttm_svd_part_free; on failure it is empty. Errors as
 * ttm_svd_left. */
TTM_CHECKED ttm_status ttm_svd_split(ttm_svd_part *part, const double *a, size_t rows,
                                     size_t columns, size_t max_rank, double allowed_squares);

/** Frees what ttm_svd_split made. */
void ttm_svd_part_free(ttm_svd_part *part);

#endif
