/* Loads and stores, and whether they may be made. */
#include "ptx_families.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PARAM, GLOBAL, SHARED, LOCAL, CONST, GENERIC };

/* Whether a module's variables have the address. */
static int is_data(const ptx_module *module, uint64_t address, uint32_t bytes)
{
    for (const ptx_data *data = module->data; data != NULL; data = data->next) {
        const uint64_t begin = (uint64_t)(uintptr_t)data->memory;
        if (data->memory != NULL && address >= begin && address - begin <= data->bytes &&
            bytes <= data->bytes - (address - begin)) {
            return 1;
        }
    }
    return 0;
}

static int is_in_region(const ptx_region *region, uint64_t address, uint32_t bytes)
{
    return address >= region->begin && address < region->end && bytes <= region->end - address;
}

/* Whether a live buffer has the address. */
static int is_live(ptx_group *group, uint64_t address, uint32_t bytes)
{
    const ptx_launch *launch = group->launch;
    if (group->last_region < launch->region_count &&
        is_in_region(&launch->regions[group->last_region], address, bytes)) {
        return 1;
    }
    size_t low = 0;
    size_t high = launch->region_count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (address >= launch->regions[middle].end) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    group->last_region = low;
    return low < launch->region_count && is_in_region(&launch->regions[low], address, bytes);
}

static int is_aligned(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                      uint32_t alignment)
{
    if ((address & (alignment - 1)) != 0) {
        ptx_fail(warp, instruction, "the address 0x%" PRIx64 " is no multiple of %u", address,
                 alignment);
        return 0;
    }
    return 1;
}

unsigned char *ptx_global(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                          uint32_t bytes, uint32_t alignment, int is_write)
{
    if (!is_aligned(warp, instruction, address, alignment)) {
        return NULL;
    }
    ptx_group *group = warp->group;
    if (is_live(group, address, bytes)) {
        const char *wrong = ptx_traffic_use(group->traffic, group->last_region, address, bytes,
                                            group->number, is_write);
        if (wrong != NULL) {
            ptx_fail(warp, instruction, "global memory at 0x%" PRIx64 " %s", address, wrong);
            return NULL;
        }
    } else if (!is_data(group->kernel->module, address, bytes)) {
        ptx_fail(warp, instruction, "%u bytes at 0x%" PRIx64 " aren't in a live buffer", bytes,
                 address);
        return NULL;
    }
    return (unsigned char *)(uintptr_t)address;
}

int64_t ptx_shared(ptx_warp *warp, const ptx_instruction *instruction, uint64_t address,
                   uint32_t bytes, uint32_t alignment)
{
    const uint64_t end = PTX_SHARED_BASE + warp->group->launch->shared_bytes;
    if (!is_aligned(warp, instruction, address, alignment)) {
        return -1;
    }
    if (address < PTX_SHARED_BASE || address >= end || bytes > end - address) {
        ptx_fail(warp, instruction,
                 "%u bytes at 0x%" PRIx64
                 " aren't in the group's shared memory, 0x%x to 0x%" PRIx64,
                 bytes, address, PTX_SHARED_BASE, end);
        return -1;
    }
    return (int64_t)(address - PTX_SHARED_BASE);
}

/* The warp's write of a word needs a fence before the asynchronous proxy may see it. */
static void note_unfenced(ptx_warp *warp, const ptx_instruction *instruction, size_t word)
{
    if (!warp->group->kernel->module->is_specific) {
        return;
    }
    if (warp->unfenced_count == warp->unfenced_room) {
        const size_t room = warp->unfenced_room == 0 ? 256 : 2 * warp->unfenced_room;
        uint32_t *grown = realloc(warp->unfenced, room * sizeof *grown);
        if (grown == NULL) {
            ptx_fail(warp, instruction, "out of memory");
            return;
        }
        warp->unfenced = grown;
        warp->unfenced_room = room;
    }
    warp->unfenced[warp->unfenced_count++] = (uint32_t)word;
}

