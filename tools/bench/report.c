/* ttm-bench report: one page from any number of results. Nothing in it comes from elsewhere and
 * nothing is a script: plots are SVG, and what opens and closes does so by itself. */
#include "bench/report.h"

#include "bench/commands.h"
#include "bench/table.h"
#include "common/tool_output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void bench_html(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '&':
            fputs("&amp;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
            break;
        }
    }
}

void bench_html_time(FILE *file, double nanoseconds)
{
    char text[32];
    bench_format_ns(text, sizeof text, nanoseconds);
    const char *micro = strstr(text, " us");
    if (micro != NULL) {
        fprintf(file, "%.*s µs", (int)(micro - text), text);
    } else {
        fputs(text, file);
    }
}

static const char *title_of(const bench_result *result)
{
    static const struct {
        const char *command;
        const char *title;
    } titles[] = {{"devices", "What the device can do"},
                  {"ops", "Ops one by one"},
                  {"layer", "Dense against Tensor-Train layers"},
                  {"train", "A training step"},
                  {"generate", "Generating a token"},
                  {"tune", "Orders of contraction"}};
    for (size_t k = 0; k < sizeof titles / sizeof *titles; k++) {
        if (strcmp(titles[k].command, result->command) == 0) {
            return titles[k].title;
        }
    }
    return result->command;
}

/* ---- Cards: the few numbers that matter most ---- */

typedef enum card_form { FORM_RATE, FORM_NS, FORM_BYTES, FORM_PERCENT, FORM_NUMBER } card_form;

static void write_card(FILE *file, const bench_result *result, const char *section,
                       const char *name, const char *caption, card_form form, const char *unit)
{
    char text[48];
    const double number = bench_number(result, section, name);
    if (!isfinite(number)) {
        return;
    }
    fputs("<div class=\"card\"><b>", file);
    text[0] = '\0';
    switch (form) {
    case FORM_RATE:
    case FORM_BYTES:
        bench_format_rate(text, sizeof text, number, unit);
        break;
    case FORM_NS:
        bench_html_time(file, number);
        break;
    case FORM_PERCENT:
        snprintf(text, sizeof text, "%.1f %%", 100.0 * number);
        break;
    case FORM_NUMBER:
        snprintf(text, sizeof text, number < 100.0 ? "%.3g" : "%.0f", number);
        break;
    }
    fprintf(file, "%s</b><span>%s</span></div>\n", text, caption);
}

static void write_cards(FILE *file, const bench_result *result)
{
    static const struct {
        const char *section;
        const char *name;
        const char *caption;
        card_form form;
        const char *unit;
    } cards[] = {
        {"step", "tokens_per_second", "tokens a second", FORM_NUMBER, ""},
        {"step", "wall_ns", "a step", FORM_NS, ""},
        {"step", "model_flop_utilisation", "model-FLOP utilisation", FORM_PERCENT, ""},
        {"step", "of_memory_floor", "of what memory allows", FORM_PERCENT, ""},
        {"step", "gap_share", "waiting between ops", FORM_PERCENT, ""},
        {"step", "profiler_slowdown", "slower while profiled", FORM_PERCENT, ""},
        {"step", "fallback_calls", "calls done on the host", FORM_NUMBER, ""},
        {"memory", "measured_peak_bytes", "device memory", FORM_BYTES, "B"},
        {"roofs", "product_f32_flops", "f32 products, measured", FORM_RATE, "FLOP/s"},
        {"roofs", "product_tf32_flops", "tf32 products, measured", FORM_RATE, "FLOP/s"},
        {"roofs", "product_bf16_flops", "bf16 products, measured", FORM_RATE, "FLOP/s"},
        {"roofs", "memory_bytes_per_second", "memory, measured", FORM_RATE, "B/s"},
        {"roofs", "launch_ns", "launching an op", FORM_NS, ""},
        {"tuned", "contractions", "orders of contraction tuned", FORM_NUMBER, ""},
    };
    fputs("<div class=\"cards\">\n", file);
    for (size_t k = 0; k < sizeof cards / sizeof *cards; k++) {
        write_card(file, result, cards[k].section, cards[k].name, cards[k].caption, cards[k].form,
                   cards[k].unit);
    }
    fputs("</div>\n", file);
}

/* ---- Facts ---- */

