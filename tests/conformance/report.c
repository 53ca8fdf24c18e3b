/* Counting cases, and writing them as JSON and as JUnit XML. */
#include "conformance/report.h"

#include "core/array.h"
#include "core/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/json.h>

static const char *const outcome_names[] = {"passed", "failed", "skipped"};

static void count(suite_counts *counts, const check_verdict *verdict, double seconds)
{
    counts->passed += verdict->outcome == CHECK_PASSED;
    counts->failed += verdict->outcome == CHECK_FAILED;
    counts->skipped += verdict->outcome == CHECK_SKIPPED;
    counts->seconds += seconds;
    if (verdict->worst > counts->worst) {
        counts->worst = verdict->worst;
    }
}

static suite_counts *find_group(suite_report *report, const plan_position *position)
{
    char name[PLAN_NAME_BYTES];
    plan_group(name, position);
    for (size_t k = 0; k < report->group_count; k++) {
        if (strcmp(report->groups[k].name, name) == 0) {
            return &report->groups[k];
        }
    }
    suite_counts *group = &report->groups[report->group_count];
    report->group_count += report->group_count + 1 < SUITE_GROUPS;
    snprintf(group->name, sizeof group->name, "%s", name);
    return group;
}

static ttm_status keep(char **copy, const char *text)
{
    *copy = strdup(text);
    return *copy != NULL ? TTM_OK : ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the report");
}

ttm_status suite_report_add(suite_report *report, const plan_position *position,
                            const check_verdict *verdict, double seconds, const char *description,
                            const char *repeat)
{
    count(find_group(report, position), verdict, seconds);
    count(&report->total, verdict, seconds);
    if (!report->keep_entries) {
        return TTM_OK;
    }
    TTM_TRY(ttm_array_reserve(&report->entries, &report->entry_capacity, report->entry_count + 1,
                              sizeof *report->entries, "the report"));
    suite_entry *entry = &report->entries[report->entry_count++];
    *entry = (suite_entry){.position = *position,
                           .outcome = verdict->outcome,
                           .worst = verdict->worst,
                           .seconds = seconds};
    if (verdict->message[0] != '\0') {
        TTM_TRY(keep(&entry->message, verdict->message));
    }
    if (verdict->outcome == CHECK_FAILED) {
        TTM_TRY(keep(&entry->description, description));
        TTM_TRY(keep(&entry->repeat, repeat));
    }
    return TTM_OK;
}

/* Writes a whole text to a file. */
static ttm_status write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    const bool written = file != NULL && fputs(text, file) >= 0;
    const bool closed = file != NULL && fclose(file) == 0;
    if (!written || !closed) {
        return ttm_fail(TTM_ERROR_IO, "the report '%s' can't be written: %s", path,
                        strerror(errno));
    }
    return TTM_OK;
}

static void write_entry(ttm_json_writer *writer, const suite_entry *entry)
{
    char name[PLAN_NAME_BYTES];
    plan_name(name, &entry->position);
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "name", name);
    ttm_json_member_string(writer, "outcome", outcome_names[entry->outcome]);
    ttm_json_member_double(writer, "seconds", entry->seconds);
    ttm_json_member_double(writer, "worst", entry->worst);
    ttm_json_member_string(writer, "message", entry->message);
    if (entry->outcome == CHECK_FAILED) {
        ttm_json_member_string(writer, "description", entry->description);
        ttm_json_member_string(writer, "repeat", entry->repeat);
    }
    ttm_json_end_object(writer);
}

ttm_status suite_report_write_json(const suite_report *report, const char *path, const char *plugin,
                                   const char *device, uint64_t seed)
{
    ttm_json_writer *writer = NULL;
    const char *text = NULL;
    TTM_TRY(ttm_json_writer_new(&writer, TTM_JSON_INDENTED));
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "plugin", plugin);
    ttm_json_member_string(writer, "device", device);
    ttm_json_member_uint(writer, "seed", seed);
    ttm_json_member_uint(writer, "passed", report->total.passed);
    ttm_json_member_uint(writer, "failed", report->total.failed);
    ttm_json_member_uint(writer, "skipped", report->total.skipped);
    ttm_json_member_double(writer, "seconds", report->total.seconds);
    ttm_json_key(writer, "cases");
    ttm_json_begin_array(writer);
    for (size_t k = 0; k < report->entry_count; k++) {
        write_entry(writer, &report->entries[k]);
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
    ttm_status status = ttm_json_writer_finish(&text, NULL, writer);
    if (status == TTM_OK) {
        status = write_file(path, text);
    }
    ttm_json_writer_free(writer);
    return status;
}

