/* Asynchronous copies, the mbarriers that tell of them, and fences between the proxies.
 *
 * A copy is made when it is asked for. That it might as well be made later is what is checked:
 * until it was waited for nobody may use what it writes. */
#include "ptx_families.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16, MBARRIER_BYTES = 8, MOST_ARRIVALS = (1 << 20) - 1 };

static uint64_t value_of(const ptx_warp *warp, uint32_t place, uint32_t bytes, int lane)
{
    return bytes == 4 ? ptx_words(warp, place)[lane] : ptx_longs(warp, place)[lane];
}

void ptx_add_pending(ptx_warp *warp, const ptx_instruction *instruction, ptx_pending_list *list,
                     size_t word, int lane)
{
    if (list->count == list->room) {
        const size_t room = list->room == 0 ? 1024 : 2 * list->room;
        ptx_pending *grown = realloc(list->items, room * sizeof *grown);
        if (grown == NULL) {
            ptx_fail(warp, instruction, "out of memory");
            return;
        }
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] =
        (ptx_pending){.word = (uint32_t)word, .set = list->set, .lane = (uint8_t)lane};
}

/* One lane's cp.async: 16 bytes, of which some are read and the others are 0. */
static void copy_chunk(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t source = value_of(warp, instruction->list[1], 8, lane);
    const uint32_t bytes = ptx_words(warp, instruction->list[2])[lane];
    const int64_t offset = ptx_shared(
        warp, instruction, value_of(warp, instruction->list[0], instruction->address_bytes, lane),
        CHUNK, CHUNK);
    if (offset < 0 || !ptx_use_shared(warp, instruction, offset, CHUNK, lane, 1)) {
        return;
    }
    if (bytes > CHUNK) {
        ptx_fail(warp, instruction, "%u bytes of 16", bytes);
        return;
    }
    const unsigned char *from =
        bytes == 0 ? NULL : ptx_global(warp, instruction, source, bytes, CHUNK, 0);
    if (from == NULL && bytes != 0) {
        return;
    }
    unsigned char *to = warp->group->shared + offset;
    memset(to, 0, CHUNK);
    if (bytes != 0) {
        memcpy(to, from, bytes);
    }
    for (size_t i = 0; i < CHUNK / PTX_WORD_BYTES; i++) {
        const size_t word = (size_t)offset / PTX_WORD_BYTES + i;
        warp->group->shadow.written[word].is_pending = 1;
        ptx_add_pending(warp, instruction, &warp->copies, word, lane);
    }
}

static void copy_chunks(ptx_warp *warp, const ptx_instruction *instruction)
{
    for (int lane = 0; lane < PTX_LANES && !warp->group->failed; lane++) {
        if (warp->active >> lane & 1) {
            copy_chunk(warp, instruction, lane);
        }
    }
}

static void commit_copies(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (warp->active != warp->live) {
        ptx_fail(warp, instruction, "sets of copies that differ from lane to lane aren't known");
    }
    warp->copies.set++;
}

/* The copies of sets older than the last `left` ones become the warp's writes. */
static void end_copies(ptx_warp *warp, uint32_t left)
{
    ptx_pending_list *list = &warp->copies;
    size_t ended = 0;
    for (; ended < list->count && list->items[ended].set + left < list->set; ended++) {
        ptx_written *written = &warp->group->shadow.written[list->items[ended].word];
        written->is_pending = 0;
        written->at = warp->clock.of[warp->number];
        written->lane = list->items[ended].lane;
    }
    if (ended > 0) {
        list->count -= ended;
        memmove(list->items, list->items + ended, list->count * sizeof *list->items);
    }
}

static void wait_for_copies(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (warp->active != warp->live) {
        ptx_fail(warp, instruction, "copies that only some lanes wait for aren't known");
    }
    end_copies(warp, (uint32_t)instruction->immediate);
}

static void fence_mbarriers_of(ptx_warp *warp)
{
    for (int i = 0; i < warp->group->mbarrier_count; i++) {
        ptx_mbarrier *mbarrier = &warp->group->mbarriers[i];
        mbarrier->is_fenced = mbarrier->is_fenced || mbarrier->maker == warp->number;
    }
}

/* Writes of the lanes that execute this become visible to the asynchronous proxy, for those who
 * learn of it. */
