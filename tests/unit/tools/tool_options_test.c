/* The option table of the tools: what is accepted, what is refused with which line, and the help.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/tool_number.h"
#include "common/tool_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 16, OUTPUT_BYTES = 8192 };

/* What a tool was given, and what it printed. */
typedef struct outcome {
    int code;
    bool verbose;
    const char *out;
    const char *precision;
    int64_t steps;
    double rate;
    uint64_t cache;
    size_t data_count;
    char data[MAX_ARGUMENTS][32];
    size_t operand_count;
    char operands[MAX_ARGUMENTS][32];
    char backend[32];
    char device[32];
    bool json;
    bool steps_given;
    char printed[OUTPUT_BYTES]; /* stdout */
    char error[OUTPUT_BYTES];   /* stderr */
} outcome;

static void read_back(char *text, FILE *file)
{
    rewind(file);
    text[fread(text, 1, OUTPUT_BYTES - 1, file)] = '\0';
    fclose(file);
}

static void copy_list(size_t *count, char (*texts)[32], const tool_list *list)
{
    *count = list->count;
    for (size_t k = 0; k < list->count; k++) {
        snprintf(texts[k], sizeof texts[k], "%s", list->items[k]);
    }
}

static void run_tool(outcome *result, int argc, char **argv, size_t operands_maximum)
{
    tool_list data = {0};
    tool_option options[] = {
        TOOL_GROUP("Input"),
        TOOL_LIST("data", 'd', "FILE", &data, "text to read"),
        TOOL_STRING("out", 'o', "DIR", &result->out, "where it goes", TOOL_REQUIRED),
        TOOL_GROUP("Numbers"),
        TOOL_INT("steps", 'n', "N", &result->steps, 1, 1000000, "optimiser steps"),
        TOOL_DOUBLE("rate", 0, "X", &result->rate, 0.0, 1.0, "learning rate"),
        TOOL_SIZE("cache", 0, "BYTES", &result->cache, 1024, UINT64_MAX, "memory for plans"),
        TOOL_CHOICE("precision", 0, "fp32|bf16", &result->precision, "arithmetic"),
        TOOL_FLAG("verbose", 'v', &result->verbose, "say more"),
        TOOL_FLAG("secret", 0, &result->verbose, "not for everyone", TOOL_HIDDEN),
    };
    const tool_example examples[] = {{"ttm-demo -o x", "does it"}};
    tool_program program = {
        .name = "ttm-demo",
        .summary = "show what tables do",
        .usage = "--out DIR [option…]",
        .description = "First paragraph.\n\n.Second one, with a \\ in it.",
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        .operands_maximum = operands_maximum,
        TOOL_TABLE(options, examples),
    };
    result->code = tool_parse(&program, argc, argv);
    copy_list(&result->data_count, result->data, &data);
    copy_list(&result->operand_count, result->operands, &program.operands);
    snprintf(result->backend, sizeof result->backend, "%s",
             program.backend != NULL ? program.backend : "");
    snprintf(result->device, sizeof result->device, "%s",
             program.device != NULL ? program.device : "");
    result->json = program.json;
    result->steps_given = tool_given(&program, "steps");
    tool_free(&program);
}

typedef void (*tool)(outcome *result, int argc, char **argv, size_t operands_maximum);

