/* Learning vocabularies, against a learner that counts everything anew for each merge. */
#include "text/merge_learner.h"
#include "text_testing.h"

enum { MAX_WORDS = 400, MAX_LETTERS = 40 };

/* The naive learner's corpus: words as tokens, with their counts. */
typedef struct naive_corpus {
    int32_t tokens[MAX_WORDS][MAX_LETTERS];
    size_t lengths[MAX_WORDS];
    uint64_t counts[MAX_WORDS];
    size_t words;
} naive_corpus;

static uint64_t count_pair(const naive_corpus *corpus, int32_t left, int32_t right)
{
    uint64_t count = 0;
    for (size_t w = 0; w < corpus->words; w++) {
        for (size_t i = 0; i + 1 < corpus->lengths[w]; i++) {
            if (corpus->tokens[w][i] == left && corpus->tokens[w][i + 1] == right) {
                count += corpus->counts[w];
            }
        }
    }
    return count;
}

static void replace_pair(naive_corpus *corpus, ttm_merge merge)
{
    for (size_t w = 0; w < corpus->words; w++) {
        size_t length = 0;
        for (size_t i = 0; i < corpus->lengths[w]; i++, length++) {
            bool here = i + 1 < corpus->lengths[w] && corpus->tokens[w][i] == merge.left &&
                        corpus->tokens[w][i + 1] == merge.right;
            corpus->tokens[w][length] = here ? merge.result : corpus->tokens[w][i];
            i += here ? 1 : 0;
        }
        corpus->lengths[w] = length;
    }
}

/** Finds the pair to merge next by looking at all; returns its count. */
static uint64_t find_best(ttm_merge *best, const naive_corpus *corpus)
{
    uint64_t best_count = 0;
    for (size_t w = 0; w < corpus->words; w++) {
        for (size_t i = 0; i + 1 < corpus->lengths[w]; i++) {
            int32_t left = corpus->tokens[w][i];
            int32_t right = corpus->tokens[w][i + 1];
            uint64_t count = count_pair(corpus, left, right);
            bool lower = left < best->left || (left == best->left && right < best->right);
            if (count > best_count || (count == best_count && lower)) {
                best_count = count;
                best->left = left;
                best->right = right;
            }
        }
    }
    return best_count;
}

static void merges_are_those_of_the_naive_learner(void **state)
{
    (void)state;
    static naive_corpus corpus;
    int32_t of_byte[256];
    for (int i = 0; i < 256; i++) {
        of_byte[i] = i;
    }
    for (int round = 0; round < 12; round++) {
        ttm_piece_counts pieces = {0};
        corpus.words = 0;
        uint64_t letters = 1 + draw(5);
        uint64_t minimum = 1 + draw(3);
        for (size_t w = 0; w < 10 + draw(MAX_WORDS - 10); w++) {
            char word[MAX_LETTERS];
            size_t length = 1 + draw(round % 3 == 0 ? MAX_LETTERS : 8);
            for (size_t i = 0; i < length; i++) {
                word[i] = (char)('a' + draw(letters));
            }
            assert_int_equal(ttm_piece_counts_add(&pieces, word, length, 1 + draw(3)), TTM_OK);
        }
        for (size_t w = 0; w < pieces.count; w++) {
            corpus.lengths[w] = pieces.pieces[w].length;
            corpus.counts[w] = pieces.pieces[w].count;
            for (size_t i = 0; i < corpus.lengths[w]; i++) {
                corpus.tokens[w][i] = pieces.bytes[pieces.pieces[w].offset + i];
            }
        }
        corpus.words = pieces.count;
        ttm_merge *merges = NULL;
        size_t count = 0;
        ttm_progress quiet = {0};
        assert_int_equal(ttm_merges_learn(&merges, &count, &pieces, of_byte, 60, minimum, &quiet),
                         TTM_OK);
        for (size_t rank = 0; rank < 60; rank++) {
            ttm_merge best = {.left = 0, .right = 0, .result = 256 + (int32_t)rank};
            if (find_best(&best, &corpus) < minimum) {
                assert_int_equal(count, rank);
                break;
            }
            assert_true(rank < count);
            assert_int_equal(merges[rank].left, best.left);
            assert_int_equal(merges[rank].right, best.right);
            assert_int_equal(merges[rank].result, best.result);
            replace_pair(&corpus, best);
        }
        free(merges);
        ttm_piece_counts_free(&pieces);
    }
}

