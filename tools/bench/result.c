/* Results in memory. */
#include "bench/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void free_entry(bench_entry *entry)
{
    free(entry->group);
    free(entry->name);
    free(entry->op);
    free(entry->shapes);
    bench_series_free(&entry->series);
}

void bench_result_free(bench_result *result)
{
    for (size_t k = 0; k < result->fact_count; k++) {
        free(result->facts[k].section);
        free(result->facts[k].name);
        free(result->facts[k].text);
    }
    for (size_t k = 0; k < result->entry_count; k++) {
        free_entry(&result->entries[k]);
    }
    free(result->facts);
    free(result->entries);
    free(result->command);
    free(result->path);
    memset(result, 0, sizeof *result);
}

/* Makes room for one more. */
static void *grow(void *items, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity) {
        return items;
    }
    const size_t wanted = *capacity == 0 ? 32 : 2 * *capacity;
    void *larger = realloc(items, wanted * item_bytes);
    if (larger != NULL) {
        *capacity = wanted;
    }
    return larger;
}

const bench_fact *bench_find_fact(const bench_result *result, const char *section, const char *name)
{
    for (size_t k = 0; k < result->fact_count; k++) {
        const bench_fact *fact = &result->facts[k];
        if (strcmp(fact->section, section) == 0 && strcmp(fact->name, name) == 0) {
            return fact;
        }
    }
    return NULL;
}

static bench_fact *need_fact(bench_result *result, const char *section, const char *name)
{
    bench_fact *found = (bench_fact *)bench_find_fact(result, section, name);
    if (found != NULL) {
        free(found->text);
        found->text = NULL;
        return found;
    }
    bench_fact *facts =
        grow(result->facts, &result->fact_capacity, result->fact_count, sizeof *facts);
    if (facts == NULL) {
        result->out_of_memory = true;
        return NULL;
    }
    result->facts = facts;
    bench_fact *fact = &facts[result->fact_count];
    *fact = (bench_fact){.section = strdup(section), .name = strdup(name)};
    if (fact->section == NULL || fact->name == NULL) {
        free(fact->section);
        free(fact->name);
        result->out_of_memory = true;
        return NULL;
    }
    result->fact_count++;
    return fact;
}

void bench_set_text(bench_result *result, const char *section, const char *name, const char *text)
{
    bench_fact *fact = need_fact(result, section, name);
    if (fact != NULL) {
        fact->text = strdup(text);
        result->out_of_memory |= fact->text == NULL;
    }
}

void bench_set_number(bench_result *result, const char *section, const char *name, double number)
{
    bench_fact *fact = need_fact(result, section, name);
    if (fact != NULL) {
        fact->number = number;
    }
}

double bench_number(const bench_result *result, const char *section, const char *name)
{
    const bench_fact *fact = bench_find_fact(result, section, name);
    return fact != NULL && fact->text == NULL ? fact->number : (double)NAN;
}

const char *bench_text(const bench_result *result, const char *section, const char *name)
{
    const bench_fact *fact = bench_find_fact(result, section, name);
    return fact != NULL && fact->text != NULL ? fact->text : "";
}

bench_entry *bench_find_entry(const bench_result *result, const char *group, const char *name)
{
    for (size_t k = 0; k < result->entry_count; k++) {
        bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, group) == 0 && strcmp(entry->name, name) == 0) {
            return entry;
        }
    }
    return NULL;
}

bench_entry *bench_add_entry(bench_result *result, const char *group, const char *name,
                             const char *op, const char *shapes)
{
    bench_entry *entries =
        grow(result->entries, &result->entry_capacity, result->entry_count, sizeof *entries);
    if (entries == NULL) {
        result->out_of_memory = true;
        return NULL;
    }
    result->entries = entries;
    bench_entry *entry = &entries[result->entry_count];
    *entry = (bench_entry){.group = strdup(group),
                           .name = strdup(name),
                           .op = strdup(op),
                           .shapes = strdup(shapes),
                           .wall_ns = (double)NAN,
                           .operations = (double)NAN,
                           .bytes = (double)NAN,
                           .floor_ns = (double)NAN,
                           .calls = 1.0,
                           .share = (double)NAN};
    if (entry->group == NULL || entry->name == NULL || entry->op == NULL || entry->shapes == NULL ||
        !bench_series_begin_round(&entry->series)) {
        free_entry(entry);
        result->out_of_memory = true;
        return NULL;
    }
    result->entry_count++;
    return entry;
}

void bench_drop_entry(bench_result *result)
{
    if (result->entry_count > 0) {
        free_entry(&result->entries[--result->entry_count]);
    }
}

static void append_rounds(bench_result *result, bench_series *series, const bench_series *more)
{
    for (size_t round = 0; round < more->round_count; round++) {
        const double *values = NULL;
        const size_t count = bench_series_round(&values, more, round);
        bool added = bench_series_begin_round(series);
        for (size_t k = 0; k < count && added; k++) {
            added = bench_series_add(series, values[k]);
        }
        result->out_of_memory |= !added;
    }
}

/* Takes over the newer values of everything but the series. */
static void replace_values(bench_entry *entry, const bench_entry *newer)
{
    entry->wall_ns = newer->wall_ns;
    entry->operations = newer->operations;
    entry->bytes = newer->bytes;
    entry->floor_ns = newer->floor_ns;
    entry->bound = newer->bound;
    entry->calls = newer->calls;
    entry->fallback_calls = newer->fallback_calls;
    entry->decomposed_calls = newer->decomposed_calls;
    entry->share = newer->share;
}

int bench_merge(bench_result *result, bench_result *more)
{
    if (strcmp(result->command, more->command) != 0) {
        return 0;
    }
    for (size_t k = 0; k < more->fact_count; k++) {
        const bench_fact *fact = &more->facts[k];
        if (fact->text != NULL) {
            bench_set_text(result, fact->section, fact->name, fact->text);
        } else {
            bench_set_number(result, fact->section, fact->name, fact->number);
        }
    }
    for (size_t k = 0; k < more->entry_count; k++) {
        const bench_entry *newer = &more->entries[k];
        bench_entry *entry = bench_find_entry(result, newer->group, newer->name);
        if (entry == NULL) {
            entry = bench_add_entry(result, newer->group, newer->name, newer->op, newer->shapes);
            if (entry == NULL) {
                return 1;
            }
            entry->series.round_count = 0;
        }
        append_rounds(result, &entry->series, &newer->series);
        replace_values(entry, newer);
    }
    return 1;
}

double bench_entry_median(const bench_entry *entry)
{
    return bench_median(entry->series.values, entry->series.count);
}

double bench_confidence(const bench_result *result)
{
    const double confidence = bench_number(result, "settings", "confidence");
    return confidence > 0.0 && confidence < 1.0 ? confidence : 0.95;
}

bench_interval bench_entry_interval(const bench_result *result, const bench_entry *entry)
{
    return bench_median_interval(entry->series.values, entry->series.count,
                                 bench_confidence(result));
}

const char *bench_bound_name(bench_bound bound)
{
    static const char *const names[] = {"", "compute", "memory", "cache", "launch"};
    return names[bound];
}