/* Splits `arguments` at spaces and runs the tool with stdout and stderr caught. */
static outcome parse_by(tool run, const char *arguments, size_t operands_maximum)
{
    static char line[512];
    char *argv[MAX_ARGUMENTS + 2] = {(char *)"ttm-demo"};
    int argc = 1;
    outcome result = {.steps = 100, .rate = 0.5, .cache = 4096, .precision = "fp32"};
    snprintf(line, sizeof line, "%s", arguments);
    for (char *word = strtok(line, " "); word != NULL && argc <= MAX_ARGUMENTS;
         word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    fflush(stdout);
    fflush(stderr);
    FILE *printed = tmpfile();
    FILE *error = tmpfile();
    assert_non_null(printed);
    assert_non_null(error);
    const int old_output = dup(STDOUT_FILENO);
    const int old_error = dup(STDERR_FILENO);
    dup2(fileno(printed), STDOUT_FILENO);
    dup2(fileno(error), STDERR_FILENO);
    run(&result, argc, argv, operands_maximum);
    fflush(stdout);
    fflush(stderr);
    dup2(old_output, STDOUT_FILENO);
    dup2(old_error, STDERR_FILENO);
    close(old_output);
    close(old_error);
    read_back(result.printed, printed);
    read_back(result.error, error);
    return result;
}

static outcome parse(const char *arguments, size_t operands_maximum)
{
    return parse_by(run_tool, arguments, operands_maximum);
}

static void options_fill_their_variables(void **state)
{
    (void)state;
    const outcome result =
        parse("-o folder --steps 1e3 --rate=2.5e-1 --cache 1.5K --precision bf16 -v --json "
              "--backend opencl --device H100",
              0);
    assert_int_equal(result.code, TOOL_GO_ON);
    assert_string_equal(result.out, "folder");
    assert_int_equal(result.steps, 1000);
    assert_true(result.steps_given);
    assert_true(result.rate == 0.25);
    assert_int_equal(result.cache, 1536);
    assert_string_equal(result.precision, "bf16");
    assert_true(result.verbose);
    assert_true(result.json);
    assert_string_equal(result.backend, "opencl");
    assert_string_equal(result.device, "H100");
    assert_string_equal(result.printed, "");
    assert_string_equal(result.error, "");
}

static void what_is_not_given_keeps_its_default(void **state)
{
    (void)state;
    const outcome result = parse("--out x", 0);
    assert_int_equal(result.code, TOOL_GO_ON);
    assert_int_equal(result.steps, 100);
    assert_false(result.steps_given);
    assert_true(result.rate == 0.5);
    assert_string_equal(result.precision, "fp32");
    assert_int_equal(result.data_count, 0);
    assert_false(result.json);
}

static void lists_repeat_and_take_what_follows(void **state)
{
    (void)state;
    outcome result = parse("--data a b -d c --out x y --data=d -- --e", 2);
    assert_int_equal(result.code, TOOL_GO_ON);
    assert_int_equal(result.data_count, 4);
    assert_string_equal(result.data[0], "a");
    assert_string_equal(result.data[1], "b");
    assert_string_equal(result.data[2], "c");
    assert_string_equal(result.data[3], "d");
    assert_int_equal(result.operand_count, 2); /* an option ends the list, and so does -- */
    assert_string_equal(result.operands[0], "y");
    assert_string_equal(result.operands[1], "--e");
    result = parse("-o x 1 2 3", SIZE_MAX);
    assert_int_equal(result.code, TOOL_GO_ON);
    assert_int_equal(result.operand_count, 3);
}

static void wrong_usage_is_one_line_and_exit_status_2(void **state)
{
    (void)state;
    const struct {
        const char *arguments;
        const char *says;
    } cases[] = {
        {"", "--out DIR is required"},
        {"-o x --bogus", "unknown option '--bogus'"},
        {"-o x -q", "unknown option '-q'"},
        {"-o x --ver", "ambiguous option '--ver'"},
        {"-o x --steps", "--steps needs a value"},
        {"-o x -n", "--steps needs a value"},
        {"-o x --verbose=1", "--verbose takes no value"},
        {"-o x --steps ten", "--steps: 'ten' is not a whole number"},
        {"-o x --steps 1.5", "'1.5' is not a whole number"},
        {"-o x --steps 99999999999999999999", "is too large: give at most 1000000,"},
        {"-o x --steps -99999999999999999999", "is too small: give at least 1;"},
        {"-o x --steps 1e16", "is too large: give at most 1000000,"},
        {"-o x --steps 0", "--steps must be 1 to 1000000; it is '0'"},
        {"-o x --steps=-1", "--steps must be 1 to 1000000; it is '-1'"},
        {"-o x --rate nan", "'nan' is not a number"},
        {"-o x --rate inf", "'inf' is not a number"},
        {"-o x --rate 1.5", "--rate must be 0 to 1; it is '1.5'"},
        {"-o x --rate 0.5x", "'0.5x' is not a number"},
        {"-o x --cache 12Q", "is not a size"},
        {"-o x --cache -5", "is not a size"},
        {"-o x --cache 99999999999T", "is not a size"},
        {"-o x --cache 12", "--cache must be at least 1K; it is '12'"},
        {"-o x --precision fp8", "--precision must be one of fp32|bf16; it is 'fp8'"},
        {"-o x --precision fp", "--precision must be one of"},
        {"-o x extra", "unexpected argument 'extra'"},
        {"--out=", "--out needs a value, and it is empty: --out DIR"},
        {"-o x --data=", "--data needs a value, and it is empty: --data FILE"},
        {"-o x a\033[31m\303\274\377", "unexpected argument 'a?[31m\303\274\357\277\275'"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const outcome result = parse(cases[k].arguments, 0);
        assert_int_equal(result.code, TOOL_EXIT_USAGE);
        if (strstr(result.error, cases[k].says) == NULL) {
            fail_msg("\"%s\" isn't in \"%s\"", cases[k].says, result.error);
        }
        assert_int_equal(strncmp(result.error, "ttm-demo: error: ", 17), 0);
        assert_ptr_equal(strchr(result.error, '\n'), result.error + strlen(result.error) - 1);
        assert_string_equal(result.printed, "");
    }
}

/* A tool with commands; returns what tool_parse makes of `arguments`, with what it printed. */
static void run_commands(outcome *result, int argc, char **argv, size_t operands_maximum)
{
    int64_t steps = 3;
    const char *text = NULL;
    (void)operands_maximum;
    tool_option options[] = {
        TOOL_INT("steps", 'n', "N", &steps, 1, 9, "steps", TOOL_COMMANDS("train|tune"),
                 TOOL_NOT_WITH("--model|tune --list")),
        TOOL_STRING("model", 0, "DIR", &text, "weights", TOOL_NOT_WITH("info")),
        TOOL_STRING("list", 0, "NAME", &text, "things", TOOL_COMMANDS("train|tune|info")),
        TOOL_FLAG("append", 'a', &result->verbose, "add", TOOL_NEEDS("--out|--list")),
        TOOL_STRING("out", 'o', "FILE", &text, "where it goes"),
    };
    const tool_example examples[] = {{"ttm-demo train", "does it"}};
    tool_program program = {
        .name = "ttm-demo",
        .summary = "show what goes with what",
        .offers = TOOL_OFFERS_DEVICE | TOOL_OFFERS_JSON,
        .commands = "train|tune|info|train-fast",
        .device_not_with = "info",
        .json_not_with = "train|tune",
        .operands_minimum = 1,
        .operands_maximum = SIZE_MAX,
        .operand = "COMMAND",
        TOOL_TABLE(options, examples),
    };
    result->code = tool_parse(&program, argc, argv);
    tool_free(&program);
}

/* An option without a meaning is wrong usage, and the line names it and what it doesn't go with. */
static void options_go_with_their_commands_and_with_each_other(void **state)
{
    (void)state;
    const char *const good[] = {
        "train",
        "train --steps 3 --list x --backend cpu --device 0 -a -o x",
        "train --backend cpu:0",
        "tune --steps 3",
        "info --list x --append --json",
        "train-fast --model m",
        "train info", /* the second operand is no command */
    };
    const struct {
        const char *arguments;
        const char *says;
    } bad[] = {
        {"", "COMMAND is missing: it is train, tune, info or train-fast"},
        {"tra", "there is no command 'tra': it is train, tune, info or train-fast"},
        {"train|tune", "there is no command 'train|tune'"},
        {"info -n 3", "--steps goes with train and tune, not with info"},
        {"--steps 3 train-fast", "--steps goes with train and tune, not with train-fast"},
        {"info --steps 3 train", "--steps goes with train and tune, not with info"},
        {"train-fast --list x", "--list goes with train, tune and info, not with train-fast"},
        {"train --model m --steps 3", "--steps doesn't go with --model;"},
        {"tune --list x --steps 3", "--steps doesn't go with tune --list;"},
        {"info --model m", "--model doesn't go with info;"},
        {"train --append", "--append needs --out or --list;"},
        {"info --device 0", "--device doesn't go with info;"},
        {"train --device 0 --backend opencl:1", "--device doesn't go with --backend opencl:1,"},
        {"tune --json", "--json doesn't go with tune;"},
    };
    const char *const shown[] = {
        "-n, --steps N               train, tune: steps (not with --model or tune\n",
        "--model DIR             weights (not with info)\n",
        "-a, --append                add (with --out or --list)\n",
        "--json                  print the result as JSON (not with train or tune)\n",
    };
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        const outcome result = parse_by(run_commands, good[k], 0);
        if (result.code != TOOL_GO_ON) {
            fail_msg("\"%s\" is refused: %s", good[k], result.error);
        }
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const outcome result = parse_by(run_commands, bad[k].arguments, 0);
        assert_int_equal(result.code, TOOL_EXIT_USAGE);
        if (strstr(result.error, bad[k].says) == NULL) {
            fail_msg("\"%s\" isn't in \"%s\"", bad[k].says, result.error);
        }
        assert_ptr_equal(strchr(result.error, '\n'), result.error + strlen(result.error) - 1);
    }
    const outcome help = parse_by(run_commands, "--help", 0);
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
        if (strstr(help.printed, shown[k]) == NULL) {
            fail_msg("\"%s\" isn't in:\n%s", shown[k], help.printed);
        }
    }
    const outcome manual = parse_by(run_commands, "--print-manual", 0);
    assert_non_null(strstr(manual.printed, "\ntrain, tune: steps (not with \\-\\-model or"));
}

