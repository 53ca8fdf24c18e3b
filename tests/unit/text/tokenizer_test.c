/* Encoding and decoding with vocabularies learnt on the spot. */
#include "text_testing.h"

static void bytes_are_their_own_tokens(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    assert_int_equal(ttm_tokenizer_vocab_size(tokenizer), 257);
    assert_int_equal(ttm_tokenizer_end_of_text(tokenizer), 256);
    assert_int_equal(ttm_tokenizer_merge_count(tokenizer), 0);
    char text[256];
    for (int i = 0; i < 256; i++) {
        text[i] = (char)i;
    }
    int32_t *tokens = NULL;
    size_t count = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text, 256, NULL), TTM_OK);
    assert_int_equal(count, 256);
    for (int i = 0; i < 256; i++) {
        assert_int_equal(tokens[i], i);
    }
    free(tokens);
    ttm_tokenizer_close(tokenizer);
}

static void empty_text_has_no_tokens(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(300);
    int32_t *tokens = NULL;
    size_t count = 1;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, "", 0, NULL), TTM_OK);
    assert_int_equal(count, 0);
    assert_non_null(tokens);
    free(tokens);
    char *text = NULL;
    assert_int_equal(ttm_tokenizer_decode(&text, &count, tokenizer, NULL, 0), TTM_OK);
    assert_int_equal(count, 0);
    assert_string_equal(text, "");
    free(text);
    ttm_tokenizer_close(tokenizer);
}

/** Encodes valid text piece by piece with the naive merge. */
static size_t encode_naively(int32_t *tokens, const ttm_tokenizer *tokenizer, const char *text,
                             size_t bytes)
{
    ttm_split split;
    assert_int_equal(ttm_split_begin(&split, tokenizer->splitter), TTM_OK);
    size_t count = 0;
    size_t end = 0;
    for (size_t start = 0; start < bytes; start = end) {
        assert_int_equal(ttm_split_next_plain(&end, &split, text, bytes, start), TTM_OK);
        count += merge_naively(tokens + count, &tokenizer->vocabulary, text + start, end - start);
    }
    ttm_split_end(&split);
    return count;
}

static void encoding_equals_the_naive_encoder(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(600);
    ttm_string text = {0};
    append_random_text(&text, 20000, false);
    int32_t *expected = calloc(text.length, sizeof *expected);
    assert_non_null(expected);
    size_t expected_count = encode_naively(expected, tokenizer, text.text, text.length);
    int32_t *tokens = NULL;
    size_t count = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text.text, text.length, NULL),
                     TTM_OK);
    assert_tokens_equal(tokens, count, expected, expected_count);
    assert_true(count < text.length / 2);
    free(tokens);
    free(expected);
    ttm_string_free(&text);
    ttm_tokenizer_close(tokenizer);
}

static void decoding_gives_the_bytes_back_even_of_broken_text(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(500);
    for (int round = 0; round < 300; round++) {
        ttm_string text = {0};
        append_random_text(&text, 1 + draw(60), true);
        int32_t *tokens = NULL;
        size_t count = 0;
        char *back = NULL;
        size_t bytes = 0;
        assert_int_equal(
            ttm_tokenizer_encode(&tokens, &count, tokenizer, text.text, text.length, NULL), TTM_OK);
        assert_int_equal(ttm_tokenizer_decode(&back, &bytes, tokenizer, tokens, count), TTM_OK);
        assert_int_equal(bytes, text.length);
        assert_memory_equal(back, text.text, bytes);
        assert_int_equal(back[bytes], '\0');
        free(back);
        free(tokens);
        ttm_string_free(&text);
    }
    ttm_tokenizer_close(tokenizer);
}

static void what_follows_a_broken_character_is_one_piece_with_the_last_word(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(500);
    static const char text[] = "the ab the\xff the ab";
    static const char last[] = " the\xff the ab";
    int32_t expected[sizeof text];
    size_t expected_count = encode_naively(expected, tokenizer, text, strlen("the ab"));
    expected_count +=
        merge_naively(expected + expected_count, &tokenizer->vocabulary, last, strlen(last));
    int32_t *tokens = NULL;
    size_t count = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text, strlen(text), NULL),
                     TTM_OK);
    assert_tokens_equal(tokens, count, expected, expected_count);
    free(tokens);
    ttm_tokenizer_close(tokenizer);
}

