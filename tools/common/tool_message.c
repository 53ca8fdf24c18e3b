/* What a tool says when something is wrong: always one line on stderr that begins with its name. */
#include "common/tool_message.h"

#include "common/tool_options.h"
#include "common/utf8_stream.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_MESSAGE = 16384 };

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

static void write_characters(void *user, const char *text, size_t bytes)
{
    fwrite(text, 1, bytes, user);
}

/* A message may quote a file, a path or a plugin: nothing of that may steer a terminal. */
static void TTM_PRINTF(1, 0) print_error(const char *format, va_list arguments)
{
    fflush(stdout); /* what was printed before comes before, where both go to one place */
    fprintf(stderr, "%s: error: ", program_name);
    char text[MAX_MESSAGE];
    utf8_stream characters = {.sink = write_characters, .user = stderr, .hide_controls = true};
    vsnprintf(text, sizeof text, format, arguments);
    utf8_stream_add(&characters, text, strlen(text));
    utf8_stream_end(&characters);
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