static void help_shows_every_option_with_range_and_default(void **state)
{
    (void)state;
    const char *const shown[] = {
        "ttm-demo: show what tables do\n",
        "Usage: ttm-demo --out DIR [option…]\n",
        "First paragraph.\n\n.Second one",
        "\nInput:\n",
        "  -d, --data FILE…            text to read\n",
        "  -o, --out DIR               where it goes (required)\n",
        "  -n, --steps N               optimiser steps (1 to 1000000; default: 100)\n",
        "      --rate X                learning rate (0 to 1; default: 0.5)\n",
        "      --cache BYTES           memory for plans (at least 1K; default: 4K)\n",
        "      --precision fp32|bf16   arithmetic (default: fp32)\n",
        "  -v, --verbose               say more\n",
        "--backend NAME[:DEVICE]",
        "--device INDEX|NAME",
        "--json",
        "  -h, --help",
        "--version",
        "  ttm-demo -o x\n      does it\n",
        "Exit status: 0 done, 1 failed, 2 wrong usage.",
    };
    const outcome result = parse("--help --bogus", 0);
    assert_int_equal(result.code, TOOL_EXIT_DONE);
    for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
        if (strstr(result.printed, shown[k]) == NULL) {
            fail_msg("\"%s\" isn't in:\n%s", shown[k], result.printed);
        }
    }
    assert_null(strstr(result.printed, "secret"));
    assert_null(strstr(result.printed, "print-manual"));
    assert_string_equal(result.error, "");
}

