/* ttm-conformance: tests a backend plugin against the contracts of ttm/ops.h. */
#include "common/tool_options.h"
#include "common/tool_output.h"
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

/* Appends as much of a text as there is room for. */
static void append(char *command, size_t command_bytes, const char *text)
{
    const size_t used = strlen(command);
    snprintf(command + used, command_bytes - used, "%s", text);
}

/* Appends a word to a command, in quotes where a shell would read it as something else. */
static void append_word(char *command, size_t command_bytes, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,+@%=";
    append(command, command_bytes, command[0] != '\0' ? " " : "");
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        append(command, command_bytes, word);
        return;
    }
    append(command, command_bytes, "'");
    for (; *word != '\0'; word++) {
        const char letter[] = {*word, '\0'};
        append(command, command_bytes, *word == '\'' ? "'\\''" : letter);
    }
    append(command, command_bytes, "'");
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
    static const ttm_dtype floats[] = {TTM_F32, TTM_BF16, TTM_F16, TTM_F64, TTM_TF32};
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        if (strcmp(name, ttm_dtype_name(floats[i])) == 0) {
            return floats[i];
        }
    }
    return TTM_DTYPE_NONE;
}

/* What the command line says. */
typedef struct conformance_arguments {
    tool_program program;
    const char *plugin;
    const char *filter;
    const char *dtype;
    const char *json_path;
    const char *junit_path;
    int64_t seed;
    int64_t cases;
    int64_t time_limit;
    bool list;
    bool verbose;
    bool in_process;
} conformance_arguments;

static const tool_example examples[] = {
    {"ttm-conformance --backend cpu", "test the backend called cpu"},
    {"ttm-conformance --plugin ./libttm-backend-mine.so --filter matmul",
     "test one op of a plugin that isn't installed"},
};

static const char description[] =
    "Tests every promise of ttm/backend.h and ttm/ops.h. First the device: memory, streams, "
    "threads, opening and closing. Then random cases of every op that the plugin has, compared "
    "with the reference backend in double precision within the error bound of the op's "
    "contract; guards around every tensor show writes outside, and every case runs twice and "
    "must give the same bits. Then ops that it lacks, through libttm (libttm/…), and "
    "descriptors that must be refused (errors/…).\n\n"
    "Every case runs in a process that may crash or hang: that case has then failed, and the "
    "run goes on. A case is a function of its name and the seed: a failure prints the command "
    "that repeats it. Ends with the line \"N passed, N failed\"; the exit status is 1 when a "
    "case failed. Without --backend and --plugin the backend of TTM_BACKEND is tested, else "
    "cpu.";

/* Runs the cases and tells what came of them. A file that can't be written is told before minutes
 * of that. */
static int test(const conformance_arguments *arguments, const suite_options *suite)
{
    const char *const files[] = {arguments->json_path, arguments->junit_path};
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        if (files[k] != NULL && tool_output_check(files[k]) != TOOL_GO_ON) {
            return TOOL_EXIT_FAILED;
        }
    }
    suite_report report = {.keep_entries = files[0] != NULL || files[1] != NULL};
    ttm_status status =
        arguments->in_process ? suite_run_here(&report, suite) : suite_run(&report, suite);
    int code = status == TTM_OK ? TOOL_EXIT_DONE : tool_fail(status);
    if (status == TTM_OK || report.total.failed > 0) { /* what is known is told */
        print_counts(&report);
        status = write_files(&report, suite, arguments->json_path, arguments->junit_path);
        code = status == TTM_OK ? code : tool_fail(status);
    }
    if (code == TOOL_EXIT_DONE) {
        code = tool_done();
    }
    if (code == TOOL_EXIT_DONE && report.total.failed > 0) {
        code = TOOL_EXIT_FAILED;
    }
    suite_report_free(&report);
    return code;
}

static int list(const suite_options *suite)
{
    const ttm_status status = suite_list(suite);
    return status == TTM_OK ? tool_done() : tool_fail(status);
}

