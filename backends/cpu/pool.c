/* A job is published in one word: its number and how many of its pieces nobody has taken yet. A
 * thread takes a piece by lowering that word, and reads the rest of the job only afterwards: a job
 * of which a piece is taken and not done can't end, so what it reads belongs to it. A thread that
 * comes late finds another number or nothing left, and touches nothing.
 *
 * Waiting is in three stages. A pause in the processor for the time between two ops of a step, then
 * giving the processor to whoever wants it, so that a busy machine isn't held up by threads that
 * wait, then sleep. */
#include "cpu/pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/** Pauses (about 40 ns each on recent x86 processors), then yields (0.2 µs and more), until a
 * thread sleeps. Together they outlast the work between two ops by far. */
#define PAUSES 512
#define YIELDS 1024

/** Most pieces of a job: what fits half of the word. */
#define MOST_PIECES INT32_MAX
#define CACHE_LINE  64

typedef struct worker {
    ttm_cpu_pool *pool;
    pthread_t thread;
    int index; /**< 1 … threads − 1. */
} worker;

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): lines of their own are the point */
struct ttm_cpu_pool {
    /** Number of the job in the upper half, pieces left to take in the lower. */
    _Alignas(CACHE_LINE) atomic_uint_fast64_t ticket;
    _Alignas(CACHE_LINE) atomic_llong pieces_done;

    /* The job: written before its ticket is published. */
    _Alignas(CACHE_LINE) ttm_cpu_share share;
    void *context;
    int64_t count;
    int64_t piece;
    int64_t pieces;

    _Alignas(CACHE_LINE) atomic_int sleepers;
    atomic_int caller_sleeps;
    atomic_int ending;
    pthread_mutex_t sleep;
    pthread_cond_t wake_workers;
    pthread_cond_t wake_caller;

    pthread_mutex_t busy; /**< Held by the caller whose job this is. */
    int threads;
    int pinned;
    int started; /**< Workers that run; −1 before the first job. */
    worker *workers;
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** Passes some time; returns whether it's time to sleep. */
static int wait_awake(int *waited)
{
    if (*waited < PAUSES) {
        relax();
    } else {
        sched_yield();
    }
    return ++*waited >= PAUSES + YIELDS;
}

void ttm_cpu_pool_wait(int *waited)
{
    if (wait_awake(waited)) {
        *waited = PAUSES;
    }
}

static void finish_piece(ttm_cpu_pool *pool, int64_t pieces)
{
    if (atomic_fetch_add(&pool->pieces_done, 1) + 1 == pieces &&
        atomic_load(&pool->caller_sleeps)) {
        pthread_mutex_lock(&pool->sleep);
        pthread_cond_signal(&pool->wake_caller);
        pthread_mutex_unlock(&pool->sleep);
    }
}

/** Takes pieces until none is left. Returns the number of the job that it saw last. */
static uint32_t take_pieces(ttm_cpu_pool *pool, int thread)
{
    uint_fast64_t ticket = atomic_load(&pool->ticket);
    while ((uint32_t)ticket != 0) {
        if (!atomic_compare_exchange_weak(&pool->ticket, &ticket, ticket - 1)) {
            continue;
        }
        const int64_t pieces = pool->pieces;
        const int64_t first = (pieces - (int64_t)(uint32_t)ticket) * pool->piece;
        const int64_t left = pool->count - first;
        pool->share(pool->context, first, first + (left < pool->piece ? left : pool->piece),
                    thread);
        finish_piece(pool, pieces);
        ticket = atomic_load(&pool->ticket);
    }
    return (uint32_t)(ticket >> 32);
}

/** Whether a job after number `seen` was published, or the pool ends. */
static int has_news(ttm_cpu_pool *pool, uint32_t seen)
{
    return (uint32_t)(atomic_load(&pool->ticket) >> 32) != seen || atomic_load(&pool->ending);
}

static void wait_for_news(ttm_cpu_pool *pool, uint32_t seen)
{
    int waited = 0;
    while (!has_news(pool, seen)) {
        if (!wait_awake(&waited)) {
            continue;
        }
        pthread_mutex_lock(&pool->sleep);
        atomic_fetch_add(&pool->sleepers, 1);
        while (!has_news(pool, seen)) {
            pthread_cond_wait(&pool->wake_workers, &pool->sleep);
        }
        atomic_fetch_sub(&pool->sleepers, 1);
        pthread_mutex_unlock(&pool->sleep);
    }
}

/** Keeps the calling thread on one of the processors that the process may use, the `index`-th. */
static void pin(int index)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return;
    }
    int left = index % CPU_COUNT(&allowed);
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        if (CPU_ISSET(processor, &allowed) && left-- == 0) {
            cpu_set_t own;
            CPU_ZERO(&own);
            CPU_SET(processor, &own);
            pthread_setaffinity_np(pthread_self(), sizeof own, &own);
            return;
        }
    }
}

