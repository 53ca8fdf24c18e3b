/* --help and the manual page, both from the table. */
#include "common/tool_table.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LINE_WIDTH = 80, HELP_COLUMN = 30, MAX_TEXT = 256 };

const char *tool_placeholder(const tool_option *option)
{
    if (option->kind == TOOL_KIND_CHOICE) {
        return option->choices;
    }
    return option->kind == TOOL_KIND_FLAG ? NULL : option->argument;
}

static void write_size(char *text, size_t text_bytes, uint64_t bytes)
{
    static const char suffixes[] = "\0KMGT";
    size_t power = 0;
    while (bytes > 0 && bytes % 1024 == 0 && power < 4) {
        bytes /= 1024;
        power++;
    }
    snprintf(text, text_bytes, "%" PRIu64 "%.1s", bytes, &suffixes[power]);
}

/* Writes "LOW to HIGH", "at least LOW", "at most HIGH" or "". */
static void join_range(char *text, size_t text_bytes, const char *low, const char *high)
{
    if (low[0] != '\0' && high[0] != '\0') {
        snprintf(text, text_bytes, "%s to %s", low, high);
    } else if (low[0] != '\0') {
        snprintf(text, text_bytes, "at least %s", low);
    } else if (high[0] != '\0') {
        snprintf(text, text_bytes, "at most %s", high);
    }
}

static void write_range(char *text, size_t text_bytes, const tool_option *option)
{
    char low[32] = "";
    char high[32] = "";
    if (option->kind == TOOL_KIND_INT) {
        if (option->minimum > INT64_MIN) {
            snprintf(low, sizeof low, "%" PRId64, option->minimum);
        }
        if (option->maximum < INT64_MAX) {
            snprintf(high, sizeof high, "%" PRId64, option->maximum);
        }
    } else if (option->kind == TOOL_KIND_DOUBLE) {
        if (option->lowest > -DBL_MAX) {
            snprintf(low, sizeof low, "%.9g", option->lowest);
        }
        if (option->highest < DBL_MAX) {
            snprintf(high, sizeof high, "%.9g", option->highest);
        }
    } else if (option->kind == TOOL_KIND_SIZE) {
        if (option->smallest > 0) {
            write_size(low, sizeof low, option->smallest);
        }
        if (option->largest < UINT64_MAX) {
            write_size(high, sizeof high, option->largest);
        }
    }
    join_range(text, text_bytes, low, high);
}

static void write_default(char *text, size_t text_bytes, const tool_option *option)
{
    if (option->shown_default != NULL) {
        snprintf(text, text_bytes, "%s", option->shown_default);
        return;
    }
    if (option->required) {
        return;
    }
    switch (option->kind) {
    case TOOL_KIND_STRING:
    case TOOL_KIND_CHOICE:
        if (*option->value.text != NULL) {
            snprintf(text, text_bytes, "%s", *option->value.text);
        }
        break;
    case TOOL_KIND_INT:
        snprintf(text, text_bytes, "%" PRId64, *option->value.integer);
        break;
    case TOOL_KIND_DOUBLE:
        snprintf(text, text_bytes, "%.9g", *option->value.number);
        break;
    case TOOL_KIND_SIZE:
        write_size(text, text_bytes, *option->value.size);
        break;
    case TOOL_KIND_LIST:
    case TOOL_KIND_FLAG:
    case TOOL_KIND_GROUP:
        break;
    }
}

/* Appends a remark "LEAD WHAT" to others; none where WHAT is "". */
static void add_remark(char *text, size_t text_bytes, const char *lead, const char *what)
{
    const size_t used = strlen(text);
    if (what[0] != '\0') {
        snprintf(text + used, text_bytes - used, "%s%s%s", used > 0 ? "; " : "", lead, what);
    }
}

const char *tool_describe_values(char *text, size_t text_bytes, const tool_option *option)
{
    char list[MAX_TEXT] = "";
    char range[MAX_TEXT] = "";
    char standard[MAX_TEXT] = "";
    text[0] = '\0';
    if (option->needs != NULL) {
        add_remark(text, text_bytes, "with ",
                   tool_print_list(list, sizeof list, option->needs, " or "));
    }
    if (option->not_with != NULL) {
        add_remark(text, text_bytes, "not with ",
                   tool_print_list(list, sizeof list, option->not_with, " or "));
    }
    write_range(range, sizeof range, option);
    write_default(standard, sizeof standard, option);
    add_remark(text, text_bytes, "", range);
    add_remark(text, text_bytes, "", option->required ? "required" : "");
    add_remark(text, text_bytes, "default: ", standard);
    return text;
}

