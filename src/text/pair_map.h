/* A hash map from pairs of tokens to a number, the heart of BPE: encoding asks it for the rank of
 * every two neighbours. Open addressing at most half full, so that a miss, which is the usual
 * answer, costs about one cache line. */
#ifndef TTM_TEXT_PAIR_MAP_H
#define TTM_TEXT_PAIR_MAP_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** What a look-up returns for a pair that isn't there. */
#define TTM_PAIR_ABSENT UINT32_MAX

typedef struct ttm_pair_slot {
    uint64_t key;
    uint32_t value;
} ttm_pair_slot;

/** Zeroed means empty; free with ttm_pair_map_free. */
typedef struct ttm_pair_map {
    ttm_pair_slot *slots;
    unsigned bits; /**< There are 2^bits slots. */
    size_t count;
} ttm_pair_map;

static inline uint64_t ttm_pair_key(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/** Tokens are never negative, so this is no pair's key. */
#define TTM_PAIR_FREE UINT64_MAX

static inline size_t ttm_pair_slot_of(const ttm_pair_map *map, uint64_t key)
{
    return (size_t)((key ^ key >> 29) * UINT64_C(0x9e3779b97f4a7c15) >> (64 - map->bits));
}

/** Returns the number stored for `key`, or TTM_PAIR_ABSENT. */
static inline uint32_t ttm_pair_map_find(const ttm_pair_map *map, uint64_t key)
{
    if (map->count == 0) {
        return TTM_PAIR_ABSENT;
    }
    size_t mask = ((size_t)1 << map->bits) - 1;
    for (size_t i = ttm_pair_slot_of(map, key);; i = (i + 1) & mask) {
        if (map->slots[i].key == key) {
            return map->slots[i].value;
        }
        if (map->slots[i].key == TTM_PAIR_FREE) {
            return TTM_PAIR_ABSENT;
        }
    }
}

/** Stores `value` for a key that isn't in the map yet. On failure (memory) the map is unchanged. */
TTM_CHECKED ttm_status ttm_pair_map_insert(ttm_pair_map *map, uint64_t key, uint32_t value);

void ttm_pair_map_free(ttm_pair_map *map);

#endif