int ptx_use_shared(ptx_warp *warp, const ptx_instruction *instruction, int64_t offset,
                   uint32_t bytes, int lane, int is_write)
{
    const ptx_user user = {.clock = &warp->clock,
                           .agent = (uint16_t)warp->agent,
                           .lane = (uint8_t)lane,
                           .is_partial = bytes < PTX_WORD_BYTES};
    const size_t first = (size_t)offset / PTX_WORD_BYTES;
    const size_t last = ((size_t)offset + bytes - 1) / PTX_WORD_BYTES;
    for (size_t word = first; word <= last; word++) {
        const char *wrong = is_write ? ptx_shadow_write(&warp->group->shadow, word, &user)
                                     : ptx_shadow_read(&warp->group->shadow, word, &user);
        if (wrong != NULL) {
            ptx_fail(warp, instruction, "lane %d: shared memory at 0x%zx %s", lane,
                     PTX_SHARED_BASE + word * PTX_WORD_BYTES, wrong);
            return 0;
        }
        if (is_write) {
            note_unfenced(warp, instruction, word);
        }
    }
    return 1;
}

static int is_in_parameters(const ptx_kernel *kernel, uint64_t address, uint32_t bytes)
{
    return address <= kernel->argument_bytes && bytes <= kernel->argument_bytes - address;
}

static unsigned char *local_place(ptx_warp *warp, const ptx_instruction *instruction,
                                  uint64_t address, uint32_t bytes, int lane)
{
    const uint64_t offset = address & ~PTX_LOCAL_BASE;
    const size_t room = warp->group->kernel->local_bytes;
    if (!is_aligned(warp, instruction, offset, bytes)) {
        return NULL;
    }
    if (offset > room || bytes > room - offset) {
        ptx_fail(warp, instruction, "%u bytes at 0x%" PRIx64 " aren't in the item's own memory",
                 bytes, address);
        return NULL;
    }
    return warp->local + (size_t)lane * room + offset;
}

/* Where a lane's access goes; NULL, having failed, where it may not. */
static unsigned char *find_place(ptx_warp *warp, const ptx_instruction *instruction, int lane,
                                 uint32_t bytes, int is_write)
{
    uint64_t address = (uint64_t)instruction->immediate;
    if (instruction->a != PTX_NONE) {
        address += instruction->address_bytes == 4 ? ptx_words(warp, instruction->a)[lane]
                                                   : ptx_longs(warp, instruction->a)[lane];
    }
    int64_t offset = 0;
    switch (instruction->variant) {
    case PARAM:
        if (!is_in_parameters(warp->group->kernel, address, bytes)) {
            ptx_fail(warp, instruction, "there is no such parameter");
            return NULL;
        }
        /* A parameter isn't changed: st.param isn't known. */
        return (unsigned char *)(uintptr_t)warp->group->launch->arguments + address;
    case SHARED:
        offset = ptx_shared(warp, instruction, address, bytes, bytes);
        if (offset < 0 || !ptx_use_shared(warp, instruction, offset, bytes, lane, is_write)) {
            return NULL;
        }
        return warp->group->shared + offset;
    case LOCAL:
        return local_place(warp, instruction, address, bytes, lane);
    case GENERIC:
        if (address & PTX_LOCAL_BASE) {
            return local_place(warp, instruction, address, bytes, lane);
        }
        break;
    default:
        break;
    }
    return ptx_global(warp, instruction, address, bytes, bytes, is_write);
}

/* An element comes to a register that may be wider. */
static void load_element(ptx_warp *warp, const ptx_instruction *instruction, uint32_t place,
                         int lane, const unsigned char *from)
{
    uint64_t value = 0;
    memcpy(&value, from, instruction->bytes);
    if (instruction->is_signed) {
        const int unused = 64 - 8 * instruction->bytes;
        value = (uint64_t)((int64_t)(value << unused) >> unused);
    }
    if (instruction->register_bytes == 8) {
        ptx_longs(warp, place)[lane] = value;
    } else {
        ptx_words(warp, place)[lane] = (uint32_t)value;
    }
}

static void load(ptx_warp *warp, const ptx_instruction *instruction)
{
    const uint32_t bytes = (uint32_t)(instruction->bytes * instruction->list_count);
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (!(warp->active >> lane & 1)) {
            continue;
        }
        const unsigned char *from = find_place(warp, instruction, lane, bytes, 0);
        if (from == NULL) {
            return;
        }
        for (int i = 0; i < instruction->list_count; i++) {
            if (instruction->list[i] != PTX_NONE) {
                load_element(warp, instruction, instruction->list[i], lane,
                             from + i * instruction->bytes);
            }
        }
    }
}

