/* Filling and indexing a vocabulary. */
#include "text/vocabulary.h"

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include "text/merge.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Longer tokens exist in no vocabulary; the limit keeps lengths in 32 bits. */
enum { MAX_TOKEN_BYTES = 1 << 20 };

void ttm_vocabulary_begin(ttm_vocabulary *vocabulary)
{
    *vocabulary = (ttm_vocabulary){.end_of_text = -1};
}

void ttm_vocabulary_free(ttm_vocabulary *vocabulary)
{
    free(vocabulary->bytes);
    free(vocabulary->entries);
    free(vocabulary->merges);
    free(vocabulary->slots);
    ttm_pair_map_free(&vocabulary->ranks);
    ttm_vocabulary_begin(vocabulary);
}

/** Makes ids up to `id` exist, as gaps. */
static ttm_status extend(ttm_vocabulary *vocabulary, size_t id)
{
    if (id < vocabulary->size) {
        return TTM_OK;
    }
    TTM_TRY(ttm_array_reserve(&vocabulary->entries, &vocabulary->entries_capacity, id + 1,
                              sizeof *vocabulary->entries, "a vocabulary"));
    memset(vocabulary->entries + vocabulary->size, 0,
           (id + 1 - vocabulary->size) * sizeof *vocabulary->entries);
    vocabulary->size = id + 1;
    return TTM_OK;
}

ttm_status ttm_vocabulary_add(ttm_vocabulary *vocabulary, int64_t id, const void *bytes,
                              size_t length, ttm_token_kind kind)
{
    if (id < 0 || id >= TTM_VOCABULARY_MAX_TOKENS) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "token id %" PRId64 " is out of range: ids go from 0 to %" PRId64, id,
                        TTM_VOCABULARY_MAX_TOKENS - 1);
    }
    if (length == 0 || length > MAX_TOKEN_BYTES) {
        return ttm_fail(TTM_ERROR_FORMAT,
                        "token %" PRId64 " has %zu bytes: it must have from 1 to %d", id, length,
                        MAX_TOKEN_BYTES);
    }
    TTM_TRY(extend(vocabulary, (size_t)id));
    ttm_token_entry *entry = &vocabulary->entries[id];
    if (entry->kind != TTM_TOKEN_NONE) {
        return ttm_fail(TTM_ERROR_FORMAT, "token id %" PRId64 " is given twice", id);
    }
    size_t needed = 0;
    if (!ttm_checked_add(&needed, vocabulary->bytes_used, length)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a vocabulary");
    }
    TTM_TRY(ttm_array_reserve(&vocabulary->bytes, &vocabulary->bytes_capacity, needed, 1,
                              "a vocabulary"));
    memcpy(vocabulary->bytes + vocabulary->bytes_used, bytes, length);
    *entry = (ttm_token_entry){
        .offset = vocabulary->bytes_used, .length = (uint32_t)length, .kind = kind};
    vocabulary->bytes_used = needed;
    if (kind == TTM_TOKEN_SPECIAL && length == strlen(TTM_END_OF_TEXT) &&
        memcmp(bytes, TTM_END_OF_TEXT, length) == 0) {
        vocabulary->end_of_text = (int32_t)id;
    }
    return TTM_OK;
}

/** Hashes eight bytes at a time; the last ones are padded with zeros, and the length tells paddings
 * apart. */
static uint64_t hash_bytes(const unsigned char *bytes, size_t length)
{
    uint64_t hash = length;
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, length - at < 8 ? length - at : 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash * UINT64_C(0xd6e8feb86659fd93);
}

/** Returns the slot of a byte string: the one that holds it, or the free one where it belongs. */
static size_t find_slot(const ttm_vocabulary *vocabulary, const unsigned char *bytes, size_t length,
                        uint64_t hash)
{
    size_t mask = ((size_t)1 << vocabulary->slot_bits) - 1;
    uint32_t tag = (uint32_t)hash;
    for (size_t i = (size_t)(hash >> (64 - vocabulary->slot_bits));; i = (i + 1) & mask) {
        const ttm_string_slot *slot = &vocabulary->slots[i];
        if (slot->token < 0) {
            return i;
        }
        const ttm_token_entry *entry = &vocabulary->entries[slot->token];
        if (slot->tag == tag && entry->length == length &&
            memcmp(vocabulary->bytes + entry->offset, bytes, length) == 0) {
            return i;
        }
    }
}

