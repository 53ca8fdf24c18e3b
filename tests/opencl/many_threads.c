/* What ttm/backend.h promises of threads, of the opencl plugin: several with a stream each on one
 * device, which begin together on one that has built and proven nothing yet; others that ask what
 * is supported, and what scratch it takes, while these run; and devices that are opened and closed
 * beside them. Results are those of one thread, bit for bit. ThreadSanitizer finds what isn't
 * ordered where the numbers are right by luck.
 *
 *     many-threads DEVICE TURNS [WITHOUT…]
 *
 * Jobs with one of the words WITHOUT in their names are left out. */
#include "thread_jobs.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

#include <cmocka.h> /* needs the standard headers above */

enum { THREADS = 4, EVENT_ELEMENTS = 5000 };

static const char *device_name;
static int turns;
static char **left_out; /* ends with NULL */

/* What one thread gives; that of the scratch has to be the same before, beside and after. */
static job_result wanted[THREAD_JOBS];
static size_t wanted_workspace[THREAD_JOBS];
static int is_wanted_known;

/* All threads of a turn. */
typedef struct crew {
    pthread_barrier_t start;
    atomic_int working; /* threads whose jobs aren't done */
    ttm_device *device; /* that they share, or NULL */
    int turn;
    ttm_event *event;
    ttm_tensor shared;
} crew;

typedef struct worker {
    crew *crew;
    int number;
    job_result results[THREAD_JOBS];
    size_t workspace[THREAD_JOBS];
    ttm_status status;
    char message[600]; /* of the first failure */
} worker;

/* cmocka's assertions are for the main thread: others write down what failed. */
static int failed(worker *self, ttm_status status, const char *doing)
{
    if (status != TTM_OK && self->status == TTM_OK) {
        self->status = status;
        snprintf(self->message, sizeof self->message, "thread %d, %s: %s", self->number, doing,
                 ttm_error_message());
    }
    return status != TTM_OK;
}

static void check(ttm_status status)
{
    if (status != TTM_OK) {
        fail_msg("%s", ttm_error_message());
    }
}

/* ---- Threads ---- */

static int is_left_out(int job)
{
    char **word = left_out;
    while (*word != NULL && strstr(job_name(job), *word) == NULL) {
        word++;
    }
    return *word != NULL;
}

static int run_jobs(worker *self, ttm_stream *stream, int first, int count)
{
    for (int i = 0; i < count; i++) {
        const int job = (first + i) % THREAD_JOBS;
        job_forget(&self->results[job]);
        if (!is_left_out(job) &&
            failed(self, job_run(&self->results[job], stream, job), job_name(job))) {
            return 0;
        }
    }
    return 1;
}

/* In turns all begin with the same job, which meets what isn't built and proven there, and with
 * different ones. */
static void *work(void *argument)
{
    worker *self = argument;
    ttm_stream *stream = NULL;
    const int apart = self->crew->turn % 2 * THREAD_JOBS / THREADS;
    pthread_barrier_wait(&self->crew->start);
    if (!failed(self, ttm_stream_create(&stream, self->crew->device), "a stream")) {
        run_jobs(self, stream, self->number * apart, THREAD_JOBS);
    }
    ttm_stream_destroy(stream);
    atomic_fetch_sub(&self->crew->working, 1);
    return NULL;
}

/* Asks as long as the others work, and once more. */
static void *ask(void *argument)
{
    worker *self = argument;
    int is_first = 1;
    int goes_on = 1;
    pthread_barrier_wait(&self->crew->start);
    while (goes_on && self->status == TTM_OK) {
        goes_on = atomic_load(&self->crew->working) > 0;
        for (int job = 0; job < THREAD_JOBS && self->status == TTM_OK; job++) {
            size_t bytes = 0;
            failed(self, job_plan(&bytes, self->crew->device, job), job_name(job));
            if (!is_first && bytes != self->workspace[job] && self->status == TTM_OK) {
                self->status = TTM_ERROR_PLUGIN;
                snprintf(self->message, sizeof self->message,
                         "%s wants %zu bytes of scratch, and wanted %zu before", job_name(job),
                         bytes, self->workspace[job]);
            }
            self->workspace[job] = bytes;
        }
        is_first = 0;
    }
    return NULL;
}

/* Opens a device of its own and does some of the jobs there. */
static void *open_and_work(void *argument)
{
    worker *self = argument;
    pthread_barrier_wait(&self->crew->start);
    for (int turn = 0; turn < turns; turn++) {
        ttm_device *device = NULL;
        ttm_stream *stream = NULL;
        int goes_on = !failed(self, ttm_device_open(&device, device_name, NULL), "a device") &&
                      !failed(self, ttm_stream_create(&stream, device), "a stream") &&
                      run_jobs(self, stream, self->number + turn, THREADS);
        ttm_stream_destroy(stream);
        ttm_device_close(device);
        if (!goes_on) {
            break;
        }
    }
    return NULL;
}

/* The first one queues work, the others wait for it on streams of their own and read it. All look
 * at the same event. */
