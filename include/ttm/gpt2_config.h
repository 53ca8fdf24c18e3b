/* What a GPT-2 looks like: its sizes, and for each matrix of each layer whether it is dense or a
 * TT-matrix.
 *
 * A configuration owns an array and is used like this:
 *
 *     ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
 *     ttm_status status = ttm_gpt2_config_from_preset(&config, "gpt2-small-ttm64", NULL);
 *     …
 *     ttm_gpt2_config_free(&config);
 *
 * Functions that take a `const ttm_gpt2_config *` may be called from several threads at once. */
#ifndef TTM_GPT2_CONFIG_H
#define TTM_GPT2_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/json.h>
#include <ttm/status.h>
#include <ttm/tt.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The four matrices of a layer, each [in, out] as in Hugging Face's `Conv1D`: y = x·W + b. */
typedef enum ttm_gpt2_matrix {
    TTM_GPT2_ATTN_C_ATTN = 0, /**< attn.c_attn [width, 3·width]: queries, keys and values. */
    TTM_GPT2_ATTN_C_PROJ = 1, /**< attn.c_proj [width, width]. */
    TTM_GPT2_MLP_C_FC = 2,    /**< mlp.c_fc [width, inner_width]. */
    TTM_GPT2_MLP_C_PROJ = 3,  /**< mlp.c_proj [inner_width, width]. */
    TTM_GPT2_MATRIX_COUNT = 4
} ttm_gpt2_matrix;

/** Sizes and settings of a model. Members may be changed by hand; ttm_gpt2_config_validate then
 * tells whether they still fit together. */
typedef struct ttm_gpt2_config {
    int64_t vocab_size;
    int64_t context; /**< Most tokens that a sequence may have: rows of the position embedding. */
    int64_t layers;
    int64_t heads;
    int64_t width;       /**< Size of the residual stream, n_embd. */
    int64_t inner_width; /**< Columns of mlp.c_fc, n_inner; 4·width in GPT-2. */
    double layer_norm_epsilon;
    double embedding_dropout; /**< Probabilities, used in training only. */
    double attention_dropout;
    double residual_dropout;
    bool mlp_bias; /**< Whether mlp.c_fc and mlp.c_proj have biases; the attention always has. */
    /** Tokens that begin and end a text, negative for none that is known. They change nothing here;
     * other programs look for them in config.json. A trainer fills them in from its tokenizer. */
    int64_t bos_token;
    int64_t eos_token;
    /** [layers, TTM_GPT2_MATRIX_COUNT], owned; core_count 0 means dense. Read and write it through
     * ttm_gpt2_config_tt and ttm_gpt2_config_set_tt. */
    ttm_tt_shape *tt;
} ttm_gpt2_config;

/** A configuration that owns nothing. */
#define TTM_GPT2_CONFIG_EMPTY                                     \
    {                                                             \
        0, 0, 0, 0, 0, 0, 1e-5, 0.0, 0.0, 0.0, true, -1, -1, NULL \
    }

/** Changes to a preset; members that are 0, negative (dropout, mlp_bias) or NULL change nothing.
 * Initialise with TTM_GPT2_OVERRIDES_INIT. */
typedef struct ttm_gpt2_overrides {
    size_t struct_size;
    int64_t vocab_size;
    int64_t context;
    int64_t layers;
    int64_t heads;
    int64_t width;
    int64_t inner_width; /**< 0: four times the width. */
    double dropout;      /**< All three probabilities; < 0 keeps the preset's. */
    int mlp_bias;        /**< 0, 1, or −1 to keep the preset's. */
    /** TT-matrices, as ttm_gpt2_config_apply_tt_spec reads them; applied after the preset's own. */
    const char *tt;
} ttm_gpt2_overrides;

#define TTM_GPT2_OVERRIDES_INIT                                                                \
    {                                                                                          \
        .struct_size = sizeof(ttm_gpt2_overrides), .vocab_size = 0, .context = 0, .layers = 0, \
        .heads = 0, .width = 0, .inner_width = 0, .dropout = -1.0, .mlp_bias = -1, .tt = NULL  \
    }

/** A preset, for lists. */
typedef struct ttm_gpt2_preset {
    const char *name;
    const char *description; /**< One line. */
} ttm_gpt2_preset;

/** Returns the presets, *count of them; they live for ever. Besides these names, NAME-ttmRANK is a
 * preset for every dense NAME: its MLP matrices by the published rule at that rank. */
TTM_API const ttm_gpt2_preset *ttm_gpt2_presets(size_t *count);

