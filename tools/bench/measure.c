/* Samples. One sample is a number of calls between two events; the host waits after it, so that
 * samples don't overlap. */
#include "bench/measure.h"

#include <math.h>
#include <time.h>

enum { WARM_UP_WINDOW = 4, MAX_SAMPLES = 2000 };

/* Samples shorter than this are mostly noise of clocks and wake-ups. */
static const double least_sample_ns = 2e5;

double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

typedef struct sampler {
    ttm_stream *stream;
    bench_work work;
    void *user;
    uint64_t next_call;
} sampler;

/* Times `calls` calls; both times are per call. */
static ttm_status take_sample(double *device_ns, double *wall_ns, sampler *state, uint64_t calls)
{
    ttm_event *start = NULL;
    ttm_event *end = NULL;
    uint64_t elapsed = 0;
    const double began = bench_now_ns();
    ttm_status status = ttm_event_record(&start, state->stream);
    for (uint64_t call = 0; call < calls && status == TTM_OK; call++) {
        status = state->work(state->user, state->next_call++);
    }
    if (status == TTM_OK) {
        status = ttm_event_record(&end, state->stream);
    }
    if (status == TTM_OK) {
        status = ttm_stream_synchronize(state->stream);
    }
    *wall_ns = (bench_now_ns() - began) / (double)calls;
    if (status == TTM_OK) {
        status = ttm_event_elapsed_ns(&elapsed, start, end);
    }
    *device_ns = (double)elapsed / (double)calls;
    ttm_event_destroy(start);
    ttm_event_destroy(end);
    return status;
}

/* *calls = how many make a sample of useful length. The first call compiles and allocates: it tells
 * nothing. */
static ttm_status choose_calls(uint64_t *calls, sampler *state)
{
    double device_ns = 0.0;
    double wall_ns = 0.0;
    *calls = 1;
    ttm_status status = take_sample(&device_ns, &wall_ns, state, 1);
    while (status == TTM_OK) {
        status = take_sample(&device_ns, &wall_ns, state, *calls);
        if (wall_ns * (double)*calls >= least_sample_ns || *calls >= 1u << 16) {
            break;
        }
        const double wanted = ceil(1.2 * least_sample_ns / fmax(wall_ns, 1.0));
        *calls = (uint64_t)fmin(fmax(wanted, 2.0 * (double)*calls), 65536.0);
    }
    return status;
}

/* Runs until a window of samples is no longer faster than the one before it: clocks have risen,
 * caches and pages are there. */
static ttm_status warm_up(bench_timing *timing, sampler *state, double limit_ns)
{
    double before = INFINITY;
    const double began = bench_now_ns();
    timing->stable = false;
    while (!timing->stable && bench_now_ns() - began < limit_ns) {
        double window[WARM_UP_WINDOW];
        double wall_ns = 0.0;
        for (int k = 0; k < WARM_UP_WINDOW; k++) {
            const ttm_status status =
                take_sample(&window[k], &wall_ns, state, timing->calls_per_sample);
            if (status != TTM_OK) {
                return status;
            }
            timing->warm_up_samples++;
            if (bench_now_ns() - began > limit_ns) {
                return TTM_OK;
            }
        }
        const double median = bench_median(window, WARM_UP_WINDOW);
        timing->stable = median > 0.98 * before;
        before = median;
    }
    return TTM_OK;
}

/* Whether the samples since `first` say enough. */
static bool precise(const bench_series *series, size_t first, const bench_arguments *arguments)
{
    const double *values = series->values + first;
    const size_t count = series->count - first;
    if (count < (size_t)arguments->samples) {
        return false;
    }
    const bench_interval interval = bench_median_interval(values, count, arguments->confidence);
    return interval.confidence >= arguments->confidence &&
           0.5 * (interval.high - interval.low) <=
               arguments->precision * bench_median(values, count);
}

ttm_status bench_measure(bench_series *series, bench_timing *timing, bench_session *session,
                         bench_work work, void *user)
{
    const bench_arguments *arguments = session->arguments;
    const double limit_ns = arguments->seconds * 1e9;
    sampler state = {.stream = session->stream, .work = work, .user = user};
    bench_timing own = {0};
    bench_series walls = {0};
    const size_t first = series->count;
    ttm_status status = choose_calls(&own.calls_per_sample, &state);
    if (status == TTM_OK) {
        status = warm_up(&own, &state, 0.3 * limit_ns);
    }
    bool room = bench_series_begin_round(&walls);
    own.best_ns = INFINITY;
    const double began = bench_now_ns();
    while (status == TTM_OK && room && series->count - first < MAX_SAMPLES) {
        double device_ns = 0.0;
        double wall_ns = 0.0;
        status = take_sample(&device_ns, &wall_ns, &state, own.calls_per_sample);
        if (status != TTM_OK) {
            break;
        }
        room = bench_series_add(series, device_ns) && bench_series_add(&walls, wall_ns);
        own.best_ns = fmin(own.best_ns, device_ns);
        const bool late = bench_now_ns() - began > limit_ns && series->count - first >= 3;
        if (late || precise(series, first, arguments)) {
            break;
        }
    }
    own.wall_ns = bench_median(walls.values, walls.count);
    bench_series_free(&walls);
    if (!room) {
        session->result.out_of_memory = true;
    }
    if (timing != NULL) {
        *timing = own;
    }
    return status;
}
