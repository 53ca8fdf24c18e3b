/* Reading a command line by its table, on top of getopt_long. */
#include "common/tool_options.h"

#include "common/tool_message.h"
#include "common/tool_number.h"
#include "common/tool_table.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_OPTIONS = 128, FIRST_LONG = 256, OPERAND = 1, MAX_LIST = 256 };

/* A command line being read. */
typedef struct command_line {
    tool_table table;
    int argc;
    char **argv;
    char letters[2 * MAX_OPTIONS + 4];
    struct option names[MAX_OPTIONS + 1];
    tool_list *open_list; /* The list that arguments without an option are added to, or NULL. */
} command_line;

static void add_shared(tool_table *table, const tool_option *option)
{
    table->shared[table->shared_count++] = *option;
}

static bool letter_is_free(const tool_program *program, char letter)
{
    for (size_t k = 0; k < program->option_count; k++) {
        if (program->options[k].letter == letter) {
            return false;
        }
    }
    return true;
}

static void make_table(tool_table *table, tool_program *program)
{
    const bool device = (program->offers & TOOL_OFFERS_DEVICE) != 0;
    const tool_option device_options[] = {
        TOOL_GROUP("Device"),
        TOOL_STRING("backend", 0, "NAME[:DEVICE]", &program->backend,
                    "backend plugin to use, such as cpu or opencl:1; auto takes the best GPU or "
                    "accelerator, else the CPU",
                    TOOL_SHOW_DEFAULT("TTM_BACKEND, else auto"),
                    TOOL_NOT_WITH(program->device_not_with)),
        TOOL_STRING("device", 0, "INDEX|NAME", &program->device,
                    "device of the backend: its number or a part of its name, see ttm-devices",
                    TOOL_SHOW_DEFAULT("the best"), TOOL_NOT_WITH(program->device_not_with)),
    };
    const tool_option json_option = TOOL_FLAG("json", 0, &program->json, "print the result as JSON",
                                              TOOL_NOT_WITH(program->json_not_with));
    const tool_option general_options[] = {
        TOOL_FLAG("help", letter_is_free(program, 'h') ? 'h' : 0, &table->help,
                  "print this help and exit"),
        TOOL_FLAG("version", 0, &table->version, "print the version and exit"),
        TOOL_FLAG("print-manual", 0, &table->manual, "print the manual page's source", TOOL_HIDDEN),
    };
    table->program = program;
    for (size_t k = 0; device && k < sizeof device_options / sizeof *device_options; k++) {
        add_shared(table, &device_options[k]);
    }
    add_shared(table, &(tool_option)TOOL_GROUP("General"));
    if ((program->offers & TOOL_OFFERS_JSON) != 0) {
        add_shared(table, &json_option);
    }
    for (size_t k = 0; k < sizeof general_options / sizeof *general_options; k++) {
        add_shared(table, &general_options[k]);
    }
}

/* Translates the table for getopt_long. A '-' in front of the letters makes it hand over arguments
 * without an option where they stand, a ':' keeps it from printing. */
static bool make_getopt_tables(command_line *line)
{
    size_t letters = 0;
    size_t names = 0;
    line->letters[letters++] = '-';
    line->letters[letters++] = ':';
    for (size_t k = 0; k < tool_table_count(&line->table); k++) {
        const tool_option *option = tool_table_get(&line->table, k);
        if (option->kind == TOOL_KIND_GROUP) {
            continue;
        }
        if (names == MAX_OPTIONS) {
            return false;
        }
        const bool takes_value = option->kind != TOOL_KIND_FLAG;
        line->names[names++] = (struct option){
            option->name, takes_value ? required_argument : no_argument, NULL, FIRST_LONG + (int)k};
        if (option->letter != 0) {
            line->letters[letters++] = option->letter;
            if (takes_value) {
                line->letters[letters++] = ':';
            }
        }
    }
    return true;
}

/* The option behind what getopt_long returned, NULL when there is none. */
static tool_option *find_option(command_line *line, int code)
{
    for (size_t k = 0; k < tool_table_count(&line->table); k++) {
        tool_option *option = tool_table_get(&line->table, k);
        if (code == FIRST_LONG + (int)k ||
            (option->letter != 0 && code == (unsigned char)option->letter)) {
            return option;
        }
    }
    return NULL;
}

static int out_of_range(const tool_option *option, const char *text)
{
    char range[128];
    tool_option limits = *option;
    limits.shown_default = "";
    limits.required = false;
    limits.needs = NULL;
    limits.not_with = NULL;
    return tool_usage_error("--%s must be %s; it is '%s'", option->name,
                            tool_describe_values(range, sizeof range, &limits), text);
}