static void write_facts(FILE *file, const bench_result *result, const char *section)
{
    bool any = false;
    char text[64];
    for (size_t k = 0; k < result->fact_count; k++) {
        const bench_fact *fact = &result->facts[k];
        if (strcmp(fact->section, section) != 0) {
            continue;
        }
        if (!any) {
            fprintf(file, "<h3>%s</h3>\n<dl>\n", section);
        }
        fputs("<dt>", file);
        any = true;
        bench_html(file, fact->name);
        fputs("</dt><dd>", file);
        bench_html(file, bench_format_fact(text, sizeof text, fact));
        fputs("</dd>\n", file);
    }
    fputs(any ? "</dl>\n" : "", file);
}

/* Peak memory by kind, as bars on one scale. */
static void write_memory(FILE *file, const bench_result *result)
{
    static const char *const kinds[] = {"parameters_bytes",  "gradients_bytes",
                                        "optimiser_bytes",   "activations_bytes",
                                        "tt_matrices_bytes", "workspace_bytes"};
    double largest = 0.0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        largest = fmax(largest, bench_number(result, "memory", kinds[k]));
    }
    if (!(largest > 0.0)) {
        return;
    }
    fputs("<h3>Memory by kind</h3>\n<div class=\"panel\"><div class=\"bars\">\n", file);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        char text[32];
        const double bytes = bench_number(result, "memory", kinds[k]);
        if (isfinite(bytes)) {
            char name[32];
            snprintf(name, sizeof name, "%.*s", (int)(strlen(kinds[k]) - 6), kinds[k]);
            fprintf(file,
                    "<div class=\"name\">%s</div><div class=\"track\"><i class=\"memory\" "
                    "style=\"width:%.2f%%\"></i></div><div class=\"value\">%s</div>\n",
                    strcmp(name, "tt_matrices") == 0 ? "TT matrices" : name,
                    100.0 * bytes / largest, bench_format_rate(text, sizeof text, bytes, "B"));
        }
    }
    fputs("</div></div>\n", file);
}

/* ---- The page ---- */

static bool has_group(const bench_result *result, const char *group)
{
    for (size_t k = 0; k < result->entry_count; k++) {
        if (strcmp(result->entries[k].group, group) == 0) {
            return true;
        }
    }
    return false;
}

static void write_folded_table(FILE *file, const bench_result *result, const char *group,
                               const char *title)
{
    if (has_group(result, group)) {
        fprintf(file, "<details><summary>%s</summary>\n", title);
        bench_report_table(file, result, group);
        fputs("</details>\n", file);
    }
}

static void write_groups(FILE *file, const bench_result *result)
{
    if (has_group(result, "op")) {
        fputs("<h3>Roofline</h3>\n<div class=\"panel\">\n", file);
        bench_report_roofline(file, result, "op");
        fputs("</div>\n<h3>Time by op</h3>\n", file);
        bench_report_bars(file, result, "op");
        bench_report_table(file, result, "op");
    }
    if (has_group(result, "part")) {
        fputs("<h3>Time by part</h3>\n", file);
        bench_report_bars(file, result, "part");
    }
    if (has_group(result, "layer")) {
        fputs(strcmp(result->command, "layer") == 0 ? "" : "<h3>Time by layer</h3>\n", file);
        bench_report_bars(file, result, "layer");
    }
    if (has_group(result, "way")) {
        fputs("<h3>Orders of contraction</h3>\n", file);
        bench_report_table(file, result, "way");
    }
    write_memory(file, result);
    write_folded_table(file, result, "layer", "Layers as a table");
    write_folded_table(file, result, "part", "Parts as a table");
    write_folded_table(file, result, "call", "Every kind of call");
}

/* What a reader must know before believing the numbers. */
static void write_doubts(FILE *file, const bench_result *result)
{
    char text[160];
    for (int doubt = 0; doubt < BENCH_DOUBTS; doubt++) {
        if (bench_describe_doubt(text, sizeof text, result, (bench_doubt)doubt)) {
            fputs("<p class=\"doubt\">", file);
            bench_html(file, text);
            fputs("</p>\n", file);
        }
    }
}

