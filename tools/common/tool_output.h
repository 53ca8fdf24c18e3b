/* Files that tools write at their users' bidding: whole or not at all, as far as what the name
 * stands for allows it. */
#ifndef TTM_TOOLS_COMMON_TOOL_OUTPUT_H
#define TTM_TOOLS_COMMON_TOOL_OUTPUT_H

#include <stdio.h>

/** A file being written. */
typedef struct tool_output {
    FILE *stream;     /**< To write to. */
    const char *path; /**< As the user named it; NULL: it is the standard output. */
    char *target;     /**< The file behind links, */
    char *temporary;  /**< and what is renamed to it at the end; NULL: written as it stands. */
} tool_output;

/** Opens `path` for writing (NULL: the standard output). A file that is there stays as it is until
 * the new one is complete, so it may be read meanwhile, and links go on leading to it, also those
 * that wait for a file that isn't there yet; a device, a pipe and the file that the standard output
 * goes to are written as they stand. `path` isn't copied. Returns TOOL_GO_ON, or after a message
 * the exit status: then there is nothing to close. */
int tool_output_open(tool_output *output, const char *path);

/** Closes it. With TOOL_EXIT_DONE as `code` the file is put in its place; any other code is that of
 * a failure: what was there before stays. Returns `code`, or after a message TOOL_EXIT_FAILED when
 * something written never arrived. */
int tool_output_close(tool_output *output, int code);

/** Finds out whether `path` can be written, and leaves it as it is. For tools that work for minutes
 * before they do. Returns TOOL_GO_ON, or after a message the exit status. */
int tool_output_check(const char *path);

#endif