static void *wait_for_another(void *argument)
{
    worker *self = argument;
    crew *all = self->crew;
    ttm_stream *stream = NULL;
    job_result *read = &self->results[0];
    failed(self, ttm_stream_create(&stream, all->device), "a stream");
    if (self->number == 0 && self->status == TTM_OK) {
        failed(self, ttm_fill(stream, &all->shared, 2.5), "fill");
        failed(self, ttm_event_record(&all->event, stream), "an event");
    }
    pthread_barrier_wait(&all->start);
    read->count = EVENT_ELEMENTS * sizeof(float);
    read->bytes = malloc(read->count);
    if (self->status == TTM_OK && all->event != NULL && read->bytes != NULL) {
        failed(self, ttm_event_wait(stream, all->event), "waiting");
        failed(self, ttm_tensor_read(stream, read->bytes, &all->shared), "reading");
        failed(self, ttm_event_synchronize(all->event), "waiting on the host");
    }
    pthread_barrier_wait(&all->start);
    if (self->number == 0) {
        ttm_event_destroy(all->event);
    }
    ttm_stream_destroy(stream);
    return NULL;
}

/* Runs `count` threads, the last one of which is `last`. */
static void run_crew(worker *workers, crew *all, int count, void *(*body)(void *),
                     void *(*last)(void *))
{
    pthread_t threads[THREADS + 1];
    memset(workers, 0, (size_t)count * sizeof *workers);
    assert_int_equal(pthread_barrier_init(&all->start, NULL, (unsigned)count), 0);
    atomic_init(&all->working, THREADS);
    for (int k = 0; k < count; k++) {
        workers[k].crew = all;
        workers[k].number = k;
        assert_int_equal(
            pthread_create(&threads[k], NULL, k == count - 1 ? last : body, &workers[k]), 0);
    }
    for (int k = 0; k < count; k++) {
        pthread_join(threads[k], NULL);
    }
    pthread_barrier_destroy(&all->start);
    for (int k = 0; k < count; k++) {
        if (workers[k].status != TTM_OK) {
            fail_msg("turn %d: %s", all->turn, workers[k].message);
        }
    }
}

/* ---- Results ---- */

/* What one thread gives on a device of its own. */
static void find_wanted(void)
{
    ttm_device *device = NULL;
    ttm_stream *stream = NULL;
    if (is_wanted_known) {
        return;
    }
    check(ttm_device_open(&device, device_name, NULL));
    check(ttm_stream_create(&stream, device));
    for (int job = 0; job < THREAD_JOBS; job++) {
        check(job_plan(&wanted_workspace[job], device, job));
        if (!is_left_out(job)) {
            check(job_run(&wanted[job], stream, job));
        }
    }
    ttm_stream_destroy(stream);
    ttm_device_close(device);
    is_wanted_known = 1;
}

static void check_results(worker *workers, int count, int turn)
{
    find_wanted();
    for (int k = 0; k < count; k++) {
        for (int job = 0; job < THREAD_JOBS; job++) {
            job_result *found = &workers[k].results[job];
            if (found->bytes != NULL && !job_same(found, &wanted[job])) {
                fail_msg("turn %d, thread %d: %s isn't what it is in one thread", turn, k,
                         job_name(job));
            }
            job_forget(found);
        }
    }
}

/* ---- Tests ---- */

/* Before anything else, so that in the first turn nothing is kept on disk either. */
static void threads_share_a_device(void **state)
{
    static worker workers[THREADS + 1];
    (void)state;
    for (int turn = 0; turn < turns; turn++) {
        crew all = {.turn = turn};
        check(ttm_device_open(&all.device, device_name, NULL));
        run_crew(workers, &all, THREADS + 1, work, ask);
        assert_int_equal(ttm_device_memory_used(all.device), 0);
        ttm_device_close(all.device);
        check_results(workers, THREADS, turn);
        for (int job = 0; job < THREAD_JOBS; job++) {
            assert_int_equal(workers[THREADS].workspace[job], wanted_workspace[job]);
        }
    }
}

static void each_thread_opens_a_device(void **state)
{
    static worker workers[THREADS];
    crew all = {.turn = 0};
    (void)state;
    run_crew(workers, &all, THREADS, open_and_work, open_and_work);
    check_results(workers, THREADS, 0);
}

static void threads_wait_for_one_event(void **state)
{
    static worker workers[THREADS];
    const int64_t count = EVENT_ELEMENTS;
    crew all = {.turn = 0};
    (void)state;
    check(ttm_device_open(&all.device, device_name, NULL));
    check(ttm_tensor_alloc(&all.shared, all.device, TTM_F32, 1, &count));
    run_crew(workers, &all, THREADS, wait_for_another, wait_for_another);
    for (int k = 0; k < THREADS; k++) {
        job_result *read = &workers[k].results[0];
        assert_non_null(read->bytes);
        for (int i = 0; i < EVENT_ELEMENTS; i++) {
            float value = 0.0F;
            memcpy(&value, read->bytes + (size_t)i * sizeof value, sizeof value);
            assert_true(value == 2.5F);
        }
        job_forget(read);
    }
    ttm_tensor_free(&all.shared, all.device);
    ttm_device_close(all.device);
}

static int forget_wanted(void **state)
{
    (void)state;
    for (int job = 0; job < THREAD_JOBS; job++) {
        job_forget(&wanted[job]);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_share_a_device),
        cmocka_unit_test(each_thread_opens_a_device),
        cmocka_unit_test(threads_wait_for_one_event),
    };
    device_name = argc > 1 ? argv[1] : NULL;
    turns = argc > 2 ? atoi(argv[2]) : 0;
    left_out = argv + 3;
    if (turns < 1) {
        fprintf(stderr, "usage: many-threads DEVICE TURNS [WITHOUT…]\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, forget_wanted);
}
