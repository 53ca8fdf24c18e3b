/* Learns a tokenizer from text files: counts their pieces on several threads, learns merges, names
 * the tokens. */
#include "core/array.h"
#include "core/error.h"
#include "io/mapped_file.h"
#include "text/byte_alphabet.h"
#include "text/chunks.h"
#include "text/merge_learner.h"
#include "text/options.h"
#include "text/piece_counts.h"
#include "text/splitter.h"
#include "text/text_scan.h"
#include "text/tokenizer.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/log.h>

/* One thread's share of the counting. */
typedef struct counter {
    ttm_split split;
    ttm_piece_counts counts;
} counter;

typedef struct trainer {
    ttm_splitter *splitter;
    counter *counters; /* [threads] */
    unsigned threads;
    ttm_progress progress;
} trainer;

/** Counts the pieces of a chunk. A byte that isn't part of valid UTF-8 ends a piece and is passed
 * over. */
static ttm_status count_chunk(void *user, unsigned thread, size_t chunk, const char *text,
                              size_t bytes)
{
    (void)chunk;
    counter *mine = &((trainer *)user)->counters[thread];
    for (size_t done = 0; done < bytes; done++) {
        size_t valid = done + ttm_text_valid_bytes(text + done, bytes - done);
        size_t end = 0;
        for (; done < valid; done = end) {
            TTM_TRY(ttm_split_next(&end, &mine->split, text, valid, done));
            TTM_TRY(ttm_piece_counts_add(&mine->counts, text + done, end - done, 1));
        }
    }
    return TTM_OK;
}

static ttm_status begin_trainer(trainer *state, const ttm_tokenizer_train_options *options)
{
    *state = (trainer){.progress = {.callback = options->progress, .user = options->progress_user}};
    TTM_TRY(ttm_splitter_new(&state->splitter));
    unsigned threads = ttm_chunks_threads(options->threads);
    TTM_TRY(ttm_array_new(&state->counters, threads, sizeof *state->counters, "counting words"));
    for (; state->threads < threads; state->threads++) {
        TTM_TRY(ttm_split_begin(&state->counters[state->threads].split, state->splitter));
    }
    return TTM_OK;
}

static void end_trainer(trainer *state)
{
    for (unsigned i = 0; i < state->threads; i++) {
        ttm_split_end(&state->counters[i].split);
        ttm_piece_counts_free(&state->counters[i].counts);
    }
    free(state->counters);
    ttm_splitter_free(state->splitter);
}

/** Counts the pieces of all files; afterwards counters[0] has them all. */
static ttm_status count_files(trainer *state, const char *const *paths, size_t path_count)
{
    state->progress.stage = "reading";
    for (size_t i = 0; i < path_count; i++) {
        struct stat information;
        state->progress.total +=
            stat(paths[i], &information) == 0 ? (uint64_t)information.st_size : 0;
    }
    uint64_t bytes_done = 0;
    for (size_t i = 0; i < path_count; i++) {
        ttm_mapped_file file = {0};
        ttm_chunks chunks = {0};
        TTM_TRY(ttm_mapped_file_open(&file, paths[i]));
        ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_SEQUENTIAL);
        ttm_status status = ttm_chunks_cut(&chunks, (const char *)file.data, file.size);
        if (status == TTM_OK) {
            status = ttm_chunks_run(&chunks, state->threads, count_chunk, state, &state->progress,
                                    bytes_done);
        }
        bytes_done += file.size;
        ttm_chunks_free(&chunks);
        ttm_mapped_file_close(&file);
        TTM_TRY(status);
    }
    for (unsigned i = 1; i < state->threads; i++) {
        TTM_TRY(ttm_piece_counts_merge(&state->counters[0].counts, &state->counters[i].counts));
        ttm_piece_counts_free(&state->counters[i].counts);
    }
    if (state->counters[0].counts.count == 0) {
        return ttm_fail(TTM_ERROR_FORMAT, "there is no text to learn from: all files are empty");
    }
    return TTM_OK;
}

