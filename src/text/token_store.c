/* Segments of tokens: appending with a check of every token, and reading across them. */
#include "text/token_store.h"

#include "core/array.h"
#include "core/error.h"
#include "text/tokenizer.h"
#include <endian.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

ttm_status ttm_token_store_new(ttm_token_store **out, const ttm_tokenizer *tokenizer)
{
    *out = NULL;
    ttm_token_store *store = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&store, 1, sizeof *store, "a dataset"));
    atomic_init(&store->references, 1);
    if (tokenizer != NULL) {
        const ttm_vocabulary *vocabulary = &tokenizer->vocabulary;
        store->length_count = vocabulary->size;
        TTM_TRY_OUT(ttm_array_new(&store->token_lengths, vocabulary->size,
                                  sizeof *store->token_lengths, "a dataset"));
        for (size_t id = 0; id < vocabulary->size; id++) {
            const ttm_token_entry *entry = &vocabulary->entries[id];
            store->token_lengths[id] = entry->kind == TTM_TOKEN_ORDINARY ? entry->length : 0;
        }
    }
    *out = store;
    store = NULL;
out:
    ttm_token_store_release(store);
    return status;
}

ttm_token_store *ttm_token_store_retain(ttm_token_store *store)
{
    atomic_fetch_add(&store->references, 1);
    return store;
}

static void free_segment(ttm_token_segment *segment)
{
    ttm_mapped_file_close(&segment->file);
    free(segment->owned);
}

void ttm_token_store_release(ttm_token_store *store)
{
    if (store == NULL || atomic_fetch_sub(&store->references, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < store->segment_count; i++) {
        free_segment(&store->segments[i]);
    }
    free(store->segments);
    free(store->token_lengths);
    free(store);
}

static uint32_t token_at(const ttm_token_segment *segment, uint64_t position)
{
    return segment->width == 2 ? le16toh(((const uint16_t *)segment->tokens)[position])
                               : le32toh(((const uint32_t *)segment->tokens)[position]);
}

/** Returns the highest token. The loops are this plain to be vectorised: whole data sets go through
 * them. */
static uint32_t highest_token(const ttm_token_segment *segment)
{
    if (segment->width == 2) {
        const uint16_t *tokens = segment->tokens;
        uint16_t highest = 0;
        for (uint64_t i = 0; i < segment->count; i++) {
            uint16_t token = le16toh(tokens[i]);
            highest = token > highest ? token : highest;
        }
        return highest;
    }
    const uint32_t *tokens = segment->tokens;
    uint32_t highest = 0;
    for (uint64_t i = 0; i < segment->count; i++) {
        uint32_t token = le32toh(tokens[i]);
        highest = token > highest ? token : highest;
    }
    return highest;
}

static ttm_status check_tokens(const ttm_token_segment *segment, uint32_t highest, size_t limit,
                               const char *name)
{
    if (limit == 0 || limit > (size_t)INT32_MAX + 1) {
        limit = (size_t)INT32_MAX + 1;
    }
    if (highest < limit) {
        return TTM_OK;
    }
    uint64_t position = 0;
    while (token_at(segment, position) < limit) {
        position++;
    }
    const bool from_file = segment->owned == NULL;
    return ttm_fail(TTM_ERROR_FORMAT,
                    "'%s': token %" PRIu32 " at position %" PRIu64
                    " is beyond the vocabulary of %zu tokens; %s",
                    name, token_at(segment, position), position, limit,
                    from_file ? "the file was made with another tokenizer, or isn't a token file"
                              : "the tokenizer has more: take the one that the model was made for");
}

ttm_status ttm_token_store_append(ttm_token_store *store, ttm_token_segment *segment,
                                  size_t vocab_limit, const char *name)
{
    ttm_status status = TTM_OK;
    uint32_t highest = highest_token(segment);
    TTM_TRY_OUT(check_tokens(segment, highest, vocab_limit, name));
    TTM_TRY_OUT(ttm_array_reserve(&store->segments, &store->segment_capacity,
                                  store->segment_count + 1, sizeof *store->segments, "a dataset"));
    segment->first = store->token_count;
    store->segments[store->segment_count++] = *segment;
    store->token_count += segment->count;
    if (segment->count > 0 && highest >= store->vocab_used) {
        store->vocab_used = (size_t)highest + 1;
    }
    *segment = (ttm_token_segment){.file.descriptor = -1};
out:
    free_segment(segment);
    return status;
}

/** Returns the index of the segment that holds a position. */
static size_t find_segment(const ttm_token_store *store, uint64_t position)
{
    size_t low = 0;
    size_t high = store->segment_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (store->segments[middle].first <= position) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

void ttm_token_store_read(int32_t *tokens, const ttm_token_store *store, uint64_t position,
                          size_t count)
{
    for (size_t i = find_segment(store, position); count > 0; i++) {
        const ttm_token_segment *segment = &store->segments[i];
        uint64_t start = position - segment->first;
        uint64_t there = segment->count - start;
        size_t taken = there < count ? (size_t)there : count;
        for (size_t k = 0; k < taken; k++) {
            tokens[k] = (int32_t)token_at(segment, start + k);
        }
        tokens += taken;
        position += taken;
        count -= taken;
    }
}