static void fence_proxies(ptx_warp *warp, const ptx_instruction *instruction)
{
    (void)instruction;
    size_t kept = 0;
    for (size_t i = 0; i < warp->unfenced_count; i++) {
        ptx_written *written = &warp->group->shadow.written[warp->unfenced[i]];
        if (written->agent != warp->number || written->is_async) {
            continue;
        }
        if (written->is_pending || !(warp->active >> written->lane & 1)) {
            warp->unfenced[kept++] = warp->unfenced[i];
        } else if (written->fenced == 0) {
            written->fenced = warp->clock.of[warp->number];
        }
    }
    warp->unfenced_count = kept;
    fence_mbarriers_of(warp);
}

/* fence.mbarrier_init makes no write visible, but that of mbarriers. */
static void fence_mbarriers(ptx_warp *warp, const ptx_instruction *instruction)
{
    (void)instruction;
    fence_mbarriers_of(warp);
}

static void start_mbarrier(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_group *group = warp->group;
    const uint64_t address = value_of(warp, instruction->a, instruction->address_bytes, lane) +
                             (uint64_t)instruction->immediate;
    const uint32_t arrivals = ptx_words(warp, instruction->b)[lane];
    if (ptx_shared(warp, instruction, address, MBARRIER_BYTES, MBARRIER_BYTES) < 0) {
        return;
    }
    if (arrivals == 0 || arrivals > MOST_ARRIVALS || group->mbarrier_count == PTX_MOST_MBARRIERS) {
        ptx_fail(warp, instruction, "an mbarrier for %u arrivals, or more than %d mbarriers",
                 arrivals, PTX_MOST_MBARRIERS);
        return;
    }
    for (int i = 0; i < group->mbarrier_count; i++) {
        if (group->mbarriers[i].address == address) {
            ptx_fail(warp, instruction, "this mbarrier was initialised before");
            return;
        }
    }
    const uint32_t agent = PTX_MOST_WARPS + (uint32_t)group->mbarrier_count;
    group->mbarriers[group->mbarrier_count++] =
        (ptx_mbarrier){.address = (uint32_t)address,
                       .arrivals = arrivals,
                       .awaited = arrivals,
                       .agent = agent,
                       .maker = warp->number,
                       .made = warp->clock.of[warp->number]};
}

/* The mbarrier at an address, of whose initialisation the warp knows; NULL, having failed,
 * otherwise. */
static ptx_mbarrier *find_mbarrier(ptx_warp *warp, const ptx_instruction *instruction,
                                   uint64_t address)
{
    for (int i = 0; i < warp->group->mbarrier_count; i++) {
        ptx_mbarrier *mbarrier = &warp->group->mbarriers[i];
        if (mbarrier->address == address) {
            if (warp->clock.of[mbarrier->maker] < mbarrier->made) {
                ptx_fail(warp, instruction, "a race with the mbarrier's initialisation");
                return NULL;
            }
            return mbarrier;
        }
    }
    ptx_fail(warp, instruction, "there is no mbarrier at 0x%" PRIx64, address);
    return NULL;
}

/* The one that the instruction's address names for a lane. */
static ptx_mbarrier *mbarrier_of(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t address = value_of(warp, instruction->a, instruction->address_bytes, lane);
    return find_mbarrier(warp, instruction, address + (uint64_t)instruction->immediate);
}

static void end_phase(ptx_mbarrier *mbarrier)
{
    if (mbarrier->awaited == 0 && mbarrier->bytes == 0) {
        mbarrier->parity ^= 1;
        mbarrier->awaited = mbarrier->arrivals;
        mbarrier->released = mbarrier->collected;
    }
}

/* mbarrier.arrive and mbarrier.arrive.expect_tx (variant 1: b has the bytes). */
static void arrive(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_mbarrier *mbarrier = mbarrier_of(warp, instruction, lane);
    if (mbarrier == NULL) {
        return;
    }
    if (mbarrier->awaited == 0) {
        ptx_fail(warp, instruction, "more arrivals than the mbarrier's phase has");
        return;
    }
    mbarrier->bytes += instruction->variant ? ptx_words(warp, instruction->b)[lane] : 0;
    mbarrier->awaited--;
    ptx_clock_join(&mbarrier->collected, &warp->clock);
    warp->clock.of[warp->number]++;
    end_phase(mbarrier);
}

