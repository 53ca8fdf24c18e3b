/* Writes a tokenizer as Hugging Face's tokenizer.json. */
#include "text/tokenizer.h"

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/string_builder.h"
#include "text/byte_alphabet.h"
#include <ttm/json.h>

static void write_null(ttm_json_writer *json, const char *key)
{
    ttm_json_key(json, key);
    ttm_json_write_null(json);
}

/** Writes one of the three objects of type ByteLevel, which turn text into pieces and tokens into
 * text. */
static void write_byte_level(ttm_json_writer *json, const char *key)
{
    ttm_json_key(json, key);
    ttm_json_begin_object(json);
    ttm_json_member_string(json, "type", "ByteLevel");
    ttm_json_member_bool(json, "add_prefix_space", 0);
    ttm_json_member_bool(json, "trim_offsets", 0);
    ttm_json_member_bool(json, "use_regex", 1);
    ttm_json_end_object(json);
}

static void write_special_tokens(ttm_json_writer *json, const ttm_vocabulary *vocabulary)
{
    ttm_json_key(json, "added_tokens");
    ttm_json_begin_array(json);
    for (size_t id = 0; id < vocabulary->size; id++) {
        if (vocabulary->entries[id].kind != TTM_TOKEN_SPECIAL) {
            continue;
        }
        ttm_json_begin_object(json);
        ttm_json_member_uint(json, "id", id);
        ttm_json_key(json, "content");
        ttm_json_write_bytes(json, (const char *)ttm_vocabulary_bytes(vocabulary, (int32_t)id),
                             vocabulary->entries[id].length);
        static const char *const off[] = {"single_word", "lstrip", "rstrip", "normalized"};
        for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
            ttm_json_member_bool(json, off[i], 0);
        }
        ttm_json_member_bool(json, "special", 1);
        ttm_json_end_object(json);
    }
    ttm_json_end_array(json);
}

/** Appends a token in GPT-2's alphabet to `letters`. */
static ttm_status spell(ttm_string *letters, const ttm_vocabulary *vocabulary, int32_t token)
{
    return ttm_byte_alphabet_append(letters, ttm_vocabulary_bytes(vocabulary, token),
                                    vocabulary->entries[token].length);
}

static ttm_status write_model(ttm_json_writer *json, const ttm_vocabulary *vocabulary)
{
    ttm_string letters = {0};
    ttm_status status = TTM_OK;
    ttm_json_key(json, "model");
    ttm_json_begin_object(json);
    ttm_json_member_string(json, "type", "BPE");
    write_null(json, "dropout");
    write_null(json, "unk_token");
    write_null(json, "continuing_subword_prefix");
    write_null(json, "end_of_word_suffix");
    ttm_json_member_bool(json, "fuse_unk", 0);
    ttm_json_member_bool(json, "byte_fallback", 0);
    ttm_json_key(json, "vocab");
    ttm_json_begin_object(json);
    for (size_t id = 0; id < vocabulary->size; id++) {
        if (vocabulary->entries[id].kind == TTM_TOKEN_ORDINARY) {
            ttm_string_clear(&letters);
            TTM_TRY_OUT(spell(&letters, vocabulary, (int32_t)id));
            ttm_json_member_uint(json, letters.text, id);
        }
    }
    ttm_json_end_object(json);
    ttm_json_key(json, "merges");
    ttm_json_begin_array(json);
    for (size_t rank = 0; rank < vocabulary->merge_count; rank++) {
        ttm_string_clear(&letters);
        TTM_TRY_OUT(spell(&letters, vocabulary, vocabulary->merges[rank].left));
        TTM_TRY_OUT(ttm_string_append(&letters, " "));
        TTM_TRY_OUT(spell(&letters, vocabulary, vocabulary->merges[rank].right));
        ttm_json_write_string(json, letters.text);
    }
    ttm_json_end_array(json);
    ttm_json_end_object(json);
out:
    ttm_string_free(&letters);
    return status;
}

ttm_status ttm_tokenizer_save(const ttm_tokenizer *tokenizer, const char *directory)
{
    ttm_json_writer *json = NULL;
    ttm_string path = {0};
    const char *text = NULL;
    size_t bytes = 0;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_json_writer_new(&json, TTM_JSON_INDENTED));
    ttm_json_begin_object(json);
    ttm_json_member_string(json, "version", "1.0");
    write_null(json, "truncation");
    write_null(json, "padding");
    write_special_tokens(json, &tokenizer->vocabulary);
    write_null(json, "normalizer");
    write_byte_level(json, "pre_tokenizer");
    write_byte_level(json, "post_processor");
    write_byte_level(json, "decoder");
    TTM_TRY_OUT(write_model(json, &tokenizer->vocabulary));
    ttm_json_end_object(json);
    TTM_TRY_OUT(ttm_json_writer_finish(&text, &bytes, json));
    TTM_TRY_OUT(ttm_string_append_format(&path, "%s/tokenizer.json", directory));
    TTM_TRY_OUT(ttm_atomic_file_save(path.text, text, bytes));
out:
    ttm_string_free(&path);
    ttm_json_writer_free(json);
    return status;
}
