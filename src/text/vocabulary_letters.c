/* Tokens and merges as vocabulary files write them: in GPT-2's alphabet for bytes. */
#include "text/vocabulary_files.h"

#include "core/array.h"
#include "core/error.h"
#include "text/byte_alphabet.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

ttm_status ttm_vocabulary_add_letters(ttm_vocabulary *vocabulary, int64_t id, const char *letters)
{
    unsigned char *bytes = NULL;
    size_t length = strlen(letters);
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&bytes, length, 1, "a token"));
    size_t count = ttm_byte_alphabet_decode(bytes, letters, length);
    if (count == SIZE_MAX) {
        status = ttm_fail(TTM_ERROR_UNSUPPORTED,
                          "token %" PRId64 ", '%.100s', isn't written in GPT-2's alphabet for "
                          "bytes: only byte-level vocabularies are supported",
                          id, letters);
        goto out;
    }
    ttm_token_kind kind =
        strcmp(letters, TTM_END_OF_TEXT) == 0 ? TTM_TOKEN_SPECIAL : TTM_TOKEN_ORDINARY;
    status = ttm_vocabulary_add(vocabulary, id, bytes, count, kind);
out:
    free(bytes);
    return status;
}

/** *token = the ordinary token written as `letters`. */
static ttm_status find_letters(int32_t *token, const ttm_vocabulary *vocabulary,
                               const char *letters, size_t length)
{
    unsigned char *bytes = NULL;
    TTM_TRY(ttm_array_new(&bytes, length, 1, "a merge"));
    size_t count = ttm_byte_alphabet_decode(bytes, letters, length);
    *token = count == SIZE_MAX ? -1 : ttm_vocabulary_find(vocabulary, bytes, count);
    free(bytes);
    if (*token < 0) {
        return ttm_fail(TTM_ERROR_FORMAT, "merge %zu needs '%.*s', which is no token",
                        vocabulary->merge_count, (int)(length < 100 ? length : 100), letters);
    }
    return TTM_OK;
}

ttm_status ttm_vocabulary_add_merge_letters(ttm_vocabulary *vocabulary, const char *left,
                                            size_t left_bytes, const char *right,
                                            size_t right_bytes)
{
    int32_t first = -1;
    int32_t second = -1;
    TTM_TRY(find_letters(&first, vocabulary, left, left_bytes));
    TTM_TRY(find_letters(&second, vocabulary, right, right_bytes));
    return ttm_vocabulary_add_merge(vocabulary, first, second);
}

ttm_status ttm_vocabulary_add_merge_line(ttm_vocabulary *vocabulary, const char *line, size_t bytes)
{
    const char *space = memchr(line, ' ', bytes);
    if (space == NULL) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "merge %zu, '%.*s', must be two tokens with a space between them",
                        vocabulary->merge_count, (int)(bytes < 100 ? bytes : 100), line);
    }
    size_t left_bytes = (size_t)(space - line);
    return ttm_vocabulary_add_merge_letters(vocabulary, line, left_bytes, space + 1,
                                            bytes - left_bytes - 1);
}

ttm_status ttm_vocabulary_make_bytes(ttm_vocabulary *vocabulary)
{
    for (int id = 0; id < 256; id++) {
        unsigned char byte = (unsigned char)id;
        TTM_TRY(ttm_vocabulary_add(vocabulary, id, &byte, 1, TTM_TOKEN_ORDINARY));
    }
    TTM_TRY(ttm_vocabulary_add(vocabulary, 256, TTM_END_OF_TEXT, strlen(TTM_END_OF_TEXT),
                               TTM_TOKEN_SPECIAL));
    return ttm_vocabulary_index(vocabulary);
}
