/* Adding up profiled steps. A decomposed call isn't counted: the calls that it is made of are. */
#include "bench/breakdown.h"

#include "common/tool_profile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>

/* Adds a call to the entry of these names. In the first step entries are made and priced. */
static void add_call(bench_result *result, double *sums, size_t most, bool first, const char *group,
                     const char *name, const ttm_profile_op *op, const ttm_profile_call *call)
{
    bench_entry *entry = bench_find_entry(result, group, name);
    if (entry == NULL && !first && strcmp(group, "call") == 0) {
        return; /* Shapes that grow with every token would make an entry each. */
    }
    if (entry == NULL) {
        entry = bench_add_entry(result, group, name, op->name,
                                strcmp(group, "call") == 0 ? op->shapes : "");
        if (entry == NULL) {
            return;
        }
        entry->calls = 0.0;
        entry->operations = 0.0;
        entry->bytes = 0.0;
    }
    const size_t index = (size_t)(entry - result->entries);
    if (index < most) {
        sums[index] += (double)(call->end_ns - call->start_ns);
    }
    if (first) {
        entry->calls += 1.0;
        entry->operations += op->operations;
        entry->bytes += op->bytes;
        entry->rounds_operands |= strstr(op->shapes, "tf32 [") != NULL;
        entry->fallback_calls += call->route == TTM_PROFILE_HOST ? 1.0 : 0.0;
    }
}

static void add_to_groups(bench_result *result, double *sums, size_t most, bool first,
                          const ttm_profile_op *op, const ttm_profile_call *call)
{
    char name[320];
    add_call(result, sums, most, first, "op", op->name, op, call);
    if (op->layer >= 0) {
        snprintf(name, sizeof name, "layer %d", (int)op->layer);
    } else {
        snprintf(name, sizeof name, "%s", tool_profile_part_of(op));
    }
    add_call(result, sums, most, first, "layer", name, op, call);
    add_call(result, sums, most, first, "part", tool_profile_part_of(op), op, call);
    snprintf(name, sizeof name, "%s, %s: %s", op->name, tool_profile_part_of(op), op->shapes);
    add_call(result, sums, most, first, "call", name, op, call);
}

enum { MOST_ENTRIES = 1024 };

/* One value of an entry that holds a time of whole profiled steps. */
static void add_whole(bench_result *result, const char *name, double nanoseconds)
{
    bench_entry *entry = bench_find_entry(result, "profile", name);
    entry = entry != NULL ? entry : bench_add_entry(result, "profile", name, "", "");
    if (entry != NULL) {
        result->out_of_memory |= !bench_series_add(&entry->series, nanoseconds);
    }
}

/* Device time in ops, and that in which none ran: before, between and after the calls. */
typedef struct account {
    double ops;
    double gaps;
    double last_end;
} account;

static void pass_call(account *sums, uint64_t start_ns, uint64_t end_ns)
{
    sums->ops += (double)(end_ns - start_ns);
    sums->gaps += fmax((double)start_ns - sums->last_end, 0.0);
    sums->last_end = fmax(sums->last_end, (double)end_ns);
}

static void note_account(bench_breakdown *breakdown, bench_result *result, const account *whole,
                         const ttm_profile *profile, double unwatched_ns)
{
    const double wall_ns = (double)ttm_profile_host_ns(profile);
    bench_series *const series[] = {&breakdown->slowdowns, &breakdown->accounts};
    const double values[] = {wall_ns / unwatched_ns, (whole->ops + whole->gaps) / wall_ns};
    add_whole(result, "wall", wall_ns);
    add_whole(result, "device", (double)ttm_profile_device_ns(profile));
    add_whole(result, "ops", whole->ops);
    add_whole(result, "gaps", whole->gaps);
    for (size_t k = 0; k < 2; k++) {
        if ((breakdown->steps == 0 && !bench_series_begin_round(series[k])) ||
            !bench_series_add(series[k], values[k])) {
            result->out_of_memory = true;
        }
    }
}

void bench_breakdown_add(bench_breakdown *breakdown, bench_session *session,
                         const ttm_profile *profile, double unwatched_ns)
{
    static double sums[MOST_ENTRIES];
    bench_result *result = &session->result;
    size_t count = 0;
    size_t op_count = 0;
    const ttm_profile_call *calls = ttm_profile_calls(profile, &count);
    const ttm_profile_op *ops = ttm_profile_ops(profile, &op_count);
    const uint64_t device_ns = ttm_profile_device_ns(profile);
    const bool first = breakdown->steps == 0;
    account whole = {0};
    memset(sums, 0, sizeof sums);
    for (size_t k = 0; k < count; k++) {
        const ttm_profile_call *call = &calls[k];
        if (call->route == TTM_PROFILE_DECOMPOSED) {
            continue;
        }
        pass_call(&whole, call->start_ns, call->end_ns);
        add_to_groups(result, sums, MOST_ENTRIES, first, &ops[call->op], call);
        if (first) {
            breakdown->calls += 1.0;
            breakdown->fallback_calls += call->route == TTM_PROFILE_HOST ? 1.0 : 0.0;
        }
    }
    pass_call(&whole, device_ns, device_ns);
    for (size_t k = 0; k < result->entry_count && k < MOST_ENTRIES; k++) {
        if (sums[k] > 0.0 && !bench_series_add(&result->entries[k].series, sums[k])) {
            result->out_of_memory = true;
        }
    }
    note_account(breakdown, result, &whole, profile, unwatched_ns);
    breakdown->steps++;
}

