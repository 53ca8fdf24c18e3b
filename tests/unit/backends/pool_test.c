/* The cpu plugin's threads: every item done once, by a thread of the pool, however jobs follow each
 * other; several callers at a time; work inside work; more threads than processors; sleep between
 * jobs. */
#include "cpu/pool.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { MOST_ITEMS = 1000, JOBS = 3000, CALLERS = 4, THREADS = 5 };

typedef struct job {
    int64_t piece;
    int threads;
    atomic_int wrong_pieces;
    atomic_int done[MOST_ITEMS];
} job;

static void count_items(void *context, int64_t first, int64_t last, int thread)
{
    job *counted = context;
    if (first < 0 || last <= first || last - first > counted->piece || thread < 0 ||
        thread >= counted->threads) {
        atomic_fetch_add(&counted->wrong_pieces, 1);
        return;
    }
    for (int64_t i = first; i < last; i++) {
        atomic_fetch_add_explicit(&counted->done[i], 1, memory_order_relaxed);
    }
}

static job *new_job(int threads)
{
    job *created = calloc(1, sizeof *created);
    assert_non_null(created);
    created->threads = threads;
    return created;
}

/** Runs a job and returns how many things went wrong, leaving it as new. */
static int faults_of_run(ttm_cpu_pool *pool, job *counted, int64_t count, int64_t piece)
{
    counted->piece = piece;
    ttm_cpu_pool_run(pool, count, piece, count_items, counted);
    int faults = atomic_exchange(&counted->wrong_pieces, 0);
    for (int64_t i = 0; i < MOST_ITEMS; i++) {
        faults += atomic_exchange(&counted->done[i], 0) != (i < count);
    }
    return faults;
}

static void every_item_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= THREADS; threads++) {
        ttm_cpu_pool *pool = ttm_cpu_pool_create(threads, threads == 2);
        job *counted = new_job(threads);
        assert_non_null(pool);
        for (int64_t i = 0; i < JOBS; i++) {
            assert_int_equal(faults_of_run(pool, counted, i * 7919 % (MOST_ITEMS + 1), 1 + i % 37),
                             0);
        }
        free(counted);
        ttm_cpu_pool_destroy(pool);
    }
}

typedef struct caller {
    ttm_cpu_pool *pool;
    job *counted;
    int faults;
} caller;

static void *call_often(void *argument)
{
    caller *self = argument;
    for (int64_t i = 0; i < JOBS; i++) {
        self->faults += faults_of_run(self->pool, self->counted, 1 + i % MOST_ITEMS, 1 + i % 11);
    }
    return NULL;
}

static void callers_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    ttm_cpu_pool *pool = ttm_cpu_pool_create(THREADS, 0);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){pool, new_job(THREADS), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].faults, 0);
        free(callers[i].counted);
    }
    ttm_cpu_pool_destroy(pool);
}

static void run_inner(void *context, int64_t first, int64_t last, int thread)
{
    caller *outer = context;
    (void)thread;
    for (int64_t i = first; i < last; i++) {
        outer[i].faults = faults_of_run(outer[i].pool, outer[i].counted, MOST_ITEMS, 9);
    }
}

static void work_inside_work(void **state)
{
    (void)state;
    caller items[CALLERS];
    ttm_cpu_pool *pool = ttm_cpu_pool_create(THREADS, 0);
    for (int i = 0; i < CALLERS; i++) {
        items[i] = (caller){pool, new_job(THREADS), -1};
    }
    ttm_cpu_pool_run(pool, CALLERS, 1, run_inner, items);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(items[i].faults, 0);
        free(items[i].counted);
    }
    ttm_cpu_pool_destroy(pool);
}

static void pause_long(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void wait_a_little(void *context, int64_t first, int64_t last, int thread)
{
    pause_long();
    count_items(context, first, last, thread);
}

/** Workers sleep before each job, and the caller sleeps until the last piece is done. */
static void sleeping_between_jobs(void **state)
{
    (void)state;
    ttm_cpu_pool *pool = ttm_cpu_pool_create(3, 0);
    job *counted = new_job(3);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(faults_of_run(pool, counted, MOST_ITEMS, 50), 0);
        pause_long();
        counted->piece = 1;
        ttm_cpu_pool_run(pool, 3, 1, wait_a_little, counted);
        assert_int_equal(atomic_exchange(&counted->wrong_pieces, 0), 0);
        for (int item = 0; item < 3; item++) {
            assert_int_equal(atomic_exchange(&counted->done[item], 0), 1);
        }
    }
    free(counted);
    ttm_cpu_pool_destroy(pool);
}

static void unused_pools(void **state)
{
    (void)state;
    for (int i = 0; i < JOBS; i++) {
        ttm_cpu_pool_destroy(ttm_cpu_pool_create(THREADS, 0));
    }
    ttm_cpu_pool_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_once),  cmocka_unit_test(callers_at_a_time),
        cmocka_unit_test(work_inside_work), cmocka_unit_test(sleeping_between_jobs),
        cmocka_unit_test(unused_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