static void pieces_of_every_length_merge_as_defined(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(700);
    static const char letters[] = "aabbthen";
    for (size_t length = 1; length < 400; length += 1 + length / 40) {
        char piece[512];
        int32_t expected[512];
        for (size_t i = 0; i < length; i++) {
            piece[i] = letters[draw(length % 3 == 0 ? 1 : 8)];
        }
        size_t expected_count = merge_naively(expected, &tokenizer->vocabulary, piece, length);
        int32_t *tokens = NULL;
        size_t count = 0;
        assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, piece, length, NULL),
                         TTM_OK);
        assert_tokens_equal(tokens, count, expected, expected_count);
        free(tokens);
    }
    ttm_tokenizer_close(tokenizer);
}

static void a_piece_of_megabytes_is_no_trouble(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(400);
    size_t bytes = 3000000;
    char *text = malloc(bytes);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i++) {
        text[i] = "ab"[draw(2)];
    }
    int32_t *tokens = NULL;
    size_t count = 0;
    char *back = NULL;
    size_t back_bytes = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text, bytes, NULL), TTM_OK);
    assert_int_equal(ttm_tokenizer_decode(&back, &back_bytes, tokenizer, tokens, count), TTM_OK);
    assert_int_equal(back_bytes, bytes);
    assert_memory_equal(back, text, bytes);
    free(back);
    free(tokens);
    free(text);
    ttm_tokenizer_close(tokenizer);
}

static void end_of_text_is_text_unless_asked_for(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(400);
    static const char text[] = "a<|endoftext|><|endoftext|>b";
    int32_t *tokens = NULL;
    size_t count = 0;
    int32_t mark = ttm_tokenizer_end_of_text(tokenizer);
    assert_int_equal(mark, 399);
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text, strlen(text), NULL),
                     TTM_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(tokens[i], mark);
    }
    free(tokens);
    ttm_encode_options options = TTM_ENCODE_OPTIONS_INIT;
    options.special_tokens = true;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, text, strlen(text), &options),
                     TTM_OK);
    assert_int_equal(count, 4);
    assert_int_equal(tokens[1], mark);
    assert_int_equal(tokens[2], mark);
    char *back = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_tokenizer_decode(&back, &bytes, tokenizer, tokens, count), TTM_OK);
    assert_string_equal(back, text);
    free(back);
    free(tokens);
    ttm_tokenizer_close(tokenizer);
}

static void unknown_tokens_are_refused_by_position(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    const int32_t bad[] = {-1, 257, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        int32_t tokens[] = {65, 66, bad[i]};
        char *text = NULL;
        size_t bytes = 0;
        assert_int_equal(ttm_tokenizer_decode(&text, &bytes, tokenizer, tokens, 3),
                         TTM_ERROR_ARGUMENT);
        assert_null(text);
        assert_message_has("position 2");
    }
    ttm_tokenizer_close(tokenizer);
}

static void options_that_were_not_initialised_are_refused(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    ttm_encode_options options = {0};
    int32_t *tokens = NULL;
    size_t count = 0;
    assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, "a", 1, &options),
                     TTM_ERROR_ARGUMENT);
    assert_message_has("TTM_ENCODE_OPTIONS_INIT");
    ttm_tokenizer_close(tokenizer);
}

int main(void)
{
    seed_test();
    const struct CMUnitTest tests[] = {
        scratch_test(bytes_are_their_own_tokens),
        scratch_test(empty_text_has_no_tokens),
        scratch_test(encoding_equals_the_naive_encoder),
        scratch_test(decoding_gives_the_bytes_back_even_of_broken_text),
        scratch_test(what_follows_a_broken_character_is_one_piece_with_the_last_word),
        scratch_test(pieces_of_every_length_merge_as_defined),
        scratch_test(a_piece_of_megabytes_is_no_trouble),
        scratch_test(end_of_text_is_text_unless_asked_for),
        scratch_test(unknown_tokens_are_refused_by_position),
        scratch_test(options_that_were_not_initialised_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
