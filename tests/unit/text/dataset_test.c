/* Datasets from text and token files, good and bad. */
#include "text_testing.h"

static ttm_dataset *open_data(const char *const *paths, size_t count,
                              const ttm_tokenizer *tokenizer, unsigned threads)
{
    ttm_dataset_options options = TTM_DATASET_OPTIONS_INIT;
    options.threads = threads;
    ttm_dataset *dataset = NULL;
    if (ttm_dataset_open(&dataset, paths, count, tokenizer, 0, &options) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    return dataset;
}

static void assert_data_fails(const char *path, const ttm_tokenizer *tokenizer, size_t vocab_size,
                              ttm_status expected, const char *message)
{
    ttm_dataset *dataset = NULL;
    ttm_status status = ttm_dataset_open(&dataset, &path, 1, tokenizer, vocab_size, NULL);
    assert_null(dataset);
    if (status != expected) {
        fail_msg("%s: status %d, not %d: %s", path, status, expected, ttm_error_message());
    }
    assert_message_has(message);
    assert_message_has(path);
}

static int32_t *read_all(const ttm_dataset *dataset)
{
    size_t count = (size_t)ttm_dataset_token_count(dataset);
    int32_t *tokens = calloc(count, sizeof *tokens);
    assert_non_null(tokens);
    assert_int_equal(ttm_dataset_read(tokens, dataset, 0, count), TTM_OK);
    return tokens;
}

static void text_has_the_tokens_of_encoding_it_at_once(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(500);
    ttm_string text = {0};
    append_random_text(&text, 200000, false);
    const char *path = scratch_path("text.txt");
    scratch_write(path, text.text, text.length);
    int32_t *expected = NULL;
    size_t count = 0;
    assert_int_equal(
        ttm_tokenizer_encode(&expected, &count, tokenizer, text.text, text.length, NULL), TTM_OK);
    for (unsigned threads = 1; threads <= 4; threads++) {
        ttm_dataset *dataset = open_data(&path, 1, tokenizer, threads);
        int32_t *tokens = read_all(dataset);
        assert_tokens_equal(tokens, (size_t)ttm_dataset_token_count(dataset), expected, count);
        uint64_t bytes = 0;
        assert_int_equal(ttm_dataset_text_bytes(&bytes, dataset, 0, count), TTM_OK);
        assert_int_equal(bytes, text.length);
        free(tokens);
        ttm_dataset_close(dataset);
    }
    free(expected);
    ttm_string_free(&text);
    ttm_tokenizer_close(tokenizer);
}

static void broken_text_is_encoded_whole_and_alike_on_all_threads(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(500);
    ttm_string text = {0};
    append_random_text(&text, 200000, true);
    const char *path = scratch_path("text.txt");
    scratch_write(path, text.text, text.length);
    char hash[64] = "";
    for (unsigned threads = 1; threads <= 3; threads++) {
        ttm_dataset *dataset = open_data(&path, 1, tokenizer, threads);
        int32_t *tokens = read_all(dataset);
        char *back = NULL;
        size_t bytes = 0;
        assert_int_equal(ttm_tokenizer_decode(&back, &bytes, tokenizer, tokens,
                                              (size_t)ttm_dataset_token_count(dataset)),
                         TTM_OK);
        assert_int_equal(bytes, text.length);
        assert_memory_equal(back, text.text, bytes);
        assert_true(threads == 1 || strcmp(hash, ttm_dataset_hash(dataset)) == 0);
        snprintf(hash, sizeof hash, "%s", ttm_dataset_hash(dataset));
        free(back);
        free(tokens);
        ttm_dataset_close(dataset);
    }
    ttm_string_free(&text);
    ttm_tokenizer_close(tokenizer);
}

static void end_of_text_lies_between_text_files(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    const uint16_t words[] = {7, 8};
    const char *paths[] = {scratch_path("a.txt"), scratch_path("b"), scratch_path("c.bin"),
                           scratch_path("d.txt")};
    scratch_write(paths[0], "ab", 2);
    scratch_write(paths[1], "c", 1);
    scratch_write(paths[2], words, sizeof words);
    scratch_write(paths[3], "d", 1);
    ttm_dataset *dataset = open_data(paths, 4, tokenizer, 0);
    const int32_t expected[] = {'a', 'b', 256, 'c', 7, 8, 'd'};
    int32_t *tokens = read_all(dataset);
    assert_tokens_equal(tokens, (size_t)ttm_dataset_token_count(dataset), expected, 7);
    assert_int_equal(ttm_dataset_vocab_used(dataset), 257);
    uint64_t bytes = 0;
    assert_int_equal(ttm_dataset_text_bytes(&bytes, dataset, 0, 7), TTM_OK);
    assert_int_equal(bytes, 6);
    int32_t part[3];
    assert_int_equal(ttm_dataset_read(part, dataset, 3, 3), TTM_OK);
    assert_memory_equal(part, expected + 3, sizeof part);
    free(tokens);
    ttm_dataset_close(dataset);
    ttm_tokenizer_close(tokenizer);
}

static void end_of_text_in_a_text_is_special_on_request(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(300);
    const char *path = scratch_path("text.txt");
    static const char text[] = "ab<|endoftext|> the ab";
    scratch_write(path, text, strlen(text));
    ttm_encode_options encoding = TTM_ENCODE_OPTIONS_INIT;
    ttm_dataset_options options = TTM_DATASET_OPTIONS_INIT;
    for (int special = 0; special < 2; special++) {
        encoding.special_tokens = options.special_tokens = special != 0;
        int32_t *expected = NULL;
        size_t count = 0;
        assert_int_equal(
            ttm_tokenizer_encode(&expected, &count, tokenizer, text, strlen(text), &encoding),
            TTM_OK);
        ttm_dataset *dataset = NULL;
        assert_int_equal(ttm_dataset_open(&dataset, &path, 1, tokenizer, 0, &options), TTM_OK);
        int32_t *tokens = read_all(dataset);
        assert_tokens_equal(tokens, (size_t)ttm_dataset_token_count(dataset), expected, count);
        assert_int_equal(ttm_dataset_vocab_used(dataset) == 300, special != 0);
        free(tokens);
        free(expected);
        ttm_dataset_close(dataset);
    }
    ttm_tokenizer_close(tokenizer);
}

static void written_files_read_back_in_every_format(void **state)
{
    (void)state;
    int32_t tokens[5000];
    for (size_t i = 0; i < 5000; i++) {
        tokens[i] = (int32_t)draw(60000);
    }
    ttm_dataset *dataset = NULL;
    assert_int_equal(ttm_dataset_from_tokens(&dataset, tokens, 5000, NULL, 60000), TTM_OK);
    const char *path = scratch_path("tokens.bin");
    static const struct {
        size_t vocab_size;
        bool nanogpt;
        size_t bytes;
    } formats[] = {
        {60000, false, 1024 + 10000}, {70000, false, 1024 + 20000}, {60000, true, 10000}};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(
            ttm_dataset_write(dataset, path, formats[i].vocab_size, formats[i].nanogpt), TTM_OK);
        struct stat information;
        assert_int_equal(stat(path, &information), 0);
        assert_int_equal(information.st_size, formats[i].bytes);
        ttm_dataset *back = open_data(&path, 1, NULL, 1);
        int32_t *read = read_all(back);
        assert_tokens_equal(read, (size_t)ttm_dataset_token_count(back), tokens, 5000);
        assert_string_equal(ttm_dataset_hash(back), ttm_dataset_hash(dataset));
        uint64_t bytes = 0;
        assert_int_equal(ttm_dataset_text_bytes(&bytes, back, 0, 1), TTM_ERROR_UNSUPPORTED);
        free(read);
        ttm_dataset_close(back);
    }
    assert_int_equal(ttm_dataset_write(dataset, path, 100, false), TTM_ERROR_ARGUMENT);
    ttm_dataset *kept = open_data(&path, 1, NULL, 1);
    assert_int_equal(ttm_dataset_token_count(kept), 5000);
    ttm_dataset_close(kept);
    ttm_dataset_close(dataset);
}

