/* Opening what a run needs, and running a case of any section. */
#include "conformance/session.h"

#include "conformance/device_tests.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Tests that repeat something take at most so many seconds. */
enum { LONGEST_TEST = 40 };

ttm_status session_open(suite_session *session, const suite_options *options)
{
    memset(session, 0, sizeof *session);
    session->options = options;
    TTM_TRY(target_open(&session->oracle, options->oracle_path, NULL));
    const ttm_status status = target_open(&session->tested, options->plugin_path, options->device);
    if (status != TTM_OK) {
        target_close(&session->oracle);
    }
    return status;
}

void session_close(suite_session *session)
{
    through_close(&session->through);
    target_close(&session->tested);
    target_close(&session->oracle);
}

static void fail_record(session_record *record, const char *what)
{
    record->verdict = (check_verdict){.outcome = CHECK_FAILED};
    snprintf(record->verdict.message, sizeof record->verdict.message, "%s: %s", what,
             ttm_error_message());
}

static ttm_status generate(conformance_case *made, const suite_session *session,
                           const plan_position *position)
{
    return case_generate(made, (ttm_opcode)position->item, position->index, session->options->seed,
                         session->options->dtype, &session->oracle);
}

static ttm_status open_through(suite_session *session)
{
    if (!session->through_open) {
        TTM_TRY(through_open(&session->through, &session->tested, session->tested.index));
        session->through_open = true;
    }
    return TTM_OK;
}

static void run_op(session_record *record, suite_session *session)
{
    conformance_case made;
    if (generate(&made, session, &record->position) != TTM_OK) {
        fail_record(record, "the case can't be made");
    } else if (record->position.section == PLAN_OPS) {
        check_case(&record->verdict, &made, &session->tested, &session->oracle);
    } else if (open_through(session) != TTM_OK) {
        fail_record(record, "libttm can't open the device");
    } else if (record->position.section == PLAN_LIBTTM) {
        through_check_case(&record->verdict, &made, &session->through, &session->oracle);
    } else {
        through_check_refusals(&record->verdict, &made, &session->through);
    }
    case_describe(record->description, sizeof record->description, &made);
    case_free(&made);
}

static void run_device_test(session_record *record, suite_session *session)
{
    const device_test *test = device_test_get((uint64_t)record->position.item);
    const int64_t limit = session->options->time_limit_s / 2;
    const test_bench bench = {.tested = &session->tested,
                              .oracle = &session->oracle,
                              .plugin_path = session->options->plugin_path,
                              .device = session->options->device,
                              .seed = session->options->seed,
                              .seconds = limit < LONGEST_TEST ? limit : LONGEST_TEST};
    device_test_check(&record->verdict, test, &bench);
    snprintf(record->description, sizeof record->description, "%s", test->promise);
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void session_run(session_record *record, suite_session *session)
{
    const double start = now_seconds();
    if (record->position.section == PLAN_DEVICE) {
        run_device_test(record, session);
    } else {
        run_op(record, session);
    }
    ttm_plugin_clean_text(record->verdict.message); /* it may have been cut within a character */
    record->seconds = now_seconds() - start;
}

ttm_status session_describe(char *text, size_t text_bytes, const suite_session *session,
                            const plan_position *position)
{
    conformance_case made;
    if (position->section == PLAN_DEVICE) {
        snprintf(text, text_bytes, "%s", device_test_get((uint64_t)position->item)->promise);
        return TTM_OK;
    }
    if (position->section == PLAN_CLOSE) {
        snprintf(text, text_bytes, "%s", SESSION_CLOSE_PROMISE);
        return TTM_OK;
    }
    const ttm_status status = generate(&made, session, position);
    case_describe(text, text_bytes, &made);
    case_free(&made);
    return status;
}
