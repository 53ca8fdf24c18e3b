/* Two ways to the same result: short pieces, nearly all of a text, scan a small array for the
 * lowest rank again and again; long ones keep a heap of candidates over a linked list, because
 * scanning would be quadratic. */
#include "text/merge.h"

#include "core/array.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Above this many bytes the heap is the faster one. */
enum { MAX_SCANNED_BYTES = 64 };

/* A token of a long piece, at the position of its first byte. */
typedef struct ttm_merge_node {
    int32_t token; /* -1: swallowed by the token before it */
    uint32_t rank; /* of the merge with the next token, or TTM_PAIR_ABSENT */
    uint32_t previous;
    uint32_t next; /* NOWHERE for the last */
} ttm_merge_node;

static const uint32_t NOWHERE = UINT32_MAX;

void ttm_merge_space_free(ttm_merge_space *space)
{
    free(space->nodes);
    free(space->heap);
    *space = (ttm_merge_space){0};
}

static uint32_t rank_of(const ttm_vocabulary *vocabulary, int32_t left, int32_t right)
{
    return ttm_pair_map_find(&vocabulary->ranks, ttm_pair_key(left, right));
}

static ttm_status merge_scanning(ttm_token_buffer *out, const ttm_vocabulary *vocabulary,
                                 const unsigned char *bytes, size_t count)
{
    int32_t tokens[MAX_SCANNED_BYTES];
    uint32_t ranks[MAX_SCANNED_BYTES]; /* of each token's merge with the next */
    for (size_t i = 0; i < count; i++) {
        tokens[i] = vocabulary->of_byte[bytes[i]];
    }
    for (size_t i = 0; i + 1 < count; i++) {
        ranks[i] = rank_of(vocabulary, tokens[i], tokens[i + 1]);
    }
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            best = ranks[i] < ranks[best] ? i : best;
        }
        if (ranks[best] == TTM_PAIR_ABSENT) {
            break;
        }
        tokens[best] = vocabulary->merges[ranks[best]].result;
        count--;
        memmove(&tokens[best + 1], &tokens[best + 2], (count - best - 1) * sizeof *tokens);
        if (best + 1 < count) {
            memmove(&ranks[best], &ranks[best + 1], (count - best - 1) * sizeof *ranks);
            ranks[best] = rank_of(vocabulary, tokens[best], tokens[best + 1]);
        }
        if (best > 0) {
            ranks[best - 1] = rank_of(vocabulary, tokens[best - 1], tokens[best]);
        }
    }
    TTM_TRY(ttm_token_buffer_reserve(out, count));
    memcpy(out->tokens + out->count, tokens, count * sizeof *tokens);
    out->count += count;
    return TTM_OK;
}

/* A heap entry is rank · 2^32 + position: the smallest is the lowest rank and, of equals, the
 * leftmost. */

static void sift_down(uint64_t *heap, size_t count, size_t at)
{
    uint64_t moved = heap[at];
    for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1] < heap[child]) {
            child++;
        }
        if (moved <= heap[child]) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = moved;
}

static void sift_up(uint64_t *heap, size_t at)
{
    uint64_t moved = heap[at];
    while (at > 0 && moved < heap[(at - 1) / 2]) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = moved;
}

static ttm_status push(ttm_merge_space *space, size_t *heap_count, uint32_t rank, uint32_t position)
{
    TTM_TRY(ttm_array_reserve(&space->heap, &space->heap_capacity, *heap_count + 1,
                              sizeof *space->heap, "merging a long piece of text"));
    space->heap[*heap_count] = (uint64_t)rank << 32 | position;
    sift_up(space->heap, (*heap_count)++);
    return TTM_OK;
}