static void store(ptx_warp *warp, const ptx_instruction *instruction)
{
    const uint32_t bytes = (uint32_t)(instruction->bytes * instruction->list_count);
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (!(warp->active >> lane & 1)) {
            continue;
        }
        unsigned char *to = find_place(warp, instruction, lane, bytes, 1);
        if (to == NULL) {
            return;
        }
        for (int i = 0; i < instruction->list_count; i++) {
            const uint32_t place = instruction->list[i];
            const void *value = instruction->register_bytes == 8
                                    ? (const void *)&ptx_longs(warp, place)[lane]
                                    : (const void *)&ptx_words(warp, place)[lane];
            memcpy(to + i * instruction->bytes, value, instruction->bytes);
        }
    }
}

static int take_space(ptx_span *rest)
{
    static const char *const names[] = {[PARAM] = ".param",
                                        [GLOBAL] = ".global",
                                        [SHARED] = ".shared",
                                        [LOCAL] = ".local",
                                        [CONST] = ".const"};
    for (int space = PARAM; space <= CONST; space++) {
        if (ptx_span_takes(rest, names[space])) {
            return space;
        }
    }
    return GENERIC;
}

/* The element's type; 0 where it isn't known. */
static int take_type(ptx_span *rest, ptx_instruction *instruction)
{
    static const struct {
        const char *name;
        uint8_t bytes;
        uint8_t is_signed;
    } types[] = {{".u8", 1, 0},  {".b8", 1, 0},  {".s8", 1, 1},  {".u16", 2, 0}, {".b16", 2, 0},
                 {".s16", 2, 1}, {".u32", 4, 0}, {".b32", 4, 0}, {".s32", 4, 1}, {".f32", 4, 0},
                 {".u64", 8, 0}, {".b64", 8, 0}, {".s64", 8, 0}, {".f64", 8, 0}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (ptx_span_takes(rest, types[i].name)) {
            instruction->bytes = types[i].bytes;
            instruction->is_signed = types[i].is_signed;
            return 1;
        }
    }
    return 0;
}

int ptx_decode_memory(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                      ptx_instruction *instruction)
{
    const int is_load = ptx_span_begins(name, "ld.");
    if (!is_load && !ptx_span_begins(name, "st.")) {
        return 0;
    }
    ptx_span rest = {.begin = name.begin + 2, .length = name.length - 2};
    ptx_span_takes(&rest, ".volatile");
    const int space = take_space(&rest);
    ptx_span_takes(&rest, ".nc");
    const int elements = ptx_span_takes(&rest, ".v2") ? 2 : ptx_span_takes(&rest, ".v4") ? 4 : 1;
    if (!take_type(&rest, instruction) || rest.length != 0 || count != 2 ||
        (!is_load && (space == PARAM || space == CONST))) {
        return 0;
    }
    instruction->execute = is_load ? load : store;
    instruction->variant = (uint8_t)space;
    instruction->written_count = is_load ? (uint8_t)elements : 0;
    /* A number that is stored has the size of its element. */
    const uint32_t bytes = ptx_register_bytes(reader, operands[!is_load]);
    instruction->register_bytes = bytes != 0 ? (uint8_t)bytes : instruction->bytes == 8 ? 8 : 4;
    if (instruction->register_bytes < instruction->bytes) {
        ptx_read_fail(reader, "a register is narrower than its element");
    }
    uint32_t places[4];
    int found = 0;
    ptx_operand_list(reader, operands[!is_load], instruction->register_bytes, places, &found, 4);
    if (found != elements) {
        ptx_read_fail(reader, "an instruction for %d elements has %d", elements, found);
    }
    (is_load ? ptx_keep_list : ptx_keep_registers)(reader, instruction, places, found);
    /* Shared addresses may have 4 bytes as well as 8. */
    const ptx_span address = operands[is_load];
    instruction->address_bytes = (uint8_t)ptx_address_bytes(reader, address);
    ptx_operand_address(reader, address, instruction->address_bytes, &instruction->a,
                        &instruction->immediate);
    return 1;
}
