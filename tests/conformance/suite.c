/* The suite: a worker process opens the plugin and runs case after case, sending verdicts through a
 * pipe. When it dies, the case it was at has failed, and another worker goes on behind it. */
#include "conformance/suite.h"

#include "conformance/session.h"
#include "core/error.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Cases of an op that a run has unless it is told otherwise. */
enum { DEFAULT_CASES = 60, COMMAND_BYTES = 5000 };

static bool find_selected(plan_position *position, const suite_options *options)
{
    return plan_find(position, options->filter, options->cases);
}

/* The same for cases that a session runs: all but the last one, which is how it ends. */
static bool find_case(plan_position *position, const suite_options *options)
{
    return find_selected(position, options) && position->section != PLAN_CLOSE;
}

/* What became of closing the device: `failure`, or nothing to speak of. */
static session_record closing_record(const char *failure)
{
    session_record record = {.position = {.section = PLAN_CLOSE},
                             .verdict.outcome = failure != NULL ? CHECK_FAILED : CHECK_PASSED};
    snprintf(record.description, sizeof record.description, "%s", SESSION_CLOSE_PROMISE);
    if (failure != NULL) {
        snprintf(record.verdict.message, sizeof record.verdict.message,
                 "after all cases, when the device was closed: %s", failure);
    }
    return record;
}

/* The command that runs one case alone. How the process ends may depend on all that it did: that is
 * repeated by doing the same. */
static void print_command(char command[COMMAND_BYTES], const plan_position *position,
                          const suite_options *options)
{
    char name[PLAN_NAME_BYTES];
    char more[48] = "";
    const bool closing = position->section == PLAN_CLOSE;
    const uint64_t cases = closing ? options->cases : position->index + 1;
    plan_name(name, position);
    if (cases > DEFAULT_CASES || (closing && cases != DEFAULT_CASES)) {
        snprintf(more, sizeof more, " --cases %llu", (unsigned long long)cases);
    }
    if (options->dtype != TTM_DTYPE_NONE) {
        snprintf(more + strlen(more), sizeof more - strlen(more), " --dtype %s",
                 ttm_dtype_name(options->dtype));
    }
    snprintf(command, COMMAND_BYTES, "%s --seed %llu%s", options->repeat_how,
             (unsigned long long)options->seed, more);
    const char *filter = closing ? options->filter : name;
    const size_t used = strlen(command);
    if (filter != NULL) {
        snprintf(command + used, COMMAND_BYTES - used, " --filter '%s'", filter);
    }
}

static void print_case(const session_record *record, const char *command)
{
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    const check_verdict *verdict = &record->verdict;
    char name[PLAN_NAME_BYTES];
    plan_name(name, &record->position);
    printf("%s %s", words[verdict->outcome], name);
    if (verdict->outcome == CHECK_PASSED && verdict->worst > 0.0) {
        printf(" (%.3g of its bound)", verdict->worst);
    } else if (verdict->message[0] != '\0') {
        printf(": %s", verdict->message);
    }
    if (verdict->outcome == CHECK_FAILED) {
        printf("\n    repeat: %s", command);
    }
    printf("%s%s\n", record->description[0] != '\0' ? "\n    " : "", record->description);
    fflush(stdout);
}

static ttm_status report_case(suite_report *report, const session_record *record,
                              const suite_options *options)
{
    char command[COMMAND_BYTES];
    print_command(command, &record->position, options);
    if (record->verdict.outcome == CHECK_FAILED || options->verbose) {
        print_case(record, command);
    }
    return suite_report_add(report, &record->position, &record->verdict, record->seconds,
                            record->description, command);
}

ttm_status suite_run_here(suite_report *report, const suite_options *options)
{
    suite_session session;
    session_record record = {0};
    ttm_status status = through_set_path(options->plugin_path, options->oracle_path);
    TTM_TRY(status);
    TTM_TRY(session_open(&session, options));
    while (status == TTM_OK && find_case(&record.position, options)) {
        session_run(&record, &session);
        status = report_case(report, &record, options);
        record.position.index++;
    }
    session_close(&session);
    if (status == TTM_OK && find_selected(&record.position, options)) {
        record = closing_record(NULL);
        status = report_case(report, &record, options);
    }
    return status;
}

bool suite_has_cases(const suite_options *options)
{
    plan_position position = {0};
    return find_selected(&position, options);
}

ttm_status suite_list(const suite_options *options)
{
    suite_session session = {.options = options};
    plan_position position = {0};
    ttm_status status = TTM_OK;
    TTM_TRY(target_open(&session.oracle, options->oracle_path, NULL));
    for (; status == TTM_OK && find_selected(&position, options); position.index++) {
        char name[PLAN_NAME_BYTES];
        char description[1500];
        plan_name(name, &position);
        status = session_describe(description, sizeof description, &session, &position);
        printf("%s  %s\n", name, description);
    }
    target_close(&session.oracle);
    return status;
}

/* ---- Workers ---- */

/* A worker that goes on from some case, and the pipe that it writes to. */
struct worker {
    pid_t process;
    int pipe;
};

static bool write_all(int file, const void *data, size_t bytes)
{
    const unsigned char *rest = data;
    while (bytes > 0) {
        const ssize_t written = write(file, rest, bytes);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            rest += written;
            bytes -= (size_t)written;
        }
    }
    return true;
}

