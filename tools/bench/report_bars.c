/* Bars and tables. */
#include "bench/report.h"
#include "bench/table.h"

#include <math.h>
#include <string.h>

/* Of a step: a bar for less can't be seen. */
static const double least_share = 0.001;

static const char *class_of(const bench_entry *entry)
{
    const char *name = bench_bound_name(entry->bound);
    return name[0] != '\0' ? name : "none";
}

static double longest_of(const bench_result *result, const char *group, const char *ending)
{
    double longest = 0.0;
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, group) == 0 && strstr(entry->name, ending) != NULL) {
            longest = fmax(longest, bench_entry_median(entry));
        }
    }
    return longest;
}

/* `name_bytes` of the name are shown. */
static void write_bar(FILE *file, const bench_entry *entry, size_t name_bytes, double longest)
{
    char name[256];
    const double median = bench_entry_median(entry);
    snprintf(name, sizeof name, "%.*s", (int)name_bytes, entry->name);
    fputs("<div class=\"name\">", file);
    bench_html(file, name);
    fprintf(file, "</div><div class=\"track\"><i class=\"time %s\" style=\"width:%.2f%%\"></i>",
            class_of(entry), 100.0 * median / longest);
    if (isfinite(entry->floor_ns)) {
        fprintf(file, "<i class=\"%s\" style=\"width:%.2f%%\"></i>", class_of(entry),
                100.0 * fmin(entry->floor_ns, median) / longest);
    }
    fputs("</div><div class=\"value\">", file);
    bench_html_time(file, median);
    if (isfinite(entry->share)) {
        fprintf(file, " · %.1f%%", 100.0 * entry->share);
    } else if (isfinite(entry->floor_ns)) {
        fprintf(file, " · %.0f%% of roof", 100.0 * entry->floor_ns / median);
    }
    fputs("</div>\n", file);
}

/* Entries whose names end alike (", 512 rows") are of one size: each size has its own scale. */
static void write_sized_bars(FILE *file, const bench_result *result, const char *group)
{
    for (size_t first = 0; first < result->entry_count; first++) {
        const bench_entry *entry = &result->entries[first];
        const char *ending = strrchr(entry->name, ',');
        bool done = ending == NULL || strcmp(entry->group, group) != 0;
        for (size_t k = 0; k < first && !done; k++) {
            done = strcmp(result->entries[k].group, group) == 0 &&
                   strstr(result->entries[k].name, ending) != NULL;
        }
        if (done) {
            continue;
        }
        fputs("<h3>", file);
        bench_html(file, ending + strspn(ending, ", "));
        fputs("</h3>\n<div class=\"panel\"><div class=\"bars\">\n", file);
        const double longest = longest_of(result, group, ending);
        for (size_t k = first; k < result->entry_count; k++) {
            if (strcmp(result->entries[k].group, group) == 0 &&
                strstr(result->entries[k].name, ending) != NULL) {
                const bench_entry *sized = &result->entries[k];
                write_bar(file, sized, strlen(sized->name) - strlen(ending), longest);
            }
        }
        fputs("</div></div>\n", file);
    }
}

void bench_report_bars(FILE *file, const bench_result *result, const char *group)
{
    if (strcmp(group, "layer") == 0 && strcmp(result->command, "layer") == 0) {
        write_sized_bars(file, result, group);
        return;
    }
    const double longest = longest_of(result, group, "");
    int hidden = 0;
    fputs("<div class=\"panel\"><div class=\"bars\">\n", file);
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        if (strcmp(entry->group, group) != 0) {
            continue;
        }
        if (isfinite(entry->share) && entry->share < least_share) {
            hidden++;
        } else {
            write_bar(file, entry, strlen(entry->name), longest);
        }
    }
    fputs("</div><p class=\"legend\"><span>pale: time taken; full: least time by the measured "
          "roofs</span>",
          file);
    if (hidden > 0) {
        fprintf(file, "<span>%d more below %.1f %%: see the table</span>", hidden,
                100.0 * least_share);
    }
    fputs("</p></div>\n", file);
}

static void write_row(FILE *file, const bench_result *result, const bench_entry *entry, int number,
                      bool in_step)
{
    char text[32];
    const double median = bench_entry_median(entry);
    const bench_interval interval = bench_entry_interval(result, entry);
    fprintf(file, "<tr><td>%d</td><td class=\"name\">", number);
    bench_html(file, entry->name);
    if (entry->shapes[0] != '\0' && strcmp(entry->group, "op") == 0) {
        fputs("<br><span class=\"soft\">", file);
        bench_html(file, entry->shapes);
        fputs("</span>", file);
    }
    fputs("</td><td>", file);
    bench_html_time(file, median);
    const double half_width = 50.0 * (interval.high - interval.low) / median;
    fprintf(file, half_width < 9.95 ? "</td><td>± %.1f%%</td>" : "</td><td>± %.0f%%</td>",
            half_width);
    fprintf(file, "<td>%s</td>",
            entry->operations > 0.0
                ? bench_format_rate(text, sizeof text, entry->operations / median * 1e9, "FLOP/s")
                : "–");
    fprintf(file, "<td>%s</td>",
            bench_format_rate(text, sizeof text, entry->bytes / median * 1e9, "B/s"));
    if (isfinite(entry->floor_ns)) {
        fprintf(file, "<td>%.0f%%</td>", 100.0 * entry->floor_ns / median);
    } else {
        fputs("<td>–</td>", file);
    }
    fprintf(file, "<td>%s</td>", bench_bound_name(entry->bound));
    if (in_step) {
        fprintf(file,
                entry->share < 0.0005 ? "<td>%.0f</td><td>&lt; 0.1%%</td>"
                                      : "<td>%.0f</td><td>%.1f%%</td>",
                entry->calls, 100.0 * entry->share);
    }
    fprintf(file, "<td>%.0f</td></tr>\n", entry->fallback_calls);
}

void bench_report_table(FILE *file, const bench_result *result, const char *group)
{
    int number = 0;
    bool in_step = false;
    for (size_t k = 0; k < result->entry_count; k++) {
        in_step |=
            strcmp(result->entries[k].group, group) == 0 && isfinite(result->entries[k].share);
    }
    fprintf(file,
            "<div class=\"panel\"><table><thead><tr><th>#</th><th class=\"name\">%s</th>"
            "<th>median</th><th>%.4g%%</th><th>operations</th><th>bytes</th><th>of roof</th>"
            "<th>bound</th>%s<th>on host</th></tr></thead><tbody>\n",
            group, 100.0 * bench_confidence(result), in_step ? "<th>calls</th><th>share</th>" : "");
    for (size_t k = 0; k < result->entry_count; k++) {
        if (strcmp(result->entries[k].group, group) == 0) {
            write_row(file, result, &result->entries[k], ++number, in_step);
        }
    }
    fputs("</tbody></table></div>\n", file);
}
