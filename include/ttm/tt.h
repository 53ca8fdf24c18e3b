/* TT-matrices on the host: shapes, initialisation, materialisation, TT-SVD and rounding.
 *
 * A matrix W [in, out] with in = n1·…·nd and out = m1·…·md is held as d cores; core k (counted from
 * 0 in code) is a row-major array [ranks[k], in_modes[k], out_modes[k], ranks[k + 1]], ranks[0] =
 * ranks[d] = 1, and
 *
 *     W[(i1…id), (j1…jd)] = G1[i1, j1] · G2[i2, j2] · … · Gd[id, jd]
 *
 * where (i1…id) is the row-major index: i = ((i1·n2 + i2)·n3 + i3)…, and Gk[ik, jk] is a ranks[k−1]
 * × ranks[k] matrix. A layer computes y = x·W, so W has Hugging Face's `Conv1D` orientation [in,
 * out].
 *
 * What runs on devices (building W, products, gradients) are ops (ttm/ops.h). Here everything is
 * computed in double on one thread. All functions are thread-safe as long as no two threads use one
 * object while one of them writes it. */
#ifndef TTM_TT_H
#define TTM_TT_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/random.h>
#include <ttm/status.h>
#include <ttm/tt_split.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Modes and ranks of a TT-matrix. A plain value: copy it, compare it with ttm_tt_shape_equal. Fill
 * it by one of the functions below or by hand; functions that take a `const ttm_tt_shape *` want it
 * to pass ttm_tt_shape_check. */
typedef struct ttm_tt_shape {
    int32_t core_count;                 /**< 1 … TTM_TT_MAX_CORES. */
    int64_t in_modes[TTM_TT_MAX_CORES]; /**< n of each core, ≥ 1. Entries from core_count on are not
                                           read. */
    int64_t out_modes[TTM_TT_MAX_CORES]; /**< m of each core, ≥ 1. */
    int64_t ranks[TTM_TT_MAX_CORES + 1]; /**< ranks[0] = ranks[core_count] = 1, the others ≥ 1. */
} ttm_tt_shape;

/** Bytes that the textual form of any valid shape fits into, terminating zero included. */
#define TTM_TT_SHAPE_TEXT_BYTES 512

/* ---- Shapes: checks and sizes ---- */

/** Checks that a shape is sound by itself: core count, positive modes and ranks, outer ranks 1, and
 * that in, out, every core, the whole W and the sum of all cores can be counted in an int64_t.
 * TTM_ERROR_SHAPE, with a message that names the core and the value. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_check(const ttm_tt_shape *shape);

/** ttm_tt_shape_check, and that the modes multiply to a matrix [in, out].
 * TTM_ERROR_SHAPE; the message prints the modes, their product and the size that was wanted. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_validate(const ttm_tt_shape *shape, int64_t in,
                                                     int64_t out);

/** Returns the rows of W, Π in_modes. */
TTM_API int64_t ttm_tt_shape_in(const ttm_tt_shape *shape);

/** Returns the columns of W, Π out_modes. */
TTM_API int64_t ttm_tt_shape_out(const ttm_tt_shape *shape);

/** Returns the elements of core `core` (0 … core_count − 1):
 * ranks[core]·in_modes[core]·out_modes[core]·ranks[core+1]. */
TTM_API int64_t ttm_tt_shape_core_elements(const ttm_tt_shape *shape, int32_t core);

/** Returns the elements of all cores: the parameters of the layer without bias. */
TTM_API int64_t ttm_tt_shape_elements(const ttm_tt_shape *shape);

/** Returns whether two shapes have the same cores (entries beyond core_count don't count). */
TTM_API int ttm_tt_shape_equal(const ttm_tt_shape *a, const ttm_tt_shape *b);

/* ---- Shapes: ways to make one ---- */