/** Writes an llm.c file that says it has `said` tokens of `width` bytes. */
static void write_llmc(const char *path, uint32_t magic, uint32_t version, uint32_t said,
                       const void *tokens, size_t bytes)
{
    uint32_t header[256] = {magic, version, said};
    ttm_string file = {0};
    assert_int_equal(ttm_string_append_bytes(&file, header, sizeof header), TTM_OK);
    assert_int_equal(ttm_string_append_bytes(&file, tokens, bytes), TTM_OK);
    scratch_write(path, file.text, file.length);
    ttm_string_free(&file);
}

static void bad_token_files_are_refused(void **state)
{
    (void)state;
    const char *path = scratch_path("bad.bin");
    const uint16_t tokens[] = {1, 2, 500, 4};
    const uint32_t wide[] = {1, 0x80000000};
    scratch_write(path, "", 0);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "no tokens");
    scratch_write(path, "abc", 3);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "odd number of bytes (3)");
    scratch_write(path, tokens, sizeof tokens);
    assert_data_fails(path, NULL, 500, TTM_ERROR_FORMAT, "token 500 at position 2");
    write_llmc(path, 20240520, 1, 5, tokens, sizeof tokens);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "says that it has 5 tokens");
    write_llmc(path, 20240520, 1, UINT32_MAX, tokens, sizeof tokens);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "4294967295 tokens");
    write_llmc(path, 20240520, 1, 4, tokens, sizeof tokens - 1);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "cut short");
    write_llmc(path, 20240520, 2, 4, tokens, sizeof tokens);
    assert_data_fails(path, NULL, 0, TTM_ERROR_UNSUPPORTED, "version 2");
    write_llmc(path, 20240520, 1, 0, tokens, 0);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "no tokens");
    write_llmc(path, 20240520, 1, 4, tokens, sizeof tokens);
    assert_data_fails(path, NULL, 400, TTM_ERROR_FORMAT, "token 500 at position 2");
    write_llmc(path, 20240801, 7, 2, wide, sizeof wide);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "token 2147483648 at position 1");
    const uint32_t magic = 20240520;
    scratch_write(path, &magic, sizeof magic);
    assert_data_fails(path, NULL, 0, TTM_ERROR_FORMAT, "header alone takes 1024");
}

