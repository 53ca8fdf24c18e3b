/* Reading vocabularies from files of every format, good and bad. */
#include "text/byte_alphabet.h"
#include "text_testing.h"

static void append_letters(ttm_string *string, const ttm_vocabulary *vocabulary, int32_t token)
{
    assert_int_equal(ttm_byte_alphabet_append(string, ttm_vocabulary_bytes(vocabulary, token),
                                              vocabulary->entries[token].length),
                     TTM_OK);
}

/** Writes a vocabulary as NAMEvocab.json and NAMEmerges.txt. */
static void write_pair(const ttm_tokenizer *tokenizer, const char *name)
{
    const ttm_vocabulary *vocabulary = &tokenizer->vocabulary;
    ttm_string vocab = {0};
    ttm_string merges = {0};
    assert_int_equal(ttm_string_append(&merges, "#version: 0.2\r\n"), TTM_OK);
    for (size_t id = 0; id < vocabulary->size; id++) {
        ttm_string letters = {0};
        append_letters(&letters, vocabulary, (int32_t)id);
        bool escape = letters.text[0] == '"' || letters.text[0] == '\\';
        assert_int_equal(ttm_string_append_format(&vocab, "%s\n\"%s%s\": %zu", id > 0 ? "," : "{",
                                                  escape ? "\\" : "", letters.text, id),
                         TTM_OK);
        ttm_string_free(&letters);
    }
    assert_int_equal(ttm_string_append(&vocab, "}"), TTM_OK);
    for (size_t rank = 0; rank < vocabulary->merge_count; rank++) {
        append_letters(&merges, vocabulary, vocabulary->merges[rank].left);
        assert_int_equal(ttm_string_append(&merges, " "), TTM_OK);
        append_letters(&merges, vocabulary, vocabulary->merges[rank].right);
        assert_int_equal(ttm_string_append(&merges, "\r\n"), TTM_OK);
    }
    char path[64];
    snprintf(path, sizeof path, "%svocab.json", name);
    scratch_write(scratch_path(path), vocab.text, vocab.length);
    snprintf(path, sizeof path, "%smerges.txt", name);
    scratch_write(scratch_path(path), merges.text, merges.length);
    ttm_string_free(&vocab);
    ttm_string_free(&merges);
}

/** Writes a vocabulary as tiktoken does. */
static void write_tiktoken(const ttm_tokenizer *tokenizer, const char *path)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const ttm_vocabulary *vocabulary = &tokenizer->vocabulary;
    ttm_string lines = {0};
    for (int32_t id = 0; id + 1 < (int32_t)vocabulary->size; id++) {
        const unsigned char *bytes = ttm_vocabulary_bytes(vocabulary, id);
        size_t length = vocabulary->entries[id].length;
        for (size_t i = 0; i < length; i += 3) {
            size_t there = length - i < 3 ? length - i : 3;
            uint32_t group = (uint32_t)bytes[i] << 16 |
                             (there > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                             (there > 2 ? bytes[i + 2] : 0);
            char letters[5] = {digits[group >> 18], digits[group >> 12 & 63],
                               there > 1 ? digits[group >> 6 & 63] : '=',
                               there > 2 ? digits[group & 63] : '=', '\0'};
            assert_int_equal(ttm_string_append(&lines, letters), TTM_OK);
        }
        assert_int_equal(ttm_string_append_format(&lines, " %d\n", id), TTM_OK);
    }
    scratch_write(path, lines.text, lines.length);
    ttm_string_free(&lines);
}

static void assert_opens_equal(const ttm_tokenizer *expected, const char *source)
{
    ttm_tokenizer *tokenizer = NULL;
    if (ttm_tokenizer_open(&tokenizer, source) != TTM_OK) {
        fail_msg("%s: %s", source, ttm_error_message());
    }
    assert_string_equal(ttm_tokenizer_hash(tokenizer), ttm_tokenizer_hash(expected));
    assert_int_equal(ttm_tokenizer_vocab_size(tokenizer), ttm_tokenizer_vocab_size(expected));
    assert_int_equal(ttm_tokenizer_end_of_text(tokenizer), ttm_tokenizer_end_of_text(expected));
    ttm_tokenizer_close(tokenizer);
}

