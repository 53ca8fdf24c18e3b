/* The tokens of a dataset, wherever they lie: one segment a file, mapped or in memory. Shared by
 * the dataset, the parts it is split into and its samplers; the last one that lets go frees it. */
#ifndef TTM_TEXT_TOKEN_STORE_H
#define TTM_TEXT_TOKEN_STORE_H

#include "io/mapped_file.h"
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/tokenizer.h>

/** Consecutive tokens, little-endian as in files. */
typedef struct ttm_token_segment {
    uint64_t first; /**< The position of its first token in the store. */
    uint64_t count;
    const void *tokens;   /**< uint16 or uint32. */
    unsigned width;       /**< Bytes a token: 2 or 4. */
    ttm_mapped_file file; /**< What `tokens` points into, or closed. */
    void *owned;          /**< Or NULL. */
} ttm_token_segment;

typedef struct ttm_token_store {
    atomic_size_t references;
    ttm_token_segment *segments;
    size_t segment_count;
    size_t segment_capacity;
    uint64_t token_count;
    size_t vocab_used;       /**< One more than the highest token. */
    uint32_t *token_lengths; /**< [length_count] bytes of text each token stands for, or NULL when
                                unknown. */
    size_t length_count;
} ttm_token_store;

/** Makes an empty store with one reference. With a tokenizer, it knows the lengths of tokens. */
TTM_CHECKED ttm_status ttm_token_store_new(ttm_token_store **out, const ttm_tokenizer *tokenizer);

ttm_token_store *ttm_token_store_retain(ttm_token_store *store);
/** NULL is allowed. */
void ttm_token_store_release(ttm_token_store *store);

/** Appends a segment whose tokens, count and width are set, and takes over its file or memory, also
 * on failure. Every token is checked to be below `vocab_limit` (0: no limit): TTM_ERROR_FORMAT,
 * naming `name` and the position. */
TTM_CHECKED ttm_status ttm_token_store_append(ttm_token_store *store, ttm_token_segment *segment,
                                              size_t vocab_limit, const char *name);

/** Copies tokens [position, position + count), which must all be there. */
void ttm_token_store_read(int32_t *tokens, const ttm_token_store *store, uint64_t position,
                          size_t count);

#endif