/** The published rule (arXiv 2306.02697): prime factors of `in` and `out` ascending, the shorter
 * list padded on the right with 1s, zipped to pairs (n, m), consecutive pairs merged greedily until
 * n·m ≥ rank; what is left at the end is the last core. All inner ranks = rank (not clipped: the
 * published parameter counts want it so). For `c_proj` take the shape of `c_fc` and
 * ttm_tt_shape_transpose, which this rule also gives for (out, in). Errors: TTM_ERROR_ARGUMENT when
 * in, out or rank < 1; TTM_ERROR_SHAPE when more than TTM_TT_MAX_CORES cores come out (then take a
 * larger rank or explicit modes). `shape` is untouched on failure. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_from_rule(ttm_tt_shape *shape, int64_t in, int64_t out,
                                                      int64_t rank);

/** Modes as equal as the prime factors allow (n·m balanced over the cores, the largest at the two
 * ends, where a core has one rank only), all inner ranks = rank, not clipped. Errors:
 * TTM_ERROR_ARGUMENT when in, out, rank < 1 or core_count isn't in 1 … TTM_TT_MAX_CORES;
 * TTM_ERROR_SHAPE when in and out have fewer prime factors than core_count. `shape` is untouched on
 * failure. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_balanced(ttm_tt_shape *shape, int64_t in, int64_t out,
                                                     int32_t core_count, int64_t rank);

/** The largest uniform rank, clipped, with at most `parameters` core elements, over the modes of
 * ttm_tt_shape_balanced. core_count 0 takes, among 1 … TTM_TT_MAX_CORES cores, the one with the
 * most degrees of freedom, i.e. the largest dimension of the set of matrices it can represent:
 * elements − Σ ranks[k]² over inner bonds (the gauge freedom); among equals fewer cores win. One
 * core is the dense matrix. Errors: as ttm_tt_shape_balanced; TTM_ERROR_ARGUMENT when not even rank
 * 1 fits, with the least possible budget. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_from_budget(ttm_tt_shape *shape, int64_t in,
                                                        int64_t out, int32_t core_count,
                                                        int64_t parameters);

/** *transposed = the shape of Wᵀ [out, in]: in_modes and out_modes swapped, ranks kept. May be the
 * same object. */
TTM_API void ttm_tt_shape_transpose(ttm_tt_shape *transposed, const ttm_tt_shape *shape);

/** Sets every inner rank to `rank`, the outer ones to 1. rank = INT64_MAX followed by
 * ttm_tt_shape_clip gives the smallest shape that can hold every matrix [in, out]. Leaves a shape
 * with an impossible core_count as it is. */
TTM_API void ttm_tt_shape_set_rank(ttm_tt_shape *shape, int64_t rank);

/** *clipped = the same modes with every rank lowered to what its bond can carry:
 * ranks[k] = min(ranks[k], ranks[k−1]·n·m on its left, n·m·ranks[k+1] on its right). Lossless: the
 * same set of matrices (ttm_tt_round moves cores over). Works on ranks up to INT64_MAX, and leaves
 * a shape with an impossible core_count as it is. May be the same object. */
TTM_API void ttm_tt_shape_clip(ttm_tt_shape *clipped, const ttm_tt_shape *shape);

/** Reads the textual form: modes `NxM` per core joined by commas, then, for two or more cores, a
 * colon and either one rank for all inner bonds or one per bond: `8x8,8x8,12x8,1x6:64` or
 * `8x8,8x8,12x8,1x6:64,64,6`; a single core is `768x3072`. No blanks. The shape that comes out
 * passes ttm_tt_shape_check. TTM_ERROR_ARGUMENT (text) or TTM_ERROR_SHAPE (sizes), message with the
 * text and the place; `shape` is then untouched. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_parse(ttm_tt_shape *shape, const char *text);

/** Writes the textual form that ttm_tt_shape_parse reads back (one rank if all inner ranks are
 * equal) into text[text_bytes]; TTM_TT_SHAPE_TEXT_BYTES always suffice. TTM_ERROR_ARGUMENT when it
 * doesn't fit. */
TTM_API TTM_CHECKED ttm_status ttm_tt_shape_print(char *text, size_t text_bytes,
                                                  const ttm_tt_shape *shape);

/* ---- Cores in f32, where the caller keeps them ---- */

/** Initialises cores[k] (each ttm_tt_shape_core_elements(shape, k) floats, row-major, owned by the
 * caller).
 *
 * Method (arXiv 2306.02697): cores ~ N(0, 1)/√ranks[k], then a left-to-right sweep that moves each
 * core's triangular factor into the next one, so that all cores but the last are orthonormal: seen
 * as [ranks[k]·n·m, ranks[k+1]] they have orthonormal columns, or orthonormal rows where ranks[k+1]
 * exceeds ranks[k]·n·m and columns can't be (over-ranked bonds; src/tt/init.c derives how). The
 * sweep doesn't change W, whose elements are exchangeable in their squares. The last core is scaled
 * so that ‖W‖²_F = standard_deviation²·in·out: every element of W has mean 0 and variance
 * standard_deviation² exactly, for any number of cores and any ranks, and so has every single
 * draw's mean square. standard_deviation 0 zeroes the last core only (zero-initialised residual
 * projections still learn).
 *
 * `random` moves on; the same seed and position give the same cores. Errors: TTM_ERROR_ARGUMENT for
 * a negative or non-finite deviation, TTM_ERROR_SHAPE, TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_init_f32(float *const *cores, const ttm_tt_shape *shape,
                                               double standard_deviation, ttm_random *random);

/** matrix [in, out], row-major = W of the cores, computed in double and rounded once. Nothing may
 * overlap. TTM_ERROR_SHAPE, TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_materialize_f32(float *matrix, const float *const *cores,
                                                      const ttm_tt_shape *shape);

/** *norm = ‖W‖_F by contracting the cores, without building W. TTM_ERROR_SHAPE,
 * TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_norm_f32(double *norm, const float *const *cores,
                                               const ttm_tt_shape *shape);

/* ---- TT-matrices in double, which own their cores ---- */