static void *work(void *argument)
{
    const worker *self = argument;
    ttm_cpu_pool *pool = self->pool;
    if (pool->pinned) {
        pin(self->index);
    }
    while (!atomic_load(&pool->ending)) {
        wait_for_news(pool, take_pieces(pool, self->index));
    }
    return NULL;
}

static void start_workers(ttm_cpu_pool *pool)
{
    pool->started = 0;
    for (int i = 0; i < pool->threads - 1; i++) {
        worker *next = &pool->workers[i];
        *next = (worker){.pool = pool, .index = i + 1};
        if (pthread_create(&next->thread, NULL, work, next) != 0) {
            break;
        }
        pool->started++;
    }
}

ttm_cpu_pool *ttm_cpu_pool_create(int threads, int pinned)
{
    ttm_cpu_pool *pool = NULL;
    if (posix_memalign((void **)&pool, CACHE_LINE, sizeof *pool) != 0) {
        return NULL;
    }
    *pool = (ttm_cpu_pool){.threads = threads, .pinned = pinned, .started = -1};
    pool->workers = calloc((size_t)threads, sizeof *pool->workers);
    if (pool->workers == NULL) {
        free(pool);
        return NULL;
    }
    pthread_mutex_init(&pool->sleep, NULL);
    pthread_mutex_init(&pool->busy, NULL);
    pthread_cond_init(&pool->wake_workers, NULL);
    pthread_cond_init(&pool->wake_caller, NULL);
    return pool;
}

void ttm_cpu_pool_destroy(ttm_cpu_pool *pool)
{
    if (pool == NULL) {
        return;
    }
    pthread_mutex_lock(&pool->sleep);
    atomic_store(&pool->ending, 1);
    pthread_cond_broadcast(&pool->wake_workers);
    pthread_mutex_unlock(&pool->sleep);
    for (int i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_mutex_destroy(&pool->sleep);
    pthread_mutex_destroy(&pool->busy);
    pthread_cond_destroy(&pool->wake_workers);
    pthread_cond_destroy(&pool->wake_caller);
    free(pool->workers);
    free(pool);
}

static void publish(ttm_cpu_pool *pool)
{
    const uint_fast64_t number = (uint32_t)((atomic_load(&pool->ticket) >> 32) + 1);
    atomic_store(&pool->pieces_done, 0);
    atomic_store(&pool->ticket, number << 32 | (uint_fast64_t)pool->pieces);
    if (atomic_load(&pool->sleepers) > 0) {
        pthread_mutex_lock(&pool->sleep);
        pthread_cond_broadcast(&pool->wake_workers);
        pthread_mutex_unlock(&pool->sleep);
    }
}

static void wait_for_pieces(ttm_cpu_pool *pool)
{
    int waited = 0;
    while (atomic_load(&pool->pieces_done) != pool->pieces) {
        if (!wait_awake(&waited)) {
            continue;
        }
        pthread_mutex_lock(&pool->sleep);
        atomic_store(&pool->caller_sleeps, 1);
        while (atomic_load(&pool->pieces_done) != pool->pieces) {
            pthread_cond_wait(&pool->wake_caller, &pool->sleep);
        }
        atomic_store(&pool->caller_sleeps, 0);
        pthread_mutex_unlock(&pool->sleep);
    }
}

static void run_alone(int64_t count, int64_t piece, ttm_cpu_share share, void *context)
{
    for (int64_t first = 0; first < count; first += piece) {
        share(context, first, count - first < piece ? count : first + piece, 0);
    }
}

void ttm_cpu_pool_run(ttm_cpu_pool *pool, int64_t count, int64_t piece, ttm_cpu_share share,
                      void *context)
{
    const int64_t least = count / MOST_PIECES + 1;
    piece = piece < least ? least : piece;
    if (pool->threads == 1 || count <= piece || pthread_mutex_trylock(&pool->busy) != 0) {
        run_alone(count, piece, share, context);
        return;
    }
    if (pool->started < 0) {
        start_workers(pool);
    }
    pool->share = share;
    pool->context = context;
    pool->count = count;
    pool->piece = piece;
    pool->pieces = (count + piece - 1) / piece;
    publish(pool);
    take_pieces(pool, 0);
    wait_for_pieces(pool);
    pthread_mutex_unlock(&pool->busy);
}
