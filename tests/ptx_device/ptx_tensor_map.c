/* Tensor maps: what tensormap.replace makes of 128 bytes of zeros, the fences between those who
 * write them and those who copy by them, and these copies.
 *
 * The bytes of a map have a layout of their own here, with a checksum: what else is stored there
 * makes it none, a copy of all of them is as good. Whether its writer has released it is kept in
 * the map as well, for later launches; what has to be acquired in this one, and the order of the
 * two within it, is kept with the group, by clocks. */
#include "ptx_tensor_map.h"
#include "ptx_bulk.h"
#include "ptx_families.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAP_BYTES = 128,
    MOST_DIMENSIONS = 5,
    MOST_BOX = 256,
    LEAST_ALIGNMENT = 16, /* of addresses and strides of tensors */
    TARGET_ALIGNMENT = 128,
    MOST_SWIZZLE = 3 /* chunks in 32, 64 or 128 bytes; 0: none */
};
#define STRIDE_LIMIT ((uint64_t)1 << 40)

typedef struct tensor_map {
    uint64_t check; /* of all that follows */
    uint64_t global_address;
    uint64_t global_stride[MOST_DIMENSIONS - 1];
    uint32_t global_dim[MOST_DIMENSIONS];
    uint32_t box_dim[MOST_DIMENSIONS];
    uint32_t element_stride[MOST_DIMENSIONS];
    uint32_t present; /* a bit for each number that was replaced, see fields */
    uint8_t rank;     /* without 1; numbers of 8 bits are 255 where they are more */
    uint8_t elemtype;
    uint8_t interleave_layout;
    uint8_t swizzle_mode;
    uint8_t fill_mode;
    uint8_t is_released;
    uint8_t unused[6];
} tensor_map;

_Static_assert(sizeof(tensor_map) == MAP_BYTES, "a map fills its bytes");

/* Bytes of the value in the instruction, how many there are (with more than one, the instruction
 * says which), where they are kept, and whether the value must be a number. */
typedef struct field {
    const char *name;
    uint8_t bytes;
    uint8_t count;
    uint8_t offset;
    uint8_t kept_bytes;
    uint8_t first_bit; /* in `present` */
    uint8_t is_number;
} field;

static const field fields[] = {
    {".global_address", 8, 1, offsetof(tensor_map, global_address), 8, 0, 0},
    {".rank", 4, 1, offsetof(tensor_map, rank), 1, 1, 0},
    {".elemtype", 4, 1, offsetof(tensor_map, elemtype), 1, 2, 1},
    {".interleave_layout", 4, 1, offsetof(tensor_map, interleave_layout), 1, 3, 1},
    {".swizzle_mode", 4, 1, offsetof(tensor_map, swizzle_mode), 1, 4, 1},
    {".fill_mode", 4, 1, offsetof(tensor_map, fill_mode), 1, 5, 1},
    {".box_dim", 4, MOST_DIMENSIONS, offsetof(tensor_map, box_dim), 4, 6, 0},
    {".global_dim", 4, MOST_DIMENSIONS, offsetof(tensor_map, global_dim), 4, 11, 0},
    {".global_stride", 8, MOST_DIMENSIONS - 1, offsetof(tensor_map, global_stride), 8, 16, 0},
    {".element_stride", 4, MOST_DIMENSIONS, offsetof(tensor_map, element_stride), 4, 20, 0},
};
enum { FIELD_COUNT = sizeof fields / sizeof fields[0] };

/* ---- The bytes ---- */

/* FNV-1a, from a beginning of its own: zeros are no map. */
static uint64_t checksum(const tensor_map *map)
{
    const unsigned char *bytes = (const unsigned char *)map;
    uint64_t sum = 0x7474656e736f726dull;
    for (size_t i = sizeof map->check; i < sizeof *map; i++) {
        sum = (sum ^ bytes[i]) * 1099511628211ull;
    }
    return sum;
}

static int read_map(tensor_map *map, const unsigned char *from)
{
    memcpy(map, from, sizeof *map);
    return map->check == checksum(map);
}