/* The life of a worker. The first record it sends says whether it could start; then comes one for
 * each case. */
static void work(int pipe, plan_position start, const suite_options *options)
{
    suite_session session;
    session_record *record = calloc(1, sizeof *record);
    if (record == NULL) {
        return;
    }
    if (session_open(&session, options) != TTM_OK) {
        record->verdict.outcome = CHECK_FAILED;
        snprintf(record->verdict.message, sizeof record->verdict.message, "%s",
                 ttm_error_message());
        write_all(pipe, record, sizeof *record);
        free(record);
        return;
    }
    bool heard = write_all(pipe, record, sizeof *record);
    record->position = start;
    while (heard && find_case(&record->position, options)) {
        session_run(record, &session);
        heard = write_all(pipe, record, sizeof *record);
        record->position.index++;
    }
    session_close(&session);
    free(record);
}

static ttm_status start_worker(struct worker *worker, plan_position start,
                               const suite_options *options)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return ttm_fail(TTM_ERROR_IO, "no pipe for a worker: %s", strerror(errno));
    }
    fflush(NULL);
    worker->process = fork();
    if (worker->process < 0) {
        close(ends[0]);
        close(ends[1]);
        return ttm_fail(TTM_ERROR_IO, "no process for a worker: %s", strerror(errno));
    }
    if (worker->process == 0) {
        close(ends[0]);
        work(ends[1], start, options);
        exit(0); /* not _exit: sanitizers look for leaks here, in the plugin's process */
    }
    close(ends[1]);
    worker->pipe = ends[0];
    return TTM_OK;
}

/* Reads one record; false at the end of the pipe or after the time limit (*late is set then). */
static bool read_record(session_record *record, bool *late, const struct worker *worker,
                        const suite_options *options)
{
    size_t have = 0;
    while (have < sizeof *record) {
        struct pollfd waiting = {.fd = worker->pipe, .events = POLLIN};
        const int ready = poll(&waiting, 1, (int)(options->time_limit_s * 1000));
        if (ready == 0) {
            *late = true;
            return false;
        }
        const ssize_t got =
            ready < 0 ? -1 : read(worker->pipe, (char *)record + have, sizeof *record - have);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        have += got > 0 ? (size_t)got : 0;
    }
    return true;
}

/* Ends a worker and says in `message` how it ended; false when that was in order. */
static bool end_worker(char *message, size_t message_bytes, const struct worker *worker, bool late)
{
    int state = 0;
    close(worker->pipe);
    if (late) {
        kill(worker->process, SIGKILL);
    }
    while (waitpid(worker->process, &state, 0) < 0 && errno == EINTR) {
    }
    if (late) {
        snprintf(message, message_bytes, "it didn't end within the time limit");
    } else if (WIFSIGNALED(state)) {
        snprintf(message, message_bytes, "the process died of signal %d (%s)", WTERMSIG(state),
                 strsignal(WTERMSIG(state)));
    } else if (WEXITSTATUS(state) != 0) {
        snprintf(message, message_bytes, "the process ended itself with status %d",
                 WEXITSTATUS(state));
    } else {
        return false;
    }
    return true;
}

/* Runs one worker from *position until it ends; *position is then where the next one starts. */
static ttm_status run_worker(suite_report *report, plan_position *position, session_record *record,
                             const suite_options *options)
{
    struct worker worker = {0};
    bool late = false;
    char ending[200];
    ttm_status status = TTM_OK;
    TTM_TRY(start_worker(&worker, *position, options));
    const bool started = read_record(record, &late, &worker, options);
    const bool refused = started && record->verdict.outcome == CHECK_FAILED;
    while (started && !refused && status == TTM_OK &&
           read_record(record, &late, &worker, options)) {
        status = report_case(report, record, options);
        *position = record->position;
        position->index++;
    }
    const bool bad_end = end_worker(ending, sizeof ending, &worker, late);
    TTM_TRY(status);
    if (refused) {
        return report->total.failed == 0
                   ? ttm_fail(TTM_ERROR_PLUGIN, "%s", record->verdict.message)
                   : ttm_fail(TTM_ERROR_PLUGIN,
                              "the device can't be opened again, so that the cases from there on "
                              "weren't run: %.400s",
                              record->verdict.message);
    }
    if (!started) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%s couldn't be opened: %s", options->plugin_path,
                        bad_end ? ending : "it ended the process");
    }
    if (find_case(position, options)) { /* it ended before it was through */
        *record = (session_record){.position = *position, .verdict.outcome = CHECK_FAILED};
        snprintf(record->verdict.message, sizeof record->verdict.message, "%s",
                 bad_end ? ending : "the process ended itself");
        status = report_case(report, record, options);
        position->index++;
        return status;
    }
    if (bad_end || find_selected(position, options)) {
        *record = closing_record(bad_end ? ending : NULL);
        status = report_case(report, record, options);
    }
    *position = (plan_position){.section = PLAN_END};
    return status;
}

ttm_status suite_run(suite_report *report, const suite_options *options)
{
    plan_position position = {0};
    session_record record; /* not allocated: workers would inherit it as a leak */
    ttm_status status = through_set_path(options->plugin_path, options->oracle_path);
    while (status == TTM_OK && find_selected(&position, options)) {
        status = run_worker(report, &position, &record, options);
    }
    return status;
}
