/* Clusters: addresses of other groups' shared memory, the barrier of all items, and whether a group
 * is there when others use its memory.
 *
 * A group's own shared addresses are the same in all groups; those of another one have its rank and
 * 1 above them. A group has started for those who know of one of its warps, and may exit when one
 * of its warps knows of all that others do to its memory: both are found by clocks, whatever group
 * happens to run first. */
#include "ptx_cluster.h"
#include "ptx_families.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { RANK_SHIFT = 24 };
#define OFFSET_MASK (((uint64_t)1 << RANK_SHIFT) - 1)

void ptx_kernel_cluster(const ptx_kernel *kernel, uint32_t groups[3])
{
    for (int i = 0; i < 3; i++) {
        groups[i] = kernel->required_cluster[0] != 0 ? kernel->required_cluster[i] : 1;
    }
}

int ptx_kernel_may_cluster(const ptx_kernel *kernel, const uint32_t groups[3], char *message,
                           size_t message_bytes)
{
    uint32_t shape[3];
    ptx_kernel_cluster(kernel, shape);
    if (kernel->is_explicit_cluster && kernel->required_cluster[0] == 0) {
        snprintf(message, message_bytes, "%s: .explicitcluster without .reqnctapercluster",
                 kernel->name);
        return 0;
    }
    uint64_t count = 1;
    for (int i = 0; i < 3; i++) {
        count = shape[i] > PTX_MOST_CLUSTER ? PTX_MOST_CLUSTER + 1 : count * shape[i];
    }
    if (count > PTX_MOST_CLUSTER) {
        snprintf(message, message_bytes, "%s: a cluster of %ux%ux%u groups is more than %d",
                 kernel->name, shape[0], shape[1], shape[2], PTX_MOST_CLUSTER);
        return 0;
    }
    for (int i = 0; i < 3; i++) {
        if (groups[i] % shape[i] != 0) {
            snprintf(message, message_bytes,
                     "%s: %ux%ux%u groups aren't clusters of %ux%ux%u groups", kernel->name,
                     groups[0], groups[1], groups[2], shape[0], shape[1], shape[2]);
            return 0;
        }
    }
    return 1;
}

void ptx_cluster_clear(ptx_cluster *cluster)
{
    const size_t bytes = (size_t)cluster->groups->agents * sizeof cluster->collected.of[0];
    cluster->phase = 0;
    memset(cluster->collected.of, 0, bytes);
    memset(cluster->released.of, 0, bytes);
}

/* ---- Other groups' memory ---- */

static int has_started(const ptx_warp *warp, const ptx_group *group)
{
    for (int i = 0; i < group->warp_count; i++) {
        if (warp->clock.of[group->first_agent + i] != 0) {
            return 1;
        }
    }
    return 0;
}

int ptx_may_reach(ptx_warp *warp, const ptx_instruction *instruction, const ptx_group *group)
{
    if (group == warp->group) {
        return 1;
    }
    if (!has_started(warp, group)) {
        ptx_fail(warp, instruction,
                 "group %d of the cluster may not have started: no barrier of the cluster before",
                 group->rank);
        return 0;
    }
    if (group->left_count == group->warp_count) {
        ptx_fail(warp, instruction, "group %d of the cluster has exited", group->rank);
        return 0;
    }
    return 1;
}

ptx_group *ptx_group_at(ptx_warp *warp, const ptx_instruction *instruction, uint64_t *address)
{
    const ptx_cluster *cluster = warp->group->cluster;
    const uint64_t rank = *address >> RANK_SHIFT;
    ptx_group *group = warp->group;
    if (rank > (uint64_t)cluster->group_count) {
        ptx_fail(warp, instruction, "0x%" PRIx64 " is in no group's shared memory", *address);
        return NULL;
    }
    if (rank != 0) {
        group = &cluster->groups[rank - 1];
        *address &= OFFSET_MASK;
    }
    return ptx_may_reach(warp, instruction, group) ? group : NULL;
}

void ptx_touch_group(ptx_group *group, int agent, uint32_t number)
{
    if (group->touched.of[agent] < number) {
        group->touched.of[agent] = number;
    }
}

