/* Tokens to train on, and the order in which they are visited.
 *
 * A dataset is a sequence of tokens with random access. It is read from memory-mapped token files
 * as it stands, or from text files, which are tokenised when the dataset is opened. A sampler deals
 * a dataset out in batches; it has no state, so a training run resumes exactly from the number of
 * its next batch. */
#ifndef TTM_DATASET_H
#define TTM_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>
#include <ttm/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A read-only sequence of tokens. */
typedef struct ttm_dataset ttm_dataset;

/** How a dataset is opened. Initialise with TTM_DATASET_OPTIONS_INIT. */
typedef struct ttm_dataset_options {
    size_t struct_size;
    unsigned threads; /**< For tokenising text. 0 (default): as many as there are cores. */
    ttm_text_progress progress; /**< May be NULL. Told of stage "encoding", in bytes. */
    void *progress_user;        /**< Handed to `progress`. */
    bool special_tokens; /**< Text: `<|endoftext|>` becomes the end-of-text token. Default false. */
} ttm_dataset_options;

#define TTM_DATASET_OPTIONS_INIT                                                    \
    {                                                                               \
        .struct_size = sizeof(ttm_dataset_options), .threads = 0, .progress = NULL, \
        .progress_user = NULL, .special_tokens = false                              \
    }

/** Opens files (`paths` [path_count]) as one dataset, one after the other; `*out` is the caller's,
 * to be closed with ttm_dataset_close. A file whose name ends in `.bin` holds tokens:
 * - llm.c: 256 int32 of header (20240520, version 1, number of tokens), then uint16 tokens; or
 * (20240801, version 7, number of tokens), then uint32 tokens. The number must agree with the size
 * of the file;
 * - nanoGPT, when neither number comes first: uint16 tokens and nothing else.
 * Any other file is text: `tokenizer` encodes it, and its `<|endoftext|>`, if there is one, is put
 * between two text files. The tokens are those of encoding each file at once, on any number of
 * threads, as long as the file is valid UTF-8; lines that aren't are encoded one by one. Token and
 * text files can be mixed.
 *
 * Every token is checked against `vocab_size`, the model's; 0 means the tokenizer's, or without a
 * tokenizer no limit. `tokenizer` may be NULL when all files hold tokens; it isn't needed after the
 * call. `options` may be NULL (defaults).
 *
 * Fails with TTM_ERROR_NOT_FOUND, _IO (unreadable, a folder), _FORMAT (empty, of odd size, a number
 * of tokens that the size belies, a token beyond the vocabulary: file and position are named),
 * _ARGUMENT (text without a tokenizer), _OUT_OF_MEMORY, _INTERRUPTED; `*out` is then NULL. A mapped
 * file must not be cut short while the dataset is open. */
TTM_API TTM_CHECKED ttm_status ttm_dataset_open(ttm_dataset **out, const char *const *paths,
                                                size_t path_count, const ttm_tokenizer *tokenizer,
                                                size_t vocab_size,
                                                const ttm_dataset_options *options);

/** Makes a dataset of a copy of `tokens` [token_count]. `vocab_size` and `tokenizer` (for
 * ttm_dataset_text_bytes) as in ttm_dataset_open. */
TTM_API TTM_CHECKED ttm_status ttm_dataset_from_tokens(ttm_dataset **out, const int32_t *tokens,
                                                       size_t token_count,
                                                       const ttm_tokenizer *tokenizer,
                                                       size_t vocab_size);

/** Cuts a dataset in two without copying: `*validation` is its last `validation_fraction` (greater
 * than 0, less than 1; rounded to a whole number of tokens, at least 1), `*train` the rest (at
 * least 1). Both are the caller's and keep what they need: `dataset` may be closed before them. On
 * failure (TTM_ERROR_ARGUMENT, _OUT_OF_MEMORY) both are NULL. */
TTM_API TTM_CHECKED ttm_status ttm_dataset_split(ttm_dataset **train, ttm_dataset **validation,
                                                 const ttm_dataset *dataset,
                                                 double validation_fraction);

/** Closes a dataset or a part of one. NULL is allowed. */
TTM_API void ttm_dataset_close(ttm_dataset *dataset);

/** Returns the number of tokens. */
TTM_API uint64_t ttm_dataset_token_count(const ttm_dataset *dataset);