/* Lists or tests the cases of the plugin in the file `path`. */
static int run_suite(const conformance_arguments *arguments, const char *path, const char *device,
                     const char *oracle_path, const char *program_path)
{
    char time_limit[24];
    char repeat_how[REPEAT_BYTES];
    const bool by_file = arguments->plugin != NULL;
    const char *backend = arguments->program.backend;
    snprintf(time_limit, sizeof time_limit, "%lld", (long long)arguments->time_limit);
    const char *const given[] = {by_file ? "--plugin" : "--backend",
                                 by_file           ? arguments->plugin
                                 : backend != NULL ? backend
                                                   : default_backend(),
                                 "--device",
                                 arguments->program.device,
                                 "--time-limit",
                                 arguments->time_limit != TIME_LIMIT_SECONDS ? time_limit : NULL};
    print_repeat(repeat_how, sizeof repeat_how, program_path, given,
                 sizeof given / sizeof given[0]);
    const suite_options suite = {.plugin_path = path,
                                 .device = device,
                                 .oracle_path = oracle_path,
                                 .filter = arguments->filter,
                                 .dtype = find_dtype(arguments->dtype),
                                 .seed = (uint64_t)arguments->seed,
                                 .cases = (uint64_t)arguments->cases,
                                 .time_limit_s = arguments->time_limit,
                                 .verbose = arguments->verbose,
                                 .repeat_how = repeat_how};
    if (!suite_has_cases(&suite)) {
        /* Passing nothing would look like success. */
        return tool_usage_error("no case fits --filter '%s' with --cases %lld; --list shows all",
                                arguments->filter, (long long)arguments->cases);
    }
    return arguments->list ? list(&suite) : test(arguments, &suite);
}

static int run(const conformance_arguments *arguments, const char *program_path)
{
    char *plugin_path = NULL;
    char *oracle_path = NULL;
    const char *backend = arguments->program.backend;
    const char *device = arguments->program.device;
    ttm_status status = target_find(&oracle_path, "reference");
    if (status == TTM_OK && arguments->plugin == NULL) {
        status = find_backend(&plugin_path, &device, backend != NULL ? backend : default_backend());
    }
    const char *path = arguments->plugin != NULL ? arguments->plugin : plugin_path;
    const int code = status == TTM_OK
                         ? run_suite(arguments, path, device, oracle_path, program_path)
                         : tool_fail(status);
    free(plugin_path);
    free(oracle_path);
    return code;
}

int main(int argc, char **argv)
{
    conformance_arguments arguments = {
        .dtype = "all", .seed = 1, .cases = 60, .time_limit = TIME_LIMIT_SECONDS};
    tool_option options[] = {
        TOOL_GROUP("What is tested"),
        TOOL_STRING("plugin", 'p', "FILE.so", &arguments.plugin, "plugin file to test",
                    TOOL_NOT_WITH("--backend")),
        TOOL_STRING("filter", 'f', "NAME", &arguments.filter,
                    "only the cases of this group or name, such as memory or matmul/3; a shell "
                    "pattern such as 'tt_*' is understood"),
        TOOL_CHOICE("dtype", 't', "all|f32|bf16|f16|f64|tf32", &arguments.dtype,
                    "type of the tensors' elements"),
        TOOL_GROUP("How"),
        TOOL_INT("seed", 's', "N", &arguments.seed, 0, INT64_MAX, "seed of the random cases"),
        TOOL_INT("cases", 'n', "N", &arguments.cases, 1, 1000000, "cases of each op"),
        TOOL_INT("time-limit", 0, "SECONDS", &arguments.time_limit, 1, 86400,
                 "a case that takes longer has failed", TOOL_NOT_WITH("--list")),
        TOOL_FLAG("in-process", 0, &arguments.in_process,
                  "run the plugin in this process, for a debugger; a crash then ends the run",
                  TOOL_NOT_WITH("--list")),
        TOOL_GROUP("Output"),
        TOOL_FLAG("list", 'l', &arguments.list, "print the cases instead of running them"),
        TOOL_FLAG("verbose", 'v', &arguments.verbose, "print a line for every case",
                  TOOL_NOT_WITH("--list")),
        TOOL_STRING("json-file", 0, "FILE", &arguments.json_path,
                    "write all cases to this file as JSON", TOOL_NOT_WITH("--list")),
        TOOL_STRING("junit-file", 0, "FILE", &arguments.junit_path,
                    "write all cases to this file as JUnit XML", TOOL_NOT_WITH("--list")),
    };
    arguments.program = (tool_program){
        .name = "ttm-conformance",
        .summary = "test a backend plugin against the contracts of its ops",
        .usage = "[--backend NAME[:DEVICE] | --plugin FILE.so [--device DEVICE]] [option…]",
        .description = description,
        .offers = TOOL_OFFERS_DEVICE,
        TOOL_TABLE(options, examples),
    };
    int code = tool_parse(&arguments.program, argc, argv);
    if (code == TOOL_GO_ON) {
        code = run(&arguments, argv[0]);
    }
    tool_free(&arguments.program);
    return code;
}
