/* Configuration to config.json. */
#include <ttm/gpt2_config.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/string_builder.h"

static void write_integers(ttm_json_writer *writer, const char *key, const int64_t *values,
                           int32_t count)
{
    ttm_json_key(writer, key);
    ttm_json_begin_array(writer);
    for (int32_t index = 0; index < count; index++) {
        ttm_json_write_int(writer, values[index]);
    }
    ttm_json_end_array(writer);
}

static void write_run(ttm_json_writer *writer, const ttm_tt_shape *shape, ttm_gpt2_matrix matrix,
                      int64_t first, int64_t last)
{
    const int64_t layers[2] = {first, last};
    ttm_json_begin_object(writer);
    write_integers(writer, "layers", layers, 2);
    ttm_json_member_string(writer, "matrix", ttm_gpt2_matrix_name(matrix));
    write_integers(writer, "in_modes", shape->in_modes, shape->core_count);
    write_integers(writer, "out_modes", shape->out_modes, shape->core_count);
    write_integers(writer, "ranks", shape->ranks, shape->core_count + 1);
    ttm_json_member_int(writer, "parameters", ttm_tt_shape_elements(shape));
    ttm_json_end_object(writer);
}

void ttm_gpt2_config_write_tt(ttm_json_writer *writer, const ttm_gpt2_config *config)
{
    ttm_json_begin_array(writer);
    for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
        int64_t first = 0;
        while (first < config->layers) {
            const ttm_tt_shape *shape = ttm_gpt2_config_tt(config, first, (ttm_gpt2_matrix)matrix);
            int64_t end = first + 1;
            while (end < config->layers && shape != NULL) {
                const ttm_tt_shape *next = ttm_gpt2_config_tt(config, end, (ttm_gpt2_matrix)matrix);
                if (next == NULL || !ttm_tt_shape_equal(shape, next)) {
                    break;
                }
                end++;
            }
            if (shape != NULL) {
                write_run(writer, shape, (ttm_gpt2_matrix)matrix, first, end - 1);
            }
            first = end;
        }
    }
    ttm_json_end_array(writer);
}

/* Without a number of theirs, other programs would take GPT-2's, which may be beyond the
 * vocabulary.
 */
static void write_token(ttm_json_writer *writer, const char *key, int64_t token, int64_t vocab_size)
{
    ttm_json_key(writer, key);
    if (token >= 0 && token < vocab_size) {
        ttm_json_write_int(writer, token);
    } else {
        ttm_json_write_null(writer);
    }
}

void ttm_gpt2_config_write_members(ttm_json_writer *writer, const ttm_gpt2_config *config)
{
    ttm_json_key(writer, "architectures");
    ttm_json_begin_array(writer);
    ttm_json_write_string(writer, "GPT2LMHeadModel");
    ttm_json_end_array(writer);
    ttm_json_member_string(writer, "model_type", "gpt2");
    ttm_json_member_int(writer, "vocab_size", config->vocab_size);
    write_token(writer, "bos_token_id", config->bos_token, config->vocab_size);
    write_token(writer, "eos_token_id", config->eos_token, config->vocab_size);
    ttm_json_member_int(writer, "n_positions", config->context);
    ttm_json_member_int(writer, "n_ctx", config->context);
    ttm_json_member_int(writer, "n_layer", config->layers);
    ttm_json_member_int(writer, "n_head", config->heads);
    ttm_json_member_int(writer, "n_embd", config->width);
    ttm_json_member_int(writer, "n_inner", config->inner_width);
    ttm_json_member_string(writer, "activation_function", "gelu_new");
    ttm_json_member_double(writer, "layer_norm_epsilon", config->layer_norm_epsilon);
    ttm_json_member_double(writer, "embd_pdrop", config->embedding_dropout);
    ttm_json_member_double(writer, "attn_pdrop", config->attention_dropout);
    ttm_json_member_double(writer, "resid_pdrop", config->residual_dropout);
    ttm_json_member_bool(writer, "scale_attn_weights", 1);
    ttm_json_member_bool(writer, "scale_attn_by_inverse_layer_idx", 0);
    ttm_json_member_bool(writer, "tie_word_embeddings", 1);
    ttm_json_member_bool(writer, "mlp_bias", config->mlp_bias);
    ttm_json_key(writer, "tt");
    ttm_gpt2_config_write_tt(writer, config);
}

ttm_status ttm_gpt2_config_write(const ttm_gpt2_config *config, const char *directory)
{
    ttm_json_writer *writer = NULL;
    ttm_string path = {0};
    const char *text = NULL;
    size_t bytes = 0;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_string_append_format(&path, "%s/config.json", directory));
    TTM_TRY_OUT(ttm_json_writer_new(&writer, TTM_JSON_INDENTED));
    ttm_json_begin_object(writer);
    ttm_gpt2_config_write_members(writer, config);
    ttm_json_end_object(writer);
    TTM_TRY_OUT(ttm_json_writer_finish(&text, &bytes, writer));
    status = ttm_atomic_file_save(path.text, text, bytes);
out:
    ttm_json_writer_free(writer);
    ttm_string_free(&path);
    return status;
}
