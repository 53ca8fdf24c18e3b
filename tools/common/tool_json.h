/* Results as JSON on the standard output. */
#ifndef TTM_TOOLS_COMMON_TOOL_JSON_H
#define TTM_TOOLS_COMMON_TOOL_JSON_H

#include <ttm/json.h>

/** Writes one value, usually an object, of what `result` points to. */
typedef void (*tool_json_function)(ttm_json_writer *writer, const void *result);

/** Prints what `write` makes of `result`. Returns TOOL_EXIT_DONE when all of it has arrived, or
 * after a message TOOL_EXIT_FAILED. */
int tool_print_json(ttm_json_style style, tool_json_function write, const void *result);

#endif