static int set_choice(const tool_option *option, const char *text)
{
    const size_t length = strlen(text);
    for (const char *choice = option->choices; *choice != '\0';) {
        const size_t bytes = strcspn(choice, "|");
        if (bytes == length && strncmp(choice, text, bytes) == 0) {
            *option->value.text = text;
            return TOOL_GO_ON;
        }
        choice += bytes + (choice[bytes] == '|' ? 1 : 0);
    }
    return tool_usage_error("--%s must be one of %s; it is '%s'", option->name, option->choices,
                            text);
}

static int append(tool_list *list, const char *text, int argc)
{
    if (list->items == NULL) {
        /* No list gets longer than the command line. */
        list->items = calloc((size_t)argc + 1, sizeof *list->items);
        if (list->items == NULL) {
            return tool_fail_text("no memory for %d arguments", argc);
        }
    }
    list->items[list->count++] = text;
    return TOOL_GO_ON;
}

/* Of a text that tool_parse_int refuses. */
static int explain_bad_int(const tool_option *option, const char *text)
{
    double number = 0.0;
    if (!tool_parse_double(&number, text) || number != floor(number)) {
        return tool_usage_error("--%s: '%s' is not a whole number", option->name, text);
    }
    if (number < 0.0) {
        return tool_usage_error("--%s: '%s' is too small: give at least %" PRId64, option->name,
                                text, option->minimum);
    }
    return tool_usage_error("--%s: '%s' is too large: give at most %" PRId64
                            ", above 2^53 without an exponent",
                            option->name, text, option->maximum);
}

static int set_number(const tool_option *option, const char *text)
{
    int64_t whole = 0;
    double number = 0.0;
    uint64_t size = 0;
    switch (option->kind) {
    case TOOL_KIND_INT:
        if (!tool_parse_int(&whole, text)) {
            return explain_bad_int(option, text);
        }
        if (whole < option->minimum || whole > option->maximum) {
            return out_of_range(option, text);
        }
        *option->value.integer = whole;
        return TOOL_GO_ON;
    case TOOL_KIND_DOUBLE:
        if (!tool_parse_double(&number, text)) {
            return tool_usage_error("--%s: '%s' is not a number", option->name, text);
        }
        if (number < option->lowest || number > option->highest) {
            return out_of_range(option, text);
        }
        *option->value.number = number;
        return TOOL_GO_ON;
    default:
        if (!tool_parse_size(&size, text)) {
            return tool_usage_error("--%s: '%s' is not a size such as 4096, 512K or 1.5G",
                                    option->name, text);
        }
        if (size < option->smallest || size > option->largest) {
            return out_of_range(option, text);
        }
        *option->value.size = size;
        return TOOL_GO_ON;
    }
}

/* Whether an option wants a path, by its placeholder: an empty one comes of a variable that a shell
 * doesn't have. */
static bool wants_path(const tool_option *option)
{
    return (option->kind == TOOL_KIND_STRING || option->kind == TOOL_KIND_LIST) &&
           (strstr(option->argument, "FILE") != NULL || strstr(option->argument, "DIR") != NULL ||
            strstr(option->argument, "PATH") != NULL);
}

static int set_option(command_line *line, tool_option *option, const char *text)
{
    const bool first = !option->given;
    if (wants_path(option) && text[0] == '\0') {
        return tool_usage_error("--%s needs a value, and it is empty: --%s %s", option->name,
                                option->name, option->argument);
    }
    option->given = true;
    line->open_list = NULL;
    switch (option->kind) {
    case TOOL_KIND_FLAG:
        *option->value.flag = true;
        return TOOL_GO_ON;
    case TOOL_KIND_STRING:
        *option->value.text = text;
        return TOOL_GO_ON;
    case TOOL_KIND_CHOICE:
        return set_choice(option, text);
    case TOOL_KIND_LIST:
        if (first) {
            *option->value.list = (tool_list){0}; /* a default, which isn't ours to free */
        }
        line->open_list = option->value.list;
        return append(option->value.list, text, line->argc);
    case TOOL_KIND_INT:
    case TOOL_KIND_DOUBLE:
    case TOOL_KIND_SIZE:
        return set_number(option, text);
    case TOOL_KIND_GROUP:
        break;
    }
    return TOOL_GO_ON;
}

/* Whether the name in "--name=value" begins more than one option. */
static bool fits_several(command_line *line, const char *typed)
{
    size_t fitting = 0;
    const char *name = typed + strspn(typed, "-");
    const size_t length = strcspn(name, "=");
    for (size_t k = 0; k < tool_table_count(&line->table); k++) {
        const tool_option *option = tool_table_get(&line->table, k);
        fitting += option->kind != TOOL_KIND_GROUP && strncmp(option->name, name, length) == 0;
    }
    return fitting > 1;
}