/** Makes the list of single bytes and the heap of their merges. */
static ttm_status begin_list(ttm_merge_space *space, size_t *heap_count,
                             const ttm_vocabulary *vocabulary, const unsigned char *bytes,
                             size_t count)
{
    TTM_TRY(ttm_array_reserve(&space->nodes, &space->nodes_capacity, count, sizeof *space->nodes,
                              "merging a long piece of text"));
    TTM_TRY(ttm_array_reserve(&space->heap, &space->heap_capacity, count, sizeof *space->heap,
                              "merging a long piece of text"));
    size_t candidates = 0;
    for (size_t i = 0; i < count; i++) {
        ttm_merge_node *node = &space->nodes[i];
        bool last = i + 1 == count;
        *node = (ttm_merge_node){.token = vocabulary->of_byte[bytes[i]],
                                 .rank = TTM_PAIR_ABSENT,
                                 .previous = i > 0 ? (uint32_t)(i - 1) : NOWHERE,
                                 .next = last ? NOWHERE : (uint32_t)(i + 1)};
        if (!last) {
            node->rank = rank_of(vocabulary, node->token, vocabulary->of_byte[bytes[i + 1]]);
        }
        if (node->rank != TTM_PAIR_ABSENT) {
            space->heap[candidates++] = (uint64_t)node->rank << 32 | i;
        }
    }
    for (size_t at = candidates / 2; at-- > 0;) {
        sift_down(space->heap, candidates, at);
    }
    *heap_count = candidates;
    return TTM_OK;
}

/** Finds the merge of the token at `position` with the next one and makes it a candidate. */
static ttm_status look_right(ttm_merge_space *space, size_t *heap_count,
                             const ttm_vocabulary *vocabulary, uint32_t position)
{
    ttm_merge_node *node = &space->nodes[position];
    node->rank = node->next == NOWHERE
                     ? TTM_PAIR_ABSENT
                     : rank_of(vocabulary, node->token, space->nodes[node->next].token);
    return node->rank == TTM_PAIR_ABSENT ? TTM_OK : push(space, heap_count, node->rank, position);
}

static ttm_status merge_with_heap(ttm_token_buffer *out, const ttm_vocabulary *vocabulary,
                                  ttm_merge_space *space, const unsigned char *bytes, size_t count)
{
    size_t heap_count = 0;
    TTM_TRY(begin_list(space, &heap_count, vocabulary, bytes, count));
    while (heap_count > 0) {
        uint64_t best = space->heap[0];
        space->heap[0] = space->heap[--heap_count];
        sift_down(space->heap, heap_count, 0);
        uint32_t position = (uint32_t)best;
        ttm_merge_node *node = &space->nodes[position];
        /* A rank names the two tokens, so an entry is out of date exactly when the rank has
         * changed. */
        if (node->token < 0 || node->rank != (uint32_t)(best >> 32)) {
            continue;
        }
        ttm_merge_node *swallowed = &space->nodes[node->next];
        node->token = vocabulary->merges[node->rank].result;
        node->next = swallowed->next;
        swallowed->token = -1;
        if (node->next != NOWHERE) {
            space->nodes[node->next].previous = position;
        }
        TTM_TRY(look_right(space, &heap_count, vocabulary, position));
        if (node->previous != NOWHERE) {
            TTM_TRY(look_right(space, &heap_count, vocabulary, node->previous));
        }
    }
    for (uint32_t position = 0; position != NOWHERE; position = space->nodes[position].next) {
        TTM_TRY(ttm_token_buffer_add(out, space->nodes[position].token));
    }
    return TTM_OK;
}

ttm_status ttm_merge_bytes(ttm_token_buffer *out, const ttm_vocabulary *vocabulary,
                           ttm_merge_space *space, const unsigned char *bytes, size_t count)
{
    if (count == 0) {
        return TTM_OK;
    }
    if (count <= MAX_SCANNED_BYTES) {
        return merge_scanning(out, vocabulary, bytes, count);
    }
    if (count >= NOWHERE) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "a piece of text of %zu bytes without a place to split it is too long: "
                        "at most %u are possible",
                        count, NOWHERE - 1);
    }
    return merge_with_heap(out, vocabulary, space, bytes, count);
}
