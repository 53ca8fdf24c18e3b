/* The roofline: operations a second over operations a byte, both logarithmic. Under the slope
 * memory is the bound, under the flat part the product units are. */
#include "bench/report.h"
#include "bench/table.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 960, HEIGHT = 420, LEFT = 96, RIGHT = 20, TOP = 18, BOTTOM = 46, ROW = 14 };

/* The plot's ranges, as powers of ten. */
typedef struct axes {
    double x_from;
    double x_to;
    double y_from;
    double y_to;
} axes;

static double place_x(const axes *range, double value)
{
    const double part = (log10(value) - range->x_from) / (range->x_to - range->x_from);
    return LEFT + part * (WIDTH - LEFT - RIGHT);
}

static double place_y(const axes *range, double value)
{
    const double part = (log10(value) - range->y_from) / (range->y_to - range->y_from);
    return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static bool is_point(const bench_entry *entry, const char *group)
{
    return strcmp(entry->group, group) == 0 && entry->operations > 0.0 && entry->bytes > 0.0 &&
           bench_entry_median(entry) > 0.0;
}

static double speed_of(const bench_entry *entry)
{
    return entry->operations / bench_entry_median(entry) * 1e9;
}

static axes choose_axes(const bench_result *result, const char *group, double peak, double memory)
{
    axes range = {-1.0, log10(peak / memory) + 1.0, log10(peak) - 2.0, log10(peak) + 0.3};
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        if (is_point(entry, group)) {
            const double x = log10(entry->operations / entry->bytes);
            const double y = log10(speed_of(entry));
            range.x_from = fmin(range.x_from, x - 0.2);
            range.x_to = fmax(range.x_to, x + 0.2);
            range.y_from = fmin(range.y_from, y - 0.2);
            range.y_to = fmax(range.y_to, y + 0.2);
        }
    }
    return range;
}

static void write_grid(FILE *file, const axes *range)
{
    char text[32];
    for (int power = (int)ceil(range->x_from); power <= (int)floor(range->x_to); power++) {
        const double x = place_x(range, pow(10.0, power));
        fprintf(file,
                "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 18, pow(10.0, power));
    }
    for (int power = (int)ceil(range->y_from); power <= (int)floor(range->y_to); power++) {
        const double y = place_y(range, pow(10.0, power));
        fprintf(file,
                "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 4,
                bench_format_rate(text, sizeof text, pow(10.0, power), "FLOP/s"));
    }
    fprintf(file,
            "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">operations per byte "
            "moved</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
}

static void write_roof(FILE *file, const axes *range, double peak, double memory)
{
    char text[32];
    const double ridge = peak / memory;
    const double start = fmax(pow(10.0, range->x_from), pow(10.0, range->y_from) / memory);
    fprintf(file, "<path class=\"roof\" d=\"M%.1f %.1fL%.1f %.1fL%d %.1f\"/>\n",
            place_x(range, start), place_y(range, start * memory), place_x(range, ridge),
            place_y(range, peak), WIDTH - RIGHT, place_y(range, peak));
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">products %s</text>\n",
            WIDTH - RIGHT - 4, place_y(range, peak) - 7,
            bench_format_rate(text, sizeof text, peak, "FLOP/s"));
    const double intensity = start * pow(ridge / start, 0.2); /* Few points lie so far left. */
    const double x = place_x(range, intensity);
    const double y = place_y(range, intensity * memory);
    const double slope = atan2(place_y(range, peak) - y, place_x(range, ridge) - x) * 57.29578;
    fprintf(file,
            "<text class=\"soft\" transform=\"translate(%.1f %.1f) rotate(%.1f)\" "
            "text-anchor=\"middle\" "
            "dy=\"-8\">memory %s</text>\n",
            x, y, slope, bench_format_rate(text, sizeof text, memory, "B/s"));
}

static double radius_of(const bench_entry *entry)
{
    return isfinite(entry->share) ? 4.0 + 9.0 * sqrt(fmin(entry->share, 1.0)) : 5.5;
}

/* A text beside a point: the name of what takes much of the time, the number in the table of what
 * doesn't. */
typedef struct point_label {
    char text[32];
    double direction; /* −1: left of its point, 0: above or below, 1: right. */
    double x;         /* Of its left end. */
    double y;         /* Of its baseline. */
    double width;
} point_label;

/* Returns whether few entries of the group take longer than this one. */
static bool is_named(const bench_result *result, const bench_entry *entry)
{
    enum { MOST_NAMES = 6 };
    int longer = 0;
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *other = &result->entries[k];
        longer +=
            is_point(other, entry->group) && bench_entry_median(other) > bench_entry_median(entry);
    }
    return longer < MOST_NAMES;
}

