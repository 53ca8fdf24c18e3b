/* A hash table over an arena of bytes. */
#include "text/piece_counts.h"

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include <stdlib.h>
#include <string.h>

static const uint32_t FREE_SLOT = UINT32_MAX;

static uint32_t hash_bytes(const unsigned char *bytes, size_t length)
{
    uint64_t hash = length;
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, length - at < 8 ? length - at : 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return (uint32_t)(hash * UINT64_C(0xd6e8feb86659fd93) >> 32);
}

/** Returns the slot that holds a piece, or the free one where it belongs. */
static size_t find_slot(const ttm_piece_counts *counts, const unsigned char *bytes, size_t length,
                        uint32_t hash)
{
    size_t mask = ((size_t)1 << counts->slot_bits) - 1;
    for (size_t i = hash >> (32 - counts->slot_bits);; i = (i + 1) & mask) {
        if (counts->slots[i] == FREE_SLOT) {
            return i;
        }
        const ttm_piece *piece = &counts->pieces[counts->slots[i]];
        if (piece->hash == hash && piece->length == length &&
            memcmp(counts->bytes + piece->offset, bytes, length) == 0) {
            return i;
        }
    }
}

static ttm_status grow_slots(ttm_piece_counts *counts)
{
    unsigned bits = counts->slots == NULL ? 12 : counts->slot_bits + 1;
    if (bits > 32) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "the texts have more than 2^31 different words, too many to learn from");
    }
    size_t size = (size_t)1 << bits;
    uint32_t *slots = NULL;
    TTM_TRY(ttm_array_new(&slots, size, sizeof *slots, "counting words"));
    memset(slots, 0xff, size * sizeof *slots);
    for (size_t i = 0; i < counts->count; i++) {
        size_t at = counts->pieces[i].hash >> (32 - bits);
        while (slots[at] != FREE_SLOT) {
            at = (at + 1) & (size - 1);
        }
        slots[at] = (uint32_t)i;
    }
    free(counts->slots);
    counts->slots = slots;
    counts->slot_bits = bits;
    return TTM_OK;
}

ttm_status ttm_piece_counts_add(ttm_piece_counts *counts, const void *bytes, size_t length,
                                uint64_t times)
{
    if (counts->slots == NULL || counts->count >= (size_t)1 << (counts->slot_bits - 1)) {
        TTM_TRY(grow_slots(counts));
    }
    uint32_t hash = hash_bytes(bytes, length);
    size_t slot = find_slot(counts, bytes, length, hash);
    if (counts->slots[slot] != FREE_SLOT) {
        counts->pieces[counts->slots[slot]].count += times;
        return TTM_OK;
    }
    size_t needed = 0;
    if (length > UINT32_MAX || !ttm_checked_add(&needed, counts->bytes_used, length)) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "a word of %zu bytes is too long to learn from",
                        length);
    }
    TTM_TRY(ttm_array_reserve(&counts->bytes, &counts->bytes_capacity, needed, 1, "words"));
    TTM_TRY(ttm_array_reserve(&counts->pieces, &counts->capacity, counts->count + 1,
                              sizeof *counts->pieces, "words"));
    memcpy(counts->bytes + counts->bytes_used, bytes, length);
    counts->slots[slot] = (uint32_t)counts->count;
    counts->pieces[counts->count++] = (ttm_piece){
        .offset = counts->bytes_used, .length = (uint32_t)length, .hash = hash, .count = times};
    counts->bytes_used = needed;
    return TTM_OK;
}

ttm_status ttm_piece_counts_merge(ttm_piece_counts *counts, const ttm_piece_counts *other)
{
    for (size_t i = 0; i < other->count; i++) {
        const ttm_piece *piece = &other->pieces[i];
        TTM_TRY(ttm_piece_counts_add(counts, other->bytes + piece->offset, piece->length,
                                     piece->count));
    }
    return TTM_OK;
}

void ttm_piece_counts_free(ttm_piece_counts *counts)
{
    free(counts->bytes);
    free(counts->pieces);
    free(counts->slots);
    *counts = (ttm_piece_counts){0};
}
