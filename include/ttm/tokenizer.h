/* Text to tokens and back.
 *
 * A tokenizer is either the bytes themselves or a byte-level BPE with GPT-2's split pattern. It
 * never changes after it was opened, so any number of threads may use one at the same time.
 *
 * Text is bytes. Where they are valid UTF-8, encoding equals `tiktoken`'s gpt2 `encode_ordinary`;
 * where they aren't, it equals `tiktoken`'s `_encode_bytes`: the valid part is encoded, and its
 * last piece is joined with all bytes that follow. Either way decoding gives exactly the bytes
 * back. */
#ifndef TTM_TOKENIZER_H
#define TTM_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/export.h>
#include <ttm/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A vocabulary with its merges. Immutable. */
typedef struct ttm_tokenizer ttm_tokenizer;

/** Is told how far long work has come: `done` of `total` in the unit that `stage` implies
 * ("reading": bytes, "merging": tokens, "encoding": bytes). Called on the thread that started the
 * work, a few times a second at most. Returning false stops the work, which then fails with
 * TTM_ERROR_INTERRUPTED. */
typedef bool (*ttm_text_progress)(void *user, const char *stage, uint64_t done, uint64_t total);

/** How ttm_tokenizer_encode treats its text. Initialise with TTM_ENCODE_OPTIONS_INIT. */
typedef struct ttm_encode_options {
    size_t struct_size;
    /** Turns the text `<|endoftext|>` into the end-of-text token. Default false: it is text like
     * any other, which is what text from outside needs. */
    bool special_tokens;
} ttm_encode_options;

#define TTM_ENCODE_OPTIONS_INIT                                            \
    {                                                                      \
        .struct_size = sizeof(ttm_encode_options), .special_tokens = false \
    }

/** Opens a tokenizer; `*out` is the caller's, to be closed with ttm_tokenizer_close.
 * `source` is one of
 * - `bytes`: token b is the byte b, token 256 is `<|endoftext|>`; 257 tokens;
 * - a Hugging Face `tokenizer.json` with a BPE model and a ByteLevel pre-tokenizer;
 * - `vocab.json` or `merges.txt`, each with the other one beside it;
 * - a `.tiktoken` file (base64 token, space, rank), which gets GPT-2's split pattern and
 *   `<|endoftext|>` as its lowest free id;
 * - a folder, in which the first of these is looked for: tokenizer.json, vocab.json + merges.txt,
 * one .tiktoken file. A file of another name is recognised by its content. A file or folder called
 * `bytes` is reached as `./bytes`. Fails with TTM_ERROR_NOT_FOUND, _IO, _FORMAT (damaged, or not a
 * vocabulary), _UNSUPPORTED (a vocabulary of another kind; the message names the part) and
 * _OUT_OF_MEMORY; `*out` is then NULL. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_open(ttm_tokenizer **out, const char *source);

/** Frees a tokenizer. NULL is allowed. No other thread may still be using it. */
TTM_API void ttm_tokenizer_close(ttm_tokenizer *tokenizer);

/** Writes `directory`/tokenizer.json (an existing folder), which ttm_tokenizer_open reads back as
 * an equal tokenizer and Hugging Face tools read too. The byte tokenizer is written as a BPE of 256
 * one-byte tokens, id = byte, without merges. A file that is there is replaced atomically: on
 * failure (TTM_ERROR_IO) it is as before. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_save(const ttm_tokenizer *tokenizer,
                                                  const char *directory);

/** Returns one more than the highest token id, special tokens included: what a model's vocabulary
 * must have at least. */
TTM_API size_t ttm_tokenizer_vocab_size(const ttm_tokenizer *tokenizer);

/** Returns the id of `<|endoftext|>`, or -1 when the vocabulary has none. */
TTM_API int32_t ttm_tokenizer_end_of_text(const ttm_tokenizer *tokenizer);

/** Returns how many merges there are; 0 means that every byte is a token of its own. */
TTM_API size_t ttm_tokenizer_merge_count(const ttm_tokenizer *tokenizer);

