/* The pieces are one long doubly linked list of tokens with breaks in it. Each pair of tokens knows
 * how often it occurs and where; merging it visits just those places and corrects the counts of the
 * neighbours. The pair to merge next comes from a heap whose entries may be out of date: a count
 * only falls after the step that made the pair, so an entry is never too low, and one that is too
 * high is put back corrected. */
#include "text/merge_learner.h"

#include "core/array.h"
#include "core/error.h"
#include "text/pair_map.h"
#include <stdlib.h>
#include <string.h>

static const uint32_t NOWHERE = UINT32_MAX;

/* Each place brings about three occurrences at most, and they are numbered with 32 bits. */
enum { FIRST_RESULT = 256, MAX_BYTES = 1 << 30 };

/* A byte of the corpus' different pieces, and the token that begins there now. */
typedef struct place {
    int32_t token; /* -1: inside the token before it */
    uint32_t previous;
    uint32_t next;
    uint32_t piece;
} place;

typedef struct pair_record {
    int32_t left;
    int32_t right;
    uint64_t count;
    uint32_t first; /* its list of occurrences, by ascending place within a piece */
    uint32_t last;
} pair_record;

typedef struct occurrence {
    uint32_t place; /* of the left token; it may have changed since */
    uint32_t next;
} occurrence;

typedef struct candidate {
    uint64_t count;
    uint32_t pair;
} candidate;

typedef struct learner {
    const ttm_piece_counts *pieces;
    place *places;
    size_t place_count;
    pair_record *pairs;
    size_t pair_count;
    size_t pair_capacity;
    ttm_pair_map index; /* two tokens → their pair */
    occurrence *occurrences;
    size_t occurrence_count;
    size_t occurrence_capacity;
    uint32_t free_occurrences; /* a list of those that are used again */
    candidate *heap;
    size_t heap_count;
    size_t heap_capacity;
} learner;

static bool comes_before(const learner *state, candidate a, candidate b)
{
    if (a.count != b.count) {
        return a.count > b.count;
    }
    const pair_record *first = &state->pairs[a.pair];
    const pair_record *second = &state->pairs[b.pair];
    return first->left != second->left ? first->left < second->left : first->right < second->right;
}

static void sift_down(learner *state, size_t at)
{
    candidate moved = state->heap[at];
    for (size_t child = 2 * at + 1; child < state->heap_count; child = 2 * at + 1) {
        if (child + 1 < state->heap_count &&
            comes_before(state, state->heap[child + 1], state->heap[child])) {
            child++;
        }
        if (!comes_before(state, state->heap[child], moved)) {
            break;
        }
        state->heap[at] = state->heap[child];
        at = child;
    }
    state->heap[at] = moved;
}

