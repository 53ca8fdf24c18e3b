/* Unwatched and profiled steps in turn, so that a drift of the machine meets both alike, and each
 * of a pair is first as often as the other: what a step leaves in the caches is for its successor.
 */
#include "bench/steps.h"

#include "bench/measure.h"

#include <math.h>

enum { MOST_WARM_UPS = 12 };

ttm_status bench_steps_open(bench_steps *steps, bench_session *session, const char *name,
                            ttm_status (*take)(void *user), void *user)
{
    *steps = (bench_steps){.session = session, .name = name, .take = take, .user = user};
    if (bench_add_entry(&session->result, "step", name, "", "") == NULL) {
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    return ttm_profile_create(&steps->profile, session->stream, TTM_PROFILE_CALLS);
}

void bench_steps_close(bench_steps *steps)
{
    ttm_profile_destroy(steps->profile);
    bench_breakdown_free(&steps->breakdown);
    steps->profile = NULL;
}

/* *elapsed_ns = host time of a step until the device has done it. */
static ttm_status take_unwatched(double *elapsed_ns, bench_steps *steps)
{
    const double began = bench_now_ns();
    ttm_status status = steps->take(steps->user);
    if (status == TTM_OK) {
        status = ttm_stream_synchronize(steps->session->stream);
    }
    *elapsed_ns = bench_now_ns() - began;
    return status;
}

static ttm_status take_profiled(bench_steps *steps)
{
    ttm_status status = ttm_profile_start(steps->profile);
    if (status == TTM_OK) {
        status = steps->take(steps->user);
        const ttm_status stopped = ttm_profile_stop(steps->profile);
        status = status == TTM_OK ? stopped : status;
    }
    return status;
}

ttm_status bench_steps_warm_up(bench_steps *steps)
{
    double before = INFINITY;
    for (int k = 0; k < MOST_WARM_UPS; k++) {
        double elapsed = 0.0;
        const ttm_status status = take_unwatched(&elapsed, steps);
        if (status != TTM_OK || (k >= 2 && elapsed > 0.97 * before)) {
            return status;
        }
        before = elapsed;
    }
    return TTM_OK;
}

static ttm_status take_pair(bench_steps *steps, bool profiled_first)
{
    bench_result *result = &steps->session->result;
    double elapsed = 0.0;
    ttm_status status = profiled_first ? take_profiled(steps) : take_unwatched(&elapsed, steps);
    if (status == TTM_OK) {
        status = profiled_first ? take_unwatched(&elapsed, steps) : take_profiled(steps);
    }
    if (status == TTM_OK) {
        bench_entry *entry = bench_find_entry(result, "step", steps->name);
        result->out_of_memory |= !bench_series_add(&entry->series, elapsed);
        bench_breakdown_add(&steps->breakdown, steps->session, steps->profile, elapsed);
    }
    return status;
}

ttm_status bench_steps_measure(bench_steps *steps, int64_t count)
{
    bench_session *session = steps->session;
    ttm_status status = TTM_OK;
    for (int64_t k = 0; k < count && status == TTM_OK && !session->result.out_of_memory; k++) {
        char text[96];
        snprintf(text, sizeof text, "%s %lld of %lld", steps->name, (long long)k + 1,
                 (long long)count);
        bench_progress(session, text);
        status = take_pair(steps, k % 2 != 0);
    }
    bench_progress(session, NULL);
    return status;
}

ttm_status bench_steps_finish(bench_entry **entry, bench_steps *steps)
{
    bench_session *session = steps->session;
    bench_breakdown_finish(&steps->breakdown, session, steps->name);
    *entry = bench_find_entry(&session->result, "step", steps->name);
    (*entry)->wall_ns = bench_entry_median(*entry);
    if (session->arguments->trace != NULL &&
        !bench_write_trace(session->arguments->trace, steps->profile, &session->result,
                           session->arguments->preset)) {
        session->failure_told = true;
        return TTM_ERROR_IO;
    }
    return TTM_OK;
}