static void write_map(unsigned char *to, tensor_map *map)
{
    map->check = checksum(map);
    memcpy(to, map, sizeof *map);
}

static int are_zeros(const unsigned char *bytes)
{
    for (int i = 0; i < MAP_BYTES; i++) {
        if (bytes[i] != 0) {
            return 0;
        }
    }
    return 1;
}

/* ---- Who has written and acquired them ---- */

void ptx_maps_clear(ptx_maps *maps)
{
    maps->written.count = maps->acquired.count = 0;
}

void ptx_maps_end(ptx_maps *maps)
{
    free(maps->written.items);
    free(maps->acquired.items);
}

/* The note of the warp's lanes for an address, a new one where there is none; NULL, having failed,
 * without memory. */
static ptx_map_note *note_of(ptx_warp *warp, const ptx_instruction *instruction,
                             ptx_map_notes *notes, uint64_t address, uint32_t lanes)
{
    for (size_t i = 0; i < notes->count; i++) {
        ptx_map_note *note = &notes->items[i];
        if (note->address == address && note->agent == warp->agent && (note->lanes & lanes) != 0) {
            return note;
        }
    }
    if (notes->count == notes->room) {
        const size_t room = notes->room == 0 ? 16 : 2 * notes->room;
        ptx_map_note *grown = realloc(notes->items, room * sizeof *grown);
        if (grown == NULL) {
            ptx_fail(warp, instruction, "out of memory");
            return NULL;
        }
        notes->items = grown;
        notes->room = room;
    }
    ptx_map_note *note = &notes->items[notes->count++];
    *note = (ptx_map_note){.address = address, .agent = (uint16_t)warp->agent, .lanes = lanes};
    return note;
}

/* A lane has written a map: it has to release it, and whoever had acquired it to do so again. */
static void note_write(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                       int lane)
{
    ptx_maps *maps = &warp->group->maps;
    ptx_map_note *note = note_of(warp, instruction, &maps->written, address, 1u << lane);
    if (note == NULL) {
        return;
    }
    note->at = 0;
    for (size_t i = 0; i < maps->acquired.count; i++) {
        if (maps->acquired.items[i].address == address) {
            maps->acquired.items[i].check = 0;
        }
    }
}

/* Whether a lane knows of the releases of all who have written a map in this launch. One that is
 * still to come changes the map, and so what was acquired. */
static int knows_releases(const ptx_warp *warp, uint64_t address, int lane)
{
    const ptx_map_notes *written = &warp->group->maps.written;
    for (size_t i = 0; i < written->count; i++) {
        const ptx_map_note *note = &written->items[i];
        if (note->address != address) {
            continue;
        }
        const uint32_t known = warp->clock.of[note->agent];
        const int is_same_time = note->agent == warp->agent && note->at == known;
        if (note->at > known || (is_same_time && !(note->lanes >> lane & 1))) {
            return 0;
        }
    }
    return 1;
}

static int has_acquired(const ptx_warp *warp, uint64_t address, uint64_t check, int lane)
{
    const ptx_map_notes *acquired = &warp->group->maps.acquired;
    for (size_t i = 0; i < acquired->count; i++) {
        const ptx_map_note *note = &acquired->items[i];
        if (note->address == address && note->agent == warp->agent && note->lanes >> lane & 1 &&
            note->check == check) {
            return 1;
        }
    }
    return 0;
}

/* ---- tensormap.replace and the fences ---- */

/* The address of an instruction that has it in `a` and a number. */
static uint64_t address_of(const ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t added = (uint64_t)instruction->immediate;
    return added + (instruction->a != PTX_NONE ? ptx_longs(warp, instruction->a)[lane] : 0);
}

