/* Which options go with which command and with each other, by the lists in the table. */
#include "common/tool_table.h"

#include <stdio.h>

enum { MAX_LIST = 256 };

const char *tool_print_list(char *text, size_t text_bytes, const char *list, const char *last)
{
    size_t used = 0;
    text[0] = '\0';
    for (const char *item = list; *item != '\0' && used < text_bytes; item = tool_next_item(item)) {
        const bool first = item == list;
        const bool at_end = *tool_next_item(item) == '\0';
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%.*s",
                                 first    ? ""
                                 : at_end ? last
                                          : ", ",
                                 (int)tool_item_bytes(item), item);
    }
    return text;
}

static bool is_item(const char *item, size_t item_bytes, const char *word)
{
    return strlen(word) == item_bytes && strncmp(item, word, item_bytes) == 0;
}

static bool has_item(const char *list, const char *word)
{
    for (; *list != '\0'; list = tool_next_item(list)) {
        if (is_item(list, tool_item_bytes(list), word)) {
            return true;
        }
    }
    return false;
}

/* Whether the option that an item calls "--name" was given. */
static bool option_is_given(tool_table *table, const char *item, size_t item_bytes)
{
    for (size_t k = 0; k < tool_table_count(table); k++) {
        const tool_option *option = tool_table_get(table, k);
        if (option->given && is_item(item + 2, item_bytes - 2, option->name)) {
            return true;
        }
    }
    return false;
}

/* Whether what an item names is there: a command, an option, or both. */
static bool is_there(tool_table *table, const char *item, const char *command)
{
    const size_t bytes = tool_item_bytes(item);
    const size_t command_bytes = item[0] == '-' ? 0 : strcspn(item, " |");
    const size_t option_begin = command_bytes > 0 ? command_bytes + 1 : 0;
    return (command_bytes == 0 || is_item(item, command_bytes, command)) &&
           (option_begin >= bytes ||
            option_is_given(table, item + option_begin, bytes - option_begin));
}

/* The first item of a list that is there, NULL when none is. */
static const char *find_item(tool_table *table, const char *list, const char *command)
{
    for (; *list != '\0'; list = tool_next_item(list)) {
        if (is_there(table, list, command)) {
            return list;
        }
    }
    return NULL;
}

static int check_option(tool_table *table, const tool_option *option, const char *command)
{
    char list[MAX_LIST];
    if (option->commands != NULL && !has_item(option->commands, command)) {
        return tool_usage_error("--%s goes with %s, not with %s", option->name,
                                tool_print_list(list, sizeof list, option->commands, " and "),
                                command);
    }
    const char *other =
        option->not_with != NULL ? find_item(table, option->not_with, command) : NULL;
    if (other != NULL) {
        return tool_usage_error("--%s doesn't go with %.*s", option->name,
                                (int)tool_item_bytes(other), other);
    }
    if (option->needs != NULL && find_item(table, option->needs, command) == NULL) {
        return tool_usage_error("--%s needs %s", option->name,
                                tool_print_list(list, sizeof list, option->needs, " or "));
    }
    return TOOL_GO_ON;
}

int tool_check_combinations(tool_table *table)
{
    char list[MAX_LIST];
    const tool_program *program = table->program;
    const char *command = "";
    if (program->commands != NULL && program->operands.count > 0) {
        command = program->operands.items[0];
        if (!has_item(program->commands, command)) {
            return tool_usage_error("there is no command '%s': it is %s", command,
                                    tool_print_list(list, sizeof list, program->commands, " or "));
        }
    }
    for (size_t k = 0; k < tool_table_count(table); k++) {
        const tool_option *option = tool_table_get(table, k);
        const int code = option->given ? check_option(table, option, command) : TOOL_GO_ON;
        if (code != TOOL_GO_ON) {
            return code;
        }
    }
    /* One of two devices would be ignored. In TTM_BACKEND it's a default, which --device replaces.
     */
    if (program->device != NULL && program->backend != NULL &&
        strchr(program->backend, ':') != NULL) {
        return tool_usage_error("--device doesn't go with --backend %s, which names a device",
                                program->backend);
    }
    return TOOL_GO_ON;
}
