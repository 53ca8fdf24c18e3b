/* ttm-conformance: tests a backend plugin against the contracts of ttm/ops.h. */
#include "common/tool_options.h"
#include "conformance/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

enum { TIME_LIMIT_SECONDS = 120, REPEAT_BYTES = 4700 };

static void print_counts(const suite_report *report)
{
    for (size_t k = 0; k < report->group_count; k++) {
        const suite_counts *group = &report->groups[k];
        printf("%-20s %5llu passed %5llu failed %5llu skipped", group->name,
               (unsigned long long)group->passed, (unsigned long long)group->failed,
               (unsigned long long)group->skipped);
        if (group->worst > 0.0) {
            printf("   largest error %.2g of its bound", group->worst);
        }
        putchar('\n');
    }
    if (report->total.skipped > 0) {
        printf("%llu skipped (--verbose says why)\n", (unsigned long long)report->total.skipped);
    }
    printf("%llu passed, %llu failed\n", (unsigned long long)report->total.passed,
           (unsigned long long)report->total.failed);
}

/* Writes the files that were asked for. */
static ttm_status write_files(const suite_report *report, const suite_options *suite,
                              const char *json_path, const char *junit_path)
{
    ttm_status status = TTM_OK;
    if (json_path != NULL) {
        status = suite_report_write_json(report, json_path, suite->plugin_path, suite->device,
                                         suite->seed);
    }
    if (junit_path != NULL && status == TTM_OK) {
        status = suite_report_write_junit(report, junit_path);
    }
    return status;
}

/* Appends a word to a command, in quotes where a shell would read it as something else. */
static void append_word(char *command, size_t command_bytes, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,+@%=";
    size_t used = strlen(command);
    used += (size_t)snprintf(command + used, command_bytes - used, used > 0 ? " " : "");
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        snprintf(command + used, command_bytes - used, "%s", word);
        return;
    }
    used += (size_t)snprintf(command + used, command_bytes - used, "'");
    for (; *word != '\0' && used + 5 < command_bytes; word++) {
        used += (size_t)snprintf(command + used, command_bytes - used,
                                 *word == '\'' ? "'\\''" : "%c", *word);
    }
    snprintf(command + used, command_bytes - used, "'");
}

/* The start of the command that repeats a case: `program` on the same device, without --device and
 * --time-limit where they weren't given. */
static void print_repeat(char *command, size_t command_bytes, const char *program,
                         const char *const options[], size_t count)
{
    command[0] = '\0';
    append_word(command, command_bytes, program);
    for (size_t k = 0; k < count; k += 2) {
        if (options[k + 1] != NULL) {
            append_word(command, command_bytes, options[k]);
            append_word(command, command_bytes, options[k + 1]);
        }
    }
}

/* *path = the file of a backend given as NAME or NAME:DEVICE; *device = what follows the colon. */
static ttm_status find_backend(char **path, const char **device, const char *backend)
{
    char name[64];
    const char *colon = strchr(backend, ':');
    const size_t length = colon != NULL ? (size_t)(colon - backend) : strlen(backend);
    snprintf(name, sizeof name, "%.*s", (int)length, backend);
    if (colon != NULL && *device == NULL) {
        *device = colon + 1;
    }
    return target_find(path, name);
}

/* The backend to test when none is named. */
static const char *default_backend(void)
{
    const char *backend = getenv("TTM_BACKEND");
    return backend != NULL && strcmp(backend, "auto") != 0 ? backend : "cpu";
}

/* TTM_DTYPE_NONE for "all". */
static ttm_dtype find_dtype(const char *name)
{
    static const ttm_dtype floats[] = {TTM_F32, TTM_BF16, TTM_F16, TTM_F64};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        if (strcmp(name, ttm_dtype_name(floats[i])) == 0) {
            return floats[i];
        }
    }
    return TTM_DTYPE_NONE;
}