/* "2026-11-26T05:17:57Z" as people read it; anything else as it is. */
static void write_moment(FILE *file, const char *time)
{
    if (strlen(time) == 20 && time[10] == 'T' && time[19] == 'Z') {
        fprintf(file, "<time datetime=\"");
        bench_html(file, time);
        fputs("\">", file);
        char text[32];
        snprintf(text, sizeof text, "%.10s %.5s UTC", time, time + 11);
        bench_html(file, text);
        fputs("</time>", file);
    } else {
        bench_html(file, time);
    }
}

static void write_result(FILE *file, const bench_result *result, size_t index)
{
    fprintf(file,
            "<section id=\"result-%zu\" aria-labelledby=\"title-%zu\">\n<h2 id=\"title-%zu\">",
            index, index, index);
    bench_html(file, title_of(result));
    fputs("</h2>\n<p class=\"soft\">", file);
    bench_html(file, bench_text(result, "settings", "preset"));
    fputs(" · ", file);
    if (has_group(result, "op")) {
        fprintf(file, "batch %.0f", bench_number(result, "settings", "batch"));
        if (strcmp(result->command, "generate") != 0) {
            fprintf(file, ", %.0f tokens each", bench_number(result, "settings", "seq"));
        }
        fputs(" · ", file);
    }
    bench_html(file, bench_text(result, "device", "name"));
    fputs(" · ", file);
    bench_html(file, bench_text(result, "device", "backend"));
    fputs(" · ", file);
    write_moment(file, bench_text(result, "environment", "time"));
    fputs("</p>\n", file);
    write_doubts(file, result);
    write_cards(file, result);
    write_groups(file, result);
    fputs("<details><summary>Device, environment and settings</summary>\n<div class=\"panel\">\n",
          file);
    static const char *const sections[] = {"device", "environment", "settings", "roofs",
                                           "step",   "memory",      "tuned"};
    for (size_t k = 0; k < sizeof sections / sizeof *sections; k++) {
        write_facts(file, result, sections[k]);
    }
    fputs("</div></details>\n</section>\n", file);
}

static void write_contents(FILE *file, const bench_result *results, size_t count)
{
    fputs("<nav aria-label=\"Results\"><ul>\n", file);
    for (size_t k = 0; k < count; k++) {
        fprintf(file, "<li><a href=\"#result-%zu\">", k);
        bench_html(file, title_of(&results[k]));
        fputs("</a> <span class=\"soft\">", file);
        bench_html(file, bench_text(&results[k], "settings", "preset"));
        fputs("</span></li>\n", file);
    }
    fputs("</ul></nav>\n", file);
}

static void write_page(FILE *file, const bench_result *results, size_t count)
{
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<title>ttm-bench: ",
          file);
    bench_html(file, bench_text(&results[0], "device", "name"));
    fprintf(file,
            "</title>\n<style>\n%s</style>\n</head>\n<body>\n<a class=\"skip\" "
            "href=\"#result-0\">Skip to the results</a>\n<main>\n<h1>",
            bench_report_style);
    bench_html(file, bench_text(&results[0], "device", "name"));
    fputs("</h1>\n<p class=\"soft\">Measured by ttm-bench ", file);
    bench_html(file, bench_text(&results[0], "environment", "ttm_version"));
    fputs(". Shares of a roof are shares of what this device was measured to do.</p>\n", file);
    if (count > 1) {
        write_contents(file, results, count);
    }
    for (size_t k = 0; k < count; k++) {
        write_result(file, &results[k], k);
    }
    fputs("</main>\n</body>\n</html>\n", file);
}

static int write_to(const char *path, const bench_result *results, size_t count)
{
    tool_output output;
    const int code = tool_output_open(&output, path);
    if (code != TOOL_GO_ON) {
        return code;
    }
    write_page(output.stream, results, count);
    return tool_output_close(&output, TOOL_EXIT_DONE);
}

int bench_run_report(const bench_arguments *arguments)
{
    const tool_list *operands = &arguments->program->operands;
    const size_t count = operands->count - 1;
    bench_result *results = calloc(count, sizeof *results);
    int code = TOOL_GO_ON;
    if (results == NULL) {
        return tool_fail_text("out of memory");
    }
    for (size_t k = 0; k < count && code == TOOL_GO_ON; k++) {
        code = bench_read_json(&results[k], operands->items[k + 1]);
    }
    if (code == TOOL_GO_ON) {
        code = write_to(arguments->output, results, count);
    }
    for (size_t k = 0; k < count; k++) {
        bench_result_free(&results[k]);
    }
    free(results);
    return code;
}
