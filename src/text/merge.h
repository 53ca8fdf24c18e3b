/* Byte-pair encoding of one piece of text: of all neighbours, the two whose merge has the lowest
 * rank (the leftmost, of equals) become one token, until no two neighbours can be merged. */
#ifndef TTM_TEXT_MERGE_H
#define TTM_TEXT_MERGE_H

#include "text/token_buffer.h"
#include "text/vocabulary.h"

struct ttm_merge_node;

/** Working memory that is kept from piece to piece. Zeroed means empty; free with
 * ttm_merge_space_free. */
typedef struct ttm_merge_space {
    struct ttm_merge_node *nodes;
    size_t nodes_capacity;
    uint64_t *heap;
    size_t heap_capacity;
} ttm_merge_space;

/** Appends the tokens of `bytes` [count] to `out`. Takes O(n log n) for n bytes.
 * TTM_ERROR_OUT_OF_MEMORY, and TTM_ERROR_UNSUPPORTED for a piece of 2^32 − 1 bytes or more. */
TTM_CHECKED ttm_status ttm_merge_bytes(ttm_token_buffer *out, const ttm_vocabulary *vocabulary,
                                       ttm_merge_space *space, const unsigned char *bytes,
                                       size_t count);

void ttm_merge_space_free(ttm_merge_space *space);

#endif
