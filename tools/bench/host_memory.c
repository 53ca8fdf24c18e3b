/* Threads that pass over memory together, one loop after the other. */
#include "bench/host_memory.h"

#include "bench/measure.h"
#include "bench/memory_loops.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ARRAYS = 3, LEAST_ROUNDS = 2, HUGE_PAGE = 2 << 20 };

/* What is timed: a loop and a way of doing it. */
enum { LOOP_READ, LOOP_COPY, LOOP_TRIAD, LOOP_FILL, LOOPS };

/* Not 0: some processors write lines of zeros at twice the speed of others. */
static const float fill_value = 1.5F;

static const int ways_of_loop[LOOPS] = {
    [LOOP_READ] = BENCH_READ_WAYS,
    [LOOP_COPY] = BENCH_STORE_WAYS,
    [LOOP_TRIAD] = BENCH_STORE_WAYS,
    [LOOP_FILL] = BENCH_STORE_WAYS,
};

/* Shared by the threads. The leader writes between two meetings, the others read after one. */
typedef struct memory_work {
    const bench_memory_loops *loops;
    pthread_mutex_t gate; /* Held until it is known how many threads there are. */
    pthread_barrier_t meeting;
    float *arrays[ARRAYS];
    size_t share; /* Elements of a thread, */
    size_t used;  /* and of all. */
    double limit_ns;
    double best_ns[LOOPS];
    bool over;
} memory_work;

typedef struct memory_thread {
    memory_work *work;
    pthread_t handle;
    size_t start; /* First element of its share. */
    bool leads;
    int passes; /* So far. */
    double sum; /* Of what it read, so that reading can't be left out. */
} memory_thread;

/* Each pass begins with the next array: what it passes over has left the caches. */
static void pass_over(memory_thread *thread, int loop, int way)
{
    const memory_work *work = thread->work;
    const int next = thread->passes++;
    float *out = work->arrays[next % ARRAYS] + thread->start;
    const float *a = work->arrays[(next + 1) % ARRAYS] + thread->start;
    const float *b = work->arrays[(next + 2) % ARRAYS] + thread->start;
    switch (loop) {
    case LOOP_READ:
        thread->sum += work->loops->read[way](a, work->share);
        break;
    case LOOP_COPY:
        work->loops->copy[way](out, a, work->share);
        break;
    case LOOP_TRIAD:
        work->loops->triad[way](out, a, b, work->share);
        break;
    default:
        work->loops->fill[way](out, fill_value, work->share);
        break;
    }
}

static void touch(const memory_thread *thread)
{
    for (int array = 0; array < ARRAYS; array++) {
        float *values = thread->work->arrays[array] + thread->start;
        for (size_t i = 0; i < thread->work->share; i++) {
            values[i] = (float)((i * 2654435761u) >> 8 & 0xFFFFu) / 65536.0F - 0.5F;
        }
    }
}

/* The leader's clock runs from when all are there to when all are done. */
static void time_pass(memory_thread *thread, int loop, int way)
{
    memory_work *work = thread->work;
    pthread_barrier_wait(&work->meeting);
    const double began = bench_now_ns();
    pass_over(thread, loop, way);
    pthread_barrier_wait(&work->meeting);
    if (thread->leads) {
        work->best_ns[loop] = fmin(work->best_ns[loop], bench_now_ns() - began);
    }
}

static void *run_thread(void *argument)
{
    memory_thread *thread = argument;
    memory_work *work = thread->work;
    if (!thread->leads) {
        pthread_mutex_lock(&work->gate);
        pthread_mutex_unlock(&work->gate);
    }
    touch(thread);
    const double began = bench_now_ns();
    for (int round = 0;; round++) {
        for (int loop = 0; loop < LOOPS; loop++) {
            for (int way = 0; way < ways_of_loop[loop]; way++) {
                time_pass(thread, loop, way);
            }
        }
        if (thread->leads) {
            work->over = round + 1 >= LEAST_ROUNDS && bench_now_ns() - began > work->limit_ns;
        }
        pthread_barrier_wait(&work->meeting);
        if (work->over) {
            return NULL;
        }
    }
}

/* Where the system refuses threads, the others share the work. */
static bool run_threads(memory_work *work, size_t elements, int wanted)
{
    memory_thread *threads = wanted > 0 ? calloc((size_t)wanted, sizeof *threads) : NULL;
    int count = 1;
    if (threads == NULL) {
        return false;
    }
    for (int k = 0; k < wanted; k++) {
        threads[k].work = work;
        threads[k].leads = k == 0;
    }
    pthread_mutex_lock(&work->gate);
    while (count < wanted &&
           pthread_create(&threads[count].handle, NULL, run_thread, &threads[count]) == 0) {
        count++;
    }
    work->share = elements / (size_t)count / BENCH_MEMORY_GRAIN * BENCH_MEMORY_GRAIN;
    for (int k = 0; k < count; k++) {
        threads[k].start = (size_t)k * work->share;
    }
    pthread_barrier_init(&work->meeting, NULL, (unsigned)count);
    pthread_mutex_unlock(&work->gate);
    run_thread(&threads[0]);
    for (int k = 1; k < count; k++) {
        pthread_join(threads[k].handle, NULL);
    }
    pthread_barrier_destroy(&work->meeting);
    work->used = work->share * (size_t)count;
    free(threads);
    return work->share > 0;
}

bool bench_host_memory_measure(bench_memory_speeds *speeds, size_t elements, int threads,
                               double seconds)
{
    memory_work work = {.loops = bench_memory_loops_find(0),
                        .gate = PTHREAD_MUTEX_INITIALIZER,
                        .limit_ns = seconds * 1e9};
    const size_t bytes = (elements * sizeof(float) + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    bool done = true;
    for (int array = 0; array < ARRAYS && done; array++) {
        void *memory = NULL;
        done = posix_memalign(&memory, HUGE_PAGE, bytes) == 0;
        work.arrays[array] = done ? memory : NULL;
        if (done) {
            madvise(memory, bytes, MADV_HUGEPAGE); /* Translating addresses shall cost little. */
        }
    }
    for (int loop = 0; loop < LOOPS; loop++) {
        work.best_ns[loop] = INFINITY;
    }
    done = done && run_threads(&work, elements, threads);
    const double used = 4e9 * (double)work.used;
    *speeds = (bench_memory_speeds){.read = used / work.best_ns[LOOP_READ],
                                    .write = used / work.best_ns[LOOP_FILL],
                                    .copy = 2.0 * used / work.best_ns[LOOP_COPY],
                                    .triad = 3.0 * used / work.best_ns[LOOP_TRIAD]};
    for (int array = 0; array < ARRAYS; array++) {
        free(work.arrays[array]);
    }
    return done;
}
