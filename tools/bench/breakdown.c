/* Adding up profiled steps. A decomposed call isn't counted: the calls that it is made of are. */
#include "bench/breakdown.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "layer 3 mlp.c_fc" without the layer. */
static const char *part_of(const ttm_profile_op *op)
{
    const char *label = op->label;
    if (op->layer >= 0 && strncmp(label, "layer ", 6) == 0) {
        label += 6 + strspn(label + 6, "0123456789");
        label += strspn(label, " ");
    }
    if (label[0] != '\0') {
        return label;
    }
    return op->opcode == TTM_OP_COUNT                                          ? "transfers"
           : op->opcode == TTM_OP_ADAMW || op->opcode == TTM_OP_SUM_OF_SQUARES ? "optimiser"
                                                                               : "other";
}

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
        snprintf(name, sizeof name, "%s", part_of(op));
    }
    add_call(result, sums, most, first, "layer", name, op, call);
    add_call(result, sums, most, first, "part", part_of(op), op, call);
    snprintf(name, sizeof name, "%s, %s: %s", op->name, part_of(op), op->shapes);
    add_call(result, sums, most, first, "call", name, op, call);
}

enum { MOST_ENTRIES = 1024 };

void bench_breakdown_add(bench_breakdown *breakdown, bench_session *session,
                         const ttm_profile *profile)
{
    static double sums[MOST_ENTRIES];
    bench_result *result = &session->result;
    size_t count = 0;
    size_t op_count = 0;
    const ttm_profile_call *calls = ttm_profile_calls(profile, &count);
    const ttm_profile_op *ops = ttm_profile_ops(profile, &op_count);
    const bool first = breakdown->sums.count == 0;
    bench_series *const series[] = {&breakdown->walls, &breakdown->devices, &breakdown->sums,
                                    &breakdown->gaps};
    double busy = 0.0;
    double gaps = 0.0;
    double last_end = 0.0;
    memset(sums, 0, sizeof sums);
    for (size_t k = 0; k < count; k++) {
        const ttm_profile_call *call = &calls[k];
        if (call->route == TTM_PROFILE_DECOMPOSED) {
            continue;
        }
        busy += (double)(call->end_ns - call->start_ns);
        gaps += fmax((double)call->start_ns - last_end, 0.0);
        last_end = fmax(last_end, (double)call->end_ns);
        add_to_groups(result, sums, MOST_ENTRIES, first, &ops[call->op], call);
        if (first) {
            breakdown->calls += 1.0;
            breakdown->fallback_calls += call->route == TTM_PROFILE_HOST ? 1.0 : 0.0;
        }
    }
    gaps += fmax((double)ttm_profile_device_ns(profile) - last_end, 0.0);
    for (size_t k = 0; k < result->entry_count && k < MOST_ENTRIES; k++) {
        if (sums[k] > 0.0 && !bench_series_add(&result->entries[k].series, sums[k])) {
            result->out_of_memory = true;
        }
    }
    const double values[] = {(double)ttm_profile_host_ns(profile),
                             (double)ttm_profile_device_ns(profile), busy + gaps, gaps};
    for (size_t k = 0; k < 4; k++) {
        if ((first && !bench_series_begin_round(series[k])) ||
            !bench_series_add(series[k], values[k])) {
            result->out_of_memory = true;
        }
    }
}

static double median_of(const bench_series *series)
{
    return bench_median(series->values, series->count);
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

void bench_breakdown_finish(bench_breakdown *breakdown, bench_session *session,
                            const bench_series *plain)
{
    bench_result *result = &session->result;
    const double wall = median_of(&breakdown->walls);
    const double unwatched = median_of(plain);
    drop_passing_calls(result, breakdown->walls.count);
    for (size_t k = 0; k < result->entry_count; k++) {
        bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, "step") != 0) {
            entry->share = bench_entry_median(entry) / wall;
            bench_judge(session, entry, TTM_F32);
        }
    }
    sort_entries(result);
    bench_set_number(result, "step", "wall_ns", unwatched);
    bench_set_number(result, "step", "profiled_wall_ns", wall);
    bench_set_number(result, "step", "profiler_slowdown", wall / unwatched - 1.0);
    bench_set_number(result, "step", "device_ns", median_of(&breakdown->devices));
    bench_set_number(result, "step", "gaps_ns", median_of(&breakdown->gaps));
    bench_set_number(result, "step", "gap_share", median_of(&breakdown->gaps) / wall);
    bench_set_number(result, "step", "ops_and_gaps_over_wall", median_of(&breakdown->sums) / wall);
    bench_set_number(result, "step", "calls", breakdown->calls);
    bench_set_number(result, "step", "fallback_calls", breakdown->fallback_calls);
    bench_series_free(&breakdown->walls);
    bench_series_free(&breakdown->devices);
    bench_series_free(&breakdown->sums);
    bench_series_free(&breakdown->gaps);
}