static void a_vocabulary_is_the_same_from_every_format(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(800);
    write_tiktoken(tokenizer, scratch_path("own.tiktoken"));
    assert_opens_equal(tokenizer, scratch_path("own.tiktoken"));
    assert_opens_equal(tokenizer, scratch_folder);
    write_tiktoken(tokenizer, scratch_path("nameless"));
    assert_opens_equal(tokenizer, scratch_path("nameless"));
    write_pair(tokenizer, "own-");
    assert_opens_equal(tokenizer, scratch_path("own-vocab.json"));
    assert_opens_equal(tokenizer, scratch_path("own-merges.txt"));
    write_pair(tokenizer, "");
    assert_opens_equal(tokenizer, scratch_folder);
    assert_int_equal(ttm_tokenizer_save(tokenizer, scratch_folder), TTM_OK);
    assert_opens_equal(tokenizer, scratch_path("tokenizer.json"));
    assert_opens_equal(tokenizer, scratch_folder);
    ttm_tokenizer_close(tokenizer);
}

static void the_byte_tokenizer_is_stored_like_any_other(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    assert_int_equal(ttm_tokenizer_save(tokenizer, scratch_folder), TTM_OK);
    assert_opens_equal(tokenizer, scratch_folder);
    ttm_tokenizer_close(tokenizer);
}

static void different_vocabularies_have_different_fingerprints(void **state)
{
    (void)state;
    ttm_tokenizer *first = train_small(400);
    ttm_tokenizer *second = train_small(401);
    assert_string_not_equal(ttm_tokenizer_hash(first), ttm_tokenizer_hash(second));
    ttm_tokenizer_close(first);
    ttm_tokenizer_close(second);
}

static void a_failed_save_says_where(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    assert_int_not_equal(ttm_tokenizer_save(tokenizer, scratch_path("missing")), TTM_OK);
    assert_message_has("missing");
    ttm_tokenizer_close(tokenizer);
}

/** Writes the tokenizer.json of the byte tokenizer, with the first occurrence of `from` replaced by
 * `to`. */
static const char *write_changed(const char *from, const char *to)
{
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    assert_int_equal(ttm_tokenizer_save(tokenizer, scratch_folder), TTM_OK);
    ttm_tokenizer_close(tokenizer);
    const char *path = scratch_path("tokenizer.json");
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_file_read(&text, &bytes, path, 1 << 20), TTM_OK);
    char *place = strstr(text, from);
    if (place == NULL) {
        fail_msg("there is no %s to change", from);
    }
    ttm_string changed = {0};
    assert_int_equal(ttm_string_append_bytes(&changed, text, (size_t)(place - text)), TTM_OK);
    assert_int_equal(ttm_string_append(&changed, to), TTM_OK);
    assert_int_equal(ttm_string_append(&changed, place + strlen(from)), TTM_OK);
    scratch_write(path, changed.text, changed.length);
    ttm_string_free(&changed);
    free(text);
    return path;
}

static void what_is_not_gpt2s_kind_of_bpe_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        ttm_status status;
        const char *message;
    } changes[] = {
        {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", TTM_ERROR_UNSUPPORTED, "'Unigram'"},
        {"\"type\": \"ByteLevel\"", "\"type\": \"Whitespace\"", TTM_ERROR_UNSUPPORTED,
         "'Whitespace'"},
        {"\"add_prefix_space\": false", "\"add_prefix_space\": true", TTM_ERROR_UNSUPPORTED,
         "add_prefix_space"},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", TTM_ERROR_UNSUPPORTED,
         "normalizer"},
        {"\"pre_tokenizer\":", "\"nothing\":", TTM_ERROR_UNSUPPORTED, "pre_tokenizer"},
        {"\"dropout\": null", "\"dropout\": 0.1", TTM_ERROR_UNSUPPORTED, "dropout"},
        {"\"byte_fallback\": false", "\"byte_fallback\": true", TTM_ERROR_UNSUPPORTED,
         "byte_fallback"},
        {"\"special\": true", "\"special\": false", TTM_ERROR_UNSUPPORTED, "<|endoftext|>"},
        {"\"model\":", "\"modell\":", TTM_ERROR_FORMAT, "model"},
        {"\"vocab\":", "\"vocabulary\":", TTM_ERROR_FORMAT, "vocab"},
        {"\"merges\": []", "\"merges\": [\"a b\"]", TTM_ERROR_FORMAT, "no token"},
        {"\"merges\": []", "\"merges\": [\"ab\"]", TTM_ERROR_FORMAT, "space between"},
        {"\"merges\": []", "\"merges\": [[\"a\"]]", TTM_ERROR_FORMAT, "two tokens"},
        {"\"merges\": []", "\"merges\": [7]", TTM_ERROR_FORMAT, "merges"},
        {"\"merges\": []", "\"merges\": {}", TTM_ERROR_FORMAT, "merges"},
        {"\"A\": 65", "\"A\": 64", TTM_ERROR_FORMAT, "twice"},
        {"\"A\": 65", "\"A\": -1", TTM_ERROR_FORMAT, "A"},
        {"\"A\": 65", "\"A\": 4000000000", TTM_ERROR_FORMAT, "A"},
        {"\"A\": 65", "\"\\u2581A\": 65", TTM_ERROR_UNSUPPORTED, "alphabet"},
        {"\"A\": 65", "\"\": 65", TTM_ERROR_FORMAT, "0 bytes"},
        {"\"A\": 65", "\"AA\": 65", TTM_ERROR_FORMAT, "0x41"},
        {"\"id\": 256", "\"id\": 65", TTM_ERROR_FORMAT, "twice"},
        {"{", "", TTM_ERROR_FORMAT, "tokenizer.json"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = write_changed(changes[i].from, changes[i].to);
        assert_open_fails(scratch_folder, changes[i].status, changes[i].message);
        assert_message_has(path);
    }
}

