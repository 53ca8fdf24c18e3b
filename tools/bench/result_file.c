/* Results as files: JSON both ways, CSV one way. */
#include "bench/result.h"

#include "common/tool_options.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/json.h>

enum { MAX_FILE_BYTES = 256 << 20 };

/* ---- Writing ---- */

/* Facts of one section keep together, sections in the order of their first fact. */
static void write_facts(ttm_json_writer *writer, const bench_result *result)
{
    for (size_t first = 0; first < result->fact_count; first++) {
        const char *section = result->facts[first].section;
        bool written = false;
        for (size_t k = 0; k < first && !written; k++) {
            written = strcmp(result->facts[k].section, section) == 0;
        }
        if (written) {
            continue;
        }
        ttm_json_key(writer, section);
        ttm_json_begin_object(writer);
        for (size_t k = first; k < result->fact_count; k++) {
            const bench_fact *fact = &result->facts[k];
            if (strcmp(fact->section, section) != 0) {
                continue;
            }
            if (fact->text != NULL) {
                ttm_json_member_string(writer, fact->name, fact->text);
            } else {
                ttm_json_member_double(writer, fact->name, fact->number);
            }
        }
        ttm_json_end_object(writer);
    }
}

static void write_series(ttm_json_writer *writer, const bench_series *series)
{
    ttm_json_key(writer, "samples_ns");
    ttm_json_begin_array(writer);
    for (size_t round = 0; round < series->round_count; round++) {
        const double *values = NULL;
        const size_t count = bench_series_round(&values, series, round);
        ttm_json_begin_array(writer);
        for (size_t k = 0; k < count; k++) {
            ttm_json_write_double(writer, rint(values[k] * 10.0) / 10.0);
        }
        ttm_json_end_array(writer);
    }
    ttm_json_end_array(writer);
}

static void write_known(ttm_json_writer *writer, const char *key, double value)
{
    if (!isnan(value)) {
        ttm_json_member_double(writer, key, value);
    }
}

static void write_entry(ttm_json_writer *writer, const bench_result *result,
                        const bench_entry *entry)
{
    const double median = bench_entry_median(entry);
    const bench_interval interval = bench_entry_interval(result, entry);
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "group", entry->group);
    ttm_json_member_string(writer, "name", entry->name);
    ttm_json_member_string(writer, "op", entry->op);
    ttm_json_member_string(writer, "shapes", entry->shapes);
    write_known(writer, "median_ns", median);
    write_known(writer, "low_ns", interval.low);
    write_known(writer, "high_ns", interval.high);
    ttm_json_member_double(writer, "confidence", interval.confidence);
    write_known(writer, "wall_ns", entry->wall_ns);
    write_known(writer, "operations", entry->operations);
    write_known(writer, "bytes", entry->bytes);
    write_known(writer, "flops", entry->operations / median * 1e9);
    write_known(writer, "bytes_per_second", entry->bytes / median * 1e9);
    write_known(writer, "floor_ns", entry->floor_ns);
    write_known(writer, "roof_share", entry->floor_ns / median);
    ttm_json_member_string(
        writer, "bound", entry->bound != BENCH_BOUND_NONE ? bench_bound_name(entry->bound) : NULL);
    ttm_json_member_double(writer, "calls", entry->calls);
    ttm_json_member_double(writer, "fallback_calls", entry->fallback_calls);
    ttm_json_member_double(writer, "decomposed_calls", entry->decomposed_calls);
    write_known(writer, "share", entry->share);
    write_series(writer, &entry->series);
    ttm_json_end_object(writer);
}

int bench_write_json(FILE *file, const bench_result *result)
{
    ttm_json_writer *writer = NULL;
    const char *text = NULL;
    if (result->out_of_memory || ttm_json_writer_new(&writer, TTM_JSON_INDENTED) != TTM_OK) {
        return 0;
    }
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "schema", BENCH_SCHEMA);
    ttm_json_member_int(writer, "version", BENCH_SCHEMA_VERSION);
    ttm_json_member_string(writer, "command", result->command);
    write_facts(writer, result);
    ttm_json_key(writer, "entries");
    ttm_json_begin_array(writer);
    for (size_t k = 0; k < result->entry_count; k++) {
        write_entry(writer, result, &result->entries[k]);
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
    const int written =
        ttm_json_writer_finish(&text, NULL, writer) == TTM_OK && fputs(text, file) >= 0;
    ttm_json_writer_free(writer);
    return written;
}

static void put_csv_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', file);
        }
        fputc(*text, file);
    }
    fputs("\",", file);
}

static void put_csv_number(FILE *file, double value, const char *end)
{
    if (isfinite(value)) {
        fprintf(file, "%.9g", value);
    }
    fputs(end, file);
}

int bench_write_csv(FILE *file, const bench_result *result)
{
    fputs(
        "group,name,op,shapes,median_ns,low_ns,high_ns,confidence,wall_ns,operations,bytes,flops,"
        "bytes_per_second,floor_ns,roof_share,bound,calls,fallback_calls,decomposed_calls,share\n",
        file);
    for (size_t k = 0; k < result->entry_count; k++) {
        const bench_entry *entry = &result->entries[k];
        const double median = bench_entry_median(entry);
        const bench_interval interval = bench_entry_interval(result, entry);
        put_csv_text(file, entry->group);
        put_csv_text(file, entry->name);
        put_csv_text(file, entry->op);
        put_csv_text(file, entry->shapes);
        const double numbers[] = {median,
                                  interval.low,
                                  interval.high,
                                  interval.confidence,
                                  entry->wall_ns,
                                  entry->operations,
                                  entry->bytes,
                                  entry->operations / median * 1e9,
                                  entry->bytes / median * 1e9,
                                  entry->floor_ns,
                                  entry->floor_ns / median};
        for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
            put_csv_number(file, numbers[n], ",");
        }
        fprintf(file, "%s,", bench_bound_name(entry->bound));
        put_csv_number(file, entry->calls, ",");
        put_csv_number(file, entry->fallback_calls, ",");
        put_csv_number(file, entry->decomposed_calls, ",");
        put_csv_number(file, entry->share, "\n");
    }
    return ferror(file) == 0;
}

