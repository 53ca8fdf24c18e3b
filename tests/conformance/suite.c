/* The suite: a worker process opens the plugin and runs case after case, sending verdicts through a
 * pipe. When it dies, the case it was at has failed, and another worker goes on behind it. */
#include "conformance/suite.h"

#include "core/error.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <ttm/compute.h>
#include <unistd.h>

/* A case in the order of the run: opcode and index. */
struct position {
    int32_t opcode;
    uint64_t index;
};

/* What a worker sends for each case, small enough to be written to a pipe at once. */
struct record {
    struct position position;
    check_verdict verdict;
    char description[1500];
};

bool suite_selects(const char *filter, ttm_opcode opcode, uint64_t index)
{
    char name[96];
    if (filter == NULL || strcmp(filter, ttm_op_name(opcode)) == 0) {
        return true;
    }
    snprintf(name, sizeof name, "%s/%llu", ttm_op_name(opcode), (unsigned long long)index);
    return fnmatch(filter, name, 0) == 0;
}

/* Moves on to the next selected case, `position` itself included; false after the last. */
static bool find_selected(struct position *position, const suite_options *options)
{
    for (; position->opcode < TTM_OP_COUNT; position->opcode++, position->index = 0) {
        for (; position->index < options->cases; position->index++) {
            if (suite_selects(options->filter, (ttm_opcode)position->opcode, position->index)) {
                return true;
            }
        }
    }
    return false;
}

/* Tested and oracle plugin. */
struct pair {
    struct target tested;
    struct target oracle;
};

static ttm_status open_pair(struct pair *pair, const suite_options *options)
{
    TTM_TRY(target_open(&pair->oracle, options->oracle_path, NULL));
    const ttm_status status = target_open(&pair->tested, options->plugin_path, options->device);
    if (status != TTM_OK) {
        target_close(&pair->oracle);
    }
    return status;
}

static void close_pair(struct pair *pair)
{
    target_close(&pair->tested);
    target_close(&pair->oracle);
}

static void run_case(struct record *record, const struct pair *pair, const suite_options *options)
{
    conformance_case made;
    const struct position position = record->position;
    if (case_generate(&made, (ttm_opcode)position.opcode, position.index, options->seed,
                      options->dtype, &pair->oracle) == TTM_OK) {
        check_case(&record->verdict, &made, &pair->tested, &pair->oracle);
    } else {
        record->verdict = (check_verdict){.outcome = CHECK_FAILED};
        snprintf(record->verdict.message, sizeof record->verdict.message,
                 "the case can't be made: %s", ttm_error_message());
    }
    case_describe(record->description, sizeof record->description, &made);
    case_free(&made);
}

static void count(suite_counts *counts, const check_verdict *verdict)
{
    counts->passed += verdict->outcome == CHECK_PASSED;
    counts->failed += verdict->outcome == CHECK_FAILED;
    counts->skipped += verdict->outcome == CHECK_SKIPPED;
    if (verdict->worst > counts->worst) {
        counts->worst = verdict->worst;
    }
}

static const char *dtype_option(ttm_dtype dtype)
{
    return dtype == TTM_DTYPE_NONE ? "all" : ttm_dtype_name(dtype);
}

static void report_case(suite_report *report, const struct record *record,
                        const suite_options *options)
{
    static const char *const words[] = {"ok", "FAILED", "skipped"};
    const ttm_opcode opcode = (ttm_opcode)record->position.opcode;
    const check_verdict *verdict = &record->verdict;
    count(&report->ops[opcode], verdict);
    count(&report->total, verdict);
    if (verdict->outcome != CHECK_FAILED && !options->verbose) {
        return;
    }
    printf("%s %s/%llu", words[verdict->outcome], ttm_op_name(opcode),
           (unsigned long long)record->position.index);
    if (verdict->outcome == CHECK_FAILED) {
        printf(": %s\n    repeat: %s --dtype %s --seed %llu --filter '%s/%llu'", verdict->message,
               options->repeat_how, dtype_option(options->dtype), (unsigned long long)options->seed,
               ttm_op_name(opcode), (unsigned long long)record->position.index);
    } else if (verdict->outcome == CHECK_PASSED) {
        printf(" (%.3g of its bound)", verdict->worst);
    }
    printf("\n    %s\n", record->description);
    fflush(stdout);
}

