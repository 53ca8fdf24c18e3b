/* Dense matrices in double on the host: product, permutation, Householder QR. Row-major throughout.
 *
 * This is for set-up and compression, where accuracy and no dependency count; training never comes
 * here. Results don't depend on the machine's instruction set (no FMA), so that an initialisation
 * is the same everywhere. */
#ifndef TTM_TT_DENSE_H
#define TTM_TT_DENSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** A matrix inside memory of somebody else: element (i, j) at data[i·row_stride + j·column_stride].
 */
typedef struct ttm_dense_view {
    const double *data;
    size_t row_stride;
    size_t column_stride;
} ttm_dense_view;

/** c [m, n] (row stride c_stride) += scale·a [m, k]·b [k, n]. b's columns must be adjacent or its
 * rows be. */
void ttm_dense_multiply_add(double *c, size_t c_stride, double scale, ttm_dense_view a,
                            ttm_dense_view b, size_t m, size_t n, size_t k);

/** c [m, n] = a [m, k]·b [k, n], all dense. */
void ttm_dense_multiply(double *c, const double *a, const double *b, size_t m, size_t n, size_t k);

/** b [columns, rows] = aᵀ, a [rows, columns]. */
void ttm_dense_transpose(double *b, const double *a, size_t rows, size_t columns);

/** to = from with its axes in another order: axis i of `to` is axis order[i] of `from`, whose sizes
 * are sizes[axis]. At most TTM_DENSE_MAX_AXES axes. */
#define TTM_DENSE_MAX_AXES 20
void ttm_dense_permute(double *to, const double *from, int axis_count, const int64_t *sizes,
                       const int *order);

/** a [m, n] = Q·R in place: R on and above the diagonal, the Householder vectors below it, their
 * factors in factors[min(m, n)]. TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_dense_qr(double *a, double *factors, size_t m, size_t n);

/** c [m, columns] = Q·c for the Q of ttm_dense_qr(a, factors, m, n). TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_dense_apply_q(double *c, size_t columns, const double *a,
                                         const double *factors, size_t m, size_t n);

/** q [m, k] = the first k = min(m, n) columns of Q. TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_dense_form_q(double *q, const double *a, const double *factors, size_t m,
                                        size_t n);

/** r [min(m, n), n] = the triangular factor in a, zeros below the diagonal. */
void ttm_dense_copy_r(double *r, const double *a, size_t m, size_t n);

/** Makes the Householder reflector H = I − factor·v·vᵀ, v[0] = 1, with H·x = (head, 0 … 0): x[0]
 * becomes head, the others (count − 1 numbers, `stride` apart) v's. Returns factor, 0 when x is
 * already of that form. */
double ttm_dense_reflector(double *x, size_t stride, size_t count);

#endif