static int explain_bad_option(command_line *line, int code)
{
    const tool_option *option = find_option(line, optopt);
    if (code == ':') {
        return tool_usage_error("--%s needs a value: --%s %s", option->name, option->name,
                                tool_placeholder(option));
    }
    if (option != NULL && optopt >= FIRST_LONG) {
        return tool_usage_error("--%s takes no value", option->name);
    }
    if (optopt != 0) {
        return tool_usage_error("unknown option '-%c'", optopt);
    }
    const char *typed = line->argv[optind - 1];
    return tool_usage_error("%s option '%s'", fits_several(line, typed) ? "ambiguous" : "unknown",
                            typed);
}

/* Looks for --help and its like before anything is set: what they print are the defaults. */
static bool asks_for_text(command_line *line)
{
    bool *const flags[] = {&line->table.help, &line->table.version, &line->table.manual};
    int found = 0;
    optind = 0; /* makes getopt_long start anew */
    opterr = 0;
    while ((found = getopt_long(line->argc, line->argv, line->letters, line->names, NULL)) != -1) {
        const tool_option *option = find_option(line, found);
        for (size_t k = 0; option != NULL && k < sizeof flags / sizeof *flags; k++) {
            if (option->kind == TOOL_KIND_FLAG && option->value.flag == flags[k]) {
                *flags[k] = true;
                return true;
            }
        }
    }
    return false;
}

static int read_arguments(command_line *line)
{
    int code = TOOL_GO_ON;
    int found = 0;
    optind = 0; /* makes getopt_long start anew, also with the new letters */
    while (code == TOOL_GO_ON &&
           (found = getopt_long(line->argc, line->argv, line->letters, line->names, NULL)) != -1) {
        if (found == OPERAND) {
            tool_list *target =
                line->open_list != NULL ? line->open_list : &line->table.program->operands;
            code = append(target, optarg, line->argc);
        } else if (found == '?' || found == ':') {
            code = explain_bad_option(line, found);
        } else {
            code = set_option(line, find_option(line, found), optarg);
        }
    }
    for (int k = optind; code == TOOL_GO_ON && k < line->argc; k++) {
        code = append(&line->table.program->operands, line->argv[k], line->argc);
    }
    return code;
}

static int check_presence(const tool_program *program)
{
    for (size_t k = 0; k < program->option_count; k++) {
        const tool_option *option = &program->options[k];
        if (option->required && !option->given) {
            return tool_usage_error("--%s %s is required", option->name, tool_placeholder(option));
        }
    }
    const char *operand = program->operand != NULL ? program->operand : "argument";
    if (program->operands.count == 0 && program->commands != NULL) {
        char commands[MAX_LIST];
        return tool_usage_error(
            "%s is missing: it is %s", operand,
            tool_print_list(commands, sizeof commands, program->commands, " or "));
    }
    if (program->operands.count < program->operands_minimum) {
        return tool_usage_error("%s is missing", operand);
    }
    if (program->operands.count > program->operands_maximum) {
        return tool_usage_error("unexpected argument '%s'",
                                program->operands.items[program->operands_maximum]);
    }
    return TOOL_GO_ON;
}

static void print_text(tool_table *table)
{
    if (table->help) {
        tool_print_help(table);
    } else if (table->manual) {
        tool_print_manual(table);
    } else {
        printf("%s %s\n", table->program->name, TTM_VERSION);
    }
}

/* A standard stream that was closed is opened the wrong way round: using it fails as before, and no
 * file that is opened later gets its number, and what is printed. */
static void hold_standard_streams(void)
{
    for (int file = STDIN_FILENO; file <= STDERR_FILENO; file++) {
        if (fcntl(file, F_GETFD) < 0) {
            (void)!open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

int tool_parse(tool_program *program, int argc, char **argv)
{
    command_line line = {.argc = argc, .argv = argv};
    hold_standard_streams();
    tool_set_name(program->name);
    make_table(&line.table, program);
    if (!make_getopt_tables(&line)) {
        return tool_fail_text("more than %d options", MAX_OPTIONS);
    }
    if (asks_for_text(&line)) {
        print_text(&line.table);
        return tool_done();
    }
    int code = read_arguments(&line);
    if (code == TOOL_GO_ON) {
        code = check_presence(program);
    }
    if (code == TOOL_GO_ON) {
        code = tool_check_combinations(&line.table);
    }
    if (code != TOOL_GO_ON) {
        tool_free(program);
    }
    return code;
}

bool tool_given(const tool_program *program, const char *name)
{
    for (size_t k = 0; k < program->option_count; k++) {
        const tool_option *option = &program->options[k];
        if (option->kind != TOOL_KIND_GROUP && strcmp(option->name, name) == 0) {
            return option->given;
        }
    }
    return false;
}

static void free_list(tool_list *list)
{
    free(list->items);
    *list = (tool_list){0};
}

void tool_free(tool_program *program)
{
    for (size_t k = 0; k < program->option_count; k++) {
        tool_option *option = &program->options[k];
        if (option->kind == TOOL_KIND_LIST && option->given) {
            free_list(option->value.list);
            option->given = false;
        }
    }
    free_list(&program->operands);
}
