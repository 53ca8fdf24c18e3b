/* Orthogonalised initialisation (arXiv 2306.02697) that holds for any number of cores and any
 * ranks.
 *
 * Start: G_k ~ N(0, 1)/√r_{k−1}. Then E[W_ij²] = Π_k r_k (inner bonds: the terms of the sum) · Π_k
 * 1/r_{k−1} = 1, the same for every element whatever the ranks: r_0 = r_d = 1, so both products are
 * over the inner bonds.
 *
 * Sweep: core by core, G_k seen as A [p, r] with p = r_{k−1}·n_k·m_k and r = r_k is split into an
 * orthonormal part, which stays, and a square factor that moves into G_{k+1}, so that W doesn't
 * change: r ≤ p:  A = Q·R (orthonormal columns),  G_k ← Q,  G_{k+1} ← R·G_{k+1}. r > p:  columns
 * can't be orthonormal, rows can: A = L·V, V·Vᵀ = 1, L [p, p]. With G_k ← V the next core must
 * satisfy V·X = L·V·G_{k+1}; X = G_{k+1} + Vᵀ·(L − 1)·V·G_{k+1} does, and differs from G_{k+1} only
 * where V sees it. The r − p directions that V doesn't see keep their random numbers. (Padding Q
 * with zero columns would do for W, too, but a zero column that meets a zero row has zero gradients
 * on both sides: those ranks would be dead for ever.)
 *
 * Scale: W's elements are exchangeable, so that dividing W by ‖W‖_F/√(in·out) gives each of them
 * E[W_ij²] = 1 exactly, and makes each draw's mean square 1, too, where the plain product of a few
 * small cores can be far off. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/tt.h>

#include "core/array.h"
#include "core/error.h"
#include "core/random.h"
#include "tt/dense.h"

/* core [p, r] = Q, next [r, columns] ← R·next. */
static ttm_status sweep_tall(double *core, double *next, double *work, double *factors, size_t p,
                             size_t r, size_t columns)
{
    ttm_status status = TTM_OK;
    double *triangle = NULL;
    double *product = NULL;
    TTM_TRY_OUT(ttm_array_new(&triangle, r, r * sizeof(double), "a triangular factor"));
    TTM_TRY_OUT(ttm_array_new(&product, r, columns * sizeof(double), "a TT core"));
    memcpy(work, core, p * r * sizeof(double));
    TTM_TRY_OUT(ttm_dense_qr(work, factors, p, r));
    ttm_dense_copy_r(triangle, work, p, r);
    TTM_TRY_OUT(ttm_dense_form_q(core, work, factors, p, r));
    ttm_dense_multiply(product, triangle, next, r, columns, r);
    memcpy(next, product, r * columns * sizeof(double));
out:
    free(triangle);
    free(product);
    return status;
}

/* core [p, r] = V, next [r, columns] += Vᵀ·(L − 1)·V·next; L is the transposed R of the transposed
 * core. */
static ttm_status sweep_wide(double *core, double *next, double *work, double *factors, size_t p,
                             size_t r, size_t columns)
{
    ttm_status status = TTM_OK;
    double *triangle = NULL;
    double *rows = NULL;
    double *seen = NULL;
    double *changed = NULL;
    TTM_TRY_OUT(ttm_array_new(&triangle, p, p * sizeof(double), "a triangular factor"));
    TTM_TRY_OUT(ttm_array_new(&rows, p, r * sizeof(double), "a TT core"));
    TTM_TRY_OUT(ttm_array_new(&seen, p, columns * sizeof(double), "a TT core"));
    TTM_TRY_OUT(ttm_array_new(&changed, p, columns * sizeof(double), "a TT core"));
    ttm_dense_transpose(work, core, p, r);
    TTM_TRY_OUT(ttm_dense_qr(work, factors, r, p));
    ttm_dense_copy_r(triangle, work, r, p);
    TTM_TRY_OUT(ttm_dense_form_q(rows, work, factors, r, p));
    ttm_dense_transpose(core, rows, r, p);
    for (size_t i = 0; i < p; i++) {
        triangle[i * p + i] -= 1.0;
    }
    ttm_dense_multiply(seen, core, next, p, columns, r);
    ttm_dense_multiply_add(changed, columns, 1.0, (ttm_dense_view){triangle, 1, p},
                           (ttm_dense_view){seen, columns, 1}, p, columns, p);
    ttm_dense_multiply_add(next, columns, 1.0, (ttm_dense_view){core, 1, r},
                           (ttm_dense_view){changed, columns, 1}, r, columns, p);
out:
    free(triangle);
    free(rows);
    free(seen);
    free(changed);
    return status;
}

