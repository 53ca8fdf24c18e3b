/* Running a kernel: cluster by cluster, most of which are one group, and within one warp by warp in
 * turns. */
#include "ptx_run.h"
#include "ptx_cluster.h"
#include "ptx_families.h"
#include "ptx_tensor_map.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* Instructions that a warp executes before the next one goes on: a prime, so that turns don't
       fall in with loops. */
    TURN = 61,
    /* Rounds in which everybody asked an mbarrier in vain, or waits. */
    MOST_IDLE_ROUNDS = 10000
};

static void describe_place(const ptx_warp *warp, const ptx_instruction *instruction, char *text,
                           size_t bytes)
{
    const ptx_group *group = warp->group;
    const size_t length = strcspn(instruction->text, ";\n");
    snprintf(text, bytes, "%s, group %u,%u,%u, warp %d, line %d of the PTX, '%.*s'",
             group->kernel->name, group->index[0], group->index[1], group->index[2], warp->number,
             instruction->line, (int)(length < 120 ? length : 120), instruction->text);
}

void ptx_fail(ptx_warp *warp, const ptx_instruction *instruction, const char *format, ...)
{
    ptx_group *group = warp->group;
    if (group->failed) {
        return;
    }
    for (int i = 0; i < group->cluster->group_count; i++) {
        group->cluster->groups[i].failed = 1;
    }
    char place[400];
    char what[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    describe_place(warp, instruction, place, sizeof place);
    snprintf(group->message, group->message_bytes, "%s: %s", place, what);
}

int ptx_is_whole(ptx_warp *warp, const ptx_instruction *instruction)
{
    if (warp->active != UINT32_MAX) {
        ptx_fail(warp, instruction, "not all 32 lanes execute what a whole warp must");
        return 0;
    }
    return 1;
}

/* One instruction under its guard, if it has one; branches and exits look at it themselves. */
static void step(ptx_warp *warp)
{
    const ptx_instruction *instruction = &warp->group->kernel->code[warp->pc];
    if (instruction->is_together && ptx_await_lanes(warp)) {
        return;
    }
    warp->pc++;
    if (warp->multiplications.count > 0 || warp->has_fenced_sums) {
        ptx_check_in_flight(warp, instruction);
    }
    if (instruction->guard == PTX_NONE || ptx_is_control(instruction)) {
        instruction->execute(warp, instruction);
    } else {
        const uint32_t active = warp->active;
        warp->active = ptx_guarded_lanes(warp, instruction);
        if (warp->active != 0) {
            instruction->execute(warp, instruction);
        }
        warp->active = active;
    }
    /* Lanes that asked in vain let those of their warp go on that may be what they wait for. */
    if (warp->is_yielding) {
        const uint32_t asking = warp->active;
        if (ptx_park_lanes(warp)) {
            warp->asking |= asking;
            return;
        }
    }
    if (warp->pc >= warp->join) {
        ptx_meet_lanes(warp);
    }
}

/* A loop that nobody leaves: asking an mbarrier in vain ends by itself, see run_warps. */
static int is_endless(ptx_warp *warp)
{
    const uint64_t wished = warp->group->launch->most_instructions;
    const uint64_t most = wished != 0 ? wished : PTX_MOST_INSTRUCTIONS;
    if (warp->group->executed < most) {
        return 0;
    }
    ptx_fail(warp, &warp->group->kernel->code[warp->pc],
             "doesn't end: its group has executed %" PRIu64 " instructions, and may no more", most);
    return 1;
}

static void take_turn(ptx_warp *warp)
{
    const int end = warp->group->kernel->code_count;
    warp->is_yielding = 0;
    for (int i = 0;
         i < TURN && warp->state == PTX_RUNS && !warp->is_yielding && !warp->group->failed; i++) {
        if (warp->pc >= end) {
            ptx_fail(warp, &warp->group->kernel->code[end - 1], "the kernel has no ret");
            return;
        }
        if (is_endless(warp)) {
            return;
        }
        step(warp);
        warp->group->executed++;
    }
}

/* Says which warp stands where when nobody can go on. */
static void fail_standing(ptx_cluster *cluster)
{
    for (int i = 0; i < cluster->group_count * cluster->groups->warp_count; i++) {
        ptx_group *group = &cluster->groups[i / cluster->groups->warp_count];
        ptx_warp *warp = &group->warps[i % cluster->groups->warp_count];
        if (warp->state != PTX_LEFT) {
            ptx_fail(warp, &group->kernel->code[warp->pc > 0 ? warp->pc - 1 : 0],
                     "waits for ever: %s",
                     warp->waits_for_cluster    ? "others of the cluster don't come to this barrier"
                     : warp->state == PTX_WAITS ? "others don't come to this barrier"
                                                : "this mbarrier's phase doesn't end");
        }
    }
}

/* What the warps of a round did. */
typedef struct round_result {
    int ran;
    int yielded;
    int left; /* all that have left so far */
} round_result;

static void run_round(ptx_group *group, round_result *result)
{
    for (int i = 0; i < group->warp_count && !group->failed; i++) {
        ptx_warp *warp = &group->warps[i];
        if (warp->state == PTX_RUNS) {
            take_turn(warp);
            result->ran++;
            result->yielded += warp->is_yielding;
        }
        result->left += warp->state == PTX_LEFT;
    }
}

/* Groups go on in turns, `first` before the others. */
static void run_warps(ptx_cluster *cluster, uint32_t first)
{
    const int warp_count = cluster->group_count * cluster->groups->warp_count;
    int idle_rounds = 0;
    for (round_result result = {0}; result.left < warp_count && !cluster->groups->failed;) {
        result = (round_result){0};
        for (int i = 0; i < cluster->group_count; i++) {
            run_round(&cluster->groups[(first + (uint32_t)i) % (uint32_t)cluster->group_count],
                      &result);
        }
        const int are_idle = result.ran == result.yielded && result.left < warp_count;
        idle_rounds = are_idle ? idle_rounds + 1 : 0;
        if (idle_rounds > MOST_IDLE_ROUNDS || (result.ran == 0 && result.left < warp_count)) {
            fail_standing(cluster);
        }
    }
}

static void set_special(ptx_warp *warp, int special, int lane, uint32_t value)
{
    const uint32_t place = warp->group->kernel->special[special];
    if (place != PTX_NONE) {
        ptx_words(warp, place)[lane] = value;
    }
}

static void start_warp(ptx_warp *warp)
{
    const ptx_group *group = warp->group;
    const ptx_launch *launch = group->launch;
    const uint32_t first = (uint32_t)warp->number * PTX_LANES;
    uint32_t shape[3];
    ptx_kernel_cluster(group->kernel, shape);
    const uint32_t lanes = group->items - first < PTX_LANES ? group->items - first : PTX_LANES;
    warp->exists = lanes == PTX_LANES ? UINT32_MAX : (1u << lanes) - 1;
    warp->active = warp->live = warp->exists;
    warp->state = PTX_RUNS;
    warp->pc = 0;
    warp->parked = warp->asking = 0;
    warp->join = INT32_MAX;
    warp->copies.count = warp->multiplications.count = warp->unfenced_count = 0;
    warp->copies.set = warp->multiplications.set = 0;
    memset(warp->clock.of, 0, (size_t)group->agents * sizeof warp->clock.of[0]);
    warp->clock.of[warp->agent] = 2;
    warp->has_arrived = warp->waits_for_cluster = 0;
    for (int lane = 0; lane < PTX_LANES; lane++) {
        const uint32_t item = first + (uint32_t)lane;
        const uint32_t id[3] = {item % launch->items[0], item / launch->items[0] % launch->items[1],
                                item / launch->items[0] / launch->items[1]};
        for (int d = 0; d < 3; d++) {
            set_special(warp, PTX_TID + d, lane, id[d]);
            set_special(warp, PTX_NTID + d, lane, launch->items[d]);
            set_special(warp, PTX_CTAID + d, lane, group->index[d]);
            set_special(warp, PTX_NCTAID + d, lane, launch->groups[d]);
            set_special(warp, PTX_CLUSTERID + d, lane, group->index[d] / shape[d]);
            set_special(warp, PTX_NCLUSTERID + d, lane, launch->groups[d] / shape[d]);
            set_special(warp, PTX_CLUSTER_CTAID + d, lane, group->index[d] % shape[d]);
            set_special(warp, PTX_CLUSTER_NCTAID + d, lane, shape[d]);
        }
        set_special(warp, PTX_CLUSTER_CTARANK, lane, (uint32_t)group->rank);
        set_special(warp, PTX_CLUSTER_NCTARANK, lane, (uint32_t)group->cluster->group_count);
        set_special(warp, PTX_IS_EXPLICIT_CLUSTER, lane, group->kernel->required_cluster[0] != 0);
        set_special(warp, PTX_LANEID, lane, (uint32_t)lane);
        set_special(warp, PTX_WARPID, lane, (uint32_t)warp->number);
    }
}

static int make_warp(ptx_warp *warp, ptx_group *group, int number)
{
    const ptx_kernel *kernel = group->kernel;
    warp->group = group;
    warp->number = number;
    warp->agent = group->first_agent + number;
    /* Registers begin with what nobody would compute with by chance. */
    warp->registers = aligned_alloc(64, (kernel->register_bytes + 127) / 64 * 64);
    warp->local = calloc(PTX_LANES, kernel->local_bytes + 1);
    warp->unit_count = (int)(kernel->register_bytes / (4 * PTX_LANES)) + 1;
    warp->in_flight = calloc(3 * (size_t)warp->unit_count, 1);
    if (warp->registers == NULL || warp->local == NULL || warp->in_flight == NULL) {
        return -1;
    }
    warp->held = warp->in_flight + warp->unit_count;
    warp->changed = warp->held + warp->unit_count;
    memset(warp->registers, 0xff, kernel->register_bytes);
    for (int i = 0; i < kernel->constant_count; i++) {
        const ptx_constant *constant = &kernel->constants[i];
        for (int lane = 0; lane < PTX_LANES; lane++) {
            if (constant->bytes == 8) {
                ptx_longs(warp, constant->place)[lane] = constant->value;
            } else {
                ptx_words(warp, constant->place)[lane] = (uint32_t)constant->value;
            }
        }
    }
    return 0;
}

static void start_group(ptx_group *group)
{
    memset(group->shared, 0xff, group->launch->shared_bytes);
    ptx_shadow_clear(&group->shadow);
    memset(group->barriers, 0, sizeof group->barriers);
    memset(group->touched.of, 0, (size_t)group->agents * sizeof group->touched.of[0]);
    group->mbarrier_count = 0;
    ptx_maps_clear(&group->maps);
    group->left_count = 0;
    group->executed = 0;
    for (int i = 0; i < group->warp_count; i++) {
        start_warp(&group->warps[i]);
    }
}

/* `place`: of the first of its groups. */
static void run_cluster(ptx_cluster *cluster, const uint32_t place[3], uint32_t number)
{
    const uint32_t *groups = cluster->groups->launch->groups;
    uint32_t shape[3];
    ptx_kernel_cluster(cluster->groups->kernel, shape);
    ptx_cluster_clear(cluster);
    for (int i = 0; i < cluster->group_count; i++) {
        ptx_group *group = &cluster->groups[i];
        const uint32_t rank = (uint32_t)i;
        group->index[0] = place[0] + rank % shape[0];
        group->index[1] = place[1] + rank / shape[0] % shape[1];
        group->index[2] = place[2] + rank / shape[0] / shape[1];
        group->number =
            group->index[0] + groups[0] * (group->index[1] + groups[1] * group->index[2]);
        start_group(group);
    }
    run_warps(cluster, number % (uint32_t)cluster->group_count);
}

static void run_clusters(ptx_cluster *cluster)
{
    const ptx_group *first = cluster->groups;
    const uint32_t *groups = first->launch->groups;
    uint32_t shape[3];
    uint32_t place[3];
    uint32_t number = 0;
    ptx_kernel_cluster(first->kernel, shape);
    for (place[2] = 0; place[2] < groups[2]; place[2] += shape[2]) {
        for (place[1] = 0; place[1] < groups[1]; place[1] += shape[1]) {
            for (place[0] = 0; place[0] < groups[0] && !first->failed; place[0] += shape[0]) {
                run_cluster(cluster, place, number++);
            }
        }
    }
}

static void free_group(ptx_group *group)
{
    for (int i = 0; group->warps != NULL && i < group->warp_count; i++) {
        ptx_warp *warp = &group->warps[i];
        free(warp->registers);
        free(warp->local);
        free(warp->in_flight);
        free(warp->unfenced);
        free(warp->copies.items);
        free(warp->multiplications.items);
    }
    free(group->warps);
    free(group->shared);
    ptx_shadow_end(&group->shadow);
    ptx_maps_end(&group->maps);
}

/* Whether the group may be that large; says why not. */
static int check_launch(const ptx_launch *launch, char *message, size_t message_bytes)
{
    const uint64_t items = (uint64_t)launch->items[0] * launch->items[1] * launch->items[2];
    const uint32_t *required = launch->kernel->required_items;
    if (items == 0 || items > PTX_MOST_WARPS * PTX_LANES) {
        snprintf(message, message_bytes, "%s: %" PRIu64 " items in a group", launch->kernel->name,
                 items);
        return 0;
    }
    if (required[0] != 0 && memcmp(required, launch->items, sizeof launch->items) != 0) {
        snprintf(message, message_bytes, "%s: a group must have %ux%ux%u items",
                 launch->kernel->name, required[0], required[1], required[2]);
        return 0;
    }
    if (launch->shared_bytes < launch->kernel->shared_bytes) {
        snprintf(message, message_bytes, "%s: %zu bytes of shared memory", launch->kernel->name,
                 launch->shared_bytes);
        return 0;
    }
    return ptx_kernel_may_cluster(launch->kernel, launch->groups, message, message_bytes);
}

/* Returns 0, or −1 without memory; what was made is freed by free_group. */
static int make_group(ptx_group *group)
{
    const ptx_launch *launch = group->launch;
    group->items = launch->items[0] * launch->items[1] * launch->items[2];
    group->warp_count = (int)((group->items + PTX_LANES - 1) / PTX_LANES);
    group->first_agent = group->rank * group->warp_count;
    group->agents = group->cluster->group_count * (group->warp_count + PTX_MOST_MBARRIERS);
    group->warps = calloc((size_t)group->warp_count, sizeof *group->warps);
    /* As aligned as the kernel's own addresses are. */
    group->shared = aligned_alloc(1024, (launch->shared_bytes + 2047) / 1024 * 1024);
    int is_made = group->warps != NULL && group->shared != NULL &&
                  ptx_shadow_start(&group->shadow, launch->shared_bytes, group->warp_count,
                                   group->first_agent) == 0;
    for (int i = 0; is_made && i < group->warp_count; i++) {
        is_made = make_warp(&group->warps[i], group, i) == 0;
    }
    return is_made ? 0 : -1;
}

/* Groups of a cluster, with the launch's traffic; fails without memory. */
static int make_cluster(ptx_cluster *cluster, const ptx_launch *launch, ptx_traffic *traffic,
                        char *message, size_t message_bytes)
{
    uint32_t shape[3];
    ptx_kernel_cluster(launch->kernel, shape);
    cluster->group_count = (int)(shape[0] * shape[1] * shape[2]);
    cluster->groups = calloc((size_t)cluster->group_count, sizeof *cluster->groups);
    int is_made = cluster->groups != NULL &&
                  ptx_traffic_start(traffic, launch->regions, launch->region_count) == 0;
    for (int i = 0; is_made && i < cluster->group_count; i++) {
        ptx_group *group = &cluster->groups[i];
        group->kernel = launch->kernel;
        group->launch = launch;
        group->cluster = cluster;
        group->rank = i;
        group->traffic = traffic;
        group->message = message;
        group->message_bytes = message_bytes;
        is_made = make_group(group) == 0;
    }
    return is_made ? 0 : -1;
}

int ptx_run(const ptx_launch *launch, char *message, size_t message_bytes)
{
    if (!check_launch(launch, message, message_bytes)) {
        return -1;
    }
    ptx_cluster cluster = {0};
    ptx_traffic traffic = {0};
    int status = make_cluster(&cluster, launch, &traffic, message, message_bytes);
    if (status == 0) {
        run_clusters(&cluster);
        status = cluster.groups->failed ? -1 : 0;
    } else {
        snprintf(message, message_bytes, "%s: out of memory", launch->kernel->name);
    }
    for (int i = 0; cluster.groups != NULL && i < cluster.group_count; i++) {
        free_group(&cluster.groups[i]);
    }
    free(cluster.groups);
    ptx_traffic_end(&traffic);
    return status;
}