/* ---- --help ---- */

/* Columns that a text takes: UTF-8 sequences count once. */
static int width_of(const char *text, size_t bytes)
{
    int width = 0;
    for (size_t k = 0; k < bytes; k++) {
        width += ((unsigned char)text[k] & 0xc0) != 0x80;
    }
    return width;
}

/* Prints words from `column` on, breaking lines before LINE_WIDTH and indenting them. */
static int print_wrapped(const char *text, int column, int indent)
{
    while (*text != '\0') {
        const size_t bytes = strcspn(text, " \n");
        const int width = width_of(text, bytes);
        if (bytes > 0) {
            if (column > indent && column + 1 + width > LINE_WIDTH) {
                printf("\n%*s", indent, "");
                column = indent;
            } else if (column > indent) {
                putchar(' ');
                column++;
            }
            printf("%.*s", (int)bytes, text);
            column += width;
        }
        text += bytes;
        if (text[0] == '\n' && text[1] == '\n') {
            printf("\n\n%*s", indent, "");
            column = indent;
        }
        text += *text != '\0' ? 1 : 0;
    }
    return column;
}

/* Writes what help begins with where an option goes with some commands only, "ops, train:". */
static const char *print_commands(char *text, size_t text_bytes, const tool_option *option)
{
    text[0] = '\0';
    if (option->commands != NULL) {
        tool_print_list(text, text_bytes - 1, option->commands, ", ");
        const size_t length = strlen(text);
        snprintf(text + length, text_bytes - length, ":");
    }
    return text;
}

static void print_option(const tool_option *option)
{
    char head[MAX_TEXT];
    char values[2 * MAX_TEXT];
    char letter[8] = "    ";
    const char *placeholder = tool_placeholder(option);
    if (option->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    snprintf(head, sizeof head, "  %s--%s%s%s%s", letter, option->name,
             placeholder != NULL ? " " : "", placeholder != NULL ? placeholder : "",
             option->kind == TOOL_KIND_LIST ? "…" : "");
    const int width = width_of(head, strlen(head));
    if (width + 2 > HELP_COLUMN) {
        printf("%s\n%*s", head, HELP_COLUMN, "");
    } else {
        printf("%s%*s", head, HELP_COLUMN - width, "");
    }
    char commands[MAX_TEXT];
    const int begin =
        print_wrapped(print_commands(commands, sizeof commands, option), HELP_COLUMN, HELP_COLUMN);
    const int column = print_wrapped(option->help, begin, HELP_COLUMN);
    tool_describe_values(values, sizeof values, option);
    if (values[0] != '\0') {
        char remark[2 * MAX_TEXT + 4];
        snprintf(remark, sizeof remark, "(%s)", values);
        print_wrapped(remark, column, HELP_COLUMN);
    }
    putchar('\n');
}

/* Prints `lines` after the tool's name, the second and later ones under the first. */
static void print_usage(const tool_program *program)
{
    const char *lines = program->usage != NULL ? program->usage : "[option…]";
    const char *lead = "Usage: ";
    while (*lines != '\0') {
        const size_t bytes = strcspn(lines, "\n");
        printf("%s%s %.*s\n", lead, program->name, (int)bytes, lines);
        lead = "       ";
        lines += bytes + (lines[bytes] == '\n' ? 1 : 0);
    }
}

void tool_print_help(tool_table *table)
{
    const tool_program *program = table->program;
    printf("%s: %s\n\n", program->name, program->summary);
    print_usage(program);
    if (program->description != NULL) {
        putchar('\n');
        print_wrapped(program->description, 0, 0);
        putchar('\n');
    }
    if (program->option_count > 0 && program->options[0].kind != TOOL_KIND_GROUP) {
        printf("\nOptions:\n");
    }
    for (size_t k = 0; k < tool_table_count(table); k++) {
        const tool_option *option = tool_table_get(table, k);
        if (option->kind == TOOL_KIND_GROUP) {
            printf("\n%s:\n", option->name);
        } else if (!option->hidden) {
            print_option(option);
        }
    }
    if (program->example_count > 0) {
        printf("\nExamples:\n");
    }
    for (size_t k = 0; k < program->example_count; k++) {
        printf("  %s\n      %s\n", program->examples[k].command, program->examples[k].meaning);
    }
    printf("\nExit status: 0 done, 1 failed, 2 wrong usage.\n");
}

/* ---- The manual page: man(7) macros ---- */

/* Prints text so that nothing in it is taken for markup. */
static void print_roff(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        const bool line_start = at == text || at[-1] == '\n';
        if (line_start && (*at == '.' || *at == '\'')) {
            fputs("\\&", stdout);
        }
        if (*at == '\\') {
            fputs("\\e", stdout);
        } else if (*at == '-') {
            fputs("\\-", stdout);
        } else if (*at == '\n' && at[1] == '\n') {
            fputs("\n.PP\n", stdout);
            at++;
        } else {
            putchar(*at);
        }
    }
}

