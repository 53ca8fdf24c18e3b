/* What the tests of text share: random numbers with a printed seed (TTM_TEST_SEED=N repeats a run),
 * random text, small vocabularies, and the plainest possible encoder. */
#ifndef TEXT_TESTING_H
#define TEXT_TESTING_H

#include "../io/scratch_folder.h"
#include "io/string_builder.h"
#include "text/splitter.h"
#include "text/tokenizer.h"
#include <inttypes.h>
#include <math.h>
#include <time.h>
#include <ttm/dataset.h>
#include <ttm/tokenizer.h>

static uint64_t test_state;

static inline void seed_test(void)
{
    const char *wanted = getenv("TTM_TEST_SEED");
    test_state = wanted != NULL ? strtoull(wanted, NULL, 0) : (uint64_t)time(NULL);
    print_message("TTM_TEST_SEED=%" PRIu64 "\n", test_state);
}

/** Returns a random number below `limit`. */
static inline uint64_t draw(uint64_t limit)
{
    test_state = test_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (test_state >> 33 ^ test_state >> 11) % limit;
}

/** Appends random text to `text`: words of few letters, so that they repeat, of several scripts,
 * with all that the split pattern looks at. With `damage`, bytes that are no UTF-8 too. */
static inline void append_random_text(ttm_string *text, size_t words, bool damage)
{
    static const char *const units[] = {"a",  "b",    "ab",       "the",    "e",  "n",  "0",
                                        "12", ".",    ",",        "'s",     "'",  "é",  "ю",
                                        "ди", "的",   "一",       "🙂",   "\t", "\n", " ",
                                        "  ", "\r\n", "\xc2\xa0", "\u2003", "ü",  "!",  "?"};
    static const char *const broken[] = {"\xff", "\xc3", "\xe4\xb8", "\xed\xa0\x80", "\xc0\xaf"};
    for (size_t word = 0; word < words; word++) {
        for (uint64_t length = 1 + draw(6); length > 0; length--) {
            const char *unit = damage && draw(40) == 0 ? broken[draw(5)] : units[draw(28)];
            assert_int_equal(ttm_string_append(text, unit), TTM_OK);
        }
        assert_int_equal(ttm_string_append(text, draw(5) == 0 ? "\n" : " "), TTM_OK);
    }
}

/** Returns a tokenizer learnt from random text. Needs a scratch folder. */
static inline ttm_tokenizer *train_small(size_t vocab_size)
{
    ttm_string text = {0};
    append_random_text(&text, 20000, false);
    const char *path = scratch_path("corpus.txt");
    scratch_write(path, text.text, text.length);
    ttm_string_free(&text);
    ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
    options.vocab_size = vocab_size;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, &options), TTM_OK);
    assert_int_equal(ttm_tokenizer_vocab_size(tokenizer), vocab_size);
    return tokenizer;
}

/** Merges a piece by definition: looks for the lowest rank from the left, again and again. tokens
 * [bytes]. */
static inline size_t merge_naively(int32_t *tokens, const ttm_vocabulary *vocabulary,
                                   const char *piece, size_t bytes)
{
    size_t count = bytes;
    for (size_t i = 0; i < bytes; i++) {
        tokens[i] = vocabulary->of_byte[(unsigned char)piece[i]];
    }
    for (;;) {
        size_t best_rank = vocabulary->merge_count;
        size_t best = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            uint32_t rank =
                ttm_pair_map_find(&vocabulary->ranks, ttm_pair_key(tokens[i], tokens[i + 1]));
            if (rank < best_rank) {
                best_rank = rank;
                best = i;
            }
        }
        if (best_rank == vocabulary->merge_count) {
            return count;
        }
        tokens[best] = vocabulary->merges[best_rank].result;
        for (size_t i = best + 1; i + 1 < count; i++) {
            tokens[i] = tokens[i + 1];
        }
        count--;
    }
}

/** Asserts that two lists of tokens are the same. */
static inline void assert_tokens_equal(const int32_t *tokens, size_t count, const int32_t *expected,
                                       size_t expected_count)
{
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count && i < expected_count; i++) {
        if (tokens[i] != expected[i]) {
            fail_msg("token %zu of %zu is %d, not %d", i, count, tokens[i], expected[i]);
        }
    }
}

/** Asserts that opening `source` fails so, with this in the message. */
static inline void assert_open_fails(const char *source, ttm_status expected, const char *message)
{
    ttm_tokenizer *tokenizer = NULL;
    ttm_status status = ttm_tokenizer_open(&tokenizer, source);
    assert_null(tokenizer);
    if (status != expected) {
        fail_msg("%s: status %d, not %d: %s", source == NULL ? "NULL" : source, status, expected,
                 ttm_error_message());
    }
    assert_message_has(message);
}

#endif
