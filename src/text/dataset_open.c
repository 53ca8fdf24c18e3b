/* Opens files as a dataset: token files are mapped, text is encoded on several threads. */
#include "text/dataset.h"

#include "core/array.h"
#include "core/error.h"
#include "io/mapped_file.h"
#include "text/chunks.h"
#include "text/encoder.h"
#include "text/options.h"
#include "text/text_scan.h"
#include "text/token_file.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/log.h>

/* The tokens of one chunk, at most 16 bits wide where the vocabulary allows, as all chunks are held
 * at once. */
typedef struct encoded_chunk {
    void *tokens;
    size_t count;
} encoded_chunk;

/* Encoding texts: what all files share. */
typedef struct text_reader {
    const ttm_tokenizer *tokenizer;
    unsigned threads;
    unsigned width;
    ttm_encoder *encoders; /* [threads] */
    ttm_progress progress;
    uint64_t bytes_done;
    encoded_chunk *chunks; /* of the file in work */
    atomic_bool broken;    /* it has bytes that aren't UTF-8 */
} text_reader;

static ttm_status reader_begin(text_reader *reader, const ttm_tokenizer *tokenizer,
                               const ttm_dataset_options *options)
{
    unsigned threads = ttm_chunks_threads(options->threads);
    *reader = (text_reader){.tokenizer = tokenizer,
                            .width = ttm_tokenizer_vocab_size(tokenizer) <= 65536 ? 2 : 4,
                            .progress = {.callback = options->progress,
                                         .user = options->progress_user,
                                         .stage = "encoding"}};
    TTM_TRY(
        ttm_array_new(&reader->encoders, threads, sizeof *reader->encoders, "encoding threads"));
    for (; reader->threads < threads; reader->threads++) {
        ttm_encoder *encoder = &reader->encoders[reader->threads];
        TTM_TRY(ttm_encoder_begin(encoder, tokenizer));
        encoder->special_tokens = options->special_tokens;
    }
    return TTM_OK;
}

static void reader_end(text_reader *reader)
{
    for (unsigned i = 0; i < reader->threads; i++) {
        ttm_encoder_end(&reader->encoders[i]);
    }
    free(reader->encoders);
}

/** Encodes text line by line, so that a byte which isn't UTF-8 spoils no more than its line. */
static ttm_status encode_lines(ttm_token_buffer *buffer, ttm_encoder *encoder, const char *text,
                               size_t bytes)
{
    for (size_t start = 0; start < bytes;) {
        size_t line = ttm_text_line(text + start, bytes - start);
        TTM_TRY(ttm_encoder_text(buffer, encoder, text + start, line));
        start += line;
    }
    return TTM_OK;
}

static void pack(void *packed, const int32_t *tokens, size_t count, unsigned width)
{
    uint16_t *narrow = packed;
    uint32_t *wide = packed;
    for (size_t i = 0; i < count; i++) {
        if (width == 2) {
            narrow[i] = htole16((uint16_t)tokens[i]);
        } else {
            wide[i] = htole32((uint32_t)tokens[i]);
        }
    }
}

static ttm_status encode_chunk(void *user, unsigned thread, size_t chunk, const char *text,
                               size_t bytes)
{
    text_reader *reader = user;
    encoded_chunk *encoded = &reader->chunks[chunk];
    ttm_token_buffer buffer = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_token_buffer_reserve(&buffer, bytes / 3 + 1));
    if (ttm_text_valid_bytes(text, bytes) == bytes) {
        TTM_TRY_OUT(ttm_encoder_text(&buffer, &reader->encoders[thread], text, bytes));
    } else {
        atomic_store(&reader->broken, true);
        TTM_TRY_OUT(encode_lines(&buffer, &reader->encoders[thread], text, bytes));
    }
    TTM_TRY_OUT(ttm_array_new(&encoded->tokens, buffer.count, reader->width, "encoded text"));
    encoded->count = buffer.count;
    pack(encoded->tokens, buffer.tokens, buffer.count, reader->width);
out:
    free(buffer.tokens);
    return status;
}

/** Joins the chunks of a file to a segment, after an end-of-text token if `mark`; frees the chunks
 * as it goes. */
static ttm_status join_chunks(ttm_token_segment *segment, text_reader *reader, size_t chunk_count,
                              bool mark)
{
    uint64_t count = mark ? 1 : 0;
    for (size_t i = 0; i < chunk_count; i++) {
        count += reader->chunks[i].count;
    }
    TTM_TRY(ttm_array_new(&segment->owned, count, reader->width, "the tokens of a text"));
    segment->tokens = segment->owned;
    segment->count = count;
    segment->width = reader->width;
    unsigned char *next = segment->owned;
    if (mark) {
        int32_t end_of_text = ttm_tokenizer_end_of_text(reader->tokenizer);
        pack(next, &end_of_text, 1, reader->width);
        next += reader->width;
    }
    for (size_t i = 0; i < chunk_count; i++) {
        size_t bytes = reader->chunks[i].count * reader->width;
        memcpy(next, reader->chunks[i].tokens, bytes);
        next += bytes;
        free(reader->chunks[i].tokens);
        reader->chunks[i] = (encoded_chunk){0};
    }
    return TTM_OK;
}

