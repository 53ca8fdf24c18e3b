/* Insertion and growth of the pair map; look-ups are inline in its header. */
#include "text/pair_map.h"

#include "core/array.h"
#include "core/error.h"
#include <stdlib.h>
#include <string.h>

static void place(ttm_pair_map *map, uint64_t key, uint32_t value)
{
    size_t mask = ((size_t)1 << map->bits) - 1;
    size_t i = ttm_pair_slot_of(map, key);
    while (map->slots[i].key != TTM_PAIR_FREE) {
        i = (i + 1) & mask;
    }
    map->slots[i] = (ttm_pair_slot){.key = key, .value = value};
}

static ttm_status grow(ttm_pair_map *map)
{
    ttm_pair_map larger = {.bits = map->slots == NULL ? 8 : map->bits + 1, .count = map->count};
    size_t slots = (size_t)1 << larger.bits;
    TTM_TRY(ttm_array_new(&larger.slots, slots, sizeof *larger.slots, "pairs of tokens"));
    memset(larger.slots, 0xff, slots * sizeof *larger.slots);
    size_t old_slots = map->slots == NULL ? 0 : (size_t)1 << map->bits;
    for (size_t i = 0; i < old_slots; i++) {
        if (map->slots[i].key != TTM_PAIR_FREE) {
            place(&larger, map->slots[i].key, map->slots[i].value);
        }
    }
    free(map->slots);
    *map = larger;
    return TTM_OK;
}

ttm_status ttm_pair_map_insert(ttm_pair_map *map, uint64_t key, uint32_t value)
{
    if (map->slots == NULL || map->count >= (size_t)1 << (map->bits - 1)) {
        TTM_TRY(grow(map));
    }
    place(map, key, value);
    map->count++;
    return TTM_OK;
}

void ttm_pair_map_free(ttm_pair_map *map)
{
    free(map->slots);
    *map = (ttm_pair_map){0};
}
