/* TT-SVD of a dense matrix and rounding of a TT-matrix (Oseledets, "Tensor-train decomposition",
 * 2011).
 *
 * Both end in the same left-to-right sweep: what is left of W, seen as [rank·n·m, everything to the
 * right], is split by a truncated SVD into an orthonormal core and the rest. Because each rest is
 * orthogonal to what was thrown away before, the squares of the discarded singular values of all
 * bonds add up to the squared error exactly. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/tt.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"
#include "tt/svd.h"

/* Cores that come one by one, of ranks not known before. */
typedef struct assembly {
    ttm_tt_shape shape;
    double *cores[TTM_TT_MAX_CORES];
    double discarded_squares;
    double allowed_squares; /* a bond */
    double norm_squares;
} assembly;

static ttm_status check_tolerance(double relative_error)
{
    if (!(relative_error >= 0.0) || !isfinite(relative_error)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "relative error %g: it must be a finite number, 0 or more", relative_error);
    }
    return TTM_OK;
}

static double sum_of_squares(const double *values, size_t count)
{
    double sum = 0.0;
    for (size_t first = 0; first < count; first += 1024) { /* in blocks: loses less to rounding */
        const size_t end = first + 1024 < count ? first + 1024 : count;
        double block = 0.0;
        for (size_t i = first; i < end; i++) {
            block += values[i] * values[i];
        }
        sum += block;
    }
    return sum;
}

/* What a bond may discard; 0 keeps the ranks as they are. The least that isn't 0 is far below any
 * rounding, and lets a matrix of zeros, of which every error is 0, do with ranks of 1. */
static void set_tolerance(assembly *made, double relative_error, double norm_squares)
{
    const int32_t bonds = made->shape.core_count - 1;
    made->norm_squares = norm_squares;
    if (bonds > 0 && relative_error > 0.0) {
        made->allowed_squares =
            fmax(relative_error * relative_error * norm_squares / (double)bonds, DBL_MIN);
    }
}

/* Splits core `core` off `rest` [ranks[core]·n·m, columns]; *next_rest is the caller's to free. */
static ttm_status split_core(assembly *made, double **next_rest, int32_t core, const double *rest,
                             size_t columns)
{
    ttm_tt_shape *shape = &made->shape;
    const size_t rows =
        (size_t)(shape->ranks[core] * shape->in_modes[core] * shape->out_modes[core]);
    ttm_svd_part part;
    TTM_TRY(ttm_svd_split(&part, rest, rows, columns, (size_t)shape->ranks[core + 1],
                          made->allowed_squares));
    made->cores[core] = part.left;
    made->discarded_squares += part.discarded_squares;
    shape->ranks[core + 1] = (int64_t)part.rank;
    *next_rest = part.rest;
    return TTM_OK;
}

/* The finished TT-matrix out of the single cores. */
static ttm_status assemble(ttm_tt *tt, const assembly *made, double *achieved_error)
{
    TTM_TRY(ttm_tt_new(tt, &made->shape));
    for (int32_t core = 0; core < made->shape.core_count; core++) {
        memcpy(tt->cores[core], made->cores[core],
               (size_t)ttm_tt_shape_core_elements(&made->shape, core) * sizeof(double));
    }
    if (achieved_error != NULL) {
        *achieved_error = made->norm_squares > 0.0
                              ? sqrt(made->discarded_squares) / sqrt(made->norm_squares)
                              : 0.0;
    }
    return TTM_OK;
}

static void assembly_free(assembly *made)
{
    for (int32_t core = 0; core < TTM_TT_MAX_CORES; core++) {
        free(made->cores[core]);
    }
}

/* matrix [n1 … nd, m1 … md] as [n1, m1, …, nd, md]. */
static ttm_status unfold(double **unfolded, const double *matrix, const ttm_tt_shape *shape)
{
    const int32_t cores = shape->core_count;
    const size_t elements = (size_t)(ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
    int64_t sizes[2 * TTM_TT_MAX_CORES];
    int order[2 * TTM_TT_MAX_CORES];
    for (int32_t core = 0; core < cores; core++) {
        sizes[core] = shape->in_modes[core];
        sizes[cores + core] = shape->out_modes[core];
        order[2 * core] = core;
        order[2 * core + 1] = cores + core;
    }
    TTM_TRY(ttm_array_new(unfolded, elements, sizeof(double), "a copy of a matrix"));
    ttm_dense_permute(*unfolded, matrix, 2 * cores, sizes, order);
    return TTM_OK;
}

/* *exponent = that of the power of two that the largest element is below, 0 for a zero matrix:
 * divided by it, no square overflows or vanishes. */
static ttm_status find_exponent(int *exponent, const double *values, size_t count)
{
    double largest = 0.0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return ttm_fail(TTM_ERROR_NUMERIC,
                            "element %zu of a matrix to be decomposed is %s: check the weights", i,
                            isnan(values[i]) ? "NaN" : "infinite");
        }
        largest = fmax(largest, fabs(values[i]));
    }
    (void)frexp(largest, exponent);
    return TTM_OK;
}

