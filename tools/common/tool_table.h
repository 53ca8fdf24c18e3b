/* A tool's whole table: its own options and those that all tools share. For the files of
 * tools/common. */
#ifndef TTM_TOOLS_COMMON_TOOL_TABLE_H
#define TTM_TOOLS_COMMON_TOOL_TABLE_H

#include "common/tool_options.h"

#include <string.h>

enum { TOOL_COMMON_OPTIONS = 9 };

/** All options in the order of --help. `shared` are those that tool_parse adds. */
typedef struct tool_table {
    tool_program *program;
    tool_option shared[TOOL_COMMON_OPTIONS];
    size_t shared_count;
    bool help;
    bool version;
    bool manual;
} tool_table;

/** Number of options, headings included. */
static inline size_t tool_table_count(const tool_table *table)
{
    return table->program->option_count + table->shared_count;
}

/** Option `index` < tool_table_count. */
static inline tool_option *tool_table_get(tool_table *table, size_t index)
{
    const size_t own = table->program->option_count;
    return index < own ? &table->program->options[index] : &table->shared[index - own];
}

/** Checks that there is a command where the tool has them, and that each option given goes with it
 * and with the others. Returns TOOL_GO_ON or, having said what doesn't, the exit status. */
int tool_check_combinations(tool_table *table);

/** The length of the first item of a list split by '|'. */
static inline size_t tool_item_bytes(const char *list)
{
    return strcspn(list, "|");
}

/** What follows the first item of such a list; "" at its end. */
static inline const char *tool_next_item(const char *list)
{
    list += tool_item_bytes(list);
    return *list == '|' ? list + 1 : list;
}

/** Writes such a list for people, with `last` before its last item: "a, b or c"; returns `text`. */
const char *tool_print_list(char *text, size_t text_bytes, const char *list, const char *last);

/** Prints the text of --help. */
void tool_print_help(tool_table *table);

/** Prints the manual page, as source for man(1). */
void tool_print_manual(tool_table *table);

/** Writes what --help says about what the option goes with, its range and its default, such as
 * "not with --model; 1 to 64; default: 8", or "", to `text`; returns `text`. */
const char *tool_describe_values(char *text, size_t text_bytes, const tool_option *option);

/** Returns the placeholder of the option's value, NULL for one that takes none. */
const char *tool_placeholder(const tool_option *option);

#endif