static void print_roff_section(const char *heading)
{
    printf(".SH %s\n", heading);
}

static void print_roff_option(const tool_option *option)
{
    char values[2 * MAX_TEXT];
    char commands[MAX_TEXT];
    const char *placeholder = tool_placeholder(option);
    printf(".TP\n");
    if (option->letter != 0) {
        printf("\\fB\\-%c\\fR, ", option->letter);
    }
    printf("\\fB\\-\\-");
    print_roff(option->name);
    printf("\\fR");
    if (placeholder != NULL) {
        printf(" \\fI");
        print_roff(placeholder);
        printf("\\fR%s", option->kind == TOOL_KIND_LIST ? "…" : "");
    }
    putchar('\n');
    print_roff(print_commands(commands, sizeof commands, option));
    printf("%s", commands[0] != '\0' ? " " : "");
    print_roff(option->help);
    tool_describe_values(values, sizeof values, option);
    if (values[0] != '\0') {
        printf(" (");
        print_roff(values);
        putchar(')');
    }
    putchar('\n');
}

static void print_roff_synopsis(const tool_program *program)
{
    const char *lines = program->usage != NULL ? program->usage : "[option…]";
    while (*lines != '\0') {
        char line[2 * MAX_TEXT];
        const size_t bytes = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)bytes, lines);
        printf("\\fB");
        print_roff(program->name);
        printf("\\fR ");
        print_roff(line);
        printf("\n.br\n");
        lines += bytes + (lines[bytes] == '\n' ? 1 : 0);
    }
}

static void print_roff_environment(const tool_program *program)
{
    print_roff_section("ENVIRONMENT");
    if ((program->offers & TOOL_OFFERS_DEVICE) != 0) {
        printf(".TP\n\\fBTTM_BACKEND\\fR\nDefault of \\fB\\-\\-backend\\fR.\n");
    }
    printf(".TP\n\\fBTTM_BACKEND_PATH\\fR\nFolders, split by colons, that are searched for backend "
           "plugins first.\n"
           ".TP\n\\fBTTM_LOG\\fR\nHow much is logged to standard error: error, warning (the "
           "default), info or debug.\n");
}

void tool_print_manual(tool_table *table)
{
    const tool_program *program = table->program;
    printf(".TH \"%s\" 1 \"\" \"libttm %s\" \"User Commands\"\n", program->name, TTM_VERSION);
    print_roff_section("NAME");
    print_roff(program->name);
    printf(" \\- ");
    print_roff(program->summary);
    putchar('\n');
    print_roff_section("SYNOPSIS");
    print_roff_synopsis(program);
    if (program->description != NULL) {
        print_roff_section("DESCRIPTION");
        print_roff(program->description);
        putchar('\n');
    }
    print_roff_section("OPTIONS");
    for (size_t k = 0; k < tool_table_count(table); k++) {
        const tool_option *option = tool_table_get(table, k);
        if (option->kind == TOOL_KIND_GROUP) {
            printf(".SS \"%s\"\n", option->name);
        } else if (!option->hidden) {
            print_roff_option(option);
        }
    }
    if (program->example_count > 0) {
        print_roff_section("EXAMPLES");
    }
    for (size_t k = 0; k < program->example_count; k++) {
        printf(".TP\n\\fB");
        print_roff(program->examples[k].command);
        printf("\\fR\n");
        print_roff(program->examples[k].meaning);
        putchar('\n');
    }
    print_roff_environment(program);
    print_roff_section("EXIT STATUS");
    printf("0 done, 1 failed, 2 wrong usage.\n");
}
