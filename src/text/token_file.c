/* Opens token files, and writes them.
 *
 * llm.c: 256 int32 of header (magic, version, number of tokens, zeros), then the tokens; GPT-2's
 * kind has 16-bit tokens, Llama 3's kind 32-bit ones. nanoGPT: 16-bit tokens only. All
 * little-endian. */
#include "text/token_file.h"

#include "core/array.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "text/dataset.h"
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_NUMBERS = 256, HEADER_BYTES = HEADER_NUMBERS * 4, BLOCK_TOKENS = 1 << 16 };

typedef struct header_kind {
    uint32_t magic;
    uint32_t version;
    unsigned width;
} header_kind;

static const header_kind kinds[] = {
    {.magic = 20240520, .version = 1, .width = 2},
    {.magic = 20240801, .version = 7, .width = 4},
};

static uint32_t header_number(const ttm_mapped_file *file, size_t index)
{
    uint32_t number = 0;
    memcpy(&number, file->data + 4 * index, sizeof number);
    return le32toh(number);
}

/** Returns which kind of header a file begins with, or NULL for none. */
static const header_kind *find_kind(const ttm_mapped_file *file)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && file->size >= 4; i++) {
        if (header_number(file, 0) == kinds[i].magic) {
            return &kinds[i];
        }
    }
    return NULL;
}

static ttm_status read_header(ttm_token_segment *segment, const header_kind *kind)
{
    const ttm_mapped_file *file = &segment->file;
    if (file->size < HEADER_BYTES) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' begins like an llm.c token file but has only %zu bytes; its header "
                        "alone takes %d",
                        file->path, file->size, HEADER_BYTES);
    }
    uint32_t version = header_number(file, 1);
    if (version != kind->version) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "'%s' is an llm.c token file of version %" PRIu32 "; version %" PRIu32
                        " is supported for its magic number %" PRIu32,
                        file->path, version, kind->version, kind->magic);
    }
    uint64_t count = header_number(file, 2);
    uint64_t bytes = file->size - HEADER_BYTES;
    if (bytes != count * kind->width) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "'%s' says that it has %" PRIu64 " tokens, but it has %" PRIu64
                        " bytes of tokens, where %" PRIu64 " are due; it is cut short or damaged",
                        file->path, count, bytes, count * kind->width);
    }
    segment->tokens = file->data + HEADER_BYTES;
    segment->count = count;
    segment->width = kind->width;
    return TTM_OK;
}

ttm_status ttm_token_file_open(ttm_token_segment *segment, const char *path)
{
    *segment = (ttm_token_segment){.file.descriptor = -1};
    TTM_TRY(ttm_mapped_file_open(&segment->file, path));
    const ttm_mapped_file *file = &segment->file;
    const header_kind *kind = find_kind(file);
    ttm_status status = TTM_OK;
    if (kind != NULL) {
        TTM_TRY_OUT(read_header(segment, kind));
    } else if (file->size % 2 != 0) {
        status = ttm_fail(TTM_ERROR_FORMAT,
                          "'%s' has an odd number of bytes (%zu), but a .bin file holds 16-bit "
                          "tokens, or begins with llm.c's header; if it is text, give it another "
                          "name",
                          path, file->size);
        goto out;
    } else {
        segment->tokens = file->data;
        segment->count = file->size / 2;
        segment->width = 2;
    }
    if (segment->count == 0) {
        status = ttm_fail(TTM_ERROR_FORMAT, "'%s' holds no tokens", path);
    }
out:
    if (status != TTM_OK) {
        ttm_mapped_file_close(&segment->file);
    }
    return status;
}

/** Writes one block of tokens in the file's width. */
static ttm_status write_tokens(ttm_atomic_file *file, const int32_t *tokens, size_t count,
                               unsigned width, void *packed, size_t limit)
{
    uint16_t *narrow = packed;
    uint32_t *wide = packed;
    for (size_t i = 0; i < count; i++) {
        if ((size_t)tokens[i] >= limit) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "token %" PRId32 " doesn't fit a file for a vocabulary of %zu tokens",
                            tokens[i], limit);
        }
        if (width == 2) {
            narrow[i] = htole16((uint16_t)tokens[i]);
        } else {
            wide[i] = htole32((uint32_t)tokens[i]);
        }
    }
    return ttm_atomic_file_write(file, packed, count * width);
}

static ttm_status write_header(ttm_atomic_file *file, const header_kind *kind, uint64_t count)
{
    uint32_t header[HEADER_NUMBERS] = {htole32(kind->magic), htole32(kind->version),
                                       htole32((uint32_t)count)};
    return ttm_atomic_file_write(file, header, sizeof header);
}

ttm_status ttm_dataset_write(const ttm_dataset *dataset, const char *path, size_t vocab_size,
                             bool nanogpt)
{
    const header_kind *kind = nanogpt || vocab_size <= 65536 ? &kinds[0] : &kinds[1];
    uint64_t total = ttm_dataset_token_count(dataset);
    if (!nanogpt && total > INT32_MAX) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%" PRIu64 " tokens are too many for one llm.c file, which holds %d; use "
                        "several files or the nanogpt format",
                        total, INT32_MAX);
    }
    size_t limit = nanogpt && (vocab_size == 0 || vocab_size > 65536) ? 65536 : vocab_size;
    ttm_atomic_file *file = NULL;
    int32_t *tokens = NULL;
    uint32_t *packed = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&tokens, BLOCK_TOKENS, sizeof *tokens, "writing tokens"));
    TTM_TRY_OUT(ttm_array_new(&packed, BLOCK_TOKENS, sizeof *packed, "writing tokens"));
    TTM_TRY_OUT(ttm_atomic_file_begin(&file, path));
    if (!nanogpt) {
        TTM_TRY_OUT(write_header(file, kind, total));
    }
    for (uint64_t position = 0; position < total; position += BLOCK_TOKENS) {
        uint64_t left = total - position;
        size_t count = left < BLOCK_TOKENS ? (size_t)left : BLOCK_TOKENS;
        TTM_TRY_OUT(ttm_dataset_read(tokens, dataset, position, count));
        TTM_TRY_OUT(write_tokens(file, tokens, count, kind->width, packed, limit));
    }
    TTM_TRY_OUT(ttm_atomic_file_commit(&file));
out:
    ttm_atomic_file_abort(&file);
    free(packed);
    free(tokens);
    return status;
}