/* tensormap.replace; `variant` has the field and which of its numbers. */
static void replace(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const field *replaced = &fields[instruction->variant / MOST_DIMENSIONS];
    const int which = instruction->variant % MOST_DIMENSIONS;
    const uint64_t address = address_of(warp, instruction, lane);
    unsigned char *place = ptx_global(warp, instruction, address, MAP_BYTES, MAP_BYTES, 1);
    tensor_map map;
    if (place == NULL) {
        return;
    }
    if (!read_map(&map, place) && !are_zeros(place)) {
        ptx_fail(warp, instruction,
                 "what lies at 0x%" PRIx64 " is neither a tensor map nor %d bytes of zeros",
                 address, MAP_BYTES);
        return;
    }
    uint64_t value = ptx_value(warp, instruction->b, replaced->bytes, lane);
    if (replaced->kept_bytes == 1 && value > UINT8_MAX) {
        value = UINT8_MAX;
    }
    memcpy((unsigned char *)&map + replaced->offset + which * replaced->kept_bytes, &value,
           replaced->kept_bytes); /* little-endian */
    map.present |= 1u << (replaced->first_bit + which);
    map.is_released = 0;
    write_map(place, &map);
    note_write(warp, instruction, address, lane);
}

/* A map that none of its writers has still to release is released, for later launches as well. */
static void mark_released(const ptx_group *group, uint64_t address)
{
    const ptx_map_notes *written = &group->maps.written;
    for (size_t i = 0; i < written->count; i++) {
        if (written->items[i].address == address && written->items[i].at == 0) {
            return;
        }
    }
    unsigned char *place = (unsigned char *)(uintptr_t)address;
    tensor_map map;
    if (read_map(&map, place)) {
        map.is_released = 1;
        write_map(place, &map);
    }
}

static void release(ptx_warp *warp, const ptx_instruction *instruction)
{
    (void)instruction;
    const ptx_map_notes *written = &warp->group->maps.written;
    for (size_t i = 0; i < written->count; i++) {
        ptx_map_note *note = &written->items[i];
        if (note->agent == warp->agent && note->at == 0 && (warp->active & note->lanes) != 0) {
            note->at = warp->clock.of[warp->agent];
            mark_released(warp->group, note->address);
        }
    }
}

/* Counts for the map as it is; one that isn't known to be released isn't acquired by it. */
static void acquire(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t address = address_of(warp, instruction, lane);
    const unsigned char *place = ptx_global(warp, instruction, address, MAP_BYTES, MAP_BYTES, 0);
    tensor_map map;
    if (place == NULL || !read_map(&map, place) || !knows_releases(warp, address, lane)) {
        return;
    }
    ptx_map_note *note =
        note_of(warp, instruction, &warp->group->maps.acquired, address, 1u << lane);
    if (note != NULL) {
        note->check = map.check;
    }
}

/* ---- Whether a map is one ---- */

/* Bytes of an element; 0 where this type isn't known, or isn't copied as it is. */
static uint32_t element_bytes(const tensor_map *map)
{
    static const uint8_t bytes[] = {1, 2, 4, 4, 8, 8, 2, 4, 0, 8, 2};
    return map->elemtype < sizeof bytes ? bytes[map->elemtype] : 0;
}

/* The name of a field that wasn't replaced, with its number in `which`; NULL where all were. */
static const char *missing_field(const tensor_map *map, int *which)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        int count = map->rank + 1;
        if (fields[i].count == 1) {
            count = 1;
        } else if (fields[i].count < MOST_DIMENSIONS) {
            count = map->rank;
        }
        for (*which = 0; *which < count && *which < fields[i].count; ++*which) {
            if (!(map->present >> (fields[i].first_bit + *which) & 1)) {
                return fields[i].name;
            }
        }
    }
    return NULL;
}

