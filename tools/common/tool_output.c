/* A temporary file beside the one that is meant, then a rename. */
#include "common/tool_output.h"

#include "common/tool_options.h"
#include "io/link_target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_to_write(const char *path, int error_number)
{
    return tool_fail_text("can't write '%s': %s", path, strerror(error_number));
}

/* What a signal that ends the program has to remove first; NULL: nothing. */
static char *volatile unfinished;

static void free_names(tool_output *output)
{
    unfinished = NULL;
    free(output->target);
    free(output->temporary);
    *output = (tool_output){0};
}

/* Whether the standard output goes to this file: a rename would lose its other lines. */
static bool is_standard_output(const struct stat *information)
{
    struct stat standard;
    return fstat(STDOUT_FILENO, &standard) == 0 && standard.st_dev == information->st_dev &&
           standard.st_ino == information->st_ino;
}

static void end_by_signal(int signal_number)
{
    if (unfinished != NULL) {
        unlink(unfinished);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* Has `temporary` removed by signals that would end the program at once and leave it there. */
static void watch(char *temporary)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    unfinished = temporary;
    for (size_t k = 0; k < sizeof signals / sizeof *signals; k++) {
        struct sigaction action;
        if (sigaction(signals[k], NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
            signal(signals[k], end_by_signal);
        }
    }
}

/* Makes the temporary file, which may be there when an earlier process of this number was killed.
 */
static FILE *create(const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    int descriptor = open(name, flags, 0666);
    if (descriptor < 0 && errno == EEXIST && unlink(name) == 0) {
        descriptor = open(name, flags, 0666);
    }
    return descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
}

/* False with errno set when it can't be. */
static bool open_temporary(tool_output *output, const struct stat *before)
{
    char *temporary = NULL;
    output->target = ttm_link_target(output->path);
    if (output->target == NULL ||
        asprintf(&temporary, "%s.tmp%ld", output->target, (long)getpid()) < 0) {
        return false;
    }
    output->temporary = temporary;
    output->stream = create(output->temporary);
    if (output->stream != NULL) {
        watch(output->temporary);
    }
    if (output->stream != NULL && before != NULL) {
        /* Where that isn't allowed, the file gets the usual permissions. */
        (void)!fchmod(fileno(output->stream), before->st_mode & 0777);
    }
    return output->stream != NULL;
}

int tool_output_open(tool_output *output, const char *path)
{
    struct stat information;
    const bool there = path != NULL && stat(path, &information) == 0;
    *output = (tool_output){.path = path};
    if (path == NULL || (there && is_standard_output(&information))) {
        *output = (tool_output){.stream = stdout};
        return TOOL_GO_ON;
    }
    if (there && S_ISDIR(information.st_mode)) {
        return fail_to_write(path, EISDIR);
    }
    if (there && !S_ISREG(information.st_mode)) {
        output->stream = fopen(path, "we");
        return output->stream != NULL ? TOOL_GO_ON : fail_to_write(path, errno);
    }
    if (!open_temporary(output, there ? &information : NULL)) {
        const int error_number = errno;
        free_names(output);
        return fail_to_write(path, error_number);
    }
    return TOOL_GO_ON;
}

int tool_output_close(tool_output *output, int code)
{
    if (output->path == NULL) {
        return code == TOOL_EXIT_DONE ? tool_done() : code;
    }
    const bool failed_before = ferror(output->stream) != 0;
    errno = failed_before ? errno : 0; /* of that failure */
    bool kept = fclose(output->stream) == 0 && !failed_before && code == TOOL_EXIT_DONE;
    if (kept && output->temporary != NULL) {
        kept = rename(output->temporary, output->target) == 0;
    }
    const int error_number = errno;
    if (!kept && output->temporary != NULL) {
        unlink(output->temporary);
    }
    if (!kept && code == TOOL_EXIT_DONE) {
        code = error_number != 0
                   ? fail_to_write(output->path, error_number)
                   : tool_fail_text("can't write '%s': an earlier write failed", output->path);
    }
    free_names(output);
    return code;
}

int tool_output_check(const char *path)
{
    tool_output output;
    struct stat information;
    if (stat(path, &information) == 0 && !S_ISREG(information.st_mode) &&
        !S_ISDIR(information.st_mode)) {
        /* Who opens a pipe and closes it tells its reader that this was all. */
        return access(path, W_OK) == 0 ? TOOL_GO_ON : fail_to_write(path, errno);
    }
    const int code = tool_output_open(&output, path);
    return code == TOOL_GO_ON ? tool_output_close(&output, TOOL_GO_ON) : code;
}