/** Writes a corpus of several chunks. */
static const char *write_corpus(const char *name, size_t words, bool damage)
{
    ttm_string text = {0};
    append_random_text(&text, words, damage);
    const char *path = scratch_path(name);
    scratch_write(path, text.text, text.length);
    ttm_string_free(&text);
    return path;
}

static void any_number_of_threads_learns_the_same(void **state)
{
    (void)state;
    const char *paths[] = {write_corpus("one.txt", 100000, true),
                           write_corpus("two.txt", 1000, false)};
    char first[64] = "";
    for (unsigned threads = 1; threads <= 5; threads++) {
        ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
        options.vocab_size = 1000;
        options.threads = threads;
        ttm_tokenizer *tokenizer = NULL;
        assert_int_equal(ttm_tokenizer_train(&tokenizer, paths, 2, &options), TTM_OK);
        if (threads == 1) {
            snprintf(first, sizeof first, "%s", ttm_tokenizer_hash(tokenizer));
        }
        assert_string_equal(ttm_tokenizer_hash(tokenizer), first);
        ttm_tokenizer_close(tokenizer);
    }
}

static void tokens_begin_with_the_bytes_in_gpt2s_order(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(300);
    static const struct {
        int32_t token;
        unsigned char byte;
    } known[] = {{0, '!'}, {32, 'A'},   {93, '~'},  {94, 0xa1}, {187, 0xff},
                 {188, 0}, {198, '\n'}, {220, ' '}, {255, 0xad}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *bytes = NULL;
        size_t count = 0;
        assert_int_equal(ttm_tokenizer_token_bytes(&bytes, &count, tokenizer, known[i].token),
                         TTM_OK);
        assert_int_equal(count, 1);
        assert_int_equal((unsigned char)bytes[0], known[i].byte);
    }
    ttm_tokenizer_close(tokenizer);
}

static void a_small_corpus_gives_a_small_vocabulary(void **state)
{
    (void)state;
    const char *path = scratch_path("small.txt");
    scratch_write(path, "abab", 4);
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, NULL), TTM_OK);
    /* ab is there twice; abab once, which is too seldom. */
    assert_int_equal(ttm_tokenizer_merge_count(tokenizer), 1);
    assert_int_equal(ttm_tokenizer_vocab_size(tokenizer), 258);
    ttm_tokenizer_close(tokenizer);
}

static bool stop_merging(void *user, const char *stage, uint64_t done, uint64_t total)
{
    assert_true(done <= total);
    return strcmp(stage, user) != 0;
}

static void progress_can_stop_every_stage(void **state)
{
    (void)state;
    const char *path = write_corpus("one.txt", 100000, false);
    static char stages[][16] = {"reading", "merging"};
    for (size_t i = 0; i < 2; i++) {
        for (unsigned threads = 1; threads <= 2; threads++) {
            ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
            options.vocab_size = 1000;
            options.threads = threads;
            options.progress = stop_merging;
            options.progress_user = stages[i];
            ttm_tokenizer *tokenizer = NULL;
            assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, &options),
                             TTM_ERROR_INTERRUPTED);
            assert_null(tokenizer);
        }
    }
}

static void impossible_requests_are_refused(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
    const char *path = scratch_path("empty.txt");
    scratch_write(path, "", 0);
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, &options), TTM_ERROR_FORMAT);
    assert_message_has("empty");
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 0, &options), TTM_ERROR_ARGUMENT);
    const char *missing = scratch_path("missing.txt");
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &missing, 1, &options), TTM_ERROR_NOT_FOUND);
    assert_message_has("missing.txt");
    const char *folder = scratch_folder;
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &folder, 1, &options), TTM_ERROR_IO);
    options.vocab_size = 256;
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, &options), TTM_ERROR_ARGUMENT);
    assert_message_has("256");
    options.vocab_size = 300;
    options.min_frequency = 0;
    assert_int_equal(ttm_tokenizer_train(&tokenizer, &path, 1, &options), TTM_ERROR_ARGUMENT);
    assert_null(tokenizer);
}

int main(void)
{
    seed_test();
    const struct CMUnitTest tests[] = {
        scratch_test(merges_are_those_of_the_naive_learner),
        scratch_test(any_number_of_threads_learns_the_same),
        scratch_test(tokens_begin_with_the_bytes_in_gpt2s_order),
        scratch_test(a_small_corpus_gives_a_small_vocabulary),
        scratch_test(progress_can_stop_every_stage),
        scratch_test(impossible_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