/* ---- JUnit ---- */

/* Plugins' texts have been cleaned: what is left to see to is XML's own. */
static void print_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char byte = (unsigned char)*text;
        switch (byte) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        case '\n':
            fputs("&#10;", file);
            break;
        default:
            fputc(byte < 0x20 ? ' ' : byte, file);
        }
    }
}

static void print_attribute(FILE *file, const char *name, const char *text)
{
    fprintf(file, " %s=\"", name);
    print_escaped(file, text);
    fputc('"', file);
}

static void print_entry(FILE *file, const suite_entry *entry, const char *group)
{
    char name[PLAN_NAME_BYTES];
    plan_name(name, &entry->position);
    fputs("    <testcase", file);
    print_attribute(file, "classname", group);
    print_attribute(file, "name", name);
    fprintf(file, " time=\"%.6f\"", entry->seconds);
    if (entry->outcome == CHECK_PASSED) {
        fputs("/>\n", file);
        return;
    }
    fprintf(file, "><%s", entry->outcome == CHECK_FAILED ? "failure type=\"failed\"" : "skipped");
    print_attribute(file, "message",
                    entry->message != NULL ? entry->message : "not supported by the device");
    if (entry->outcome == CHECK_FAILED) {
        fputc('>', file);
        print_escaped(file, entry->repeat);
        fputs("\n", file);
        print_escaped(file, entry->description);
        fputs("</failure></testcase>\n", file);
    } else {
        fputs("/></testcase>\n", file);
    }
}

static void print_group(FILE *file, const suite_report *report, const suite_counts *group)
{
    const uint64_t cases = group->passed + group->failed + group->skipped;
    fputs("  <testsuite", file);
    print_attribute(file, "name", group->name);
    fprintf(file,
            " tests=\"%llu\" failures=\"%llu\" errors=\"0\" skipped=\"%llu\" time=\"%.6f\">\n",
            (unsigned long long)cases, (unsigned long long)group->failed,
            (unsigned long long)group->skipped, group->seconds);
    for (size_t k = 0; k < report->entry_count; k++) {
        char name[PLAN_NAME_BYTES];
        plan_group(name, &report->entries[k].position);
        if (strcmp(name, group->name) == 0) {
            print_entry(file, &report->entries[k], group->name);
        }
    }
    fputs("  </testsuite>\n", file);
}

ttm_status suite_report_write_junit(const suite_report *report, const char *path)
{
    const suite_counts *total = &report->total;
    const uint64_t cases = total->passed + total->failed + total->skipped;
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        return ttm_fail(TTM_ERROR_IO, "the report '%s' can't be written: %s", path,
                        strerror(errno));
    }
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"ttm-conformance\" "
            "tests=\"%llu\" failures=\"%llu\" errors=\"0\" time=\"%.6f\">\n",
            (unsigned long long)cases, (unsigned long long)total->failed, total->seconds);
    for (size_t k = 0; k < report->group_count; k++) {
        print_group(file, report, &report->groups[k]);
    }
    fputs("</testsuites>\n", file);
    const bool damaged = ferror(file) != 0;
    if (fclose(file) != 0 || damaged) {
        return ttm_fail(TTM_ERROR_IO, "the report '%s' can't be written: %s", path,
                        strerror(errno));
    }
    return TTM_OK;
}

void suite_report_free(suite_report *report)
{
    for (size_t k = 0; k < report->entry_count; k++) {
        free(report->entries[k].message);
        free(report->entries[k].description);
        free(report->entries[k].repeat);
    }
    free(report->entries);
    *report = (suite_report){0};
}
