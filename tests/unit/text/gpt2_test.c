/* GPT-2's own vocabulary: cases of random text and bytes that tests/oracle/bpe_make_cases.py
 * encoded with tiktoken. Skipped without the vocabulary, which isn't ours to hand out:
 * TTM_GPT2_TIKTOKEN names a gpt2.tiktoken. */
#include "text_testing.h"

/** Parses the hexadecimal bytes that a line begins with; returns their number. */
static size_t parse_bytes(char *bytes, const char **line)
{
    size_t count = 0;
    unsigned byte = 0;
    for (; sscanf(*line, "%2x", &byte) == 1 && **line != ' '; *line += 2) {
        bytes[count++] = (char)byte;
    }
    return count;
}

static void cases_have_tiktokens_tokens(void **state)
{
    (void)state;
    const char *vocabulary = getenv("TTM_GPT2_TIKTOKEN");
    if (vocabulary == NULL || vocabulary[0] == '\0') {
        skip();
    }
    ttm_tokenizer *tokenizer = NULL;
    if (ttm_tokenizer_open(&tokenizer, vocabulary) != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
    assert_int_equal(ttm_tokenizer_vocab_size(tokenizer), 50257);
    assert_int_equal(ttm_tokenizer_end_of_text(tokenizer), 50256);
    FILE *file = fopen(TTM_TEST_ORACLE_FOLDER "/bpe_cases.txt", "r");
    assert_non_null(file);
    static char line[1 << 16];
    int cases = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        static char bytes[1 << 15];
        static int32_t expected[1 << 15];
        const char *rest = line;
        size_t length = parse_bytes(bytes, &rest);
        size_t expected_count = 0;
        int read = 0;
        while (sscanf(rest, "%" SCNd32 "%n", &expected[expected_count], &read) == 1) {
            rest += read;
            expected_count++;
        }
        int32_t *tokens = NULL;
        size_t count = 0;
        assert_int_equal(ttm_tokenizer_encode(&tokens, &count, tokenizer, bytes, length, NULL),
                         TTM_OK);
        assert_tokens_equal(tokens, count, expected, expected_count);
        free(tokens);
        cases++;
    }
    fclose(file);
    assert_true(cases >= 800);
    ttm_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases_have_tiktokens_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
