/* Reads tiktoken's format: a line a token, base64 and rank, the rank being the id. It doesn't list
 * merges. tiktoken merges any two neighbours that together are a token, the lowest rank first; as a
 * token can only come about in the one way in which its own bytes are merged, the two parts it is
 * made of at last are its merge. */
#include "text/vocabulary_files.h"

#include "core/array.h"
#include "core/error.h"
#include "io/mapped_file.h"
#include "text/merge.h"
#include <stdlib.h>
#include <string.h>

static int base64_value(char letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return letter - 'A';
    }
    if (letter >= 'a' && letter <= 'z') {
        return letter - 'a' + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return letter - '0' + 52;
    }
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

/** Decodes padded base64 into `bytes` (room for 3 bytes per 4 letters). Returns the number of
 * bytes, 0 when it's none. */
static size_t base64_decode(unsigned char *bytes, const char *letters, size_t count)
{
    if (count == 0 || count % 4 != 0) {
        return 0;
    }
    size_t padding = letters[count - 1] != '=' ? 0 : letters[count - 2] != '=' ? 1 : 2;
    size_t used = 0;
    for (size_t i = 0; i < count; i += 4) {
        uint32_t group = 0;
        for (size_t j = i; j < i + 4; j++) {
            int value = j >= count - padding ? 0 : base64_value(letters[j]);
            if (value < 0) {
                return 0;
            }
            group = group << 6 | (uint32_t)value;
        }
        bytes[used++] = (unsigned char)(group >> 16);
        bytes[used++] = (unsigned char)(group >> 8);
        bytes[used++] = (unsigned char)group;
    }
    return used - padding;
}

/** Parses "base64 rank" and adds the token. */
static ttm_status read_line(ttm_vocabulary *vocabulary, const char *line, size_t length)
{
    const char *space = memchr(line, ' ', length);
    size_t letters = space == NULL ? length : (size_t)(space - line);
    int64_t rank = -1;
    for (size_t i = letters + 1; i < length && rank < TTM_VOCABULARY_MAX_TOKENS; i++) {
        if (line[i] < '0' || line[i] > '9') {
            rank = -1;
            break;
        }
        rank = (rank < 0 ? 0 : rank * 10) + (line[i] - '0');
    }
    unsigned char *bytes = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&bytes, letters + 1, 1, "a token"));
    size_t count = base64_decode(bytes, line, letters);
    if (rank < 0 || count == 0) {
        status =
            ttm_fail(TTM_ERROR_FORMAT, "'%.*s' must be a token in base64, a space and its rank",
                     (int)(length < 100 ? length : 100), line);
        goto out;
    }
    status = ttm_vocabulary_add(vocabulary, rank, bytes, count, TTM_TOKEN_ORDINARY);
out:
    free(bytes);
    return status;
}

static ttm_status read_lines(ttm_vocabulary *vocabulary, const char *path)
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
        if (length > 0) {
            status = read_line(vocabulary, text + start, length);
        }
        if (status != TTM_OK) {
            status = ttm_fail_context(status, "'%s', line %zu", path, line_number);
        }
    }
    free(text);
    return status;
}

/** Finds the merge of each token by merging its bytes with the merges of all tokens before it. */
static ttm_status find_merges(ttm_vocabulary *vocabulary)
{
    ttm_merge_space space = {0};
    ttm_token_buffer parts = {0};
    ttm_status status = TTM_OK;
    for (size_t id = 0; id < vocabulary->size; id++) {
        const ttm_token_entry *entry = &vocabulary->entries[id];
        if (entry->kind != TTM_TOKEN_ORDINARY || entry->length < 2) {
            continue;
        }
        parts.count = 0;
        TTM_TRY_OUT(ttm_merge_bytes(&parts, vocabulary, &space, vocabulary->bytes + entry->offset,
                                    entry->length));
        if (parts.count != 2) {
            status = ttm_fail(TTM_ERROR_FORMAT,
                              "token %zu doesn't consist of two earlier tokens but of %zu: the "
                              "file isn't the vocabulary of a BPE, or lines are missing",
                              id, parts.count);
            goto out;
        }
        TTM_TRY_OUT(ttm_vocabulary_add_merge(vocabulary, parts.tokens[0], parts.tokens[1]));
    }
out:
    free(parts.tokens);
    ttm_merge_space_free(&space);
    return status;
}

static ttm_status add_end_of_text(ttm_vocabulary *vocabulary)
{
    size_t id = 0;
    while (id < vocabulary->size && vocabulary->entries[id].kind != TTM_TOKEN_NONE) {
        id++;
    }
    return ttm_vocabulary_add(vocabulary, (int64_t)id, TTM_END_OF_TEXT, strlen(TTM_END_OF_TEXT),
                              TTM_TOKEN_SPECIAL);
}

ttm_status ttm_vocabulary_read_tiktoken(ttm_vocabulary *vocabulary, const char *path)
{
    TTM_TRY(read_lines(vocabulary, path));
    ttm_status status = ttm_vocabulary_index(vocabulary);
    if (status == TTM_OK) {
        status = find_merges(vocabulary);
    }
    if (status == TTM_OK) {
        status = add_end_of_text(vocabulary);
    }
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "'%s'", path);
}