ttm_status suite_run_here(suite_report *report, const suite_options *options)
{
    struct pair pair;
    struct record record = {0};
    TTM_TRY(open_pair(&pair, options));
    while (find_selected(&record.position, options)) {
        run_case(&record, &pair, options);
        report_case(report, &record, options);
        record.position.index++;
    }
    close_pair(&pair);
    return TTM_OK;
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

/* The life of a worker. The first record it sends has opcode -1 and says whether it could start;
 * then comes one for each case. */
static void work(int pipe, struct position start, const suite_options *options)
{
    struct pair pair;
    struct record *record = calloc(1, sizeof *record);
    if (record == NULL) {
        return;
    }
    record->position.opcode = -1;
    if (open_pair(&pair, options) != TTM_OK) {
        record->verdict.outcome = CHECK_FAILED;
        snprintf(record->verdict.message, sizeof record->verdict.message, "%s",
                 ttm_error_message());
        write_all(pipe, record, sizeof *record);
        free(record);
        return;
    }
    bool heard = write_all(pipe, record, sizeof *record);
    record->position = start;
    while (heard && find_selected(&record->position, options)) {
        run_case(record, &pair, options);
        heard = write_all(pipe, record, sizeof *record);
        record->position.index++;
    }
    close_pair(&pair);
    free(record);
}

static ttm_status start_worker(struct worker *worker, struct position start,
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
static bool read_record(struct record *record, bool *late, const struct worker *worker,
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
static ttm_status run_worker(suite_report *report, struct position *position, struct record *record,
                             const suite_options *options)
{
    struct worker worker = {0};
    bool late = false;
    char ending[200];
    TTM_TRY(start_worker(&worker, *position, options));
    const bool started = read_record(record, &late, &worker, options);
    const bool refused = started && record->verdict.outcome == CHECK_FAILED;
    while (started && !refused && read_record(record, &late, &worker, options)) {
        report_case(report, record, options);
        *position = record->position;
        position->index++;
    }
    const bool bad_end = end_worker(ending, sizeof ending, &worker, late);
    if (refused) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%s", record->verdict.message);
    }
    if (!started) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%s couldn't be opened: %s", options->plugin_path,
                        bad_end ? ending : "it ended the process");
    }
    if (find_selected(position, options)) { /* it ended before it was through */
        *record = (struct record){.position = *position, .verdict.outcome = CHECK_FAILED};
        snprintf(record->verdict.message, sizeof record->verdict.message, "%s",
                 bad_end ? ending : "the process ended itself");
        report_case(report, record, options);
        position->index++;
    } else if (bad_end) {
        return ttm_fail(TTM_ERROR_PLUGIN, "after all cases, when the device was closed: %s",
                        ending);
    }
    return TTM_OK;
}

ttm_status suite_run(suite_report *report, const suite_options *options)
{
    struct position position = {0};
    struct record record; /* not allocated: workers would inherit it as a leak */
    ttm_status status = TTM_OK;
    while (status == TTM_OK && find_selected(&position, options)) {
        status = run_worker(report, &position, &record, options);
    }
    return status;
}

ttm_status suite_list(const suite_options *options)
{
    struct target oracle;
    struct position position = {0};
    TTM_TRY(target_open(&oracle, options->oracle_path, NULL));
    while (find_selected(&position, options)) {
        conformance_case made;
        char description[1500];
        const ttm_status status = case_generate(&made, (ttm_opcode)position.opcode, position.index,
                                                options->seed, options->dtype, &oracle);
        case_describe(description, sizeof description, &made);
        case_free(&made);
        if (status != TTM_OK) {
            target_close(&oracle);
            return status;
        }
        printf("%s/%llu  %s\n", ttm_op_name((ttm_opcode)position.opcode),
               (unsigned long long)position.index, description);
        position.index++;
    }
    target_close(&oracle);
    return TTM_OK;
}
