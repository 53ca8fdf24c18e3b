/* config.json to configuration. Hugging Face's GPT-2 keys and defaults, plus `mlp_bias` and `tt`.
 * A setting that changes what the model computes, and that we don't compute, is refused: silently
 * ignoring it would give wrong numbers. */
#include <ttm/gpt2_config.h>

#include "core/error.h"
#include "io/json.h"
#include "io/string_builder.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CONFIG_BYTES ((size_t)16 << 20)

/* Sizes before the arrays that depend on them exist. */
typedef struct gpt2_sizes {
    int64_t vocab_size;
    int64_t context;
    int64_t layers;
    int64_t heads;
    int64_t width;
    int64_t inner_width;
} gpt2_sizes;

static ttm_status read_sizes(gpt2_sizes *sizes, ttm_json_value root)
{
    const int64_t largest = INT32_MAX;
    TTM_TRY(ttm_json_get_int64(&sizes->vocab_size, root, "vocab_size", 1, largest));
    TTM_TRY(ttm_json_get_int64(&sizes->layers, root, "n_layer", 1, 65536));
    TTM_TRY(ttm_json_get_int64(&sizes->heads, root, "n_head", 1, largest));
    TTM_TRY(ttm_json_get_int64(&sizes->width, root, "n_embd", 1, largest / 4));
    const char *context = ttm_json_exists(ttm_json_find(root, "n_positions")) ||
                                  !ttm_json_exists(ttm_json_find(root, "n_ctx"))
                              ? "n_positions"
                              : "n_ctx";
    TTM_TRY(ttm_json_get_int64(&sizes->context, root, context, 1, largest));
    sizes->inner_width = 4 * sizes->width;
    return ttm_json_optional_int64(&sizes->inner_width, root, "n_inner", 1, largest);
}

static ttm_status require_string(ttm_json_value root, const char *key, const char *const *allowed)
{
    const char *value = allowed[0];
    TTM_TRY(ttm_json_optional_string(&value, root, key));
    for (size_t index = 0; allowed[index] != NULL; index++) {
        if (strcmp(value, allowed[index]) == 0) {
            return TTM_OK;
        }
    }
    ttm_json_fail(ttm_json_find(root, key), "is \"%s\", but only \"%s\" is supported", value,
                  allowed[0]);
    return TTM_ERROR_UNSUPPORTED;
}

static ttm_status require_bool(ttm_json_value root, const char *key, bool wanted)
{
    bool value = wanted;
    TTM_TRY(ttm_json_optional_bool(&value, root, key));
    if (value == wanted) {
        return TTM_OK;
    }
    ttm_json_fail(ttm_json_find(root, key), "is %s, but only %s is supported",
                  value ? "true" : "false", wanted ? "true" : "false");
    return TTM_ERROR_UNSUPPORTED;
}

static ttm_status check_settings(ttm_json_value root)
{
    static const char *const model_types[] = {"gpt2", NULL};
    /* Two names of the tanh form of GELU. */
    static const char *const activations[] = {"gelu_new", "gelu_pytorch_tanh", NULL};
    TTM_TRY(require_string(root, "model_type", model_types));
    TTM_TRY(require_string(root, "activation_function", activations));
    TTM_TRY(require_bool(root, "tie_word_embeddings", true));
    TTM_TRY(require_bool(root, "scale_attn_weights", true));
    TTM_TRY(require_bool(root, "scale_attn_by_inverse_layer_idx", false));
    return require_bool(root, "add_cross_attention", false);
}

static ttm_status read_settings(ttm_gpt2_config *config, ttm_json_value root)
{
    /* Hugging Face's defaults, for files that rely on them. */
    config->embedding_dropout = 0.1;
    config->attention_dropout = 0.1;
    config->residual_dropout = 0.1;
    TTM_TRY(ttm_json_optional_double(&config->embedding_dropout, root, "embd_pdrop"));
    TTM_TRY(ttm_json_optional_double(&config->attention_dropout, root, "attn_pdrop"));
    TTM_TRY(ttm_json_optional_double(&config->residual_dropout, root, "resid_pdrop"));
    TTM_TRY(ttm_json_optional_double(&config->layer_norm_epsilon, root, "layer_norm_epsilon"));
    return ttm_json_optional_bool(&config->mlp_bias, root, "mlp_bias");
}

/* The end-of-text token of a vocabulary that says nothing of it: GPT-2's own, or that of bytes,
 * which is what libttm's files without it were made with. */
static int64_t usual_end_of_text(int64_t vocab_size)
{
    enum { GPT2_END = 50256, BYTES_END = 256 };
    return vocab_size > GPT2_END ? GPT2_END : vocab_size == BYTES_END + 1 ? BYTES_END : -1;
}

/* A token that isn't of the vocabulary, as in files that keep GPT-2's beside another one, is none.
 * Of several the first counts. */
static int64_t read_token(ttm_json_value root, const char *key, int64_t vocab_size)
{
    ttm_json_value value = ttm_json_find(root, key);
    double token = -1.0;
    if (!ttm_json_exists(value)) {
        return usual_end_of_text(vocab_size);
    }
    if (ttm_json_is_array(value)) {
        value = ttm_json_first(value);
    }
    const bool known = ttm_json_is_number(value) && ttm_json_as_double(&token, value) == TTM_OK &&
                       token >= 0.0 && token < (double)vocab_size && token == floor(token);
    return known ? (int64_t)token : -1;
}