static ttm_status push(learner *state, uint32_t pair)
{
    TTM_TRY(ttm_array_reserve(&state->heap, &state->heap_capacity, state->heap_count + 1,
                              sizeof *state->heap, "learning merges"));
    candidate added = {.count = state->pairs[pair].count, .pair = pair};
    size_t at = state->heap_count++;
    while (at > 0 && comes_before(state, added, state->heap[(at - 1) / 2])) {
        state->heap[at] = state->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    state->heap[at] = added;
    return TTM_OK;
}

/** Counts an occurrence of two tokens, the left one at `at`. */
static ttm_status add_occurrence(learner *state, int32_t left, int32_t right, uint32_t at)
{
    uint64_t key = ttm_pair_key(left, right);
    uint32_t pair = ttm_pair_map_find(&state->index, key);
    if (pair == TTM_PAIR_ABSENT) {
        pair = (uint32_t)state->pair_count;
        TTM_TRY(ttm_array_reserve(&state->pairs, &state->pair_capacity, state->pair_count + 1,
                                  sizeof *state->pairs, "learning merges"));
        TTM_TRY(ttm_pair_map_insert(&state->index, key, pair));
        state->pairs[state->pair_count++] =
            (pair_record){.left = left, .right = right, .first = NOWHERE, .last = NOWHERE};
    }
    uint32_t added = state->free_occurrences;
    if (added != NOWHERE) {
        state->free_occurrences = state->occurrences[added].next;
    } else {
        added = (uint32_t)state->occurrence_count;
        TTM_TRY(ttm_array_reserve(&state->occurrences, &state->occurrence_capacity,
                                  state->occurrence_count + 1, sizeof *state->occurrences,
                                  "learning merges"));
        state->occurrence_count++;
    }
    pair_record *record = &state->pairs[pair];
    state->occurrences[added] = (occurrence){.place = at, .next = NOWHERE};
    if (record->last == NOWHERE) {
        record->first = added;
    } else {
        state->occurrences[record->last].next = added;
    }
    record->last = added;
    record->count += state->pieces->pieces[state->places[at].piece].count;
    return TTM_OK;
}

/** Takes one occurrence of two tokens off their count. */
static void drop_occurrence(learner *state, int32_t left, int32_t right, uint64_t times)
{
    state->pairs[ttm_pair_map_find(&state->index, ttm_pair_key(left, right))].count -= times;
}

/** Joins the token at `at` and the next one to `result`. */
static ttm_status merge_at(learner *state, uint32_t at, int32_t result)
{
    place *left = &state->places[at];
    place *right = &state->places[left->next];
    uint64_t times = state->pieces->pieces[left->piece].count;
    uint32_t before = left->previous;
    uint32_t after = right->next;
    if (before != NOWHERE) {
        drop_occurrence(state, state->places[before].token, left->token, times);
    }
    if (after != NOWHERE) {
        drop_occurrence(state, right->token, state->places[after].token, times);
        state->places[after].previous = at;
    }
    left->token = result;
    left->next = after;
    right->token = -1;
    if (before != NOWHERE) {
        TTM_TRY(add_occurrence(state, state->places[before].token, result, before));
    }
    return after == NOWHERE ? TTM_OK
                            : add_occurrence(state, result, state->places[after].token, at);
}

/** Merges a pair wherever it still occurs, from left to right, and makes candidates of the pairs
 * that come about. */
static ttm_status merge_pair(learner *state, uint32_t pair, int32_t result, uint64_t min_frequency)
{
    size_t pairs_before = state->pair_count;
    int32_t left = state->pairs[pair].left;
    int32_t right = state->pairs[pair].right;
    for (uint32_t next = NOWHERE, i = state->pairs[pair].first; i != NOWHERE; i = next) {
        uint32_t at = state->occurrences[i].place;
        next = state->occurrences[i].next;
        state->occurrences[i].next = state->free_occurrences;
        state->free_occurrences = i;
        const place *here = &state->places[at];
        if (here->token == left && here->next != NOWHERE &&
            state->places[here->next].token == right) {
            TTM_TRY(merge_at(state, at, result));
        }
    }
    state->pairs[pair].first = NOWHERE;
    state->pairs[pair].last = NOWHERE;
    state->pairs[pair].count = 0;
    for (size_t fresh = pairs_before; fresh < state->pair_count; fresh++) {
        if (state->pairs[fresh].count >= min_frequency) {
            TTM_TRY(push(state, (uint32_t)fresh));
        }
    }
    return TTM_OK;
}

/** Makes the list of single bytes, and the candidates. */
static ttm_status begin_learner(learner *state, const ttm_piece_counts *pieces,
                                const int32_t of_byte[256], uint64_t min_frequency)
{
    *state = (learner){.pieces = pieces, .free_occurrences = NOWHERE};
    if (pieces->bytes_used > MAX_BYTES) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "the texts have %zu bytes of different words; at most %u can be learnt "
                        "from: use a part of them",
                        pieces->bytes_used, (unsigned)MAX_BYTES);
    }
    state->place_count = pieces->bytes_used;
    TTM_TRY(ttm_array_new(&state->places, state->place_count, sizeof *state->places,
                          "learning merges"));
    for (size_t i = 0; i < pieces->count; i++) {
        uint32_t first = (uint32_t)pieces->pieces[i].offset;
        uint32_t last = first + pieces->pieces[i].length - 1;
        for (uint32_t at = first; at <= last; at++) {
            state->places[at] = (place){.token = of_byte[pieces->bytes[at]],
                                        .previous = at > first ? at - 1 : NOWHERE,
                                        .next = at < last ? at + 1 : NOWHERE,
                                        .piece = (uint32_t)i};
        }
        for (uint32_t at = first; at < last; at++) {
            TTM_TRY(
                add_occurrence(state, state->places[at].token, state->places[at + 1].token, at));
        }
    }
    for (size_t pair = 0; pair < state->pair_count; pair++) {
        if (state->pairs[pair].count >= min_frequency) {
            TTM_TRY(push(state, (uint32_t)pair));
        }
    }
    return TTM_OK;
}

/** *pair = the pair to merge next, or NOWHERE when none is frequent enough. */
static ttm_status take_best(uint32_t *pair, learner *state, uint64_t min_frequency)
{
    *pair = NOWHERE;
    while (state->heap_count > 0) {
        candidate best = state->heap[0];
        state->heap[0] = state->heap[--state->heap_count];
        sift_down(state, 0);
        if (best.count == state->pairs[best.pair].count) {
            *pair = best.pair;
            return TTM_OK;
        }
        if (state->pairs[best.pair].count >= min_frequency) {
            TTM_TRY(push(state, best.pair));
        }
    }
    return TTM_OK;
}

static void end_learner(learner *state)
{
    free(state->places);
    free(state->pairs);
    free(state->occurrences);
    free(state->heap);
    ttm_pair_map_free(&state->index);
}

ttm_status ttm_merges_learn(ttm_merge **merges, size_t *count, const ttm_piece_counts *pieces,
                            const int32_t of_byte[256], size_t wanted, uint64_t min_frequency,
                            ttm_progress *progress)
{
    *merges = NULL;
    *count = 0;
    learner state;
    ttm_merge *learnt = NULL;
    size_t learnt_count = 0;
    size_t learnt_capacity = 0;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(begin_learner(&state, pieces, of_byte, min_frequency));
    TTM_TRY_OUT(ttm_array_reserve(&learnt, &learnt_capacity, 1, sizeof *learnt, "merges"));
    while (learnt_count < wanted) {
        uint32_t pair = NOWHERE;
        TTM_TRY_OUT(take_best(&pair, &state, min_frequency));
        if (pair == NOWHERE) {
            break;
        }
        TTM_TRY_OUT(ttm_array_reserve(&learnt, &learnt_capacity, learnt_count + 1, sizeof *learnt,
                                      "merges"));
        ttm_merge merge = {.left = state.pairs[pair].left,
                           .right = state.pairs[pair].right,
                           .result = FIRST_RESULT + (int32_t)learnt_count};
        learnt[learnt_count++] = merge;
        TTM_TRY_OUT(merge_pair(&state, pair, merge.result, min_frequency));
        TTM_TRY_OUT(ttm_progress_tell(progress, learnt_count, false));
    }
    *merges = learnt;
    *count = learnt_count;
    learnt = NULL;
out:
    free(learnt);
    end_learner(&state);
    return status;
}