/** Names the tokens: bytes in GPT-2's order, results of merges, end of text. */
static ttm_status fill_vocabulary(ttm_vocabulary *vocabulary, const unsigned char order[256],
                                  const ttm_merge *merges, size_t merge_count)
{
    unsigned char *joined = NULL;
    size_t joined_capacity = 0;
    ttm_status status = TTM_OK;
    for (int id = 0; id < 256; id++) {
        TTM_TRY_OUT(ttm_vocabulary_add(vocabulary, id, &order[id], 1, TTM_TOKEN_ORDINARY));
    }
    for (size_t rank = 0; rank < merge_count; rank++) {
        size_t left_bytes = vocabulary->entries[merges[rank].left].length;
        size_t right_bytes = vocabulary->entries[merges[rank].right].length;
        TTM_TRY_OUT(
            ttm_array_reserve(&joined, &joined_capacity, left_bytes + right_bytes, 1, "a token"));
        memcpy(joined, ttm_vocabulary_bytes(vocabulary, merges[rank].left), left_bytes);
        memcpy(joined + left_bytes, ttm_vocabulary_bytes(vocabulary, merges[rank].right),
               right_bytes);
        TTM_TRY_OUT(ttm_vocabulary_add(vocabulary, merges[rank].result, joined,
                                       left_bytes + right_bytes, TTM_TOKEN_ORDINARY));
    }
    TTM_TRY_OUT(ttm_vocabulary_add(vocabulary, 256 + (int64_t)merge_count, TTM_END_OF_TEXT,
                                   strlen(TTM_END_OF_TEXT), TTM_TOKEN_SPECIAL));
    TTM_TRY_OUT(ttm_vocabulary_index(vocabulary));
    for (size_t rank = 0; rank < merge_count; rank++) {
        TTM_TRY_OUT(ttm_vocabulary_add_merge(vocabulary, merges[rank].left, merges[rank].right));
    }
out:
    free(joined);
    return status;
}

/** Learns merges from what was counted and makes the tokenizer. */
static ttm_status learn(ttm_tokenizer **out, trainer *state,
                        const ttm_tokenizer_train_options *options)
{
    unsigned char order[256];
    int32_t of_byte[256];
    ttm_byte_alphabet_order(order);
    for (int id = 0; id < 256; id++) {
        of_byte[order[id]] = id;
    }
    size_t wanted = options->vocab_size - 257;
    state->progress.stage = "merging";
    state->progress.total = wanted;
    ttm_merge *merges = NULL;
    size_t merge_count = 0;
    TTM_TRY(ttm_merges_learn(&merges, &merge_count, &state->counters[0].counts, of_byte, wanted,
                             options->min_frequency, &state->progress));
    if (merge_count < wanted) {
        ttm_log(TTM_LOG_WARNING,
                "the texts give only %zu tokens of the %zu wanted: no other two tokens occur "
                "together %zu times or more",
                merge_count + 257, options->vocab_size, options->min_frequency);
    }
    ttm_vocabulary vocabulary;
    ttm_vocabulary_begin(&vocabulary);
    ttm_status status = fill_vocabulary(&vocabulary, order, merges, merge_count);
    free(merges);
    if (status != TTM_OK) {
        ttm_vocabulary_free(&vocabulary);
        return status;
    }
    TTM_TRY(ttm_tokenizer_from_vocabulary(out, &vocabulary));
    status = ttm_progress_tell(&state->progress, merge_count, true);
    if (status != TTM_OK) {
        ttm_tokenizer_close(*out);
        *out = NULL;
    }
    return status;
}

ttm_status ttm_tokenizer_train(ttm_tokenizer **out, const char *const *paths, size_t path_count,
                               const ttm_tokenizer_train_options *options)
{
    *out = NULL;
    static const ttm_tokenizer_train_options defaults = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
    TTM_TRY(ttm_options_check(options == NULL ? NULL : &options->struct_size, sizeof *options,
                              "TTM_TOKENIZER_TRAIN_OPTIONS_INIT"));
    options = options == NULL ? &defaults : options;
    if (path_count == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no text to learn from: name at least one file");
    }
    if (options->vocab_size < 257 || options->vocab_size > (size_t)TTM_VOCABULARY_MAX_TOKENS) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a vocabulary of %zu tokens is impossible: 256 bytes and end-of-text make "
                        "257, and %zu are the most",
                        options->vocab_size, (size_t)TTM_VOCABULARY_MAX_TOKENS);
    }
    if (options->min_frequency == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a minimum frequency of 0 is impossible: use 1 or more");
    }
    trainer state;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(begin_trainer(&state, options));
    TTM_TRY_OUT(count_files(&state, paths, path_count));
    TTM_TRY_OUT(learn(out, &state, options));
out:
    end_trainer(&state);
    return status;
}
