/* Several threads on one device, each with a stream of its own. */
#include "conformance/device_tests.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>

enum { THREADS = 4, TURNS = 100, CASES = 3 };

/* One thread: what it works with, and what it found. */
typedef struct worker_thread {
    pthread_t thread;
    bool started;
    const test_bench *bench;
    struct target tested; /* with a stream of its own */
    struct target oracle;
    uint32_t number;
    ttm_status status;
    char message[600];
} worker_thread;

static ttm_status own_stream(struct target *target, const struct target *like)
{
    *target = *like;
    target->stream = NULL;
    ttm_plugin_begin();
    return target_check(target, "stream_create",
                        target->backend->stream_create(&target->stream, target->device));
}

/* Runs `body` in every thread; fails with the message of the first that failed. */
static ttm_status run_threads(void *(*body)(void *), const test_bench *bench)
{
    worker_thread threads[THREADS] = {0};
    ttm_status status = TTM_OK;
    for (uint32_t k = 0; k < THREADS; k++) {
        threads[k].bench = bench;
        threads[k].number = k;
        TTM_TRY_OUT(own_stream(&threads[k].tested, bench->tested));
        TTM_TRY_OUT(own_stream(&threads[k].oracle, bench->oracle));
    }
    for (uint32_t k = 0; k < THREADS; k++) {
        threads[k].started = pthread_create(&threads[k].thread, NULL, body, &threads[k]) == 0;
    }
out:
    for (uint32_t k = 0; k < THREADS; k++) {
        if (threads[k].started) {
            pthread_join(threads[k].thread, NULL);
        }
        if (threads[k].status != TTM_OK && status == TTM_OK) {
            status =
                ttm_fail(threads[k].status, "with %d threads: %s", THREADS, threads[k].message);
        }
        if (threads[k].tested.stream != NULL) {
            threads[k].tested.backend->stream_destroy(threads[k].tested.stream);
        }
        if (threads[k].oracle.stream != NULL) {
            threads[k].oracle.backend->stream_destroy(threads[k].oracle.stream);
        }
    }
    return status;
}

static ttm_status use_memory(worker_thread *self)
{
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        test_block blocks[2] = {0};
        ttm_status status = TTM_OK;
        for (uint32_t k = 0; k < 2 && status == TTM_OK; k++) {
            status = block_new(&blocks[k], &self->tested, 1000 + 997 * (size_t)turn * (k + 1),
                               self->number * 1000 + turn * 2 + k);
        }
        for (uint32_t k = 0; k < 2 && status == TTM_OK; k++) {
            status = block_check(&blocks[k], &self->tested);
        }
        block_free(&blocks[1], &self->tested);
        block_free(&blocks[0], &self->tested);
        TTM_TRY(status);
    }
    return TTM_OK;
}

/* Every op, in an order of each thread's own. */
static ttm_status use_ops(worker_thread *self)
{
    for (uint32_t turn = 0; turn < TTM_OP_COUNT * CASES; turn++) {
        const uint32_t which = (turn + self->number * 7) % (TTM_OP_COUNT * CASES);
        const ttm_opcode opcode = (ttm_opcode)(which / CASES);
        conformance_case made;
        check_verdict verdict = {.outcome = CHECK_PASSED};
        ttm_status status = case_generate(&made, opcode, 4 + which % CASES, self->bench->seed,
                                          TTM_F32, &self->oracle);
        if (status == TTM_OK) {
            check_case(&verdict, &made, &self->tested, &self->oracle);
        }
        case_free(&made);
        if (verdict.outcome == CHECK_FAILED) {
            status = ttm_fail(TTM_ERROR_PLUGIN, "%s: %.400s", ttm_op_name(opcode), verdict.message);
        }
        TTM_TRY(status);
    }
    return TTM_OK;
}

static void finish(worker_thread *self, ttm_status status)
{
    self->status = status;
    if (status != TTM_OK) {
        snprintf(self->message, sizeof self->message, "%s", ttm_error_message());
    }
}

static void *memory_main(void *argument)
{
    worker_thread *self = argument;
    finish(self, use_memory(self));
    return NULL;
}

static void *ops_main(void *argument)
{
    worker_thread *self = argument;
    finish(self, use_ops(self));
    return NULL;
}

static ttm_status memory(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    return run_threads(memory_main, bench);
}

static ttm_status ops(const char **skipped, const test_bench *bench)
{
    if (bench->tested->backend->op_run == NULL) {
        *skipped = "the plugin has no ops";
        return TTM_OK;
    }
    return run_threads(ops_main, bench);
}

const device_test device_thread_tests[] = {
    {"threads/memory", "four threads allocate, write, read and free at once", memory},
    {"threads/ops", "four threads with a stream each run every op and get the right results", ops},
    {0},
};