/* mbarrier.try_wait.parity: whether the phase of this parity has ended, the one before the first
 * counting as odd. */
static void test_phase(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_mbarrier *mbarrier = mbarrier_of(warp, instruction, lane);
    if (mbarrier == NULL) {
        return;
    }
    const uint32_t ended = mbarrier->parity != (ptx_words(warp, instruction->b)[lane] & 1);
    ptx_words(warp, instruction->d)[lane] = ended;
    if (ended) {
        ptx_clock_join(&warp->clock, &mbarrier->released);
    } else {
        warp->is_yielding = 1;
    }
}

/* The words of a bulk copy belong to its mbarrier: who has waited for that knows of them. */
static int use_bulk(ptx_warp *warp, const ptx_instruction *instruction, ptx_mbarrier *mbarrier,
                    int64_t offset, uint32_t bytes)
{
    const ptx_user user = {.clock = &warp->clock,
                           .warp = (uint8_t)warp->number,
                           .lane = PTX_MANY_LANES,
                           .is_async = 1};
    mbarrier->collected.of[mbarrier->agent]++;
    for (size_t word = (size_t)offset / PTX_WORD_BYTES;
         word < ((size_t)offset + bytes) / PTX_WORD_BYTES; word++) {
        const char *wrong = ptx_shadow_write(&warp->group->shadow, word, &user);
        if (wrong != NULL) {
            ptx_fail(warp, instruction, "shared memory at 0x%zx %s",
                     PTX_SHARED_BASE + word * PTX_WORD_BYTES, wrong);
            return 0;
        }
        warp->group->shadow.written[word].agent = (uint8_t)mbarrier->agent;
        warp->group->shadow.written[word].at = mbarrier->collected.of[mbarrier->agent];
    }
    return 1;
}

/* cp.async.bulk [target], [source], bytes, [mbarrier]: the list in this order. */
static void copy_bulk(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t target = value_of(warp, instruction->list[0], instruction->address_bytes, lane);
    const uint64_t source = value_of(warp, instruction->list[1], 8, lane);
    const uint32_t bytes = ptx_words(warp, instruction->list[2])[lane];
    ptx_mbarrier *mbarrier = find_mbarrier(
        warp, instruction, value_of(warp, instruction->list[3], instruction->variant, lane));
    if (mbarrier == NULL) {
        return;
    }
    if (bytes == 0 || bytes % CHUNK != 0 || !mbarrier->is_fenced) {
        ptx_fail(warp, instruction, "%u bytes, or an mbarrier whose initialisation wasn't fenced",
                 bytes);
        return;
    }
    const int64_t offset = ptx_shared(warp, instruction, target, bytes, CHUNK);
    const unsigned char *from =
        offset < 0 ? NULL : ptx_global(warp, instruction, source, bytes, CHUNK, 0);
    if (from == NULL || !use_bulk(warp, instruction, mbarrier, offset, bytes)) {
        return;
    }
    memcpy(warp->group->shared + offset, from, bytes);
    mbarrier->bytes -= bytes;
    end_phase(mbarrier);
}

#define FOR_EACH_LANE(name, one)                                               \
    static void name(ptx_warp *warp, const ptx_instruction *instruction)       \
    {                                                                          \
        for (int lane = 0; lane < PTX_LANES && !warp->group->failed; lane++) { \
            if (warp->active >> lane & 1) {                                    \
                one(warp, instruction, lane);                                  \
            }                                                                  \
        }                                                                      \
    }
FOR_EACH_LANE(start_mbarriers, start_mbarrier)
FOR_EACH_LANE(arrive_all, arrive)
FOR_EACH_LANE(test_phases, test_phase)
FOR_EACH_LANE(copy_bulks, copy_bulk)

/* [register], without a number added; `bytes` is its size. */
static uint32_t address_place(ptx_reader *reader, ptx_span operand, uint8_t *bytes)
{
    uint32_t place;
    int64_t added;
    *bytes = (uint8_t)ptx_address_bytes(reader, operand);
    ptx_operand_address(reader, operand, *bytes, &place, &added);
    if (place == PTX_NONE || added != 0) {
        ptx_read_fail(reader, "an address that isn't just a register isn't known here");
    }
    return place;
}

