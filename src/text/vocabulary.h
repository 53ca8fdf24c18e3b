/* The tokens of a vocabulary and its merges: what every file format is read into, and what encoding
 * works on.
 *
 * Filling goes in this order: add tokens, index them, add merges from the first to the last rank,
 * finish. Afterwards nothing changes any more. Ids may have gaps; every single byte must be a
 * token. */
#ifndef TTM_TEXT_VOCABULARY_H
#define TTM_TEXT_VOCABULARY_H

#include "text/pair_map.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** The name of the end-of-text token. */
#define TTM_END_OF_TEXT "<|endoftext|>"

/** Ids are below this: a file that says otherwise is broken, not large. */
#define TTM_VOCABULARY_MAX_TOKENS ((int64_t)1 << 24)

typedef enum ttm_token_kind {
    TTM_TOKEN_NONE = 0, /**< A gap. */
    TTM_TOKEN_ORDINARY,
    TTM_TOKEN_SPECIAL /**< Never the result of encoding ordinary text. */
} ttm_token_kind;

typedef struct ttm_token_entry {
    size_t offset; /**< Of its first byte in `bytes`. */
    uint32_t length;
    ttm_token_kind kind;
} ttm_token_entry;

/** Two tokens that become one; its place in the list of merges is its rank. */
typedef struct ttm_merge {
    int32_t left;
    int32_t right;
    int32_t result;
} ttm_merge;

/** A slot of the map from byte strings to tokens. */
typedef struct ttm_string_slot {
    uint32_t tag;  /**< The high half of the hash, to skip most comparisons. */
    int32_t token; /**< -1: free. */
} ttm_string_slot;

typedef struct ttm_vocabulary {
    unsigned char *bytes; /**< All tokens' bytes. */
    size_t bytes_used;
    size_t bytes_capacity;
    ttm_token_entry *entries; /**< [size] by id. */
    size_t size;              /**< One more than the highest id. */
    size_t entries_capacity;
    ttm_merge *merges; /**< [merge_count] by rank. */
    size_t merge_count;
    size_t merges_capacity;
    ttm_pair_map ranks;     /**< Two tokens → rank of their merge. */
    int32_t of_byte[256];   /**< The token of each single byte. */
    int32_t end_of_text;    /**< Or -1. */
    ttm_string_slot *slots; /**< Byte strings → tokens; after finishing, only those that their own
                               bytes encode to. */
    unsigned slot_bits;
    size_t longest; /**< The length of the longest token in `slots`. */
} ttm_vocabulary;

/** Begins an empty vocabulary. Free it with ttm_vocabulary_free, also after failures of the
 * functions below. */
void ttm_vocabulary_begin(ttm_vocabulary *vocabulary);
void ttm_vocabulary_free(ttm_vocabulary *vocabulary);

/** Adds the token `id`, `bytes` [length > 0]. TTM_ERROR_FORMAT when the id is out of range or
 * taken, or the token is empty or huge. The special token `<|endoftext|>` becomes the end of text.
 */
TTM_CHECKED ttm_status ttm_vocabulary_add(ttm_vocabulary *vocabulary, int64_t id, const void *bytes,
                                          size_t length, ttm_token_kind kind);

/** Makes ordinary tokens findable. TTM_ERROR_FORMAT when two are the same or a byte has none. */
TTM_CHECKED ttm_status ttm_vocabulary_index(ttm_vocabulary *vocabulary);

/** Returns the ordinary token `bytes` [length], or -1. */
int32_t ttm_vocabulary_find(const ttm_vocabulary *vocabulary, const void *bytes, size_t length);

/** Adds the merge of the next rank; its result is the token that has the bytes of both.
 * TTM_ERROR_FORMAT when there is none, or the two were merged before. */
TTM_CHECKED ttm_status ttm_vocabulary_add_merge(ttm_vocabulary *vocabulary, int32_t left,
                                                int32_t right);

/** Takes from the index the tokens that merging their own bytes doesn't lead to, so that a piece of
 * text that is found there needs no merging. */
TTM_CHECKED ttm_status ttm_vocabulary_finish(ttm_vocabulary *vocabulary);

/** Returns a token's bytes. */
static inline const unsigned char *ttm_vocabulary_bytes(const ttm_vocabulary *vocabulary,
                                                        int32_t token)
{
    return vocabulary->bytes + vocabulary->entries[token].offset;
}

#endif
