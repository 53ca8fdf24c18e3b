/* Compressing a trained model: dense matrices become TT-matrices, TT-matrices get lower ranks, or
 * become dense again. Nothing is trained: each matrix by itself is replaced by what is nearest to
 * it, so that the model gets worse by as much as its matrices lose. Training goes on from the
 * result (ttm-train --model).
 *
 * A model's functions may be called by one thread at a time. */
#ifndef TTM_COMPRESS_H
#define TTM_COMPRESS_H

#include <ttm/export.h>
#include <ttm/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What became of a matrix. */
typedef struct ttm_compressed_matrix {
    int64_t layer;
    ttm_gpt2_matrix matrix;
    ttm_tt_shape shape;      /**< core_count 0: dense. */
    int64_t elements_before; /**< Parameters of the matrix, without its bias. */
    int64_t elements;
    double relative_error; /**< ‖W − W'‖_F / ‖W‖_F, before rounding to f32; 0 of what is exact. */
} ttm_compressed_matrix;

/** What to make of a model. Initialise with TTM_COMPRESS_OPTIONS_INIT. */
typedef struct ttm_compress_options {
    size_t struct_size;
    /** For each matrix what it is to be: dense, or TT-matrix with these modes and at most these
     * ranks. Sizes are the source's. Required. */
    const ttm_gpt2_config *target;
    /** Which matrices may change: bits 1 << ttm_gpt2_matrix. All others stay as they are, whatever
     * the target says of them. Default: all. */
    unsigned matrices;
    /** 0: ranks are the target's, clipped to what their bonds can carry, which loses nothing. Else
     * each is lowered as far as relative_error allows: see ttm_tt_decompose. */
    double relative_error;
    /** Called after each matrix that has changed, in ascending order of layers; may be NULL. */
    void (*progress)(void *user, const ttm_compressed_matrix *matrix);
    void *user;
} ttm_compress_options;

#define TTM_COMPRESS_OPTIONS_INIT                                                               \
    {                                                                                           \
        .struct_size = sizeof(ttm_compress_options), .target = NULL,                            \
        .matrices = (1u << TTM_GPT2_MATRIX_COUNT) - 1, .relative_error = 0.0, .progress = NULL, \
        .user = NULL                                                                            \
    }

/** *compressed = a model on the device of `source`, which stays as it is, with the source's values
 * in all but the matrices that `options` changes. A dense matrix becomes a TT-matrix by TT-SVD
 * (ttm_tt_decompose), one with the target's modes gets its ranks by ttm_tt_round, any other is
 * built first. The work is the host's, in double: some seconds for a matrix of 768 × 3072. The
 * caller frees *compressed with ttm_model_destroy; on failure it is NULL. Errors:
 * TTM_ERROR_ARGUMENT (a target of other sizes; a relative_error that is negative or no number;
 * a model of type f64), TTM_ERROR_NUMERIC (NaN or infinity in a matrix, named),
 * TTM_ERROR_OUT_OF_MEMORY, those of the device. */
TTM_API TTM_CHECKED ttm_status ttm_model_compress(ttm_model **compressed, ttm_model *source,
                                                  ttm_stream *stream,
                                                  const ttm_compress_options *options);

#ifdef __cplusplus
}
#endif

#endif
