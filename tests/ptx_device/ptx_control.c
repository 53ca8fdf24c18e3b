/* Branches, exits and barriers.
 *
 * Of lanes that branched apart those at the lowest address go on first, and lanes that come to the
 * same address are together again. Before an instruction for the whole warp lanes wait until all
 * are there: compilers lay out code as they like, but let lanes meet before it. */
#include "ptx_cluster.h"
#include "ptx_families.h"
#include "ptx_run.h"

#include <string.h>

enum { WHOLE_GROUP = 0 };

/* The lowest address of some lanes. */
static int lowest_of(const ptx_warp *warp, uint32_t lanes)
{
    int lowest = INT32_MAX;
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (lanes >> lane & 1 && warp->lane_pc[lane] < lowest) {
            lowest = warp->lane_pc[lane];
        }
    }
    return lowest;
}

/* Chooses the lanes that go on. Where all wait it is those at the lowest address, which then find
 * out whether they are all. */
static void choose_lanes(ptx_warp *warp)
{
    const uint32_t free_lanes = warp->live & ~warp->parked;
    const int lowest = lowest_of(warp, free_lanes != 0 ? free_lanes : warp->live);
    warp->pc = lowest;
    warp->active = 0;
    warp->join = INT32_MAX;
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (!(warp->live >> lane & 1)) {
            continue;
        }
        if (warp->lane_pc[lane] == lowest) {
            warp->active |= 1u << lane;
        } else if (warp->lane_pc[lane] > lowest && warp->lane_pc[lane] < warp->join) {
            warp->join = warp->lane_pc[lane];
        }
    }
    warp->parked &= ~warp->active;
}

static void keep_lanes(ptx_warp *warp, uint32_t lanes, int pc)
{
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (lanes >> lane & 1) {
            warp->lane_pc[lane] = pc;
        }
    }
}

void ptx_meet_lanes(ptx_warp *warp)
{
    keep_lanes(warp, warp->active, warp->pc);
    choose_lanes(warp);
}

int ptx_park_lanes(ptx_warp *warp)
{
    const uint32_t others = warp->live & ~warp->active & ~warp->parked;
    if (warp->active == warp->live || others == 0) {
        return 0;
    }
    warp->parked |= warp->active;
    keep_lanes(warp, warp->active, warp->pc);
    choose_lanes(warp);
    return 1;
}

int ptx_await_lanes(ptx_warp *warp)
{
    if (ptx_park_lanes(warp)) {
        return 1;
    }
    const uint32_t asking = warp->asking & warp->live & ~warp->active;
    warp->asking = 0;
    if (asking == 0) {
        return 0;
    }
    warp->parked &= ~asking;
    warp->is_yielding = 1;
    return ptx_park_lanes(warp);
}

uint32_t ptx_guarded_lanes(const ptx_warp *warp, const ptx_instruction *instruction)
{
    if (instruction->guard == PTX_NONE) {
        return warp->active;
    }
    const uint32_t *predicate = ptx_words(warp, instruction->guard);
    uint32_t lanes = 0;
    for (int lane = 0; lane < PTX_LANES; lane++) {
        lanes |= (uint32_t)((predicate[lane] != 0) != instruction->guard_is_negated) << lane;
    }
    return lanes & warp->active;
}

static void branch(ptx_warp *warp, const ptx_instruction *instruction)
{
    const uint32_t taken = ptx_guarded_lanes(warp, instruction);
    if (taken == 0) {
        return;
    }
    if (taken == warp->active && warp->active == warp->live) {
        warp->pc = instruction->target;
        return;
    }
    keep_lanes(warp, warp->active, warp->pc);
    keep_lanes(warp, taken, instruction->target);
    choose_lanes(warp);
}

static void leave(ptx_warp *warp, const ptx_instruction *instruction)
{
    const uint32_t lanes = ptx_guarded_lanes(warp, instruction);
    warp->live &= ~lanes;
    keep_lanes(warp, warp->active & ~lanes, warp->pc);
    if (warp->live != 0) {
        choose_lanes(warp);
        return;
    }
    warp->state = PTX_LEFT;
    if (warp->multiplications.count > 0) {
        ptx_fail(warp, instruction, "the warp leaves with wgmma that were not waited for");
    }
    ptx_check_warpgroup(warp, instruction);
    ptx_leave_cluster(warp, instruction);
}