/* What is wrong with the tensor that a map of two dimensions describes, or NULL. */
static const char *wrong_tensor(const tensor_map *map)
{
    const uint64_t stride = map->global_stride[0];
    if (map->global_address == 0 || map->global_address % LEAST_ALIGNMENT != 0) {
        return "global_address is 0 or no multiple of 16";
    }
    if (map->global_dim[0] == 0 || map->global_dim[1] == 0) {
        return "global_dim is 0";
    }
    if (stride % LEAST_ALIGNMENT != 0 || stride >= STRIDE_LIMIT) {
        return "global_stride is no multiple of 16, or too large";
    }
    if (stride == 0 && map->global_dim[1] > 1) {
        return "global_stride is 0";
    }
    if (map->element_stride[0] != 1 || map->element_stride[1] != 1) {
        return "an element_stride other than 1 isn't known";
    }
    return NULL;
}

/* And with the box. */
static const char *wrong_box(const tensor_map *map)
{
    const uint32_t row_bytes = map->box_dim[0] * element_bytes(map);
    if (element_bytes(map) == 0) {
        return "this elemtype isn't known";
    }
    if (map->interleave_layout != 0 || map->fill_mode != 0) {
        return "this interleave_layout or fill_mode isn't known";
    }
    if (map->swizzle_mode > MOST_SWIZZLE) {
        return "this swizzle_mode isn't known";
    }
    for (int i = 0; i < 2; i++) {
        if (map->box_dim[i] == 0 || map->box_dim[i] > MOST_BOX) {
            return "box_dim is 0 or more than 256";
        }
    }
    if (row_bytes % PTX_CHUNK_BYTES != 0) {
        return "a row of the box is no multiple of 16 bytes";
    }
    /* Shorter ones leave open whether rows lie a span apart. */
    if (map->swizzle_mode != 0 && row_bytes != (uint32_t)PTX_CHUNK_BYTES << map->swizzle_mode) {
        return row_bytes > (uint32_t)PTX_CHUNK_BYTES << map->swizzle_mode
                   ? "a row of the box is longer than swizzle_mode's span"
                   : "a row of the box that is shorter than swizzle_mode's span isn't known";
    }
    return NULL;
}

/* A map at an address that is complete, released and acquired, of two dimensions; fails otherwise.
 */
static int find_map(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address, int lane,
                    tensor_map *map)
{
    const unsigned char *place = ptx_global(warp, instruction, address, MAP_BYTES, MAP_BYTES, 0);
    if (place == NULL) {
        return 0;
    }
    int which = 0;
    const char *wrong = NULL;
    if (!read_map(map, place)) {
        wrong = "isn't one, or other stores have changed it";
    } else if ((wrong = missing_field(map, &which)) != NULL) {
        ptx_fail(warp, instruction, "the tensor map at 0x%" PRIx64 ": %s was never replaced (%d)",
                 address, wrong + 1, which);
        return 0;
    } else if (map->rank != 1) {
        wrong = "its rank isn't that of two dimensions";
    } else if (!map->is_released) {
        wrong = "who wrote it has not released it by fence.proxy.tensormap since";
    } else if (!has_acquired(warp, address, map->check, lane)) {
        wrong = "this lane has not acquired it by fence.proxy.tensormap, knowing of its release";
    } else if ((wrong = wrong_tensor(map)) == NULL) {
        wrong = wrong_box(map);
    }
    if (wrong != NULL) {
        ptx_fail(warp, instruction, "the tensor map at 0x%" PRIx64 ": %s", address, wrong);
    }
    return wrong == NULL;
}

/* ---- Copies ---- */

/* The box's row that lies in the tensor's row y, from column x on; what is outside stays as it is.
 * Returns 0, having failed, where the tensor isn't in a live buffer there. */
static int take_row(ptx_warp *warp, const ptx_instruction *instruction, const tensor_map *map,
                    int64_t x, int64_t y, unsigned char *to)
{
    const uint32_t size = element_bytes(map);
    const int64_t first = x > 0 ? x : 0;
    const int64_t box_end = x + map->box_dim[0];
    const int64_t end = box_end < map->global_dim[0] ? box_end : map->global_dim[0];
    if (y < 0 || y >= map->global_dim[1] || first >= end) {
        return 1;
    }
    const uint64_t address =
        map->global_address + (uint64_t)y * map->global_stride[0] + (uint64_t)first * size;
    const uint32_t bytes = (uint32_t)(end - first) * size;
    const unsigned char *from = ptx_global(warp, instruction, address, bytes, size, 0);
    if (from == NULL) {
        return 0;
    }
    memcpy(to + (size_t)(first - x) * size, from, bytes);
    return 1;
}

