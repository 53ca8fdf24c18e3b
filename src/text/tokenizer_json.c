/* Reads Hugging Face's tokenizer.json, as far as it describes a byte-level BPE with GPT-2's split
 * pattern. Whatever would make it encode otherwise is refused by name: a tokenizer that is nearly
 * right is worse than none. */
#include "text/vocabulary_files.h"

#include "core/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include <stdlib.h>
#include <string.h>

static ttm_status unsupported(const char *path, const char *part, const char *advice)
{
    return ttm_fail(TTM_ERROR_UNSUPPORTED, "'%s': %s isn't supported: %s", path, part, advice);
}

/** Returns whether the member is missing, null, false, 0 or "": switched off, in the ways this
 * format says it. */
static bool is_off(ttm_json_value object, const char *key)
{
    ttm_json_value value = ttm_json_find(object, key);
    if (!ttm_json_exists(value) || ttm_json_is_null(value)) {
        return true;
    }
    bool truth = true;
    double number = 1.0;
    const char *text = "?";
    if (ttm_json_is_bool(value)) {
        return ttm_json_as_bool(&truth, value) == TTM_OK && !truth;
    }
    if (ttm_json_is_number(value)) {
        return ttm_json_as_double(&number, value) == TTM_OK && number == 0.0;
    }
    return ttm_json_is_string(value) && ttm_json_as_string(&text, value) == TTM_OK &&
           text[0] == '\0';
}

static ttm_status check_model(ttm_json_value model, const char *path)
{
    /* Old files say no type. */
    const char *type = "BPE";
    TTM_TRY(ttm_json_optional_string(&type, model, "type"));
    if (strcmp(type, "BPE") != 0) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "'%s': a tokenizer of type '%.100s' isn't supported: it must be BPE", path,
                        type);
    }
    static const char *const must_be_off[] = {"dropout",       "continuing_subword_prefix",
                                              "byte_fallback", "end_of_word_suffix",
                                              "ignore_merges", "fuse_unk"};
    for (size_t i = 0; i < sizeof must_be_off / sizeof *must_be_off; i++) {
        if (!is_off(model, must_be_off[i])) {
            return unsupported(path, must_be_off[i], "GPT-2's BPE doesn't have it");
        }
    }
    return TTM_OK;
}

/** Checks that text reaches the model as GPT-2 wants it: unchanged, split by ByteLevel alone. The
 * post-processor and the decoder don't matter: the former only adds special tokens around a text,
 * the latter follows from the alphabet. */
static ttm_status check_pipeline(ttm_json_value root, const char *path)
{
    if (!is_off(root, "normalizer")) {
        return unsupported(path, "a normalizer", "text is encoded as it is, so it must be null");
    }
    ttm_json_value splitting = ttm_json_find(root, "pre_tokenizer");
    if (!ttm_json_is_object(splitting)) {
        return unsupported(path, "having no pre_tokenizer", "it must be of type ByteLevel");
    }
    const char *type = NULL;
    TTM_TRY(ttm_json_get_string(&type, splitting, "type"));
    if (strcmp(type, "ByteLevel") != 0) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "'%s': a pre_tokenizer of type '%.100s' isn't supported: it must be "
                        "ByteLevel, with GPT-2's split pattern",
                        path, type);
    }
    bool prefix_space = true;
    TTM_TRY(ttm_json_optional_bool(&prefix_space, splitting, "add_prefix_space"));
    if (prefix_space) {
        return unsupported(path, "add_prefix_space",
                           "a space would appear that isn't in the text; set it to false if the "
                           "model was trained so");
    }
    bool use_pattern = true;
    TTM_TRY(ttm_json_optional_bool(&use_pattern, splitting, "use_regex"));
    ttm_json_value merges = ttm_json_find(ttm_json_find(root, "model"), "merges");
    if (!use_pattern && ttm_json_count(merges) > 0) {
        return unsupported(path, "use_regex: false", "only GPT-2's split pattern is");
    }
    return TTM_OK;
}

/** Adds the tokens that are taken out of a text before it is encoded. */
static ttm_status read_added_tokens(ttm_vocabulary *vocabulary, ttm_json_value root,
                                    const char *path)
{
    ttm_json_value list = ttm_json_find(root, "added_tokens");
    if (!ttm_json_exists(list) || ttm_json_is_null(list)) {
        return TTM_OK;
    }
    TTM_TRY(ttm_json_expect_array(list));
    for (ttm_json_value item = ttm_json_first(list); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        int64_t id = 0;
        const char *content = NULL;
        bool special = false;
        TTM_TRY(ttm_json_get_int64(&id, item, "id", 0, TTM_VOCABULARY_MAX_TOKENS - 1));
        TTM_TRY(ttm_json_get_string(&content, item, "content"));
        TTM_TRY(ttm_json_optional_bool(&special, item, "special"));
        if (!special) {
            return ttm_fail(TTM_ERROR_UNSUPPORTED,
                            "'%s': the added token '%.100s' isn't special, so it would be looked "
                            "for in every text; this isn't supported",
                            path, content);
        }
        ttm_status status =
            ttm_vocabulary_add(vocabulary, id, content, strlen(content), TTM_TOKEN_SPECIAL);
        if (status != TTM_OK) {
            return ttm_fail_context(status, "'%s': added_tokens", path);
        }
    }
    return TTM_OK;
}