static void bad_text_files_are_refused(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = NULL;
    assert_int_equal(ttm_tokenizer_open(&tokenizer, "bytes"), TTM_OK);
    const char *path = scratch_path("data.txt");
    assert_data_fails(path, tokenizer, 0, TTM_ERROR_NOT_FOUND, "");
    scratch_write(path, "", 0);
    assert_data_fails(path, tokenizer, 0, TTM_ERROR_FORMAT, "empty");
    scratch_write(path, "text", 4);
    assert_data_fails(path, NULL, 0, TTM_ERROR_ARGUMENT, "tokenizer is needed");
    assert_data_fails(path, tokenizer, 100, TTM_ERROR_FORMAT, "token 116 at position 0");
    assert_data_fails(path, tokenizer, 100, TTM_ERROR_FORMAT, "the tokenizer has more");
    assert_data_fails(scratch_folder, tokenizer, 0, TTM_ERROR_IO, "folder");
    ttm_dataset *dataset = NULL;
    assert_int_equal(ttm_dataset_open(&dataset, &path, 0, tokenizer, 0, NULL), TTM_ERROR_ARGUMENT);
    ttm_dataset_options options = {0};
    assert_int_equal(ttm_dataset_open(&dataset, &path, 1, tokenizer, 0, &options),
                     TTM_ERROR_ARGUMENT);
    assert_null(dataset);
    ttm_tokenizer_close(tokenizer);
}

static bool stop_at_once(void *user, const char *stage, uint64_t done, uint64_t total)
{
    (void)user;
    assert_string_equal(stage, "encoding");
    assert_true(done <= total);
    return false;
}

static void progress_can_stop_encoding(void **state)
{
    (void)state;
    ttm_tokenizer *tokenizer = train_small(300);
    ttm_string text = {0};
    append_random_text(&text, 200000, false);
    const char *path = scratch_path("text.txt");
    scratch_write(path, text.text, text.length);
    for (unsigned threads = 1; threads <= 2; threads++) {
        ttm_dataset_options options = TTM_DATASET_OPTIONS_INIT;
        options.threads = threads;
        options.progress = stop_at_once;
        ttm_dataset *dataset = NULL;
        assert_int_equal(ttm_dataset_open(&dataset, &path, 1, tokenizer, 0, &options),
                         TTM_ERROR_INTERRUPTED);
        assert_null(dataset);
    }
    ttm_string_free(&text);
    ttm_tokenizer_close(tokenizer);
}

static void a_split_is_two_parts_that_outlive_the_whole(void **state)
{
    (void)state;
    int32_t tokens[1000];
    for (int i = 0; i < 1000; i++) {
        tokens[i] = i;
    }
    ttm_dataset *dataset = NULL;
    ttm_dataset *train = NULL;
    ttm_dataset *validation = NULL;
    assert_int_equal(ttm_dataset_from_tokens(&dataset, tokens, 1000, NULL, 0), TTM_OK);
    const double impossible[] = {0.0, 1.0, -0.5, 2.0, NAN};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(ttm_dataset_split(&train, &validation, dataset, impossible[i]),
                         TTM_ERROR_ARGUMENT);
    }
    assert_int_equal(ttm_dataset_split(&train, &validation, dataset, 0.1), TTM_OK);
    ttm_dataset_close(dataset);
    assert_int_equal(ttm_dataset_token_count(train), 900);
    assert_int_equal(ttm_dataset_token_count(validation), 100);
    int32_t first = 0;
    assert_int_equal(ttm_dataset_read(&first, validation, 0, 1), TTM_OK);
    assert_int_equal(first, 900);
    assert_int_equal(ttm_dataset_read(&first, train, 900, 1), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_dataset_read(&first, train, UINT64_MAX, 2), TTM_ERROR_ARGUMENT);
    assert_string_not_equal(ttm_dataset_hash(train), ttm_dataset_hash(validation));
    ttm_dataset_close(train);
    ttm_dataset *smaller = NULL;
    assert_int_equal(ttm_dataset_split(&train, &smaller, validation, 0.0001), TTM_OK);
    assert_int_equal(ttm_dataset_token_count(smaller), 1);
    ttm_dataset_close(train);
    ttm_dataset_close(smaller);
    ttm_dataset_close(validation);
}

int main(void)
{
    seed_test();
    const struct CMUnitTest tests[] = {
        scratch_test(text_has_the_tokens_of_encoding_it_at_once),
        scratch_test(broken_text_is_encoded_whole_and_alike_on_all_threads),
        scratch_test(end_of_text_lies_between_text_files),
        scratch_test(end_of_text_in_a_text_is_special_on_request),
        scratch_test(written_files_read_back_in_every_format),
        scratch_test(bad_token_files_are_refused),
        scratch_test(bad_text_files_are_refused),
        scratch_test(progress_can_stop_encoding),
        scratch_test(a_split_is_two_parts_that_outlive_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