void bench_breakdown_free(bench_breakdown *breakdown)
{
    bench_series_free(&breakdown->slowdowns);
    bench_series_free(&breakdown->accounts);
}

static double median_of(const bench_result *result, const char *group, const char *name)
{
    const bench_entry *entry = bench_find_entry(result, group, name);
    return entry != NULL ? bench_entry_median(entry) : (double)NAN;
}

/* Removes calls that not every step makes: their values aren't those of a step. */
static void drop_passing_calls(bench_result *result, size_t steps)
{
    size_t kept = 0;
    for (size_t k = 0; k < result->entry_count; k++) {
        bench_entry *entry = &result->entries[k];
        const bool passing = strcmp(entry->group, "call") == 0 && entry->series.count != steps;
        if (passing) {
            bench_entry *const last = &result->entries[result->entry_count - 1];
            const bench_entry dropped = *entry;
            memmove(entry, entry + 1, (size_t)(last - entry) * sizeof *entry);
            *last = dropped;
            bench_drop_entry(result);
            k--;
            continue;
        }
        kept++;
    }
    result->entry_count = kept;
}

/* Entries of a group in descending order of their time: what costs most comes first. */
static void sort_entries(bench_result *result)
{
    static const char *const groups[] = {"step", "op", "part", "layer", "call"};
    size_t placed = 0;
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        for (;;) {
            size_t best = result->entry_count;
            for (size_t k = placed; k < result->entry_count; k++) {
                if (strcmp(result->entries[k].group, groups[g]) == 0 &&
                    (best == result->entry_count ||
                     (strcmp(groups[g], "layer") != 0 && strcmp(groups[g], "step") != 0 &&
                      bench_entry_median(&result->entries[k]) >
                          bench_entry_median(&result->entries[best])))) {
                    best = k;
                }
            }
            if (best == result->entry_count) {
                break;
            }
            const bench_entry chosen = result->entries[best];
            memmove(&result->entries[placed + 1], &result->entries[placed],
                    (best - placed) * sizeof chosen);
            result->entries[placed++] = chosen;
        }
    }
}

static void note_step(const bench_breakdown *breakdown, bench_result *result, double unwatched_ns)
{
    const bench_series *slowdowns = &breakdown->slowdowns;
    const bench_interval slowdown =
        bench_median_interval(slowdowns->values, slowdowns->count, bench_confidence(result));
    const double wall = median_of(result, "profile", "wall");
    const double gaps = median_of(result, "profile", "gaps");
    bench_set_number(result, "step", "wall_ns", unwatched_ns);
    bench_set_number(result, "step", "profiled_wall_ns", wall);
    bench_set_number(result, "step", "profiler_slowdown",
                     bench_median(slowdowns->values, slowdowns->count) - 1.0);
    bench_set_number(result, "step", "profiler_slowdown_low", slowdown.low - 1.0);
    bench_set_number(result, "step", "profiler_slowdown_high", slowdown.high - 1.0);
    bench_set_number(result, "step", "device_ns", median_of(result, "profile", "device"));
    bench_set_number(result, "step", "gaps_ns", gaps);
    bench_set_number(result, "step", "gap_share", gaps / wall);
    bench_set_number(result, "step", "ops_and_gaps_over_wall",
                     bench_median(breakdown->accounts.values, breakdown->accounts.count));
    bench_set_number(result, "step", "calls", breakdown->calls);
    bench_set_number(result, "step", "fallback_calls", breakdown->fallback_calls);
}

/* The type whose peak counts. TT cores and their gradients are f32 in every model. In one of tf32
 * only what a device takes as such isn't. */
static ttm_dtype judged_dtype(const bench_session *session, const bench_entry *entry)
{
    const bool is_of_cores = strncmp(entry->name, "tt_", 3) == 0;
    const bool is_f32 = session->dtype == TTM_TF32 && !entry->rounds_operands;
    return is_of_cores || is_f32 ? TTM_F32 : session->dtype;
}

void bench_breakdown_finish(bench_breakdown *breakdown, bench_session *session, const char *name)
{
    bench_result *result = &session->result;
    const double wall = median_of(result, "profile", "wall");
    drop_passing_calls(result, breakdown->steps);
    for (size_t k = 0; k < result->entry_count; k++) {
        bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, "step") != 0 && strcmp(entry->group, "profile") != 0) {
            entry->share = bench_entry_median(entry) / wall;
            bench_judge(session, entry, judged_dtype(session, entry));
        }
    }
    sort_entries(result);
    note_step(breakdown, result, median_of(result, "step", name));
}
