/* Tables on a terminal or in a pipe. */
#include "bench/table.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *bench_format_ns(char *text, size_t text_bytes, double nanoseconds)
{
    if (!isfinite(nanoseconds)) {
        snprintf(text, text_bytes, "-");
    } else if (nanoseconds < 1e3) {
        snprintf(text, text_bytes, "%.0f ns", nanoseconds);
    } else if (nanoseconds < 1e6) {
        snprintf(text, text_bytes, "%.3g us", nanoseconds * 1e-3);
    } else if (nanoseconds < 1e9) {
        snprintf(text, text_bytes, nanoseconds < 1e8 ? "%.3g ms" : "%.0f ms", nanoseconds * 1e-6);
    } else {
        snprintf(text, text_bytes, "%.3g s", nanoseconds * 1e-9);
    }
    return text;
}

const char *bench_format_rate(char *text, size_t text_bytes, double per_second, const char *unit)
{
    static const struct {
        double factor;
        const char *prefix;
    } scales[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {0.0, ""}};
    if (!isfinite(per_second)) {
        snprintf(text, text_bytes, "-");
        return text;
    }
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        if (per_second >= scales[k].factor) {
            const double value =
                scales[k].factor > 0.0 ? per_second / scales[k].factor : per_second;
            snprintf(text, text_bytes, value < 99.95 ? "%.3g %s%s" : "%.0f %s%s", value,
                     scales[k].prefix, unit);
            break;
        }
    }
    return text;
}

bool bench_wants_colour(FILE *file)
{
    const char *without = getenv("NO_COLOR");
    return isatty(fileno(file)) && (without == NULL || without[0] == '\0');
}

/* How the terminal shows things; empty texts without colour. */
typedef struct palette {
    const char *strong;
    const char *dim;
    const char *good;
    const char *fair;
    const char *poor;
    const char *end;
} palette;

static palette choose_palette(FILE *file)
{
    static const palette plain = {"", "", "", "", "", ""};
    static const palette coloured = {"\033[1m",  "\033[2m",  "\033[32m",
                                     "\033[33m", "\033[31m", "\033[0m"};
    return bench_wants_colour(file) ? coloured : plain;
}

static bool is_fraction(const char *name)
{
    static const char *const names[] = {"gap_share",
                                        "profiler_slowdown",
                                        "profiler_slowdown_low",
                                        "profiler_slowdown_high",
                                        "model_flop_utilisation",
                                        "of_memory_floor",
                                        "ops_and_gaps_over_wall"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(name, names[k]) == 0) {
            return true;
        }
    }
    return false;
}

