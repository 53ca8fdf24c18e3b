/* mbarriers: arrivals, the group's own or those of others in its cluster, and waits for the end of
 * a phase.
 *
 * An arrival and a wait order what lies before and behind them if both have a scope that reaches
 * the other: within a group all do, between groups .cluster alone does. */
#include "ptx_mbarrier.h"
#include "ptx_cluster.h"
#include "ptx_families.h"

#include <inttypes.h>

enum { MBARRIER_BYTES = 8, MOST_ARRIVALS = (1 << 20) - 1 };

/* Bits of an instruction's variant. */
enum { EXPECTS = 1, IS_CLUSTER_SCOPE = 2, IS_CLUSTER_SPACE = 4 };

static uint64_t address_of(const ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    const uint64_t address = instruction->address_bytes == 4
                                 ? ptx_words(warp, instruction->a)[lane]
                                 : ptx_longs(warp, instruction->a)[lane];
    return address + (uint64_t)instruction->immediate;
}

static void start_mbarrier(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_group *group = warp->group;
    const uint64_t address = address_of(warp, instruction, lane);
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
    const int warps = group->cluster->group_count * group->warp_count;
    const int agent = warps + group->rank * PTX_MOST_MBARRIERS + group->mbarrier_count;
    group->mbarriers[group->mbarrier_count++] = (ptx_mbarrier){.address = (uint32_t)address,
                                                               .arrivals = arrivals,
                                                               .awaited = arrivals,
                                                               .agent = agent,
                                                               .copied = 1,
                                                               .maker = warp->agent,
                                                               .made = warp->clock.of[warp->agent]};
}

int ptx_is_mbarrier_fenced(const ptx_warp *warp, const ptx_mbarrier *mbarrier)
{
    return warp->clock.of[mbarrier->agent] != 0;
}

ptx_mbarrier *ptx_find_mbarrier(ptx_warp *warp, const ptx_instruction *instruction,
                                ptx_group *group, uint64_t address)
{
    for (int i = 0; i < group->mbarrier_count; i++) {
        ptx_mbarrier *mbarrier = &group->mbarriers[i];
        if (mbarrier->address == address) {
            if (warp->clock.of[mbarrier->maker] < mbarrier->made &&
                !ptx_is_mbarrier_fenced(warp, mbarrier)) {
                ptx_fail(warp, instruction, "a race with the mbarrier's initialisation");
                return NULL;
            }
            return mbarrier;
        }
    }
    if (group == warp->group) {
        ptx_fail(warp, instruction, "there is no mbarrier at 0x%" PRIx64, address);
    } else {
        ptx_fail(warp, instruction, "there is no mbarrier at 0x%" PRIx64 " of group %d", address,
                 group->rank);
    }
    return NULL;
}

/* The one that the instruction's address names for a lane, and its group. */
static ptx_mbarrier *mbarrier_of(ptx_warp *warp, const ptx_instruction *instruction, int lane,
                                 ptx_group **group)
{
    uint64_t address = address_of(warp, instruction, lane);
    *group = warp->group;
    if (instruction->variant & IS_CLUSTER_SPACE) {
        *group = ptx_group_at(warp, instruction, &address);
    }
    return *group != NULL ? ptx_find_mbarrier(warp, instruction, *group, address) : NULL;
}

static void end_phase(ptx_mbarrier *mbarrier)
{
    if (mbarrier->awaited == 0 && mbarrier->bytes == 0) {
        mbarrier->parity ^= 1;
        mbarrier->awaited = mbarrier->arrivals;
        for (int scope = 0; scope < PTX_SCOPE_COUNT; scope++) {
            mbarrier->released[scope] = mbarrier->collected[scope];
        }
    }
}

uint32_t ptx_begin_copy(ptx_mbarrier *mbarrier)
{
    return ++mbarrier->copied;
}

/* Whoever waits knows of a copy, by whatever scope: it has come. */
void ptx_complete_copy(ptx_mbarrier *mbarrier, uint32_t bytes)
{
    for (int scope = 0; scope < PTX_SCOPE_COUNT; scope++) {
        mbarrier->collected[scope].of[mbarrier->agent] = mbarrier->copied;
    }
    mbarrier->bytes -= bytes;
    end_phase(mbarrier);
}

void ptx_fence_mbarriers(ptx_warp *warp, int is_init_fence)
{
    for (int i = 0; i < warp->group->mbarrier_count; i++) {
        ptx_mbarrier *mbarrier = &warp->group->mbarriers[i];
        uint32_t *known = &warp->clock.of[mbarrier->agent];
        if (mbarrier->maker == warp->agent) {
            *known = *known != 0 ? *known : 1;
            mbarrier->is_init_fenced = mbarrier->is_init_fenced || is_init_fence;
        }
    }
}

