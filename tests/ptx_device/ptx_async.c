/* Asynchronous copies, to the own group's memory or to that of others in the cluster, and fences
 * between the proxies.
 *
 * A copy is made when it is asked for. That it might as well be made later is what is checked:
 * until it was waited for nobody may use what it writes. */
#include "ptx_bulk.h"
#include "ptx_cluster.h"
#include "ptx_families.h"
#include "ptx_mbarrier.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = PTX_CHUNK_BYTES };

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
    const uint64_t source = ptx_value(warp, instruction->list[1], 8, lane);
    const uint32_t bytes = ptx_words(warp, instruction->list[2])[lane];
    const int64_t offset = ptx_shared(
        warp, instruction, ptx_value(warp, instruction->list[0], instruction->address_bytes, lane),
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
        written->at = warp->clock.of[warp->agent];
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

/* Writes of the lanes that execute this become visible to the asynchronous proxy, for those who
 * learn of it. */
static void fence_proxies(ptx_warp *warp, const ptx_instruction *instruction)
{
    (void)instruction;
    size_t kept = 0;
    for (size_t i = 0; i < warp->unfenced_count; i++) {
        ptx_written *written = &warp->group->shadow.written[warp->unfenced[i]];
        if (written->agent != warp->agent || written->is_async) {
            continue;
        }
        if (written->is_pending || !(warp->active >> written->lane & 1)) {
            warp->unfenced[kept++] = warp->unfenced[i];
        } else if (written->fenced == 0) {
            written->fenced = warp->clock.of[warp->agent];
        }
    }
    warp->unfenced_count = kept;
    ptx_fence_mbarriers(warp, 0);
}

/* fence.mbarrier_init makes no write visible, but that of mbarriers. */
static void fence_mbarriers(ptx_warp *warp, const ptx_instruction *instruction)
{
    (void)instruction;
    ptx_fence_mbarriers(warp, 1);
}

/* The words of a bulk copy belong to its mbarrier: who has waited for that knows of them. */
static int use_bulk(ptx_warp *warp, const ptx_instruction *instruction, ptx_group *group,
                    ptx_mbarrier *mbarrier, int64_t offset, uint32_t bytes)
{
    const ptx_user user = {.clock = &warp->clock,
                           .agent = (uint16_t)warp->agent,
                           .lane = PTX_MANY_LANES,
                           .is_async = 1};
    const uint32_t number = ptx_begin_copy(mbarrier);
    for (size_t word = (size_t)offset / PTX_WORD_BYTES;
         word < ((size_t)offset + bytes) / PTX_WORD_BYTES; word++) {
        const char *wrong = ptx_shadow_write(&group->shadow, word, &user);
        if (wrong != NULL && group == warp->group) {
            ptx_fail(warp, instruction, "shared memory at 0x%zx %s",
                     PTX_SHARED_BASE + word * PTX_WORD_BYTES, wrong);
        } else if (wrong != NULL) {
            ptx_fail(warp, instruction, "shared memory at 0x%zx of group %d of the cluster %s",
                     PTX_SHARED_BASE + word * PTX_WORD_BYTES, group->rank, wrong);
        }
        if (wrong != NULL) {
            return 0;
        }
        group->shadow.written[word].agent = (uint16_t)mbarrier->agent;
        group->shadow.written[word].at = number;
    }
    ptx_touch_group(group, mbarrier->agent, number);
    return 1;
}

/* The content comes to where its swizzled chunks belong; `to` has the target's alignment. */
static void put_chunks(unsigned char *to, const ptx_bulk *copy)
{
    const uint32_t changed = (1u << copy->swizzled_bits) - 1;
    for (uint32_t at = 0; at < copy->bytes; at += CHUNK) {
        const uint32_t swizzled = at ^ ((at >> 7 & changed) << 4);
        memcpy(to + swizzled, copy->content + at, CHUNK);
    }
}

/* Addresses are those that the group itself has. */
static void copy_to_group(ptx_warp *warp, const ptx_instruction *instruction, const ptx_bulk *copy,
                          ptx_group *group)
{
    ptx_mbarrier *mbarrier = ptx_find_mbarrier(warp, instruction, group, copy->mbarrier);
    if (mbarrier == NULL) {
        return;
    }
    if (!ptx_is_mbarrier_fenced(warp, mbarrier)) {
        ptx_fail(warp, instruction, "an mbarrier whose initialisation wasn't fenced");
        return;
    }
    const int64_t offset =
        ptx_shared(warp, instruction, copy->target, copy->bytes, copy->alignment);
    if (offset < 0 || !use_bulk(warp, instruction, group, mbarrier, offset, copy->bytes)) {
        return;
    }
    put_chunks(group->shared + offset, copy);
    ptx_complete_copy(mbarrier, copy->bytes);
}

static void copy_to_groups(ptx_warp *warp, const ptx_instruction *instruction, const ptx_bulk *copy)
{
    ptx_cluster *cluster = warp->group->cluster;
    const uint32_t mask = copy->groups;
    if (mask == 0 || mask >> cluster->group_count != 0) {
        ptx_fail(warp, instruction, "a copy to the groups 0x%x of a cluster of %d", mask,
                 cluster->group_count);
        return;
    }
    for (int rank = 0; rank < cluster->group_count && !warp->group->failed; rank++) {
        ptx_group *group = &cluster->groups[rank];
        if (mask >> rank & 1 && ptx_may_reach(warp, instruction, group)) {
            copy_to_group(warp, instruction, copy, group);
        }
    }
}

void ptx_copy_bulk(ptx_warp *warp, const ptx_instruction *instruction, ptx_bulk *copy)
{
    ptx_group *group = ptx_group_at(warp, instruction, &copy->target);
    const ptx_group *of_mbarrier =
        group != NULL ? ptx_group_at(warp, instruction, &copy->mbarrier) : NULL;
    if (of_mbarrier == NULL) {
        return;
    }
    if (group != of_mbarrier) {
        ptx_fail(warp, instruction, "a copy to group %d that completes on an mbarrier of group %d",
                 group->rank, of_mbarrier->rank);
    } else if (copy->has_groups) {
        copy_to_groups(warp, instruction, copy);
    } else {
        copy_to_group(warp, instruction, copy, group);
    }
}

/* cp.async.bulk [target], [source], bytes, [mbarrier][, groups]: the list in this order. */
static void copy_bulk(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint32_t *places = instruction->list;
    ptx_bulk copy = {.target = ptx_value(warp, places[0], instruction->address_bytes, lane),
                     .mbarrier = ptx_value(warp, places[3], instruction->variant, lane),
                     .bytes = ptx_words(warp, places[2])[lane],
                     .alignment = CHUNK,
                     .has_groups = instruction->list_count > 4};
    if (copy.bytes == 0 || copy.bytes % CHUNK != 0) {
        ptx_fail(warp, instruction, "%u bytes aren't chunks of %d", copy.bytes, CHUNK);
        return;
    }
    if (copy.has_groups) {
        copy.groups = ptx_words(warp, places[4])[lane] & 0xffffu;
    }
    copy.content =
        ptx_global(warp, instruction, ptx_value(warp, places[1], 8, lane), copy.bytes, CHUNK, 0);
    if (copy.content != NULL) {
        ptx_copy_bulk(warp, instruction, &copy);
    }
}

FOR_EACH_LANE(copy_bulks, copy_bulk)

static void decode_copy(ptx_reader *reader, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    if (count < 3 || count > 4 || ptx_operand_number(reader, operands[2]) != CHUNK) {
        ptx_read_fail(reader, "cp.async of other than 16 bytes isn't known");
        return;
    }
    uint8_t global_bytes;
    uint32_t places[3];
    places[0] = ptx_operand_register_address(reader, operands[0], &instruction->address_bytes);
    places[1] = ptx_operand_register_address(reader, operands[1], &global_bytes);
    /* Without a size of the source all is copied. */
    places[2] = ptx_operand_place(reader, operands[count - 1], 4);
    ptx_keep_list(reader, instruction, places, 3);
    instruction->execute = copy_chunks;
}

static void decode_bulk(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    const int is_multicast = ptx_span_find(name, ".multicast") != NULL;
    if (count != 4 + is_multicast) {
        ptx_read_fail(reader, "cp.async.bulk with %d operands", count);
        return;
    }
    uint8_t global_bytes;
    uint32_t places[5];
    places[0] = ptx_operand_register_address(reader, operands[0], &instruction->address_bytes);
    places[1] = ptx_operand_register_address(reader, operands[1], &global_bytes);
    places[2] = ptx_operand_place(reader, operands[2], 4);
    places[3] = ptx_operand_register_address(reader, operands[3], &instruction->variant);
    if (is_multicast) {
        places[4] = ptx_operand_place(reader, operands[4], 4);
    }
    ptx_keep_list(reader, instruction, places, 4 + is_multicast);
    instruction->execute = copy_bulks;
    ptx_need_clusters(reader);
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
                           "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes") ||
               ptx_span_is(name, "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::"
                                 "bytes.multicast::cluster")) {
        decode_bulk(reader, name, operands, count, instruction);
    } else if (ptx_span_is(name, "fence.mbarrier_init.release.cluster")) {
        instruction->execute = fence_mbarriers;
        ptx_need_clusters(reader);
    } else if (ptx_span_is(name, "fence.proxy.async") ||
               ptx_span_is(name, "fence.proxy.async.shared::cta")) {
        instruction->execute = fence_proxies;
    } else {
        return 0;
    }
    return 1;
}