/** Encodes the text file `path` to a segment. */
static ttm_status read_text(ttm_token_segment *segment, text_reader *reader, const char *path,
                            bool mark)
{
    *segment = (ttm_token_segment){.file.descriptor = -1};
    ttm_mapped_file file = {0};
    ttm_chunks chunks = {0};
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_mapped_file_open(&file, path));
    if (file.size == 0) {
        status = ttm_fail(TTM_ERROR_FORMAT, "'%s' is empty", path);
        goto out;
    }
    ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_SEQUENTIAL);
    TTM_TRY_OUT(ttm_chunks_cut(&chunks, (const char *)file.data, file.size));
    TTM_TRY_OUT(
        ttm_array_new(&reader->chunks, chunks.count, sizeof *reader->chunks, "a long text"));
    atomic_store(&reader->broken, false);
    TTM_TRY_OUT(ttm_chunks_run(&chunks, reader->threads, encode_chunk, reader, &reader->progress,
                               reader->bytes_done));
    TTM_TRY_OUT(join_chunks(segment, reader, chunks.count, mark));
    reader->bytes_done += file.size;
    if (atomic_load(&reader->broken)) {
        ttm_log(TTM_LOG_WARNING,
                "'%s' isn't all UTF-8: line by line, bytes from the first broken character on are "
                "encoded without splitting, which wastes tokens",
                path);
    }
out:
    for (size_t i = 0; reader->chunks != NULL && i < chunks.count; i++) {
        free(reader->chunks[i].tokens);
    }
    free(reader->chunks);
    reader->chunks = NULL;
    ttm_chunks_free(&chunks);
    ttm_mapped_file_close(&file);
    return status;
}

static bool is_token_file(const char *path)
{
    size_t length = strlen(path);
    return length >= 4 && strcmp(path + length - 4, ".bin") == 0;
}

/** Returns the sizes of all text files together, for progress only: files that can't be read fail
 * later. */
static uint64_t text_file_bytes(const char *const *paths, size_t path_count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < path_count; i++) {
        struct stat information;
        if (!is_token_file(paths[i]) && stat(paths[i], &information) == 0) {
            total += (uint64_t)information.st_size;
        }
    }
    return total;
}

/** Appends all files to the store. `reader` is NULL without a tokenizer. */
static ttm_status append_files(ttm_token_store *store, const char *const *paths, size_t path_count,
                               text_reader *reader, size_t vocab_limit)
{
    bool after_text = false;
    for (size_t i = 0; i < path_count; i++) {
        ttm_token_segment segment;
        bool text = !is_token_file(paths[i]);
        if (text && reader == NULL) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "'%s' is text, so a tokenizer is needed; a file of tokens must be "
                            "called .bin",
                            paths[i]);
        }
        if (text) {
            bool mark = after_text && ttm_tokenizer_end_of_text(reader->tokenizer) >= 0;
            TTM_TRY(read_text(&segment, reader, paths[i], mark));
        } else {
            TTM_TRY(ttm_token_file_open(&segment, paths[i]));
        }
        after_text = text;
        TTM_TRY(ttm_token_store_append(store, &segment, vocab_limit, paths[i]));
    }
    return TTM_OK;
}

ttm_status ttm_dataset_open(ttm_dataset **out, const char *const *paths, size_t path_count,
                            const ttm_tokenizer *tokenizer, size_t vocab_size,
                            const ttm_dataset_options *options)
{
    *out = NULL;
    static const ttm_dataset_options defaults = TTM_DATASET_OPTIONS_INIT;
    if (path_count == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no data: name at least one file");
    }
    TTM_TRY(ttm_options_check(options == NULL ? NULL : &options->struct_size, sizeof *options,
                              "TTM_DATASET_OPTIONS_INIT"));
    ttm_token_store *store = NULL;
    text_reader reader = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_token_store_new(&store, tokenizer));
    if (tokenizer != NULL) {
        TTM_TRY_OUT(reader_begin(&reader, tokenizer, options == NULL ? &defaults : options));
        reader.progress.total = text_file_bytes(paths, path_count);
    }
    TTM_TRY_OUT(append_files(store, paths, path_count, tokenizer == NULL ? NULL : &reader,
                             ttm_dataset_vocab_limit(tokenizer, vocab_size)));
    if (reader.bytes_done > 0) {
        TTM_TRY_OUT(ttm_progress_tell(&reader.progress, reader.bytes_done, true));
    }
    TTM_TRY_OUT(ttm_dataset_new(out, store, 0, store->token_count));
out:
    reader_end(&reader);
    ttm_token_store_release(store);
    return status;
}