/* mapa: `variant` is the bytes of the address. */
static void map_address(ptx_warp *warp, const ptx_instruction *instruction)
{
    for (int lane = 0; lane < PTX_LANES; lane++) {
        if (!(warp->active >> lane & 1)) {
            continue;
        }
        const uint32_t rank = ptx_words(warp, instruction->b)[lane];
        if (rank >= (uint32_t)warp->group->cluster->group_count) {
            ptx_fail(warp, instruction, "group %u of a cluster of %d", rank,
                     warp->group->cluster->group_count);
            return;
        }
        const int is_long = instruction->variant == 8;
        const uint64_t from =
            is_long ? ptx_longs(warp, instruction->a)[lane] : ptx_words(warp, instruction->a)[lane];
        /* The own group's addresses stay what they are. */
        const uint64_t above =
            rank == (uint32_t)warp->group->rank ? 0 : (uint64_t)(rank + 1) << RANK_SHIFT;
        const uint64_t mapped = (from & OFFSET_MASK) | above;
        if (is_long) {
            ptx_longs(warp, instruction->d)[lane] = mapped;
        } else {
            ptx_words(warp, instruction->d)[lane] = (uint32_t)mapped;
        }
    }
}

/* ---- The barrier ---- */

static void go_on(ptx_warp *warp)
{
    ptx_clock_join(&warp->clock, &warp->group->cluster->released, warp->group->agents);
    warp->has_arrived = 0;
    warp->waits_for_cluster = 0;
    warp->state = PTX_RUNS;
}

/* The phase ends when all that haven't left have arrived. */
static void end_phase(ptx_cluster *cluster)
{
    const int warp_count = cluster->groups->warp_count;
    for (int i = 0; i < cluster->group_count * warp_count; i++) {
        const ptx_warp *warp = &cluster->groups[i / warp_count].warps[i % warp_count];
        if (warp->state != PTX_LEFT &&
            !(warp->has_arrived && warp->arrived_phase == cluster->phase)) {
            return;
        }
    }
    cluster->phase++;
    ptx_clock_join(&cluster->released, &cluster->collected, cluster->groups->agents);
    for (int i = 0; i < cluster->group_count * warp_count; i++) {
        ptx_warp *warp = &cluster->groups[i / warp_count].warps[i % warp_count];
        if (warp->waits_for_cluster) {
            go_on(warp);
        }
    }
}

/* What a relaxed arrival says: the group has started, and mbarriers whose initialisation
 * fence.mbarrier_init has released are there. */
static void collect_relaxed(const ptx_warp *warp, ptx_clock *collected)
{
    const ptx_group *group = warp->group;
    collected->of[warp->agent] = collected->of[warp->agent] > 1 ? collected->of[warp->agent] : 1;
    for (int i = 0; i < group->mbarrier_count; i++) {
        const ptx_mbarrier *mbarrier = &group->mbarriers[i];
        if (mbarrier->is_init_fenced && mbarrier->maker == warp->agent &&
            collected->of[mbarrier->agent] == 0) {
            collected->of[mbarrier->agent] = 1;
        }
    }
}

/* barrier.cluster.arrive; `variant`: relaxed. */
static void arrive(ptx_warp *warp, const ptx_instruction *instruction)
{
    ptx_cluster *cluster = warp->group->cluster;
    if (warp->active != warp->live) {
        ptx_fail(warp, instruction, "a cluster's barrier that not all lanes of the warp reach");
        return;
    }
    if (warp->has_arrived) {
        ptx_fail(warp, instruction, "arrives at the cluster's barrier twice without a wait");
        return;
    }
    warp->has_arrived = 1;
    warp->arrived_phase = cluster->phase;
    if (instruction->variant) {
        collect_relaxed(warp, &cluster->collected);
    } else {
        ptx_clock_join(&cluster->collected, &warp->clock, warp->group->agents);
        warp->clock.of[warp->agent]++;
    }
    end_phase(cluster);
}