static void merges_may_be_lists_and_tokens_may_repeat_the_added_ones(void **state)
{
    (void)state;
    const char *path = write_changed("\"merges\": []", "\"merges\": [[\"A\", \"B\"]]");
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_file_read(&text, &bytes, path, 1 << 20), TTM_OK);
    char *place = strstr(text, "\"vocab\": {");
    assert_non_null(place);
    size_t head = (size_t)(place - text) + strlen("\"vocab\": {");
    ttm_string changed = {0};
    assert_int_equal(ttm_string_append_bytes(&changed, text, head), TTM_OK);
    assert_int_equal(ttm_string_append(&changed, "\"<|endoftext|>\": 256, \"AB\": 257,"), TTM_OK);
    assert_int_equal(ttm_string_append(&changed, text + head), TTM_OK);
    scratch_write(path, changed.text, changed.length);
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, path), TTM_OK);
    int32_t *tokens = NULL;
    size_t count = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, "ABA", 3, NULL), TTM_OK);
    const int32_t expected[] = {257, 65};
    assert_tokens_equal(tokens, count, expected, 2);
    free(tokens);
    ttm_tokenizer_close(tokenizer);
    ttm_string_free(&changed);
    free(text);
}

static void broken_tiktoken_files_are_refused_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } files[] = {
        {"QQ== 0\nnonsense\n", "line 2"},
        {"QQ== 0\nQg== x\n", "line 2"},
        {"QQ==\n", "line 1"},
        {"QQ= 0\n", "line 1"},
        {"Q*== 0\n", "line 1"},
        {"QQ== 0\nQg== 0\n", "twice"},
        {"QQ== 99999999999999999999\n", "line 1"},
        {"QQ== 0\n", "0x00"},
        {"", "0x00"},
    };
    const char *path = scratch_path("bad.tiktoken");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        scratch_write(path, files[i].text, strlen(files[i].text));
        assert_open_fails(path, TTM_ERROR_FORMAT, files[i].message);
        assert_message_has(path);
    }
}

static void sources_that_are_no_vocabulary_are_refused(void **state)
{
    (void)state;
    assert_open_fails("", TTM_ERROR_ARGUMENT, "bytes");
    assert_open_fails(NULL, TTM_ERROR_ARGUMENT, "bytes");
    assert_open_fails(scratch_path("missing.json"), TTM_ERROR_NOT_FOUND, "missing.json");
    assert_open_fails(scratch_folder, TTM_ERROR_NOT_FOUND, "neither tokenizer.json");
    scratch_write(scratch_path("empty"), "", 0);
    assert_open_fails(scratch_path("empty"), TTM_ERROR_FORMAT, "empty");
    scratch_write(scratch_path("vocab.json"), "{}", 2);
    assert_open_fails(scratch_path("vocab.json"), TTM_ERROR_FORMAT, "0x00");
    assert_int_equal(remove(scratch_path("vocab.json")), 0);
    scratch_write(scratch_path("merges.txt"), "a b\n", 4);
    assert_open_fails(scratch_path("merges.txt"), TTM_ERROR_NOT_FOUND, "together");
    scratch_write(scratch_path("a.tiktoken"), "", 0);
    scratch_write(scratch_path("b.tiktoken"), "", 0);
    assert_open_fails(scratch_folder, TTM_ERROR_ARGUMENT, "several");
}

int main(void)
{
    seed_test();
    const struct CMUnitTest tests[] = {
        scratch_test(a_vocabulary_is_the_same_from_every_format),
        scratch_test(the_byte_tokenizer_is_stored_like_any_other),
        scratch_test(different_vocabularies_have_different_fingerprints),
        scratch_test(a_failed_save_says_where),
        scratch_test(what_is_not_gpt2s_kind_of_bpe_is_refused_by_name),
        scratch_test(merges_may_be_lists_and_tokens_may_repeat_the_added_ones),
        scratch_test(broken_tiktoken_files_are_refused_by_line),
        scratch_test(sources_that_are_no_vocabulary_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