/* Multiplies by 2^exponent, which itself needn't be a double. */
static void scale_values(double *values, size_t count, int exponent)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = ldexp(values[i], exponent);
    }
}

ttm_status ttm_tt_decompose(ttm_tt *tt, const double *matrix, const ttm_tt_shape *shape,
                            double relative_error, double *achieved_error)
{
    ttm_status status = TTM_OK;
    assembly made = {0};
    double *rest = NULL;
    int exponent = 0;
    *tt = (ttm_tt){0};
    TTM_TRY(check_tolerance(relative_error));
    ttm_tt_shape_clip(&made.shape, shape);
    TTM_TRY(ttm_tt_shape_check(&made.shape));
    const size_t elements = (size_t)(ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
    TTM_TRY(find_exponent(&exponent, matrix, elements));
    TTM_TRY_OUT(unfold(&rest, matrix, &made.shape));
    scale_values(rest, elements, -exponent);
    set_tolerance(&made, relative_error, sum_of_squares(rest, elements));
    size_t rest_elements = elements;
    const int32_t last = made.shape.core_count - 1;
    for (int32_t core = 0; core < last; core++) {
        const size_t rows = (size_t)(made.shape.ranks[core] * made.shape.in_modes[core] *
                                     made.shape.out_modes[core]);
        double *next_rest = NULL;
        TTM_TRY_OUT(split_core(&made, &next_rest, core, rest, rest_elements / rows));
        free(rest);
        rest = next_rest;
        rest_elements = rest_elements / rows * (size_t)made.shape.ranks[core + 1];
    }
    scale_values(rest, rest_elements, exponent);
    made.cores[last] = rest;
    rest = NULL;
    TTM_TRY_OUT(assemble(tt, &made, achieved_error));
out:
    free(rest);
    assembly_free(&made);
    return status;
}

ttm_status ttm_tt_decompose_f32(ttm_tt *tt, const float *matrix, const ttm_tt_shape *shape,
                                double relative_error, double *achieved_error)
{
    ttm_tt_shape clipped;
    double *wide = NULL;
    *tt = (ttm_tt){0};
    ttm_tt_shape_clip(&clipped, shape);
    TTM_TRY(ttm_tt_shape_check(&clipped));
    const size_t elements = (size_t)(ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
    TTM_TRY(ttm_array_new(&wide, elements, sizeof *wide, "a matrix in double"));
    for (size_t i = 0; i < elements; i++) {
        wide[i] = (double)matrix[i];
    }
    const ttm_status status = ttm_tt_decompose(tt, wide, &clipped, relative_error, achieved_error);
    free(wide);
    return status;
}

/* Core `core` of `cores` [r, n·m·r'] = L·Q: Q (orthonormal rows) stays, L moves into the core on
 * its left; the rank between them drops to what the right side can carry. */
static ttm_status orthogonalise_right(double *cores[], ttm_tt_shape *shape, int32_t core)
{
    ttm_status status = TTM_OK;
    const size_t rank = (size_t)shape->ranks[core];
    const size_t columns = (size_t)ttm_tt_shape_core_elements(shape, core) / rank;
    const size_t new_rank = rank < columns ? rank : columns;
    const size_t left_rows = (size_t)ttm_tt_shape_core_elements(shape, core - 1) / rank;
    double *work = NULL;
    double *factors = NULL;
    double *triangle = NULL;
    double *q = NULL;
    double *left = NULL;
    TTM_TRY_OUT(ttm_array_new(&work, columns, rank * sizeof *work, "a TT core"));
    TTM_TRY_OUT(ttm_array_new(&factors, new_rank, sizeof *factors, "the factors of a QR"));
    TTM_TRY_OUT(ttm_array_new(&triangle, new_rank, rank * sizeof *triangle, "a triangular factor"));
    TTM_TRY_OUT(ttm_array_new(&q, columns, new_rank * sizeof *q, "a TT core"));
    TTM_TRY_OUT(ttm_array_new(&left, left_rows, new_rank * sizeof *left, "a TT core"));
    ttm_dense_transpose(work, cores[core], rank, columns);
    TTM_TRY_OUT(ttm_dense_qr(work, factors, columns, rank));
    ttm_dense_copy_r(triangle, work, columns, rank);
    TTM_TRY_OUT(ttm_dense_form_q(q, work, factors, columns, rank));
    ttm_dense_transpose(cores[core], q, columns, new_rank);
    ttm_dense_multiply_add(left, new_rank, 1.0, (ttm_dense_view){cores[core - 1], rank, 1},
                           (ttm_dense_view){triangle, 1, rank}, left_rows, new_rank, rank);
    memcpy(cores[core - 1], left, left_rows * new_rank * sizeof *left);
    shape->ranks[core] = (int64_t)new_rank;
out:
    free(work);
    free(factors);
    free(triangle);
    free(q);
    free(left);
    return status;
}

/* The left-to-right sweep over right-orthonormal cores: each SVD's rest is multiplied into the next
 * core. */
static ttm_status truncate_left_to_right(assembly *made, const ttm_tt *from)
{
    ttm_status status = TTM_OK;
    const int32_t last = from->shape.core_count - 1;
    const size_t first_elements = (size_t)ttm_tt_shape_core_elements(&from->shape, 0);
    double *rest = NULL;
    double *next_rest = NULL;
    TTM_TRY_OUT(ttm_array_new(&rest, first_elements, sizeof *rest, "a TT core"));
    memcpy(rest, from->cores[0], first_elements * sizeof *rest);
    for (int32_t core = 0; core < last; core++) {
        const size_t columns = (size_t)from->shape.ranks[core + 1];
        const size_t next_columns =
            (size_t)ttm_tt_shape_core_elements(&from->shape, core + 1) / columns;
        TTM_TRY_OUT(split_core(made, &next_rest, core, rest, columns));
        free(rest);
        rest = NULL;
        const size_t rank = (size_t)made->shape.ranks[core + 1];
        TTM_TRY_OUT(ttm_array_new(&rest, rank, next_columns * sizeof *rest, "a TT core"));
        ttm_dense_multiply(rest, next_rest, from->cores[core + 1], rank, next_columns, columns);
        free(next_rest);
        next_rest = NULL;
    }
    made->cores[last] = rest;
    rest = NULL;
out:
    free(rest);
    free(next_rest);
    return status;
}

static ttm_status limit_ranks(ttm_tt_shape *limited, const ttm_tt_shape *source,
                              const ttm_tt_shape *limits)
{
    *limited = *source;
    if (limits != NULL) {
        ttm_tt_shape same_ranks = *limits;
        memcpy(same_ranks.ranks, source->ranks, sizeof same_ranks.ranks);
        if (!ttm_tt_shape_equal(&same_ranks, source)) {
            return ttm_fail(TTM_ERROR_SHAPE,
                            "a TT-matrix can be rounded to other ranks, not to other modes");
        }
        for (int32_t bond = 1; bond < source->core_count; bond++) {
            if (limits->ranks[bond] < source->ranks[bond]) {
                limited->ranks[bond] = limits->ranks[bond];
            }
        }
    }
    ttm_tt_shape_clip(limited, limited);
    return ttm_tt_shape_check(limited);
}

ttm_status ttm_tt_round(ttm_tt *rounded, const ttm_tt *source, const ttm_tt_shape *limits,
                        double relative_error, double *achieved_error)
{
    ttm_status status = TTM_OK;
    assembly made = {0};
    ttm_tt work = {0};
    int exponent = 0; /* that of all cores together */
    *rounded = (ttm_tt){0};
    TTM_TRY(check_tolerance(relative_error));
    TTM_TRY(limit_ranks(&made.shape, &source->shape, limits));
    TTM_TRY_OUT(ttm_tt_new(&work, &source->shape));
    const int32_t last = source->shape.core_count - 1;
    for (int32_t core = 0; core <= last; core++) {
        const size_t elements = (size_t)ttm_tt_shape_core_elements(&work.shape, core);
        int own = 0;
        TTM_TRY_OUT(find_exponent(&own, source->cores[core], elements));
        memcpy(work.cores[core], source->cores[core], elements * sizeof(double));
        scale_values(work.cores[core], elements, -own);
        exponent += own;
    }
    for (int32_t core = last; core > 0; core--) {
        TTM_TRY_OUT(orthogonalise_right(work.cores, &work.shape, core));
    }
    set_tolerance(
        &made, relative_error,
        sum_of_squares(work.cores[0], (size_t)ttm_tt_shape_core_elements(&work.shape, 0)));
    TTM_TRY_OUT(truncate_left_to_right(&made, &work));
    scale_values(made.cores[last], (size_t)ttm_tt_shape_core_elements(&made.shape, last), exponent);
    TTM_TRY_OUT(assemble(rounded, &made, achieved_error));
out:
    ttm_tt_free(&work);
    assembly_free(&made);
    return status;
}