/** *config = a preset with changes (`overrides` may be NULL). TT-matrices that the preset names by
 * rank are laid out by the published rule for the sizes that result. *config is overwritten without
 * being freed; after success the caller frees it with ttm_gpt2_config_free, after failure it is
 * empty. Errors: TTM_ERROR_NOT_FOUND for an unknown name (the message lists the presets), and those
 * of ttm_gpt2_config_apply_tt_spec and ttm_gpt2_config_validate. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_from_preset(ttm_gpt2_config *config,
                                                           const char *name,
                                                           const ttm_gpt2_overrides *overrides);

/** *config = a dense model with GPT-2's settings (inner width 4·width, epsilon 1e-5, no dropout,
 * MLP biases). Ownership and errors as ttm_gpt2_config_from_preset. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_init(ttm_gpt2_config *config, int64_t vocab_size,
                                                    int64_t context, int64_t layers, int64_t heads,
                                                    int64_t width);

/** *target = a copy of `source` that owns its own array. Ownership as ttm_gpt2_config_from_preset.
 */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_copy(ttm_gpt2_config *target,
                                                    const ttm_gpt2_config *source);

/** Frees what a configuration owns and empties it. An empty one is fine. */
TTM_API void ttm_gpt2_config_free(ttm_gpt2_config *config);

/** Checks sizes (positive, heads divide width, nothing overflows), probabilities, and that the
 * modes of every TT-matrix multiply to its matrix. TTM_ERROR_SHAPE or TTM_ERROR_ARGUMENT; the
 * message names the layer, the matrix and the value. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_validate(const ttm_gpt2_config *config);

/** Returns the TT shape of a matrix, NULL where it is dense. It belongs to the configuration. */
TTM_API const ttm_tt_shape *ttm_gpt2_config_tt(const ttm_gpt2_config *config, int64_t layer,
                                               ttm_gpt2_matrix matrix);

/** Makes a matrix a TT-matrix of `shape` (copied), or dense when `shape` is NULL. TTM_ERROR_SHAPE
 * when the shape isn't that of the matrix, TTM_ERROR_ARGUMENT when there is no such layer. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_set_tt(ttm_gpt2_config *config, int64_t layer,
                                                      ttm_gpt2_matrix matrix,
                                                      const ttm_tt_shape *shape);

/** Makes matrices TT or dense as a text says: entries separated by blanks or semicolons, each
 * `[LAYERS/]MATRIX=SHAPE`.
 *
 * LAYERS is a layer or a range counted from 0 (`0-5/`), by default all. MATRIX is `c_attn`,
 * `attn.c_proj`, `c_fc`, `mlp.c_proj`, or `attn` (both of the attention), `mlp` (both of the MLP)
 * or `all`. SHAPE is a rank (modes by the published rule), a shape as ttm_tt_shape_parse reads it
 * (`8x8,8x8,12x8,1x6:64`), or `none` for dense; with `mlp` an explicit shape is c_fc's and c_proj
 * gets its transpose. `none` alone makes everything dense. Errors: TTM_ERROR_ARGUMENT with the
 * entry that isn't understood, TTM_ERROR_SHAPE for one that doesn't fit; *config is then
 * unchanged. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_apply_tt_spec(ttm_gpt2_config *config,
                                                             const char *text);

/** *in, *out = rows and columns of a matrix. */
TTM_API void ttm_gpt2_matrix_size(int64_t *in, int64_t *out, const ttm_gpt2_config *config,
                                  ttm_gpt2_matrix matrix);

/** Returns a matrix's name within its layer, such as "mlp.c_fc". */
TTM_API const char *ttm_gpt2_matrix_name(ttm_gpt2_matrix matrix);

/** Returns the number of parameters, tied embeddings counted once, nothing else left out. The
 * configuration must be valid. */
TTM_API int64_t ttm_gpt2_parameter_count(const ttm_gpt2_config *config);

/** Returns whether two configurations are equal in everything, dropout included. */
TTM_API bool ttm_gpt2_config_equal(const ttm_gpt2_config *a, const ttm_gpt2_config *b);

/** *config = that of a config.json as Hugging Face writes it for GPT-2, with our keys `mlp_bias`
 * and `tt`. `path` is the file or the folder that it lies in. Keys that change nothing are ignored;
 * settings that we don't compute (another activation, untied embeddings, scaling by layer, cross
 * attention) are TTM_ERROR_UNSUPPORTED, naming key and value. TTM_ERROR_NOT_FOUND, _IO, _FORMAT (no
 * JSON, a missing key, a value of the wrong type), and those of ttm_gpt2_config_validate. Ownership
 * as ttm_gpt2_config_from_preset. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_read(ttm_gpt2_config *config, const char *path);

/** Writes `directory`/config.json, which Hugging Face's library reads too (it ignores `tt`). A file
 * that is there is replaced atomically. TTM_ERROR_IO, TTM_ERROR_OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_gpt2_config_write(const ttm_gpt2_config *config,
                                                     const char *directory);

/** Writes the members of config.json into an object that the caller has begun. */
TTM_API void ttm_gpt2_config_write_members(ttm_json_writer *writer, const ttm_gpt2_config *config);

/** Writes one JSON value, the TT-matrices by layer: an array of objects {layers: [first, last],
 * matrix, in_modes, out_modes, ranks, parameters} with one entry per run of equal layers. */
TTM_API void ttm_gpt2_config_write_tt(ttm_json_writer *writer, const ttm_gpt2_config *config);

#ifdef __cplusplus
}
#endif

#endif
