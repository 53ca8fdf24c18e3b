/* TT-matrices that own their cores in double: memory, f32 in and out, W itself and its norm. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/tt.h>

#include "core/array.h"
#include "core/error.h"
#include "tt/dense.h"

ttm_status ttm_tt_new(ttm_tt *tt, const ttm_tt_shape *shape)
{
    *tt = (ttm_tt){0};
    TTM_TRY(ttm_tt_shape_check(shape));
    double *cores = NULL;
    TTM_TRY(ttm_array_new(&cores, (size_t)ttm_tt_shape_elements(shape), sizeof *cores,
                          "the cores of a TT-matrix"));
    tt->shape = *shape;
    for (int32_t core = 0; core < shape->core_count; core++) {
        tt->cores[core] = cores;
        cores += ttm_tt_shape_core_elements(shape, core);
    }
    return TTM_OK;
}

void ttm_tt_free(ttm_tt *tt)
{
    free(tt->cores[0]);
    *tt = (ttm_tt){0};
}

void ttm_tt_load_f32(ttm_tt *tt, const float *const *cores)
{
    for (int32_t core = 0; core < tt->shape.core_count; core++) {
        const int64_t elements = ttm_tt_shape_core_elements(&tt->shape, core);
        for (int64_t i = 0; i < elements; i++) {
            tt->cores[core][i] = (double)cores[core][i];
        }
    }
}

void ttm_tt_store_f32(float *const *cores, const ttm_tt *tt)
{
    for (int32_t core = 0; core < tt->shape.core_count; core++) {
        const int64_t elements = ttm_tt_shape_core_elements(&tt->shape, core);
        for (int64_t i = 0; i < elements; i++) {
            cores[core][i] = (float)tt->cores[core][i];
        }
    }
}

/* A partial product: cores first … last − 1 as [ranks[first], their modes, ranks[last]]. */
typedef struct product {
    double *data;
    double *owned; /* what to free; NULL for a core */
} product;

static size_t interval_elements(const ttm_tt_shape *shape, int32_t first, int32_t last)
{
    return (size_t)ttm_tt_interval_size(shape->in_modes, shape->out_modes, first, last);
}

/* Joins the product that starts at join.first with the one that starts at join.middle; products are
 * found by the core they start with. */
static ttm_status run_join(product products[TTM_TT_MAX_CORES], const ttm_tt_shape *shape,
                           ttm_tt_join join)
{
    const size_t m =
        (size_t)shape->ranks[join.first] * interval_elements(shape, join.first, join.middle);
    const size_t n =
        (size_t)shape->ranks[join.last] * interval_elements(shape, join.middle, join.last);
    double *result = NULL;
    TTM_TRY(ttm_array_new(&result, m, n * sizeof *result, "a partial product of TT cores"));
    ttm_dense_multiply(result, products[join.first].data, products[join.middle].data, m, n,
                       (size_t)shape->ranks[join.middle]);
    free(products[join.first].owned);
    free(products[join.middle].owned);
    products[join.middle] = (product){NULL, NULL};
    products[join.first] = (product){result, result};
    return TTM_OK;
}

ttm_status ttm_tt_materialize(double *matrix, const ttm_tt *tt)
{
    ttm_status status = TTM_OK;
    const ttm_tt_shape *shape = &tt->shape;
    product products[TTM_TT_MAX_CORES] = {{NULL, NULL}};
    int64_t sizes[2 * TTM_TT_MAX_CORES];
    int order[2 * TTM_TT_MAX_CORES];
    ttm_tt_build_order build;
    for (int32_t core = 0; core < shape->core_count; core++) {
        products[core].data = tt->cores[core];
        sizes[2 * core] = shape->in_modes[core];
        sizes[2 * core + 1] = shape->out_modes[core];
        order[core] = 2 * core;
        order[shape->core_count + core] = 2 * core + 1;
    }
    ttm_tt_build_split(&build, shape->core_count, shape->in_modes, shape->out_modes, shape->ranks);
    for (int32_t i = 0; i < build.join_count; i++) {
        TTM_TRY_OUT(run_join(products, shape, build.joins[i]));
    }
    ttm_dense_permute(matrix, products[0].data, 2 * shape->core_count, sizes, order);
out:
    for (int32_t core = 0; core < shape->core_count; core++) {
        free(products[core].owned);
    }
    return status;
}

/* ‖W‖² = the 1 × 1 matrix E_d of the recursion E_0 = 1, E_k = Σ_{i,j} G_k[i,j]ᵀ·E_{k−1}·G_k[i,j].
 */
ttm_status ttm_tt_norm(double *norm, const ttm_tt *tt)
{
    ttm_status status = TTM_OK;
    const ttm_tt_shape *shape = &tt->shape;
    double *gram = NULL;
    double *half = NULL;
    TTM_TRY_OUT(ttm_array_new(&gram, 1, sizeof *gram, "a Gram matrix"));
    gram[0] = 1.0;
    for (int32_t core = 0; core < shape->core_count; core++) {
        const size_t left = (size_t)shape->ranks[core];
        const size_t right = (size_t)shape->ranks[core + 1];
        const size_t rows = left * interval_elements(shape, core, core + 1);
        free(half);
        half = NULL;
        TTM_TRY_OUT(ttm_array_new(&half, rows, right * sizeof *half, "half of a Gram matrix"));
        ttm_dense_multiply(half, gram, tt->cores[core], left, rows / left * right, left);
        free(gram);
        gram = NULL;
        TTM_TRY_OUT(ttm_array_new(&gram, right, right * sizeof *gram, "a Gram matrix"));
        ttm_dense_multiply_add(gram, right, 1.0, (ttm_dense_view){tt->cores[core], 1, right},
                               (ttm_dense_view){half, right, 1}, right, right, rows);
    }
    *norm = sqrt(fmax(gram[0], 0.0));
out:
    free(gram);
    free(half);
    return status;
}

ttm_status ttm_tt_materialize_f32(float *matrix, const float *const *cores,
                                  const ttm_tt_shape *shape)
{
    ttm_status status = TTM_OK;
    double *wide = NULL;
    ttm_tt tt;
    TTM_TRY_OUT(ttm_tt_new(&tt, shape));
    ttm_tt_load_f32(&tt, cores);
    const size_t elements = (size_t)(ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
    TTM_TRY_OUT(ttm_array_new(&wide, elements, sizeof *wide, "a matrix in double"));
    TTM_TRY_OUT(ttm_tt_materialize(wide, &tt));
    for (size_t i = 0; i < elements; i++) {
        matrix[i] = (float)wide[i];
    }
out:
    free(wide);
    ttm_tt_free(&tt);
    return status;
}

ttm_status ttm_tt_norm_f32(double *norm, const float *const *cores, const ttm_tt_shape *shape)
{
    ttm_tt tt;
    TTM_TRY(ttm_tt_new(&tt, shape));
    ttm_tt_load_f32(&tt, cores);
    const ttm_status status = ttm_tt_norm(norm, &tt);
    ttm_tt_free(&tt);
    return status;
}