/* All warps that have arrived go on, knowing of each other what came before. */
static void open_barrier(ptx_group *group, ptx_barrier *barrier)
{
    ptx_clock *together = NULL; /* the first one's */
    for (int i = 0; i < group->warp_count; i++) {
        if (barrier->arrived >> i & 1) {
            if (together == NULL) {
                together = &group->warps[i].clock;
            } else {
                ptx_clock_join(together, &group->warps[i].clock, group->agents);
            }
        }
    }
    for (int i = 0; i < group->warp_count; i++) {
        if (barrier->arrived >> i & 1 && together != &group->warps[i].clock) {
            ptx_clock_join(&group->warps[i].clock, together, group->agents);
        }
    }
    for (int i = 0; i < group->warp_count; i++) {
        ptx_warp *warp = &group->warps[i];
        if (barrier->arrived >> i & 1) {
            warp->clock.of[warp->agent]++;
            warp->state = PTX_RUNS;
        }
    }
    barrier->arrived = 0;
}

static void meet_at_barrier(ptx_warp *warp, const ptx_instruction *instruction)
{
    ptx_group *group = warp->group;
    ptx_barrier *barrier = &group->barriers[instruction->immediate];
    const uint32_t items =
        instruction->target == WHOLE_GROUP ? group->items : (uint32_t)instruction->target;
    if (warp->active != warp->exists) {
        ptx_fail(warp, instruction, "a barrier that not all lanes of the warp reach");
        return;
    }
    if (barrier->arrived != 0 && barrier->items != items) {
        ptx_fail(warp, instruction, "warps at one barrier wait for different numbers of items");
        return;
    }
    barrier->items = items;
    barrier->arrived |= 1u << warp->number;
    warp->state = PTX_WAITS;
    uint32_t arrived = 0;
    for (int i = 0; i < group->warp_count; i++) {
        arrived +=
            barrier->arrived >> i & 1 ? (uint32_t)__builtin_popcount(group->warps[i].exists) : 0;
    }
    if (arrived >= items) {
        open_barrier(group, barrier);
    }
}

static void meet_in_warp(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (warp->active != warp->exists) {
        ptx_fail(warp, instruction, "bar.warp.sync that not all lanes of the warp reach");
        return;
    }
    warp->clock.of[warp->agent]++;
}

int ptx_is_control(const ptx_instruction *instruction)
{
    return instruction->execute == branch || instruction->execute == leave;
}

static void decode_branch(ptx_reader *reader, const ptx_span *operands, int count,
                          ptx_instruction *instruction)
{
    if (count != 1) {
        ptx_read_fail(reader, "a branch to nowhere");
        return;
    }
    ptx_add_branch(reader, operands[0], instruction);
    instruction->execute = branch;
}

int ptx_decode_control(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                       ptx_instruction *instruction)
{
    if (ptx_span_is(name, "bra") || ptx_span_is(name, "bra.uni")) {
        decode_branch(reader, operands, count, instruction);
    } else if (ptx_span_is(name, "ret") || ptx_span_is(name, "exit")) {
        instruction->execute = leave;
    } else if (ptx_span_is(name, "bar.warp.sync")) {
        if (count != 1 || (uint32_t)ptx_operand_number(reader, operands[0]) != UINT32_MAX) {
            ptx_read_fail(reader, "bar.warp.sync of some lanes isn't known");
        }
        instruction->execute = meet_in_warp;
        instruction->is_together = 1;
    } else if (ptx_span_is(name, "bar.sync") || ptx_span_is(name, "barrier.sync") ||
               ptx_span_is(name, "barrier.sync.aligned")) {
        instruction->immediate = count >= 1 ? ptx_operand_number(reader, operands[0]) : -1;
        const int64_t items = count == 2 ? ptx_operand_number(reader, operands[1]) : WHOLE_GROUP;
        if (instruction->immediate < 0 || instruction->immediate >= PTX_MOST_BARRIERS ||
            items < 0 || items > PTX_MOST_WARPS * PTX_LANES || items % PTX_LANES != 0) {
            ptx_read_fail(reader, "there is no such barrier");
        }
        instruction->target = (int32_t)items;
        instruction->execute = meet_at_barrier;
        instruction->is_together = 1;
    } else {
        return 0;
    }
    return 1;
}