/** Returns one more than the highest token that really occurs in the files it was opened from. */
TTM_API size_t ttm_dataset_vocab_used(const ttm_dataset *dataset);

/** Returns 32 hexadecimal digits: a fingerprint of the tokens, whichever files and formats they
 * came from. The string belongs to the dataset. The parts of a split have fingerprints of their
 * own. */
TTM_API const char *ttm_dataset_hash(const ttm_dataset *dataset);

/** Copies tokens [position, position + count) to `tokens` [count]. Thread-safe. TTM_ERROR_ARGUMENT
 * when they aren't all there. */
TTM_API TTM_CHECKED ttm_status ttm_dataset_read(int32_t *tokens, const ttm_dataset *dataset,
                                                uint64_t position, size_t count);

/** *bytes = how many bytes of text tokens [position, position + count) stand for, which bits per
 * byte is computed with. End-of-text stands for none. Thread-safe. TTM_ERROR_ARGUMENT when the
 * tokens aren't all there, TTM_ERROR_UNSUPPORTED when the dataset was opened without a tokenizer.
 */
TTM_API TTM_CHECKED ttm_status ttm_dataset_text_bytes(uint64_t *bytes, const ttm_dataset *dataset,
                                                      uint64_t position, uint64_t count);

/** Writes tokens as an llm.c file (uint16 when `vocab_size` ≤ 65536, else the uint32 kind) or, with
 * `nanogpt`, as bare uint16 tokens. The file appears complete or not at all. TTM_ERROR_ARGUMENT for
 * a token that doesn't fit, TTM_ERROR_IO. */
TTM_API TTM_CHECKED ttm_status ttm_dataset_write(const ttm_dataset *dataset, const char *path,
                                                 size_t vocab_size, bool nanogpt);

/** Deals a dataset out in batches. */
typedef struct ttm_sampler ttm_sampler;

/** How a sampler deals. Initialise with TTM_SAMPLER_OPTIONS_INIT and set `batch` and `seq`. */
typedef struct ttm_sampler_options {
    size_t struct_size;
    size_t batch;  /**< Sequences in a batch. At least 1. */
    size_t seq;    /**< Tokens in a sequence. At least 1. */
    uint64_t seed; /**< Picks the order. Default 0. */
    bool shuffle;  /**< Default true; false: in the order of the dataset, from its first token. */
} ttm_sampler_options;

#define TTM_SAMPLER_OPTIONS_INIT                                                     \
    {                                                                                \
        .struct_size = sizeof(ttm_sampler_options), .batch = 1, .seq = 1, .seed = 0, \
        .shuffle = true                                                              \
    }

/** Opens a sampler; `*out` is the caller's, and keeps what it needs of `dataset`.
 *
 * An epoch cuts the dataset into windows of seq + 1 tokens, each of which begins with the last
 * token of the one before, so that a token is predicted once at most; it visits each window once.
 * With `shuffle`, where the first window begins (fewer than `seq` tokens into the dataset) and the
 * order of windows are pseudo-random functions of seed and epoch. Sequence number s of the whole
 * run is window s mod W of epoch s / W, for W windows an epoch. It is computed from s alone by a
 * keyed permutation, so there is nothing to save: a run resumes at batch i by asking for batch i.
 *
 * TTM_ERROR_ARGUMENT when the dataset has fewer than seq + 1 tokens, or an option is 0. */
TTM_API TTM_CHECKED ttm_status ttm_sampler_open(ttm_sampler **out, const ttm_dataset *dataset,
                                                const ttm_sampler_options *options);

/** Closes a sampler. NULL is allowed. */
TTM_API void ttm_sampler_close(ttm_sampler *sampler);

/** Returns the number of windows in an epoch. An epoch is windows / batch batches; a batch may lie
 * across two. */
TTM_API uint64_t ttm_sampler_windows(const ttm_sampler *sampler);

/** Writes batch number `index` (from 0, without end): `inputs` [batch, seq], and `targets` [batch,
 * seq], where each target is the token that follows its input. Any thread may ask for any batch.
 * TTM_ERROR_ARGUMENT when index·batch doesn't fit 64 bits. For N data-parallel workers, worker k of
 * step i asks for batch i·N + k. */
TTM_API TTM_CHECKED ttm_status ttm_sampler_batch(int32_t *inputs, int32_t *targets,
                                                 const ttm_sampler *sampler, uint64_t index);

#ifdef __cplusplus
}
#endif

#endif