/* What was given before --help isn't the default. */
static void help_shows_defaults_not_what_was_given(void **state)
{
    (void)state;
    const outcome result = parse("--steps 7 --precision bf16 --help", 0);
    assert_int_equal(result.code, TOOL_EXIT_DONE);
    assert_non_null(strstr(result.printed, "default: 100)"));
    assert_non_null(strstr(result.printed, "default: fp32)"));
}

static void the_manual_page_keeps_text_from_being_taken_for_markup(void **state)
{
    (void)state;
    const outcome result = parse("--print-manual", 0);
    assert_int_equal(result.code, TOOL_EXIT_DONE);
    assert_int_equal(strncmp(result.printed, ".TH \"ttm-demo\" 1", 16), 0);
    assert_non_null(strstr(result.printed, "\n\\&.Second one, with a \\e in it."));
    assert_non_null(strstr(result.printed, "\\fB\\-n\\fR, \\fB\\-\\-steps\\fR \\fIN\\fR"));
    assert_null(strstr(result.printed, "secret"));
}

static void the_version_is_one_line(void **state)
{
    (void)state;
    const outcome result = parse("--version", 0);
    assert_int_equal(result.code, TOOL_EXIT_DONE);
    assert_int_equal(strncmp(result.printed, "ttm-demo ", 9), 0);
    assert_ptr_equal(strchr(result.printed, '\n'), result.printed + strlen(result.printed) - 1);
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    int64_t whole = 0;
    double number = 0.0;
    uint64_t size = 0;
    assert_true(tool_parse_int(&whole, "1_000_000") && whole == 1000000);
    assert_true(tool_parse_int(&whole, "-9223372036854775808") && whole == INT64_MIN);
    assert_true(tool_parse_int(&whole, "2.5e6") && whole == 2500000);
    const char *const no_ints[] = {"", " 1", "1 ", "_1", "1_", "1__0", "1e-1", "1e19", "0x", "--1"};
    for (size_t k = 0; k < sizeof no_ints / sizeof no_ints[0]; k++) {
        assert_false(tool_parse_int(&whole, no_ints[k]));
    }
    assert_true(tool_parse_double(&number, "-1_0.5e-1") && number == -1.05);
    assert_false(tool_parse_double(&number, "1e999"));
    assert_false(tool_parse_double(&number, "one"));
    assert_true(tool_parse_size(&size, "0") && size == 0);
    assert_true(tool_parse_size(&size, "4096B") && size == 4096);
    assert_true(tool_parse_size(&size, "2GiB") && size == UINT64_C(2) << 30);
    assert_true(tool_parse_size(&size, "1.5g") && size == UINT64_C(3) << 29);
    assert_true(tool_parse_size(&size, "3TB") && size == UINT64_C(3) << 40);
    const char *const no_sizes[] = {"", "K", "1KK", "1iB", "-1K", "1e30", "8388608T"};
    for (size_t k = 0; k < sizeof no_sizes / sizeof no_sizes[0]; k++) {
        if (tool_parse_size(&size, no_sizes[k])) {
            fail_msg("'%s' was taken for %llu bytes", no_sizes[k], (unsigned long long)size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_fill_their_variables),
        cmocka_unit_test(what_is_not_given_keeps_its_default),
        cmocka_unit_test(lists_repeat_and_take_what_follows),
        cmocka_unit_test(wrong_usage_is_one_line_and_exit_status_2),
        cmocka_unit_test(options_go_with_their_commands_and_with_each_other),
        cmocka_unit_test(help_shows_every_option_with_range_and_default),
        cmocka_unit_test(help_shows_defaults_not_what_was_given),
        cmocka_unit_test(the_manual_page_keeps_text_from_being_taken_for_markup),
        cmocka_unit_test(the_version_is_one_line),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