/* The whole box, zeros where it isn't in the tensor; the caller's. NULL, having failed. */
static unsigned char *take_box(ptx_warp *warp, const ptx_instruction *instruction,
                               const tensor_map *map, int64_t x, int64_t y)
{
    const size_t row_bytes = (size_t)map->box_dim[0] * element_bytes(map);
    unsigned char *box = calloc(map->box_dim[1], row_bytes);
    if (box == NULL) {
        ptx_fail(warp, instruction, "out of memory");
        return NULL;
    }
    for (uint32_t row = 0; row < map->box_dim[1]; row++) {
        if (!take_row(warp, instruction, map, x, y + row, box + row * row_bytes)) {
            free(box);
            return NULL;
        }
    }
    return box;
}

/* cp.async.bulk.tensor.2d [target], [map, {x, y}], [mbarrier][, groups]: the list in this order. */
static void copy_box(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint32_t *places = instruction->list;
    tensor_map map;
    if (!find_map(warp, instruction, ptx_longs(warp, places[1])[lane], lane, &map)) {
        return;
    }
    unsigned char *box =
        take_box(warp, instruction, &map, (int32_t)ptx_words(warp, places[2])[lane],
                 (int32_t)ptx_words(warp, places[3])[lane]);
    if (box == NULL) {
        return;
    }
    /* A swizzle's pattern takes eight rows of its span. */
    ptx_bulk copy = {.target = ptx_value(warp, places[0], instruction->address_bytes, lane),
                     .mbarrier = ptx_value(warp, places[4], instruction->variant, lane),
                     .content = box,
                     .bytes = map.box_dim[0] * map.box_dim[1] * element_bytes(&map),
                     .alignment = (uint32_t)TARGET_ALIGNMENT << map.swizzle_mode,
                     .swizzled_bits = map.swizzle_mode,
                     .has_groups = instruction->list_count > 5};
    if (copy.has_groups) {
        copy.groups = ptx_words(warp, places[5])[lane] & 0xffffu;
    }
    ptx_copy_bulk(warp, instruction, &copy);
    free(box);
}

FOR_EACH_LANE(replace_all, replace)
FOR_EACH_LANE(acquire_all, acquire)
FOR_EACH_LANE(copy_boxes, copy_box)

/* ---- Names ---- */

static void need_tensor_maps(ptx_reader *reader, int is_replace)
{
    const ptx_module *module = reader->module;
    if (module->version < 83 || module->target != 90 || (is_replace && !module->is_specific)) {
        ptx_read_fail(reader, "tensor maps need PTX 8.3 and the target %s",
                      is_replace ? "sm_90a" : "sm_90");
    }
}

/* The rest of a name behind tensormap.replace.tile: its field and the bytes of its value; −1 where
 * it isn't known. */
static int find_field(ptx_span rest)
{
    for (int i = 0; i < FIELD_COUNT; i++) {
        ptx_span behind = rest;
        if (ptx_span_takes(&behind, fields[i].name)) {
            const char *form = fields[i].bytes == 8 ? ".global.b1024.b64" : ".global.b1024.b32";
            return ptx_span_is(behind, form) ? i : -1;
        }
    }
    return -1;
}