/* mbarrier.arrive and mbarrier.arrive.expect_tx (b has the bytes). */
static void arrive(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_group *group;
    ptx_mbarrier *mbarrier = mbarrier_of(warp, instruction, lane, &group);
    if (mbarrier == NULL) {
        return;
    }
    if (mbarrier->awaited == 0) {
        ptx_fail(warp, instruction, "more arrivals than the mbarrier's phase has");
        return;
    }
    mbarrier->bytes += instruction->variant & EXPECTS ? ptx_words(warp, instruction->b)[lane] : 0;
    mbarrier->awaited--;
    if (group == warp->group) {
        ptx_clock_join(&mbarrier->collected[PTX_SCOPE_GROUP], &warp->clock, group->agents);
    } else {
        ptx_touch_group(group, warp->agent, warp->clock.of[warp->agent]);
    }
    if (group == warp->group || instruction->variant & IS_CLUSTER_SCOPE) {
        ptx_clock_join(&mbarrier->collected[PTX_SCOPE_CLUSTER], &warp->clock, group->agents);
    }
    warp->clock.of[warp->agent]++;
    end_phase(mbarrier);
}

/* mbarrier.try_wait.parity: whether the phase of this parity has ended, the one before the first
 * counting as odd. */
static void test_phase(ptx_warp *warp, const ptx_instruction *instruction, int lane)
{
    ptx_group *group;
    ptx_mbarrier *mbarrier = mbarrier_of(warp, instruction, lane, &group);
    if (mbarrier == NULL) {
        return;
    }
    const uint32_t ended = mbarrier->parity != (ptx_words(warp, instruction->b)[lane] & 1);
    ptx_words(warp, instruction->d)[lane] = ended;
    if (ended) {
        const int scope =
            instruction->variant & IS_CLUSTER_SCOPE ? PTX_SCOPE_CLUSTER : PTX_SCOPE_GROUP;
        ptx_clock_join(&warp->clock, &mbarrier->released[scope], group->agents);
    } else {
        warp->is_yielding = 1;
    }
}

FOR_EACH_LANE(start_mbarriers, start_mbarrier)
FOR_EACH_LANE(arrive_all, arrive)
FOR_EACH_LANE(test_phases, test_phase)

/* The rest of a name, [.order.scope].space.b64, as bits of the variant; −1 where it isn't known. */
static int read_suffix(ptx_span rest, const char *order, int may_be_remote)
{
    int bits = 0;
    if (order != NULL && ptx_span_takes(&rest, order)) {
        if (ptx_span_takes(&rest, ".cluster")) {
            bits |= IS_CLUSTER_SCOPE;
        } else if (!ptx_span_takes(&rest, ".cta")) {
            return -1;
        }
    }
    if (may_be_remote && ptx_span_takes(&rest, ".shared::cluster")) {
        bits |= IS_CLUSTER_SPACE;
    } else if (!ptx_span_takes(&rest, ".shared") && !ptx_span_takes(&rest, ".shared::cta")) {
        return -1;
    }
    return ptx_span_is(rest, ".b64") ? bits : -1;
}

/* What a name begins with, and what its execute function is. */
static const struct {
    const char *begin;
    const char *order;
    int operand_count;
    int bits;
    ptx_execute execute;
} names[] = {
    {"mbarrier.init", NULL, 2, 0, start_mbarriers},
    {"mbarrier.arrive.expect_tx", ".release", 3, EXPECTS, arrive_all},
    {"mbarrier.arrive", ".release", 2, 0, arrive_all},
    {"mbarrier.try_wait.parity", ".acquire", 3, 0, test_phases},
    {"mbarrier.test_wait.parity", ".acquire", 3, 0, test_phases},
};

static void read_operands(ptx_reader *reader, const ptx_span *operands, int count,
                          ptx_instruction *instruction)
{
    const int is_init = instruction->execute == start_mbarriers;
    const int is_test = instruction->execute == test_phases;
    if (!is_init && !is_test && !ptx_span_is(operands[0], "_")) {
        ptx_read_fail(reader, "an mbarrier's state isn't known");
        return;
    }
    const ptx_span address = operands[!is_init];
    instruction->address_bytes = (uint8_t)ptx_address_bytes(reader, address);
    ptx_operand_address(reader, address, instruction->address_bytes, &instruction->a,
                        &instruction->immediate);
    if (instruction->a == PTX_NONE) {
        ptx_read_fail(reader, "an mbarrier that isn't named by a register isn't known");
    }
    if (is_init || count == 3) {
        instruction->b = ptx_operand_place(reader, operands[count - 1], 4);
    }
    if (is_test) {
        instruction->d = ptx_operand_place(reader, operands[0], 4);
    }
}

int ptx_decode_mbarrier(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                        ptx_instruction *instruction)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ptx_span rest = name;
        if (!ptx_span_takes(&rest, names[i].begin)) {
            continue;
        }
        const int bits = read_suffix(rest, names[i].order, names[i].execute == arrive_all);
        if (bits < 0) {
            return 0;
        }
        if (bits != 0) {
            ptx_need_clusters(reader);
        }
        if (count != names[i].operand_count) {
            ptx_read_fail(reader, "this form of %.*s isn't known", (int)name.length, name.begin);
            return 1;
        }
        instruction->variant = (uint8_t)(names[i].bits | bits);
        instruction->execute = names[i].execute;
        read_operands(reader, operands, count, instruction);
        return 1;
    }
    return 0;
}