/** A TT-matrix in double. The cores lie in one allocation that starts at cores[0], one behind the
 * other. */
typedef struct ttm_tt {
    ttm_tt_shape shape;
    double
        *cores[TTM_TT_MAX_CORES]; /**< NULL from core_count on, and everywhere after ttm_tt_free. */
} ttm_tt;

/** *tt = zero cores of `shape`. Free with ttm_tt_free. On failure *tt is empty. TTM_ERROR_SHAPE,
 * TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_new(ttm_tt *tt, const ttm_tt_shape *shape);

/** Frees the cores and empties *tt. An empty (all zero) *tt is fine. */
TTM_API void ttm_tt_free(ttm_tt *tt);

/** tt's cores = the f32 `cores`, which have tt->shape. */
TTM_API void ttm_tt_load_f32(ttm_tt *tt, const float *const *cores);

/** The f32 `cores` (of tt->shape) = tt's cores, rounded. */
TTM_API void ttm_tt_store_f32(float *const *cores, const ttm_tt *tt);

/** ttm_tt_init_f32 for tt's own cores. */
TTM_API TTM_CHECKED ttm_status ttm_tt_init(ttm_tt *tt, double standard_deviation,
                                           ttm_random *random);

/** matrix [in, out], row-major = W. TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_materialize(double *matrix, const ttm_tt *tt);

/** *norm = ‖W‖_F by contracting the cores. TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_tt_norm(double *norm, const ttm_tt *tt);

/** *tt = a TT-matrix close to the dense matrix [in, out] (row-major), by TT-SVD (Oseledets 2011).
 *
 * shape: the modes, and the largest rank each bond may have (ttm_tt_shape_set_rank(…, INT64_MAX)
 * for no limit). relative_error: 0 keeps the given ranks, clipped (so the result's shape is
 * ttm_tt_shape_clip's); ε > 0 lowers each rank as far as ‖W − TT‖_F ≤ ε‖W‖_F allows (each bond gets
 * ε/√(bonds)), but never above its limit. achieved_error (may be NULL) = ‖W − TT‖_F/‖W‖_F; it
 * exceeds relative_error only when a rank limit was in the way. With ranks as limits the error is
 * at most √(bonds) times that of the best TT-matrix of these ranks. All cores of the result but the
 * last have orthonormal columns. Free *tt with ttm_tt_free; on failure it is empty. Errors:
 * TTM_ERROR_SHAPE; TTM_ERROR_ARGUMENT for a negative or non-finite relative_error;
 * TTM_ERROR_NUMERIC for NaN or infinity in the matrix; TTM_ERROR_OUT_OF_MEMORY (about 4 copies of
 * the matrix in double are needed). */
TTM_API TTM_CHECKED ttm_status ttm_tt_decompose(ttm_tt *tt, const double *matrix,
                                                const ttm_tt_shape *shape, double relative_error,
                                                double *achieved_error);

/** ttm_tt_decompose from an f32 matrix. */
TTM_API TTM_CHECKED ttm_status ttm_tt_decompose_f32(ttm_tt *tt, const float *matrix,
                                                    const ttm_tt_shape *shape,
                                                    double relative_error, double *achieved_error);

/** *rounded = a TT-matrix of lower ranks close to `source`, without building W: a right-to-left
 * orthogonalising sweep, then a left-to-right sweep of truncated SVDs. limits: the largest rank of
 * each bond; its modes must be the source's; NULL for no limit but the source's ranks.
 * relative_error and achieved_error as in ttm_tt_decompose: with relative_error 0 and without
 * limits this is the lossless clip, whose shape is ttm_tt_shape_clip's of the source. `rounded`
 * must not be `source`. Free it with ttm_tt_free; on failure it is empty. Errors as
 * ttm_tt_decompose. */
TTM_API TTM_CHECKED ttm_status ttm_tt_round(ttm_tt *rounded, const ttm_tt *source,
                                            const ttm_tt_shape *limits, double relative_error,
                                            double *achieved_error);

#ifdef __cplusplus
}
#endif

#endif