int main(int argc, char **argv)
{
    const char *plugin = NULL;
    const char *filter = NULL;
    const char *dtype = "all";
    const char *json_path = NULL;
    const char *junit_path = NULL;
    int64_t seed = 1;
    int64_t cases = 60;
    int64_t time_limit = TIME_LIMIT_SECONDS;
    bool list = false;
    bool verbose = false;
    bool in_process = false;
    tool_option options[] = {
        TOOL_GROUP("What is tested"),
        TOOL_STRING("plugin", 'p', "FILE.so", &plugin, "plugin file to test"),
        TOOL_STRING("filter", 'f', "NAME", &filter,
                    "only the cases of this group or name, such as memory or matmul/3; a shell "
                    "pattern such as 'tt_*' is understood"),
        TOOL_CHOICE("dtype", 't', "all|f32|bf16|f16|f64", &dtype, "type of the tensors' elements"),
        TOOL_GROUP("How"),
        TOOL_INT("seed", 's', "N", &seed, 0, INT64_MAX, "seed of the random cases"),
        TOOL_INT("cases", 'n', "N", &cases, 1, 1000000, "cases of each op"),
        TOOL_INT("time-limit", 0, "SECONDS", &time_limit, 1, 86400,
                 "a case that takes longer has failed"),
        TOOL_FLAG("in-process", 0, &in_process,
                  "run the plugin in this process, for a debugger; a crash then ends the run"),
        TOOL_GROUP("Output"),
        TOOL_FLAG("list", 'l', &list, "print the cases instead of running them"),
        TOOL_FLAG("verbose", 'v', &verbose, "print a line for every case"),
        TOOL_STRING("json-file", 0, "FILE", &json_path, "write all cases to this file as JSON"),
        TOOL_STRING("junit-file", 0, "FILE", &junit_path,
                    "write all cases to this file as JUnit XML"),
    };
    const tool_example examples[] = {
        {"ttm-conformance --backend cpu", "test the backend called cpu"},
        {"ttm-conformance --plugin ./libttm-backend-mine.so --filter matmul",
         "test one op of a plugin that isn't installed"},
    };
    tool_program program = {
        .name = "ttm-conformance",
        .summary = "test a backend plugin against the contracts of its ops",
        .usage = "[--backend NAME[:DEVICE] | --plugin FILE.so [--device DEVICE]] [option…]",
        .description =
            "Tests every promise of ttm/backend.h and ttm/ops.h. First the device: memory, "
            "streams, "
            "threads, opening and closing. Then random cases of every op that the plugin has, "
            "compared with the reference backend in double precision within the error bound of the "
            "op's contract; guards around every tensor show writes outside, and every case runs "
            "twice and must give the same bits. Then ops that it lacks, through libttm (libttm/…), "
            "and descriptors that must be refused (errors/…).\n\nEvery case runs in a process that "
            "may crash or hang: that case has then failed, and the run goes on. A case is a "
            "function of its name and the seed: a failure prints the command that repeats it. Ends "
            "with the line \"N passed, N failed\"; the exit status is 1 when a case failed. "
            "Without "
            "--backend and --plugin the backend of TTM_BACKEND is tested, else cpu.",
        .offers = TOOL_OFFERS_DEVICE,
        TOOL_TABLE(options, examples),
    };
    char *plugin_path = NULL;
    char *oracle_path = NULL;
    char time_limit_text[24];
    char repeat_how[REPEAT_BYTES];
    suite_report report = {.keep_entries = false};
    int code = tool_parse(&program, argc, argv);
    if (code != TOOL_GO_ON) {
        return code;
    }
    if (plugin != NULL && program.backend != NULL) {
        code = tool_usage_error("give either --backend NAME or --plugin FILE.so");
        goto out;
    }
    const char *backend = program.backend != NULL ? program.backend : default_backend();
    const char *device = program.device;
    ttm_status status = target_find(&oracle_path, "reference");
    if (status == TTM_OK && plugin == NULL) {
        status = find_backend(&plugin_path, &device, backend);
    }
    if (status != TTM_OK) {
        code = tool_fail(status);
        goto out;
    }
    snprintf(time_limit_text, sizeof time_limit_text, "%lld", (long long)time_limit);
    const char *const given[] = {plugin != NULL ? "--plugin" : "--backend",
                                 plugin != NULL ? plugin : backend,
                                 "--device",
                                 program.device,
                                 "--time-limit",
                                 time_limit != TIME_LIMIT_SECONDS ? time_limit_text : NULL};
    print_repeat(repeat_how, sizeof repeat_how, argv[0], given, sizeof given / sizeof given[0]);
    const suite_options suite = {.plugin_path = plugin != NULL ? plugin : plugin_path,
                                 .device = device,
                                 .oracle_path = oracle_path,
                                 .filter = filter,
                                 .dtype = find_dtype(dtype),
                                 .seed = (uint64_t)seed,
                                 .cases = (uint64_t)cases,
                                 .time_limit_s = time_limit,
                                 .verbose = verbose,
                                 .repeat_how = repeat_how};
    report.keep_entries = json_path != NULL || junit_path != NULL;
    if (list) {
        status = suite_list(&suite);
    } else {
        status = in_process ? suite_run_here(&report, &suite) : suite_run(&report, &suite);
    }
    code = status == TTM_OK ? TOOL_EXIT_DONE : tool_fail(status);
    if (!list && (status == TTM_OK || report.total.failed > 0)) { /* what is known is told */
        print_counts(&report);
        status = write_files(&report, &suite, json_path, junit_path);
        code = status == TTM_OK ? code : tool_fail(status);
    }
    if (code == TOOL_EXIT_DONE) {
        code = tool_done();
    }
    if (code == TOOL_EXIT_DONE && report.total.failed > 0) {
        code = TOOL_EXIT_FAILED;
    }
out:
    suite_report_free(&report);
    free(plugin_path);
    free(oracle_path);
    tool_free(&program);
    return code;
}