/* Sweeps core `core`; *orthonormal becomes false when its columns can't be orthonormal. */
static ttm_status sweep(bool *orthonormal, ttm_tt *tt, int32_t core)
{
    ttm_status status = TTM_OK;
    const ttm_tt_shape *shape = &tt->shape;
    const size_t r = (size_t)shape->ranks[core + 1];
    const size_t p = (size_t)ttm_tt_shape_core_elements(shape, core) / r;
    const size_t columns = (size_t)ttm_tt_shape_core_elements(shape, core + 1) / r;
    double *work = NULL;
    double *factors = NULL;
    TTM_TRY_OUT(ttm_array_new(&work, p, r * sizeof(double), "a TT core"));
    TTM_TRY_OUT(ttm_array_new(&factors, p < r ? p : r, sizeof(double), "the factors of a QR"));
    TTM_TRY_OUT((r <= p ? sweep_tall : sweep_wide)(tt->cores[core], tt->cores[core + 1], work,
                                                   factors, p, r, columns));
    *orthonormal = *orthonormal && r <= p;
out:
    free(work);
    free(factors);
    return status;
}

ttm_status ttm_tt_init(ttm_tt *tt, double standard_deviation, ttm_random *random)
{
    const ttm_tt_shape *shape = &tt->shape;
    if (!(standard_deviation >= 0.0) || !isfinite(standard_deviation)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "standard deviation %g: it must be a finite number, 0 or more",
                        standard_deviation);
    }
    for (int32_t core = 0; core < shape->core_count; core++) {
        ttm_random_fill_normal(tt->cores[core], (size_t)ttm_tt_shape_core_elements(shape, core),
                               1.0 / sqrt((double)shape->ranks[core]), random);
    }
    bool orthonormal = true;
    for (int32_t core = 0; core + 1 < shape->core_count; core++) {
        TTM_TRY(sweep(&orthonormal, tt, core));
    }
    const int32_t last = shape->core_count - 1;
    const int64_t last_elements = ttm_tt_shape_core_elements(shape, last);
    double norm = 0.0;
    if (orthonormal) { /* then the last core has W's norm */
        for (int64_t i = 0; i < last_elements; i++) {
            norm += tt->cores[last][i] * tt->cores[last][i];
        }
        norm = sqrt(norm);
    } else {
        TTM_TRY(ttm_tt_norm(&norm, tt));
    }
    const double wanted = standard_deviation * sqrt((double)ttm_tt_shape_in(shape)) *
                          sqrt((double)ttm_tt_shape_out(shape));
    const double factor = norm > 0.0 ? wanted / norm : 0.0;
    for (int64_t i = 0; i < last_elements; i++) {
        tt->cores[last][i] *= factor;
    }
    return TTM_OK;
}

ttm_status ttm_tt_init_f32(float *const *cores, const ttm_tt_shape *shape,
                           double standard_deviation, ttm_random *random)
{
    ttm_tt tt;
    TTM_TRY(ttm_tt_new(&tt, shape));
    const ttm_status status = ttm_tt_init(&tt, standard_deviation, random);
    if (status == TTM_OK) {
        ttm_tt_store_f32(cores, &tt);
    }
    ttm_tt_free(&tt);
    return status;
}
