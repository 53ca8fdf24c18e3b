/* ttm-bench compare: which entries of two results differ, by how much, and how sure that is.
 *
 * An entry counts as different when the confidence interval of its ratio lies wholly outside
 * 1 ± margin. The intervals are widened for the number of entries (Bonferroni), so that two results
 * of one program are called different in at most 1 − confidence of all tries, whatever the number
 * of entries. Groups that only cut the same time in other ways (parts, calls) aren't compared. */
#include "bench/commands.h"
#include "bench/table.h"
#include "common/tool_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Entries below this share of a step are noise of clocks. */
static const double least_share = 0.002;

typedef struct compared {
    const bench_entry *a;
    const bench_entry *b;
    bench_comparison ratio;
    int verdict; /* 1: B is slower, −1: faster, 0: no difference seen. */
} compared;

typedef struct comparison {
    const bench_arguments *arguments;
    bench_result a;
    bench_result b;
    compared *items;
    size_t count;
    size_t slower;
    size_t faster;
    double common; /* Median of all ratios: what the whole machine or build did. */
} comparison;

static bool is_compared(const bench_entry *entry)
{
    return strcmp(entry->group, "part") != 0 && strcmp(entry->group, "call") != 0 &&
           strcmp(entry->group, "profile") != 0 &&
           (isnan(entry->share) || entry->share >= least_share);
}

/* Results from before there was --dtype are of fp32. */
static const char *setting(const bench_result *result, const char *name)
{
    const char *text = bench_text(result, "settings", name);
    return text[0] == '\0' && strcmp(name, "dtype") == 0 ? "fp32" : text;
}

/* Two results can only be compared when they did the same work. */
static int check_same_work(const comparison *state)
{
    static const char *const texts[] = {"preset", "tt", "dtype", "cache", "tt_shape"};
    static const char *const numbers[] = {"batch", "seq", "layers", "prompt"};
    if (strcmp(state->a.command, state->b.command) != 0) {
        return tool_fail_text("'%s' is of 'ttm-bench %s', '%s' of 'ttm-bench %s': compare two of "
                              "one kind",
                              state->a.path, state->a.command, state->b.path, state->b.command);
    }
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        const char *a = setting(&state->a, texts[k]);
        const char *b = setting(&state->b, texts[k]);
        if (strcmp(a, b) != 0) {
            return tool_fail_text("not the same work: %s is '%s' in '%s' and '%s' in '%s'",
                                  texts[k], a, state->a.path, b, state->b.path);
        }
    }
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
        const double a = bench_number(&state->a, "settings", numbers[k]);
        const double b = bench_number(&state->b, "settings", numbers[k]);
        if (a < b || a > b) {
            return tool_fail_text("not the same work: %s is %g in '%s' and %g in '%s'", numbers[k],
                                  a, state->a.path, b, state->b.path);
        }
    }
    return TOOL_GO_ON;
}

static size_t count_pairs(const comparison *state)
{
    size_t count = 0;
    for (size_t k = 0; k < state->a.entry_count; k++) {
        const bench_entry *a = &state->a.entries[k];
        count += is_compared(a) && bench_find_entry(&state->b, a->group, a->name) != NULL;
    }
    return count;
}

static int verdict_of(const bench_comparison *ratio, double margin)
{
    return ratio->low > 1.0 + margin ? 1 : ratio->high < 1.0 / (1.0 + margin) ? -1 : 0;
}

/* The smallest difference of this entry that these rounds would show, as a fraction: half the
 * interval, and the margin. */
static double visible_difference(const bench_comparison *ratio, double margin)
{
    return sqrt(ratio->high / ratio->low) * (1.0 + margin) - 1.0;
}

static int compare_entries(comparison *state)
{
    const size_t pairs = count_pairs(state);
    const double confidence =
        1.0 - (1.0 - state->arguments->confidence) / (double)(pairs > 0 ? pairs : 1);
    double *ratios = calloc(pairs + 1, sizeof *ratios);
    state->items = calloc(pairs + 1, sizeof *state->items);
    if (ratios == NULL || state->items == NULL) {
        free(ratios);
        return tool_fail_text("out of memory");
    }
    for (size_t k = 0; k < state->a.entry_count; k++) {
        compared *item = &state->items[state->count];
        item->a = &state->a.entries[k];
        item->b = bench_find_entry(&state->b, item->a->group, item->a->name);
        if (!is_compared(item->a) || item->b == NULL ||
            !bench_compare_series(&item->ratio, &item->a->series, &item->b->series, confidence)) {
            continue;
        }
        item->verdict = verdict_of(&item->ratio, state->arguments->margin);
        state->slower += item->verdict > 0;
        state->faster += item->verdict < 0;
        ratios[state->count++] = item->ratio.ratio;
    }
    state->common = bench_median(ratios, state->count);
    free(ratios);
    if (state->count == 0) {
        return tool_fail_text("'%s' and '%s' have no entry in common with three values or more",
                              state->a.path, state->b.path);
    }
    return TOOL_GO_ON;
}

static int by_ratio(const void *left, const void *right)
{
    const double a = ((const compared *)left)->ratio.ratio;
    const double b = ((const compared *)right)->ratio.ratio;
    return (a < b) - (a > b);
}

static const char *verdict_name(int verdict)
{
    return verdict > 0 ? "slower" : verdict < 0 ? "faster" : "";
}

/* Three values or four say next to nothing, and their intervals reach to any number. */
static const char *print_visible(char text[32], double difference)
{
    if (difference < 10.0) {
        snprintf(text, 32, "%.1f%%", 100.0 * difference);
    } else {
        snprintf(text, 32, "more than 1000%%");
    }
    return text;
}