static void decode_copy(ptx_reader *reader, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    if (count < 3 || count > 4 || ptx_operand_number(reader, operands[2]) != CHUNK) {
        ptx_read_fail(reader, "cp.async of other than 16 bytes isn't known");
        return;
    }
    uint8_t global_bytes;
    uint32_t places[3];
    places[0] = address_place(reader, operands[0], &instruction->address_bytes);
    places[1] = address_place(reader, operands[1], &global_bytes);
    /* Without a size of the source all is copied. */
    places[2] = ptx_operand_place(reader, operands[count - 1], 4);
    ptx_keep_list(reader, instruction, places, 3);
    instruction->execute = copy_chunks;
}

static void decode_bulk(ptx_reader *reader, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    if (count != 4) {
        ptx_read_fail(reader, "cp.async.bulk with %d operands", count);
        return;
    }
    uint8_t global_bytes;
    uint32_t places[4];
    places[0] = address_place(reader, operands[0], &instruction->address_bytes);
    places[1] = address_place(reader, operands[1], &global_bytes);
    places[2] = ptx_operand_place(reader, operands[2], 4);
    places[3] = address_place(reader, operands[3], &instruction->variant);
    ptx_keep_list(reader, instruction, places, 4);
    instruction->execute = copy_bulks;
}

static void decode_mbarrier(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                            ptx_instruction *instruction)
{
    const int is_init = ptx_span_begins(name, "mbarrier.init");
    const int is_expect = ptx_span_begins(name, "mbarrier.arrive.expect_tx");
    const int is_test = ptx_span_begins(name, "mbarrier.t");
    const int expected = is_init ? 2 : is_expect || is_test ? 3 : 2;
    if (count != expected || (!is_init && !is_test && !ptx_span_is(operands[0], "_"))) {
        ptx_read_fail(reader, "this form of %.*s isn't known", (int)name.length, name.begin);
        return;
    }
    const ptx_span address = operands[!is_init];
    instruction->address_bytes = (uint8_t)ptx_address_bytes(reader, address);
    ptx_operand_address(reader, address, instruction->address_bytes, &instruction->a,
                        &instruction->immediate);
    if (instruction->a == PTX_NONE) {
        ptx_read_fail(reader, "an mbarrier that isn't named by a register isn't known");
    }
    if (is_init || is_expect || is_test) {
        instruction->b = ptx_operand_place(reader, operands[count - 1], 4);
    }
    if (is_test) {
        instruction->d = ptx_operand_place(reader, operands[0], 4);
    }
    instruction->variant = (uint8_t)is_expect;
    instruction->execute = is_init ? start_mbarriers : is_test ? test_phases : arrive_all;
}

int ptx_decode_async(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                     ptx_instruction *instruction)
{
    if (ptx_span_is(name, "cp.async.cg.shared.global")) {
        decode_copy(reader, operands, count, instruction);
    } else if (ptx_span_is(name, "cp.async.commit_group")) {
        instruction->execute = commit_copies;
        instruction->is_together = 1;
    } else if (ptx_span_is(name, "cp.async.wait_group") && count == 1) {
        instruction->immediate = ptx_operand_number(reader, operands[0]);
        instruction->execute = wait_for_copies;
        instruction->is_together = 1;
    } else if (ptx_span_is(name,
                           "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes")) {
        decode_bulk(reader, operands, count, instruction);
    } else if (ptx_span_is(name, "mbarrier.init.shared.b64") ||
               ptx_span_is(name, "mbarrier.arrive.shared.b64") ||
               ptx_span_is(name, "mbarrier.arrive.expect_tx.shared.b64") ||
               ptx_span_is(name, "mbarrier.try_wait.parity.shared.b64") ||
               ptx_span_is(name, "mbarrier.test_wait.parity.shared.b64")) {
        decode_mbarrier(reader, name, operands, count, instruction);
    } else if (ptx_span_is(name, "fence.mbarrier_init.release.cluster")) {
        instruction->execute = fence_mbarriers;
    } else if (ptx_span_is(name, "fence.proxy.async") ||
               ptx_span_is(name, "fence.proxy.async.shared::cta")) {
        instruction->execute = fence_proxies;
    } else {
        return 0;
    }
    return 1;
}