/** Returns 32 hexadecimal digits that are equal for two tokenizers exactly when (but for chance)
 * they encode alike: a fingerprint of the tokens in the order of ids, the merges in the order of
 * ranks, and the split pattern, whatever the file format. The string belongs to the tokenizer. */
TTM_API const char *ttm_tokenizer_hash(const ttm_tokenizer *tokenizer);

/** Encodes `text` [text_bytes]. `*tokens` [*token_count] is the caller's, to be freed with free();
 * it is never NULL on success. `options` may be NULL (defaults). Time grows as n·log n at worst.
 * Thread-safe. On failure (TTM_ERROR_OUT_OF_MEMORY; TTM_ERROR_UNSUPPORTED for a text of 4 GB
 * without a place to split it) `*tokens` is NULL and `*token_count` 0. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_encode(int32_t **tokens, size_t *token_count,
                                                    const ttm_tokenizer *tokenizer,
                                                    const char *text, size_t text_bytes,
                                                    const ttm_encode_options *options);

/** Decodes `tokens` [token_count]. `*text` [*text_bytes] is the caller's, to be freed with free();
 * a NUL that
 * `*text_bytes` doesn't count follows it. Special tokens are decoded to their names
 * (`<|endoftext|>`). The text of a sequence is the texts of its tokens one after the other, so
 * output can be streamed token by token (a character may then arrive in parts). Thread-safe. Fails
 * with TTM_ERROR_ARGUMENT, naming position and id, for an id that the vocabulary lacks; `*text` is
 * then NULL. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_decode(char **text, size_t *text_bytes,
                                                    const ttm_tokenizer *tokenizer,
                                                    const int32_t *tokens, size_t token_count);

/** *bytes [*byte_count] = what one token stands for; it belongs to the tokenizer. Thread-safe.
 * TTM_ERROR_ARGUMENT for an id that the vocabulary lacks. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_token_bytes(const char **bytes, size_t *byte_count,
                                                         const ttm_tokenizer *tokenizer,
                                                         int32_t token);

/** How ttm_tokenizer_train learns a vocabulary. Initialise with TTM_TOKENIZER_TRAIN_OPTIONS_INIT.
 */
typedef struct ttm_tokenizer_train_options {
    size_t struct_size;
    size_t vocab_size; /**< Tokens in all: 256 bytes, merges, `<|endoftext|>`. At least 257. Default
                          32000. */
    size_t min_frequency; /**< A pair seen less often isn't merged. Default 2. */
    unsigned threads;     /**< 0 (default): as many as there are cores. The result is the same. */
    ttm_text_progress progress; /**< May be NULL. */
    void *progress_user;        /**< Handed to `progress`. */
} ttm_tokenizer_train_options;

#define TTM_TOKENIZER_TRAIN_OPTIONS_INIT                                          \
    {                                                                             \
        .struct_size = sizeof(ttm_tokenizer_train_options), .vocab_size = 32000,  \
        .min_frequency = 2, .threads = 0, .progress = NULL, .progress_user = NULL \
    }

/** Learns a byte-level BPE from text files (`paths` [path_count]) and opens it; `*out` is the
 * caller's. Tokens 0…255 are the bytes in GPT-2's order (! is 0), then come the merges in the order
 * learnt, and `<|endoftext|>` is last. The pair that occurs most often is merged next; of equals,
 * the one whose left and then right token is the older. The same files and options always give the
 * same vocabulary. A corpus that is too small for `vocab_size` gives fewer tokens; that is logged
 * as a warning. `options` may be NULL (defaults). Fails with TTM_ERROR_ARGUMENT, _IO, _NOT_FOUND,
 * _OUT_OF_MEMORY and _INTERRUPTED; `*out` is then NULL. */
TTM_API TTM_CHECKED ttm_status ttm_tokenizer_train(ttm_tokenizer **out, const char *const *paths,
                                                   size_t path_count,
                                                   const ttm_tokenizer_train_options *options);

#ifdef __cplusplus
}
#endif

#endif