/* Returns whether `name` ends like `ending`. */
static bool ends_with(const char *name, const char *ending)
{
    const size_t length = strlen(name);
    const size_t ending_length = strlen(ending);
    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

const char *bench_format_fact(char *text, size_t text_bytes, const bench_fact *fact)
{
    if (fact->text != NULL) {
        return fact->text;
    }
    if (ends_with(fact->name, "_bytes_per_second")) {
        bench_format_rate(text, text_bytes, fact->number, "B/s");
    } else if (ends_with(fact->name, "_flops")) {
        bench_format_rate(text, text_bytes, fact->number, "FLOP/s");
    } else if (ends_with(fact->name, "_bytes")) {
        bench_format_rate(text, text_bytes, fact->number, "B");
    } else if (ends_with(fact->name, "_ns")) {
        bench_format_ns(text, text_bytes, fact->number);
    } else if (is_fraction(fact->name)) {
        snprintf(text, text_bytes, "%.2f %%", 100.0 * fact->number);
    } else {
        snprintf(text, text_bytes, "%.6g", fact->number);
    }
    return text;
}

bool bench_describe_doubt(char *text, size_t text_bytes, const bench_result *result,
                          bench_doubt doubt)
{
    const double slowdown = bench_number(result, "step", "profiler_slowdown");
    const double stolen = bench_number(result, "environment", "processor_time_stolen");
    const double load = bench_number(result, "environment", "load_before");
    switch (doubt) {
    case BENCH_DOUBT_PROFILER:
        snprintf(text, text_bytes,
                 "profiling made steps %.1f%% slower, which is in the times by op; speeds are of "
                 "unwatched steps",
                 100.0 * slowdown);
        return slowdown > 0.02;
    case BENCH_DOUBT_BUSY:
        snprintf(text, text_bytes,
                 "the machine was busy: load %.1f before, %.0f%% of its time stolen", load,
                 100.0 * fmax(stolen, 0.0));
        return stolen > 0.02 || load > 0.5 * bench_number(result, "environment", "processors");
    case BENCH_DOUBTS:
        break;
    }
    return false;
}

static void print_facts(FILE *file, const bench_result *result, const char *section,
                        const palette *paint)
{
    bool titled = false;
    for (size_t k = 0; k < result->fact_count; k++) {
        const bench_fact *fact = &result->facts[k];
        if (strcmp(fact->section, section) != 0) {
            continue;
        }
        if (!titled) {
            fprintf(file, "%s%s%s\n", paint->strong, section, paint->end);
            titled = true;
        }
        char text[64];
        fprintf(file, "  %-30s %s\n", fact->name, bench_format_fact(text, sizeof text, fact));
    }
}

/* Shares of the roof: green near it, red far from it. */
static const char *share_paint(const bench_entry *entry, double share, const palette *paint)
{
    if (!isfinite(share) || entry->bound == BENCH_BOUND_LAUNCH) {
        return "";
    }
    return share >= 0.7 ? paint->good : share >= 0.35 ? paint->fair : paint->poor;
}

static void print_entry(FILE *file, const bench_result *result, const bench_entry *entry,
                        int name_width, bool with_share, const palette *paint)
{
    char time[24];
    char flops[24];
    char bytes[24];
    char spread[16] = "-";
    char roof[16] = "-";
    char note[64] = "";
    const double median = bench_entry_median(entry);
    const bench_interval interval = bench_entry_interval(result, entry);
    const double share = entry->floor_ns / median;
    if (median > 0.0) {
        snprintf(spread, sizeof spread, "%.1f%%", 50.0 * (interval.high - interval.low) / median);
    }
    if (isfinite(share)) {
        snprintf(roof, sizeof roof, "%.0f%%", 100.0 * share);
    }
    if (entry->fallback_calls > 0.0) {
        snprintf(note, sizeof note, " %.0f on the host", entry->fallback_calls);
    } else if (entry->decomposed_calls > 0.0) {
        snprintf(note, sizeof note, " %.0f decomposed", entry->decomposed_calls);
    }
    fprintf(file, "  %-*.*s %10s %6s %14s %12s %s%6s%s %-8s", name_width, name_width, entry->name,
            bench_format_ns(time, sizeof time, median), spread,
            bench_format_rate(flops, sizeof flops, entry->operations / median * 1e9, "FLOP/s"),
            bench_format_rate(bytes, sizeof bytes, entry->bytes / median * 1e9, "B/s"),
            share_paint(entry, share, paint), roof, paint->end, bench_bound_name(entry->bound));
    if (with_share) {
        fprintf(file, " %6.0f %6.1f%%", entry->calls, 100.0 * entry->share);
    }
    fprintf(file, "%s%s%s\n", paint->poor, note, paint->end);
}

/* The entries of one group; those of a step by their share, others as they were measured. */
static void print_group(FILE *file, const bench_result *result, const char *group,
                        const palette *paint)
{
    enum { WIDEST_NAME = 64, MOST_CALLS = 12 };
    int name_width = 12;
    size_t printed = 0;
    const size_t most = strcmp(group, "call") == 0 ? MOST_CALLS : SIZE_MAX;
    bool with_share = false;
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, group) == 0) {
            const int length = (int)strlen(entry->name);
            name_width = length > name_width ? length : name_width;
            name_width = name_width > WIDEST_NAME ? WIDEST_NAME : name_width;
            with_share |= isfinite(entry->share) && strcmp(group, "step") != 0;
        }
    }
    fprintf(file, "%s  %-*s %10s %6s %14s %12s %6s %-8s%s%s\n", paint->strong, name_width, group,
            "median", "+-", "operations", "bytes", "roof", "bound",
            with_share ? "  calls   share" : "", paint->end);
    for (size_t k = 0; k < result->entry_count && printed < most; k++) {
        if (strcmp(result->entries[k].group, group) == 0) {
            printed++;
            print_entry(file, result, &result->entries[k], name_width, with_share, paint);
        }
    }
}

void bench_print_result(FILE *file, const bench_result *result)
{
    static const char *const sections[] = {"roofs", "step", "memory", "tuned"};
    const palette paint = choose_palette(file);
    fprintf(file, "%s%s%s on %s (%s:%.0f)\n", paint.strong, result->command, paint.end,
            bench_text(result, "device", "name"), bench_text(result, "device", "backend"),
            bench_number(result, "device", "index"));
    if (strcmp(result->command, "devices") == 0) {
        print_facts(file, result, "device", &paint);
    }
    for (size_t k = 0; k < sizeof sections / sizeof *sections; k++) {
        print_facts(file, result, sections[k], &paint);
    }
    for (size_t k = 0; k < result->entry_count; k++) {
        bool printed = strcmp(result->entries[k].group, "profile") == 0; /* Totals say it. */
        for (size_t before = 0; before < k && !printed; before++) {
            printed = strcmp(result->entries[before].group, result->entries[k].group) == 0;
        }
        if (!printed) {
            print_group(file, result, result->entries[k].group, &paint);
        }
    }
    char text[160];
    for (int doubt = 0; doubt < BENCH_DOUBTS; doubt++) {
        if (bench_describe_doubt(text, sizeof text, result, (bench_doubt)doubt)) {
            fprintf(file, "%s%s%s\n", paint.fair, text, paint.end);
        }
    }
}