static bool labels_touch(const point_label *label, const point_label *other)
{
    return label->x < other->x + other->width + 4.0 && other->x < label->x + label->width + 4.0 &&
           fabs(other->y - label->y) < ROW - 2;
}

static double distance(const point_label *label, double x, double y)
{
    const double beside_x = fmax(fmax(label->x - x, x - label->x - label->width), 0.0);
    const double beside_y = fmax(fmax(label->y - 9.0 - y, y - label->y - 2.0), 0.0);
    return hypot(beside_x, beside_y);
}

/* Whether a label lies inside the plot, on no label before it and so far from all other points that
 * it isn't taken for theirs. */
static bool is_free(const point_label *label, const axes *range, const bench_result *result,
                    const bench_entry *own, const point_label *others, int count)
{
    if (label->x < LEFT + 2.0 || label->x + label->width > WIDTH || label->y < TOP + 10.0 ||
        label->y > HEIGHT - BOTTOM) {
        return false;
    }
    for (int before = 0; before < count; before++) {
        if (labels_touch(label, &others[before])) {
            return false;
        }
    }
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        if (is_point(entry, own->group)) {
            const double x = place_x(range, entry->operations / entry->bytes);
            const double y = place_y(range, speed_of(entry));
            if (distance(label, x, y) < radius_of(entry) + (entry == own ? 1.0 : 8.0)) {
                return false;
            }
        }
    }
    return true;
}

/* Puts a label right, left, above or below its point, or on a circle around it that grows until
 * there is room. */
static point_label make_label(const axes *range, const bench_result *result,
                              const bench_entry *entry, int number, const point_label *others,
                              int count)
{
    static const double directions[][2] = {{1, 0},  {-1, 0}, {0, -1},  {0, 1},
                                           {1, -1}, {1, 1},  {-1, -1}, {-1, 1}};
    enum { DIRECTIONS = sizeof directions / sizeof *directions, MOST_TRIES = 6 * DIRECTIONS };
    const double letter_width = 6.8;
    const double x = place_x(range, entry->operations / entry->bytes);
    const double y = place_y(range, speed_of(entry)) + 4.0;
    point_label label;
    if (is_named(result, entry)) {
        snprintf(label.text, sizeof label.text, "%s", entry->name);
    } else {
        snprintf(label.text, sizeof label.text, "%d", number);
    }
    label.width = letter_width * (double)strlen(label.text);
    for (int try = 0; try < MOST_TRIES; try++) {
        const double *direction = directions[try % DIRECTIONS];
        const int ring = try / DIRECTIONS;
        const double away = radius_of(entry) + 4.0 + 6.0 * ring;
        label.direction = direction[0];
        label.x = x + direction[0] * away - 0.5 * (1.0 - direction[0]) * label.width;
        label.y = y + direction[1] * (away + 4.0);
        if (is_free(&label, range, result, entry, others, count)) {
            return label;
        }
    }
    label.direction = 1.0;
    label.x = x + radius_of(entry) + 4.0;
    label.y = y;
    return label;
}

/* "matmul: 179 ms, 82.2 GFLOP/s, 42% of its roof". */
static void write_detail(FILE *file, const bench_entry *entry)
{
    char speed[32];
    bench_html(file, entry->name);
    fputs(": ", file);
    bench_html_time(file, bench_entry_median(entry));
    fprintf(file, ", %s, %.0f%% of its roof",
            bench_format_rate(speed, sizeof speed, speed_of(entry), "FLOP/s"),
            100.0 * entry->floor_ns / bench_entry_median(entry));
}