/** Builds the map of the ordinary tokens for which `keep` [size] is true; NULL keeps all. */
static ttm_status build_slots(ttm_vocabulary *vocabulary, const bool *keep)
{
    free(vocabulary->slots);
    vocabulary->slots = NULL;
    vocabulary->longest = 0;
    vocabulary->slot_bits = 10;
    while ((size_t)1 << vocabulary->slot_bits < 2 * vocabulary->size) {
        vocabulary->slot_bits++;
    }
    size_t slots = (size_t)1 << vocabulary->slot_bits;
    TTM_TRY(ttm_array_new(&vocabulary->slots, slots, sizeof *vocabulary->slots, "a vocabulary"));
    memset(vocabulary->slots, 0xff, slots * sizeof *vocabulary->slots);
    for (size_t id = 0; id < vocabulary->size; id++) {
        const ttm_token_entry *entry = &vocabulary->entries[id];
        if (entry->kind != TTM_TOKEN_ORDINARY || (keep != NULL && !keep[id])) {
            continue;
        }
        const unsigned char *bytes = vocabulary->bytes + entry->offset;
        uint64_t hash = hash_bytes(bytes, entry->length);
        size_t at = find_slot(vocabulary, bytes, entry->length, hash);
        if (vocabulary->slots[at].token >= 0) {
            return ttm_fail(TTM_ERROR_FORMAT, "tokens %d and %zu are the same text",
                            vocabulary->slots[at].token, id);
        }
        vocabulary->slots[at] = (ttm_string_slot){.tag = (uint32_t)hash, .token = (int32_t)id};
        if (entry->length > vocabulary->longest) {
            vocabulary->longest = entry->length;
        }
    }
    return TTM_OK;
}

ttm_status ttm_vocabulary_index(ttm_vocabulary *vocabulary)
{
    TTM_TRY(build_slots(vocabulary, NULL));
    for (unsigned byte = 0; byte < 256; byte++) {
        unsigned char text = (unsigned char)byte;
        vocabulary->of_byte[byte] = ttm_vocabulary_find(vocabulary, &text, 1);
        if (vocabulary->of_byte[byte] < 0) {
            return ttm_fail(TTM_ERROR_FORMAT,
                            "the byte 0x%02x is no token: a byte-level vocabulary has all 256, as "
                            "otherwise some texts couldn't be encoded",
                            byte);
        }
    }
    return TTM_OK;
}

int32_t ttm_vocabulary_find(const ttm_vocabulary *vocabulary, const void *bytes, size_t length)
{
    if (length > vocabulary->longest) {
        return -1;
    }
    return vocabulary->slots[find_slot(vocabulary, bytes, length, hash_bytes(bytes, length))].token;
}

ttm_status ttm_vocabulary_add_merge(ttm_vocabulary *vocabulary, int32_t left, int32_t right)
{
    const ttm_token_entry *first = &vocabulary->entries[left];
    const ttm_token_entry *second = &vocabulary->entries[right];
    size_t length = (size_t)first->length + second->length;
    unsigned char *joined = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&joined, length, 1, "a merge"));
    memcpy(joined, ttm_vocabulary_bytes(vocabulary, left), first->length);
    memcpy(joined + first->length, ttm_vocabulary_bytes(vocabulary, right), second->length);
    int32_t result = ttm_vocabulary_find(vocabulary, joined, length);
    if (result < 0) {
        status =
            ttm_fail(TTM_ERROR_FORMAT, "merge %zu joins tokens %d and %d to a text that's no token",
                     vocabulary->merge_count, left, right);
        goto out;
    }
    uint64_t key = ttm_pair_key(left, right);
    if (ttm_pair_map_find(&vocabulary->ranks, key) != TTM_PAIR_ABSENT) {
        status = ttm_fail(TTM_ERROR_FORMAT, "merge %zu, of tokens %d and %d, is given twice",
                          vocabulary->merge_count, left, right);
        goto out;
    }
    TTM_TRY_OUT(ttm_array_reserve(&vocabulary->merges, &vocabulary->merges_capacity,
                                  vocabulary->merge_count + 1, sizeof *vocabulary->merges,
                                  "merges"));
    TTM_TRY_OUT(ttm_pair_map_insert(&vocabulary->ranks, key, (uint32_t)vocabulary->merge_count));
    vocabulary->merges[vocabulary->merge_count++] =
        (ttm_merge){.left = left, .right = right, .result = result};
out:
    free(joined);
    return status;
}

ttm_status ttm_vocabulary_finish(ttm_vocabulary *vocabulary)
{
    bool *keep = NULL;
    ttm_merge_space space = {0};
    ttm_token_buffer result = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&keep, vocabulary->size, sizeof *keep, "a vocabulary"));
    for (size_t id = 0; id < vocabulary->size; id++) {
        const ttm_token_entry *entry = &vocabulary->entries[id];
        if (entry->kind != TTM_TOKEN_ORDINARY) {
            continue;
        }
        result.count = 0;
        TTM_TRY_OUT(ttm_merge_bytes(&result, vocabulary, &space, vocabulary->bytes + entry->offset,
                                    entry->length));
        keep[id] = result.count == 1 && result.tokens[0] == (int32_t)id;
    }
    TTM_TRY_OUT(build_slots(vocabulary, keep));
out:
    free(result.tokens);
    ttm_merge_space_free(&space);
    free(keep);
    return status;
}
