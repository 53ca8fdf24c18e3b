/* What a tool says when something is wrong: always one line on stderr that begins with its name. */
#include "common/tool_message.h"

#include "common/tool_options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *program_name = "ttm";

void tool_set_name(const char *name)
{
    program_name = name;
}

int tool_fail(ttm_status status)
{
    const char *message = ttm_error_message();
    return tool_fail_text("%s", message[0] != '\0' ? message : ttm_status_name(status));
}

static void TTM_PRINTF(1, 0) print_error(const char *format, va_list arguments)
{
    fflush(stdout); /* what was printed before comes before, where both go to one place */
    fprintf(stderr, "%s: error: ", program_name);
    vfprintf(stderr, format, arguments);
}

int tool_fail_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return TOOL_EXIT_FAILED;
}

int tool_usage_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments);
    va_end(arguments);
    fprintf(stderr, "; see %s --help\n", program_name);
    return TOOL_EXIT_USAGE;
}

int tool_done(void)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout) != 0) {
        return tool_fail_text("the output can't be written: %s",
                              errno != 0 ? strerror(errno) : "an earlier write failed");
    }
    return TOOL_EXIT_DONE;
}