/* A line from a point to its label, where that isn't beside it. */
static void write_leader(FILE *file, const point_label *label, double x, double y, double radius)
{
    if (distance(label, x, y) > radius + 8.0) {
        const double to_x = fmin(fmax(x, label->x), label->x + label->width);
        const double to_y = fmin(fmax(y, label->y - 9.0), label->y + 2.0);
        fprintf(file, "<line class=\"leader\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", x,
                y, to_x, to_y);
    }
}

/* Who points at it, or reaches it with the Tab key, reads its figures in the corner that lies above
 * all roofs. */
static void write_point(FILE *file, const axes *range, const bench_entry *entry,
                        const point_label *label)
{
    const double x = place_x(range, entry->operations / entry->bytes);
    const double y = place_y(range, speed_of(entry));
    const char *bound = bench_bound_name(entry->bound);
    fputs("<g class=\"point\" tabindex=\"0\" role=\"img\" aria-label=\"", file);
    write_detail(file, entry);
    fputs("\">", file);
    write_leader(file, label, x, y, radius_of(entry));
    fprintf(file, "<circle class=\"dot %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>",
            bound[0] != '\0' ? bound : "none", x, y, radius_of(entry));
    /* Held where it is nearest to the point: its width is a guess. */
    fprintf(file, "<text class=\"soft\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
            label->x + 0.5 * (1.0 - label->direction) * label->width, label->y,
            label->direction < 0.0   ? "end"
            : label->direction > 0.0 ? "start"
                                     : "middle");
    bench_html(file, label->text);
    fprintf(file, "</text><text class=\"detail\" x=\"%d\" y=\"%d\">", LEFT + 8, TOP + 14);
    write_detail(file, entry);
    fputs("</text></g>\n", file);
}

/* The flat roof and the text on it, as labels that others must leave room for. Returns how many. */
static int place_roof_labels(point_label *labels, const axes *range, double peak, double memory)
{
    const double y = place_y(range, peak);
    const double text_width = 150.0;
    labels[0] = (point_label){.x = place_x(range, peak / memory),
                              .y = y + 3.0,
                              .width = WIDTH - RIGHT - place_x(range, peak / memory)};
    labels[1] =
        (point_label){.x = WIDTH - RIGHT - 4.0 - text_width, .y = y - 7.0, .width = text_width};
    return 2;
}

/* The highest roof of products: types other than f32 are measured where ops are of them. */
static double product_roof(const bench_result *result)
{
    static const char *const names[] = {"product_f32_flops", "product_tf32_flops",
                                        "product_bf16_flops", "product_f16_flops"};
    double peak = 0.0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        peak = fmax(peak, bench_number(result, "roofs", names[k]));
    }
    return peak;
}

void bench_report_roofline(FILE *file, const bench_result *result, const char *group)
{
    enum { MOST_LABELS = 128 };
    point_label labels[MOST_LABELS];
    const double peak = product_roof(result);
    const double memory = bench_number(result, "roofs", "memory_bytes_per_second");
    if (!(peak > 0.0) || !(memory > 0.0)) {
        return;
    }
    const axes range = choose_axes(result, group, peak, memory);
    fprintf(file,
            "<svg viewBox=\"0 0 %d %d\" role=\"group\" aria-label=\"Roofline: speed of each op "
            "over operations per byte\">\n",
            WIDTH, HEIGHT);
    write_grid(file, &range);
    write_roof(file, &range, peak, memory);
    int label_count = place_roof_labels(labels, &range, peak, memory);
    int number = 0;
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        number += strcmp(entry->group, group) == 0;
        if (!is_point(entry, group) || label_count == MOST_LABELS) {
            continue;
        }
        labels[label_count] = make_label(&range, result, entry, number, labels, label_count);
        write_point(file, &range, entry, &labels[label_count++]);
    }
    fputs("</svg>\n<p class=\"legend\"><span><i class=\"compute\"></i>bound by products</span>"
          "<span><i class=\"memory\"></i>by memory</span><span><i class=\"cache\"></i>fits the "
          "caches</span><span><i class=\"launch\"></i>by launching</span><span>numbers as in the "
          "table; larger: more of the step</span></p>\n",
          file);
}