/** Returns whether an added token is repeated, as it usually is, in the model's list. */
static bool is_repeated(const ttm_vocabulary *vocabulary, int64_t id, const char *text)
{
    if (id >= (int64_t)vocabulary->size || vocabulary->entries[id].kind != TTM_TOKEN_SPECIAL) {
        return false;
    }
    size_t length = strlen(text);
    return vocabulary->entries[id].length == length &&
           memcmp(ttm_vocabulary_bytes(vocabulary, (int32_t)id), text, length) == 0;
}

static ttm_status read_tokens(ttm_vocabulary *vocabulary, ttm_json_value list, const char *path)
{
    TTM_TRY(ttm_json_expect_object(list));
    for (ttm_json_value item = ttm_json_first(list); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        int64_t id = 0;
        TTM_TRY(ttm_json_as_int64(&id, item, 0, TTM_VOCABULARY_MAX_TOKENS - 1));
        if (is_repeated(vocabulary, id, ttm_json_member_name(item))) {
            continue;
        }
        ttm_status status = ttm_vocabulary_add_letters(vocabulary, id, ttm_json_member_name(item));
        if (status != TTM_OK) {
            return ttm_fail_context(status, "'%s'", path);
        }
    }
    ttm_status status = ttm_vocabulary_index(vocabulary);
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "'%s'", path);
}

/** A merge is written "a b" or, since a token may hold a space, ["a", "b"]. */
static ttm_status read_merge(ttm_vocabulary *vocabulary, ttm_json_value item)
{
    const char *left = NULL;
    if (ttm_json_is_string(item)) {
        TTM_TRY(ttm_json_as_string(&left, item));
        return ttm_vocabulary_add_merge_line(vocabulary, left, strlen(left));
    }
    TTM_TRY(ttm_json_expect_array(item));
    if (ttm_json_count(item) != 2) {
        return ttm_json_fail(item, "must be two tokens");
    }
    const char *right = NULL;
    TTM_TRY(ttm_json_as_string(&left, ttm_json_first(item)));
    TTM_TRY(ttm_json_as_string(&right, ttm_json_next(ttm_json_first(item))));
    return ttm_vocabulary_add_merge_letters(vocabulary, left, strlen(left), right, strlen(right));
}

ttm_status ttm_vocabulary_read_tokenizer_json(ttm_vocabulary *vocabulary, const char *path)
{
    ttm_json_document *document = NULL;
    ttm_json_value model;
    ttm_json_value list;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_json_read_file(&document, path, TTM_VOCABULARY_FILE_BYTES));
    ttm_json_value root = ttm_json_root(document);
    TTM_TRY_OUT(ttm_json_get_object(&model, root, "model"));
    TTM_TRY_OUT(check_model(model, path));
    TTM_TRY_OUT(check_pipeline(root, path));
    TTM_TRY_OUT(read_added_tokens(vocabulary, root, path));
    TTM_TRY_OUT(ttm_json_get_object(&list, model, "vocab"));
    TTM_TRY_OUT(read_tokens(vocabulary, list, path));
    TTM_TRY_OUT(ttm_json_get_array(&list, model, "merges"));
    for (ttm_json_value item = ttm_json_first(list); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        status = read_merge(vocabulary, item);
        if (status != TTM_OK) {
            status = ttm_fail_context(status, "'%s'", path);
            goto out;
        }
    }
out:
    ttm_json_free(document);
    return status;
}

/** Adds the merges of a merges.txt: one a line, after an optional line with a version. */
static ttm_status read_merges(ttm_vocabulary *vocabulary, const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    TTM_TRY(ttm_file_read(&text, &bytes, path, TTM_VOCABULARY_FILE_BYTES));
    ttm_status status = TTM_OK;
    size_t line_number = 0;
    for (size_t start = 0, end = 0; start < bytes && status == TTM_OK; start = end + 1) {
        const char *feed = memchr(text + start, '\n', bytes - start);
        end = feed == NULL ? bytes : (size_t)(feed - text);
        size_t length = end - start;
        if (length > 0 && text[end - 1] == '\r') {
            length--;
        }
        line_number++;
        bool version = line_number == 1 && length >= 8 && memcmp(text, "#version", 8) == 0;
        if (length == 0 || version) {
            continue;
        }
        status = ttm_vocabulary_add_merge_line(vocabulary, text + start, length);
        if (status != TTM_OK) {
            status = ttm_fail_context(status, "'%s', line %zu", path, line_number);
        }
    }
    free(text);
    return status;
}

ttm_status ttm_vocabulary_read_pair(ttm_vocabulary *vocabulary, const char *vocab_path,
                                    const char *merges_path)
{
    ttm_json_document *document = NULL;
    TTM_TRY(ttm_json_read_file(&document, vocab_path, TTM_VOCABULARY_FILE_BYTES));
    ttm_status status = read_tokens(vocabulary, ttm_json_root(document), vocab_path);
    ttm_json_free(document);
    return status == TTM_OK ? read_merges(vocabulary, merges_path) : status;
}