/* ---- Reading ---- */

static char *read_text(size_t *bytes, const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = NULL;
    *bytes = 0;
    if (file == NULL) {
        return NULL;
    }
    for (size_t capacity = 1 << 16; capacity <= MAX_FILE_BYTES; capacity *= 2) {
        char *larger = realloc(text, capacity);
        if (larger == NULL) {
            break;
        }
        text = larger;
        *bytes += fread(text + *bytes, 1, capacity - *bytes, file);
        if (*bytes < capacity) {
            const int failed = ferror(file);
            fclose(file);
            if (failed) {
                free(text);
                return NULL;
            }
            return text;
        }
    }
    fclose(file);
    free(text);
    errno = EFBIG;
    return NULL;
}

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static double number_of(const cJSON *object, const char *key, double missing)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : missing;
}

static bench_bound bound_of(const char *name)
{
    for (int bound = BENCH_BOUND_COMPUTE; bound <= BENCH_BOUND_LAUNCH; bound++) {
        if (strcmp(name, bench_bound_name((bench_bound)bound)) == 0) {
            return (bench_bound)bound;
        }
    }
    return BENCH_BOUND_NONE;
}

static bool read_series(bench_series *series, const cJSON *rounds)
{
    const cJSON *round = NULL;
    series->round_count = 0;
    cJSON_ArrayForEach(round, rounds)
    {
        const cJSON *value = NULL;
        if (!cJSON_IsArray(round) || !bench_series_begin_round(series)) {
            return false;
        }
        cJSON_ArrayForEach(value, round)
        {
            if (!cJSON_IsNumber(value) || !(value->valuedouble >= 0.0) ||
                !bench_series_add(series, value->valuedouble)) {
                return false;
            }
        }
    }
    return cJSON_IsArray(rounds);
}

static bool read_entry(bench_result *result, const cJSON *object)
{
    const char *name = text_of(object, "name");
    if (!cJSON_IsObject(object) || name[0] == '\0') {
        return false;
    }
    bench_entry *entry = bench_add_entry(result, text_of(object, "group"), name,
                                         text_of(object, "op"), text_of(object, "shapes"));
    if (entry == NULL) {
        return false;
    }
    entry->wall_ns = number_of(object, "wall_ns", (double)NAN);
    entry->operations = number_of(object, "operations", (double)NAN);
    entry->bytes = number_of(object, "bytes", (double)NAN);
    entry->floor_ns = number_of(object, "floor_ns", (double)NAN);
    entry->bound = bound_of(text_of(object, "bound"));
    entry->calls = number_of(object, "calls", 1.0);
    entry->fallback_calls = number_of(object, "fallback_calls", 0.0);
    entry->decomposed_calls = number_of(object, "decomposed_calls", 0.0);
    entry->share = number_of(object, "share", (double)NAN);
    return read_series(&entry->series, cJSON_GetObjectItemCaseSensitive(object, "samples_ns"));
}

static void read_section(bench_result *result, const cJSON *section)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, section)
    {
        if (cJSON_IsString(item)) {
            bench_set_text(result, section->string, item->string, item->valuestring);
        } else if (cJSON_IsNumber(item)) {
            bench_set_number(result, section->string, item->string, item->valuedouble);
        }
    }
}

static const char *read_root(bench_result *result, const cJSON *root)
{
    const cJSON *section = NULL;
    const cJSON *entry = NULL;
    if (strcmp(text_of(root, "schema"), BENCH_SCHEMA) != 0) {
        return "isn't a result of ttm-bench";
    }
    if (number_of(root, "version", 0.0) != (double)BENCH_SCHEMA_VERSION) {
        return "is of another version of ttm-bench: measure again";
    }
    result->command = strdup(text_of(root, "command"));
    cJSON_ArrayForEach(section, root)
    {
        if (cJSON_IsObject(section)) {
            read_section(result, section);
        }
    }
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(root, "entries"))
    {
        if (!read_entry(result, entry)) {
            return "holds an entry that isn't understood";
        }
    }
    return result->command == NULL || result->out_of_memory ? "is too large for memory" : NULL;
}

int bench_read_json(bench_result *result, const char *path)
{
    size_t bytes = 0;
    memset(result, 0, sizeof *result);
    char *text = read_text(&bytes, path);
    if (text == NULL) {
        return tool_fail_text("can't read '%s': %s", path, strerror(errno));
    }
    cJSON *root = cJSON_ParseWithLength(text, bytes);
    const char *problem = root != NULL ? read_root(result, root) : "isn't JSON";
    cJSON_Delete(root);
    free(text);
    if (problem != NULL) {
        bench_result_free(result);
        return tool_fail_text("'%s' %s", path, problem);
    }
    result->path = strdup(path);
    return TOOL_GO_ON;
}