static void decode_replace(ptx_reader *reader, int found, const ptx_span *operands, int count,
                           ptx_instruction *instruction)
{
    const field *replaced = &fields[found];
    const int has_number = replaced->count > 1;
    if (count != 2 + has_number) {
        ptx_read_fail(reader, "tensormap.replace of %s with %d operands", replaced->name + 1,
                      count);
        return;
    }
    const int64_t which = has_number ? ptx_operand_number(reader, operands[1]) : 0;
    const ptx_span value = operands[count - 1];
    if (which < 0 || which >= replaced->count) {
        ptx_read_fail(reader, "there is no %s %d", replaced->name + 1, (int)which);
    } else if (replaced->is_number && ptx_register_bytes(reader, value) != 0) {
        ptx_read_fail(reader, "%s must be a number", replaced->name + 1);
    } else {
        ptx_operand_address(reader, operands[0], 8, &instruction->a, &instruction->immediate);
        instruction->b = ptx_operand_place(reader, value, replaced->bytes);
        instruction->variant = (uint8_t)(found * MOST_DIMENSIONS + which);
        instruction->execute = replace_all;
    }
}

static void decode_acquire(ptx_reader *reader, const ptx_span *operands, int count,
                           ptx_instruction *instruction)
{
    if (count != 2 || ptx_operand_number(reader, operands[1]) != MAP_BYTES) {
        ptx_read_fail(reader, "a map that is acquired has an address and 128 bytes");
        return;
    }
    ptx_operand_address(reader, operands[0], 8, &instruction->a, &instruction->immediate);
    instruction->execute = acquire_all;
}

/* [map, {x, y}]: three places. */
static void read_box_operand(ptx_reader *reader, ptx_span operand, uint32_t *places)
{
    ptx_reader inside = *reader;
    if (operand.length < 2 || operand.begin[0] != '[') {
        ptx_read_fail(reader, "a tensor map is missing");
        return;
    }
    inside.at = operand.begin + 1;
    inside.end = operand.begin + operand.length - 1;
    places[0] = ptx_operand_place(reader, ptx_read_word(&inside), 8);
    ptx_read_if(&inside, ',');
    ptx_read_blanks(&inside);
    ptx_span coordinates = {inside.at, (size_t)(inside.end - inside.at)};
    const char *brace = memchr(coordinates.begin, '}', coordinates.length);
    int found = 0;
    if (coordinates.length == 0 || coordinates.begin[0] != '{' || brace == NULL) {
        ptx_read_fail(reader, "a tensor map without coordinates");
        return;
    }
    coordinates.length = (size_t)(brace + 1 - coordinates.begin);
    ptx_operand_list(reader, coordinates, 4, places + 1, &found, 2);
    if (found != 2) {
        ptx_read_fail(reader, "two coordinates are missing");
    }
}

static void decode_copy(ptx_reader *reader, int is_multicast, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    if (count != 3 + is_multicast) {
        ptx_read_fail(reader, "cp.async.bulk.tensor with %d operands", count);
        return;
    }
    uint32_t places[6];
    places[0] = ptx_operand_register_address(reader, operands[0], &instruction->address_bytes);
    read_box_operand(reader, operands[1], &places[1]);
    places[4] = ptx_operand_register_address(reader, operands[2], &instruction->variant);
    if (is_multicast) {
        places[5] = ptx_operand_place(reader, operands[3], 4);
    }
    if (!reader->failed) {
        ptx_keep_registers(reader, instruction, places, 5 + is_multicast);
    }
    instruction->execute = copy_boxes;
}

#define COPY "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"

int ptx_decode_tensor_map(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                          ptx_instruction *instruction)
{
    ptx_span rest = name;
    const int is_replace = ptx_span_takes(&rest, "tensormap.replace.tile");
    const int found = is_replace ? find_field(rest) : -1;
    const int is_multicast = ptx_span_is(name, COPY ".multicast::cluster");
    if (found >= 0) {
        decode_replace(reader, found, operands, count, instruction);
    } else if (ptx_span_is(name, "fence.proxy.tensormap::generic.release.gpu") && count == 0) {
        instruction->execute = release;
    } else if (ptx_span_is(name, "fence.proxy.tensormap::generic.acquire.gpu")) {
        decode_acquire(reader, operands, count, instruction);
    } else if (is_multicast || ptx_span_is(name, COPY)) {
        decode_copy(reader, is_multicast, operands, count, instruction);
    } else {
        return 0;
    }
    need_tensor_maps(reader, is_replace);
    return 1;
}