/* "No difference" says little where a large one couldn't be seen. */
static void print_resolution(const comparison *state)
{
    const double margin = state->arguments->margin;
    const compared *worst = &state->items[0];
    double *visible = calloc(state->count + 1, sizeof *visible);
    for (size_t k = 0; k < state->count && visible != NULL; k++) {
        visible[k] = visible_difference(&state->items[k].ratio, margin);
        if (visible[k] > visible_difference(&worst->ratio, margin)) {
            worst = &state->items[k];
        }
    }
    if (visible != NULL) {
        char typical[32];
        char largest[32];
        printf("A difference shows from %s on in a typical entry, from %s on in %s %s; "
               "more rounds show smaller ones.\n",
               print_visible(typical, bench_median(visible, state->count)),
               print_visible(largest, visible_difference(&worst->ratio, margin)), worst->a->group,
               worst->a->name);
    }
    free(visible);
}

static void print_text(const comparison *state)
{
    const bool colour = bench_wants_colour(stdout);
    int width = 8;
    for (size_t k = 0; k < state->count; k++) {
        const int length =
            (int)(strlen(state->items[k].a->group) + strlen(state->items[k].a->name));
        width = length + 1 > width ? length + 1 : width;
    }
    printf("%-*s %10s %10s %8s  %s\n", width, "entry", "A", "B", "B/A", "interval");
    for (size_t k = 0; k < state->count; k++) {
        const compared *item = &state->items[k];
        char name[512];
        char a[24];
        char b[24];
        snprintf(name, sizeof name, "%s %s", item->a->group, item->a->name);
        printf("%-*s %10s %10s %8.3f  [%.3f, %.3f] %s%s%s\n", width, name,
               bench_format_ns(a, sizeof a, bench_entry_median(item->a)),
               bench_format_ns(b, sizeof b, bench_entry_median(item->b)), item->ratio.ratio,
               item->ratio.low, item->ratio.high,
               !colour             ? ""
               : item->verdict > 0 ? "\033[31m"
               : item->verdict < 0 ? "\033[32m"
                                   : "",
               verdict_name(item->verdict), colour && item->verdict != 0 ? "\033[0m" : "");
    }
    printf("\n%zu entries, intervals that hold together with %.0f%%, margin %.1f%%%s; typical "
           "ratio %.3f\n",
           state->count, 100.0 * state->arguments->confidence, 100.0 * state->arguments->margin,
           state->items[0].ratio.paired ? ", compared round by round" : "", state->common);
    print_resolution(state);
    if (!state->items[0].ratio.paired) {
        printf("Few rounds: measure both again with --append, in turn, three times or more, and "
               "what the machine does by itself is told apart.\n");
    }
    for (size_t k = 0; k < state->count; k++) {
        const compared *item = &state->items[k];
        if (item->verdict != 0) {
            printf("%s: %s %s, %+.1f%%\n", verdict_name(item->verdict), item->a->group,
                   item->a->name, 100.0 * (item->ratio.ratio - 1.0));
        }
    }
    if (state->slower + state->faster == 0) {
        printf("no difference\n");
    }
}

static void write_comparison(ttm_json_writer *writer, const void *result)
{
    const comparison *state = result;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "a", state->a.path);
    ttm_json_member_string(writer, "b", state->b.path);
    ttm_json_member_double(writer, "confidence", state->arguments->confidence);
    ttm_json_member_double(writer, "margin", state->arguments->margin);
    ttm_json_member_double(writer, "typical_ratio", state->common);
    ttm_json_member_uint(writer, "slower", state->slower);
    ttm_json_member_uint(writer, "faster", state->faster);
    ttm_json_key(writer, "entries");
    ttm_json_begin_array(writer);
    for (size_t k = 0; k < state->count; k++) {
        const compared *item = &state->items[k];
        ttm_json_begin_object(writer);
        ttm_json_member_string(writer, "group", item->a->group);
        ttm_json_member_string(writer, "name", item->a->name);
        ttm_json_member_double(writer, "ratio", item->ratio.ratio);
        ttm_json_member_double(writer, "low", item->ratio.low);
        ttm_json_member_double(writer, "high", item->ratio.high);
        ttm_json_member_double(writer, "visible_difference",
                               visible_difference(&item->ratio, state->arguments->margin));
        ttm_json_member_bool(writer, "paired", item->ratio.paired);
        ttm_json_member_string(writer, "verdict",
                               item->verdict != 0 ? verdict_name(item->verdict) : "same");
        ttm_json_end_object(writer);
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
}

int bench_run_compare(const bench_arguments *arguments, const char *path_a, const char *path_b)
{
    comparison state = {.arguments = arguments};
    int code = bench_read_json(&state.a, path_a);
    if (code == TOOL_GO_ON) {
        code = bench_read_json(&state.b, path_b);
    }
    if (code == TOOL_GO_ON) {
        code = check_same_work(&state);
    }
    if (code == TOOL_GO_ON) {
        code = compare_entries(&state);
    }
    if (code == TOOL_GO_ON) {
        qsort(state.items, state.count, sizeof *state.items, by_ratio);
        if (arguments->program->json) {
            code = tool_print_json(TTM_JSON_INDENTED, write_comparison, &state);
        } else {
            print_text(&state);
            code = tool_done();
        }
    }
    if (code == TOOL_EXIT_DONE && state.slower > 0) {
        code = TOOL_EXIT_FAILED;
    }
    free(state.items);
    bench_result_free(&state.a);
    bench_result_free(&state.b);
    return code;
}
