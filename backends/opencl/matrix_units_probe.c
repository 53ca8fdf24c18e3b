/* Starting the child, waiting for what it says, and keeping verdicts. */
#include "opencl/matrix_units_probe.h"

#include "opencl/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, NUMBER_BYTES = 16, DEFAULT_SECONDS = 60 };

/* *plugin = this plugin's file, *program = the child's program beside it. */
static int find_files(char *plugin, char *program)
{
    Dl_info information;
    if (dladdr((const void *)&opencl_verdict_read, &information) == 0 ||
        information.dli_fname == NULL) {
        return 0;
    }
    const char *slash = strrchr(information.dli_fname, '/');
    const int folder = slash != NULL ? (int)(slash - information.dli_fname) : 1;
    const char *from = slash != NULL ? information.dli_fname : ".";
    return snprintf(plugin, PATH_BYTES, "%s", information.dli_fname) < PATH_BYTES &&
           snprintf(program, PATH_BYTES, "%.*s/ttm-opencl-probe", folder, from) < PATH_BYTES &&
           access(program, X_OK) == 0;
}

/* A copy of the environment with the child's variables in it; NULL without memory. The caller frees
 * the array, not the texts but the first one. */
static char **child_environment(char *kernel_variable)
{
    static char probe_variable[] = "TTM_OPENCL_MATRIX_UNITS_PROBE=1";
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **copy = calloc(count + 3, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    size_t used = 0;
    copy[used++] = kernel_variable;
    copy[used++] = probe_variable;
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "TTM_OPENCL_MATRIX_UNITS", 23) != 0 &&
            strncmp(environ[i], "TTM_OPENCL_PIECES=", 18) != 0 &&
            strncmp(environ[i], "TTM_OPENCL_ATTENTION=", 21) != 0) {
            copy[used++] = environ[i];
        }
    }
    return copy;
}

static int start_child(pid_t *child, int *output, const opencl_probe_request *request)
{
    char plugin[PATH_BYTES];
    char program[PATH_BYTES];
    char device[NUMBER_BYTES];
    opencl_probe_request copy = *request; /* what is passed on isn't const */
    char *arguments[OPENCL_PROBE_WORDS + 4] = {program, plugin, device};
    int ends[2];
    if (!find_files(plugin, program)) {
        return 0;
    }
    snprintf(device, sizeof device, "%d", request->device_index);
    for (int i = 0; i < request->word_count; i++) {
        arguments[3 + i] = copy.words[i];
    }
    char **environment = child_environment(copy.variable);
    if (environment == NULL || pipe2(ends, O_CLOEXEC) != 0) {
        free(environment);
        return 0;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    const int failed = posix_spawn(child, program, &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    free(environment);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return 0;
    }
    *output = ends[0];
    return 1;
}

/* Reads until the child closes its output; 0 when that takes too long. */
static int read_output(char *text, size_t text_bytes, int output, double until)
{
    size_t used = 0;
    for (;;) {
        struct pollfd wait = {.fd = output, .events = POLLIN};
        const double left = until - opencl_seconds();
        const int ready = left > 0.0 ? poll(&wait, 1, (int)(left * 1000.0) + 1) : 0;
        if (ready == 0) {
            return 0;
        }
        if (ready < 0) {
            if (errno == EINTR) {
                continue;
            }
            return 0;
        }
        char part[256];
        const ssize_t got = read(output, part, sizeof part);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            text[used] = '\0';
            return 1;
        }
        for (ssize_t i = 0; i < got && used + 1 < text_bytes; i++) {
            text[used++] = part[i];
        }
    }
}

static int seconds_to_wait(void)
{
    const char *wish = getenv("TTM_OPENCL_PROBE_SECONDS");
    const int seconds = wish != NULL ? atoi(wish) : 0;
    return seconds > 0 ? seconds : DEFAULT_SECONDS;
}

opencl_verdict opencl_probe_run(char *reason, size_t reason_bytes,
                                const opencl_probe_request *request)
{
    pid_t child = 0;
    int output = -1;
    int status = 0;
    char text[OPENCL_PROBE_REASON_BYTES] = "";
    const int seconds = seconds_to_wait();
    if (!start_child(&child, &output, request)) {
        snprintf(reason, reason_bytes,
                 "the program that probes them, ttm-opencl-probe, can't be "
                 "started from the plugin's folder");
        return OPENCL_VERDICT_UNKNOWN;
    }
    const int ended = read_output(text, sizeof text, output, opencl_seconds() + seconds);
    close(output);
    if (!ended) {
        kill(child, SIGKILL);
    }
    /* A host that reaps all children may have taken the status; what the child said is enough then.
     */
    const int known = waitpid(child, &status, 0) == child;
    text[strcspn(text, "\n")] = '\0';
    if (!ended) {
        snprintf(reason, reason_bytes, "their probe didn't end within %d s", seconds);
    } else if (known && WIFSIGNALED(status)) {
        snprintf(reason, reason_bytes, "their probe died of signal %d", WTERMSIG(status));
    } else if (strcmp(text, "passed") == 0) {
        return OPENCL_VERDICT_PASSED;
    } else {
        snprintf(reason, reason_bytes, "their probe failed: %s",
                 text[0] != '\0' ? text : "it said nothing");
    }
    return OPENCL_VERDICT_FAILED;
}

opencl_verdict opencl_verdict_read(const opencl_cache_key *key)
{
    size_t bytes = 0;
    unsigned char *text = opencl_cache_read(&bytes, key);
    opencl_verdict verdict = OPENCL_VERDICT_UNKNOWN;
    if (text != NULL && bytes == 6) {
        if (memcmp(text, "passed", 6) == 0) {
            verdict = OPENCL_VERDICT_PASSED;
        } else if (memcmp(text, "failed", 6) == 0) {
            verdict = OPENCL_VERDICT_FAILED;
        }
    }
    free(text);
    return verdict;
}

void opencl_verdict_write(const opencl_cache_key *key, opencl_verdict verdict)
{
    const char *text = verdict == OPENCL_VERDICT_PASSED ? "passed" : "failed";
    opencl_cache_write(key, (const unsigned char *)text, 6);
}