/* Reads an array of 1 to `limit` positive integers. */
static ttm_status read_integers(int64_t *values, int32_t *count, int32_t limit,
                                ttm_json_value object, const char *key)
{
    ttm_json_value array;
    TTM_TRY(ttm_json_get_array(&array, object, key));
    *count = 0;
    for (ttm_json_value item = ttm_json_first(array); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        if (*count == limit) {
            return ttm_json_fail(array, "has more than %d elements", (int)limit);
        }
        TTM_TRY(ttm_json_as_int64(&values[*count], item, 1, INT32_MAX));
        (*count)++;
    }
    return *count > 0 ? TTM_OK : ttm_json_fail(array, "is empty");
}

static ttm_status read_shape(ttm_tt_shape *shape, ttm_json_value entry)
{
    int32_t out_modes = 0;
    int32_t ranks = 0;
    memset(shape, 0, sizeof *shape);
    TTM_TRY(
        read_integers(shape->in_modes, &shape->core_count, TTM_TT_MAX_CORES, entry, "in_modes"));
    TTM_TRY(read_integers(shape->out_modes, &out_modes, TTM_TT_MAX_CORES, entry, "out_modes"));
    TTM_TRY(read_integers(shape->ranks, &ranks, TTM_TT_MAX_CORES + 1, entry, "ranks"));
    if (out_modes != shape->core_count || ranks != shape->core_count + 1) {
        return ttm_json_fail(entry,
                             "has %d in_modes, %d out_modes and %d ranks; as many modes of both "
                             "kinds and one rank more are needed",
                             (int)shape->core_count, (int)out_modes, (int)ranks);
    }
    return TTM_OK;
}

static ttm_status read_matrix(ttm_gpt2_matrix *matrix, ttm_json_value entry)
{
    const char *name = NULL;
    TTM_TRY(ttm_json_get_string(&name, entry, "matrix"));
    for (int index = 0; index < TTM_GPT2_MATRIX_COUNT; index++) {
        if (strcmp(name, ttm_gpt2_matrix_name((ttm_gpt2_matrix)index)) == 0) {
            *matrix = (ttm_gpt2_matrix)index;
            return TTM_OK;
        }
    }
    return ttm_json_fail(ttm_json_find(entry, "matrix"),
                         "must be attn.c_attn, attn.c_proj, mlp.c_fc or mlp.c_proj, it is \"%s\"",
                         name);
}

static ttm_status read_layer_range(int64_t range[2], ttm_json_value entry, int64_t layers)
{
    range[0] = 0;
    range[1] = layers - 1;
    const ttm_json_value array = ttm_json_find(entry, "layers");
    if (!ttm_json_exists(array) || ttm_json_is_null(array)) {
        return TTM_OK;
    }
    TTM_TRY(ttm_json_expect_array(array));
    if (ttm_json_count(array) != 2) {
        return ttm_json_fail(array, "must be [first, last]");
    }
    const ttm_json_value first = ttm_json_first(array);
    TTM_TRY(ttm_json_as_int64(&range[0], first, 0, layers - 1));
    return ttm_json_as_int64(&range[1], ttm_json_next(first), range[0], layers - 1);
}

static ttm_status read_tt(ttm_gpt2_config *config, ttm_json_value root)
{
    const ttm_json_value list = ttm_json_find(root, "tt");
    if (!ttm_json_exists(list) || ttm_json_is_null(list)) {
        return TTM_OK;
    }
    TTM_TRY(ttm_json_expect_array(list));
    for (ttm_json_value entry = ttm_json_first(list); ttm_json_exists(entry);
         entry = ttm_json_next(entry)) {
        ttm_gpt2_matrix matrix = TTM_GPT2_MATRIX_COUNT;
        ttm_tt_shape shape;
        int64_t range[2];
        TTM_TRY(ttm_json_expect_object(entry));
        TTM_TRY(read_matrix(&matrix, entry));
        TTM_TRY(read_shape(&shape, entry));
        TTM_TRY(read_layer_range(range, entry, config->layers));
        for (int64_t layer = range[0]; layer <= range[1]; layer++) {
            TTM_TRY(ttm_gpt2_config_set_tt(config, layer, matrix, &shape));
        }
    }
    return TTM_OK;
}

static ttm_status read_root(ttm_gpt2_config *config, ttm_json_value root)
{
    gpt2_sizes sizes = {0};
    TTM_TRY(ttm_json_expect_object(root));
    TTM_TRY(check_settings(root));
    TTM_TRY(read_sizes(&sizes, root));
    TTM_TRY(ttm_gpt2_config_init(config, sizes.vocab_size, sizes.context, sizes.layers, sizes.heads,
                                 sizes.width));
    config->inner_width = sizes.inner_width;
    config->bos_token = read_token(root, "bos_token_id", sizes.vocab_size);
    config->eos_token = read_token(root, "eos_token_id", sizes.vocab_size);
    TTM_TRY(read_settings(config, root));
    TTM_TRY(read_tt(config, root));
    return ttm_gpt2_config_validate(config);
}

ttm_status ttm_gpt2_config_read(ttm_gpt2_config *config, const char *path)
{
    const ttm_gpt2_config empty = TTM_GPT2_CONFIG_EMPTY;
    ttm_json_document *document = NULL;
    ttm_string file = {0};
    ttm_status status = TTM_OK;
    struct stat info;
    *config = empty;
    const bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    TTM_TRY_OUT(ttm_string_append_format(&file, "%s%s", path, folder ? "/config.json" : ""));
    TTM_TRY_OUT(ttm_json_read_file(&document, file.text, MAX_CONFIG_BYTES));
    status = read_root(config, ttm_json_root(document));
    /* Messages about JSON name the file already; those about sizes don't. */
    if (status != TTM_OK && strstr(ttm_error_message(), file.text) == NULL) {
        status = ttm_fail_context(status, "'%s'", file.text);
    }
out:
    if (status != TTM_OK) {
        ttm_gpt2_config_free(config);
    }
    ttm_json_free(document);
    ttm_string_free(&file);
    return status;
}