static void wait(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (warp->active != warp->live) {
        ptx_fail(warp, instruction, "a cluster's barrier that not all lanes of the warp reach");
    } else if (!warp->has_arrived) {
        ptx_fail(warp, instruction, "waits at the cluster's barrier without having arrived");
    } else if (warp->arrived_phase != warp->group->cluster->phase) {
        go_on(warp);
    } else {
        warp->waits_for_cluster = 1;
        warp->state = PTX_WAITS;
    }
}

/* ---- Exits ---- */

/* The last warp of a group leaves: whatever others do to its memory has to come before, so that one
 * of its warps knows of it. */
static void check_exit(ptx_warp *warp, const ptx_instruction *instruction)
{
    const ptx_group *group = warp->group;
    const int warps = group->cluster->group_count * group->warp_count;
    for (int agent = 0; agent < group->agents; agent++) {
        int is_known = group->touched.of[agent] == 0;
        for (int i = 0; i < group->warp_count && !is_known; i++) {
            is_known = group->warps[i].clock.of[agent] >= group->touched.of[agent];
        }
        if (!is_known && agent < warps) {
            ptx_fail(warp, instruction,
                     "the group exits, and an arrival by warp %d of the cluster's group %d on its "
                     "mbarriers may come later",
                     agent % group->warp_count, agent / group->warp_count);
        } else if (!is_known) {
            ptx_fail(warp, instruction,
                     "the group exits with a copy under way to its shared memory");
        }
    }
}

void ptx_leave_cluster(ptx_warp *warp, const ptx_instruction *instruction)
{
    ptx_group *group = warp->group;
    group->left_count++;
    if (group->left_count == group->warp_count) {
        check_exit(warp, instruction);
    }
    end_phase(group->cluster);
}

/* ---- Names ---- */

static int is_one_of(ptx_span name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ptx_span_is(name, names[i])) {
            return 1;
        }
    }
    return 0;
}

static void decode_map(ptx_reader *reader, const ptx_span *operands, int count, uint32_t bytes,
                       ptx_instruction *instruction)
{
    if (count != 3 || ptx_register_bytes(reader, operands[0]) != bytes) {
        ptx_read_fail(reader, "this form of mapa isn't known");
        return;
    }
    instruction->d = ptx_operand_place(reader, operands[0], bytes);
    instruction->a = ptx_operand_place(reader, operands[1], bytes);
    instruction->b = ptx_operand_place(reader, operands[2], 4);
    instruction->variant = (uint8_t)bytes;
    instruction->execute = map_address;
}

int ptx_decode_cluster(ptx_reader *reader, ptx_span name, const ptx_span *operands, int count,
                       ptx_instruction *instruction)
{
    static const char *const arrivals[] = {
        "barrier.cluster.arrive",         "barrier.cluster.arrive.aligned",
        "barrier.cluster.arrive.release", "barrier.cluster.arrive.release.aligned",
        "barrier.cluster.arrive.relaxed", "barrier.cluster.arrive.relaxed.aligned"};
    static const char *const waits[] = {"barrier.cluster.wait", "barrier.cluster.wait.aligned",
                                        "barrier.cluster.wait.acquire",
                                        "barrier.cluster.wait.acquire.aligned"};
    const int is_arrival = is_one_of(name, arrivals, sizeof arrivals / sizeof arrivals[0]);
    if (is_arrival || is_one_of(name, waits, sizeof waits / sizeof waits[0])) {
        instruction->variant = ptx_span_find(name, ".relaxed") != NULL;
        instruction->execute = is_arrival ? arrive : wait;
        instruction->is_together = 1;
        if (count != 0) {
            ptx_read_fail(reader, "a cluster's barrier has no operands");
        }
    } else if (ptx_span_is(name, "mapa.shared::cluster.u32")) {
        decode_map(reader, operands, count, 4, instruction);
    } else if (ptx_span_is(name, "mapa.shared::cluster.u64")) {
        decode_map(reader, operands, count, 8, instruction);
    } else {
        return 0;
    }
    ptx_need_clusters(reader);
    return 1;
}
