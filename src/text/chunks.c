/* Worker threads take the next chunk until there is none; the calling thread waits and reports. */
#include "text/chunks.h"

#include "core/array.h"
#include "core/error.h"
#include "text/text_scan.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Long enough that threads seldom meet, short enough that the last chunk keeps nobody waiting. */
enum { CHUNK_BYTES = 1 << 18, MAX_THREADS = 256, WAIT_NS = 100000000 };

ttm_status ttm_chunks_cut(ttm_chunks *chunks, const char *text, size_t bytes)
{
    *chunks = (ttm_chunks){.text = text};
    TTM_TRY(
        ttm_array_new(&chunks->ends, bytes / CHUNK_BYTES + 1, sizeof *chunks->ends, "a long text"));
    for (size_t start = 0; start < bytes; start = chunks->ends[chunks->count++]) {
        chunks->ends[chunks->count] =
            start + ttm_text_chunk(text + start, bytes - start, CHUNK_BYTES);
    }
    return TTM_OK;
}

void ttm_chunks_free(ttm_chunks *chunks)
{
    free(chunks->ends);
    *chunks = (ttm_chunks){0};
}

unsigned ttm_chunks_threads(unsigned wanted)
{
    if (wanted == 0) {
        cpu_set_t cores;
        wanted = sched_getaffinity(0, sizeof cores, &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    }
    return wanted < MAX_THREADS ? wanted : MAX_THREADS;
}

typedef struct job {
    const ttm_chunks *chunks;
    ttm_chunk_work work;
    void *user;
    atomic_size_t next_chunk;
    atomic_uint_fast64_t bytes_done;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned running;
    ttm_status status;             /* of the first failure */
    char message[TTM_ERROR_BYTES]; /* error messages are thread-local: the first one is carried over
                                    */
} job;

typedef struct worker {
    job *job;
    unsigned index;
    pthread_t thread;
} worker;

static void stop_job(job *work, ttm_status status)
{
    pthread_mutex_lock(&work->lock);
    if (work->status == TTM_OK) {
        work->status = status;
        snprintf(work->message, sizeof work->message, "%s", ttm_error_message());
    }
    pthread_mutex_unlock(&work->lock);
    atomic_store(&work->next_chunk, work->chunks->count);
}

/** Takes one chunk and does it. Returns false when there was none left. */
static bool do_next(job *work, unsigned thread)
{
    const ttm_chunks *chunks = work->chunks;
    size_t chunk = atomic_fetch_add(&work->next_chunk, 1);
    if (chunk >= chunks->count) {
        return false;
    }
    size_t start = chunk > 0 ? chunks->ends[chunk - 1] : 0;
    size_t bytes = chunks->ends[chunk] - start;
    ttm_status status = work->work(work->user, thread, chunk, chunks->text + start, bytes);
    if (status != TTM_OK) {
        stop_job(work, status);
        return false;
    }
    atomic_fetch_add(&work->bytes_done, bytes);
    return true;
}

static void *run_worker(void *argument)
{
    worker *self = argument;
    while (do_next(self->job, self->index)) {
    }
    pthread_mutex_lock(&self->job->lock);
    self->job->running--;
    pthread_cond_signal(&self->job->changed);
    pthread_mutex_unlock(&self->job->lock);
    return NULL;
}

/** Waits until all workers have ended, reporting in between. */
static void wait_for_workers(job *work, ttm_progress *progress, uint64_t done_before)
{
    pthread_mutex_lock(&work->lock);
    while (work->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WAIT_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
        pthread_cond_timedwait(&work->changed, &work->lock, &until);
        pthread_mutex_unlock(&work->lock);
        ttm_status status =
            ttm_progress_tell(progress, done_before + atomic_load(&work->bytes_done), false);
        if (status != TTM_OK) {
            stop_job(work, status);
        }
        pthread_mutex_lock(&work->lock);
    }
    pthread_mutex_unlock(&work->lock);
}

/** Starts workers; returns how many. When the system gives no more threads, the ones there are do
 * the work. */
static unsigned start_workers(job *work, worker *workers, unsigned threads)
{
    unsigned started = 0;
    for (unsigned i = 0; i < threads; i++) {
        workers[started] = (worker){.job = work, .index = i};
        pthread_mutex_lock(&work->lock);
        work->running++;
        pthread_mutex_unlock(&work->lock);
        if (pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]) != 0) {
            pthread_mutex_lock(&work->lock);
            work->running--;
            pthread_mutex_unlock(&work->lock);
            break;
        }
        started++;
    }
    return started;
}

ttm_status ttm_chunks_run(const ttm_chunks *chunks, unsigned threads, ttm_chunk_work work,
                          void *user, ttm_progress *progress, uint64_t done_before)
{
    worker workers[MAX_THREADS];
    job all = {.chunks = chunks,
               .work = work,
               .user = user,
               .lock = PTHREAD_MUTEX_INITIALIZER,
               .changed = PTHREAD_COND_INITIALIZER};
    unsigned started = 0;
    if (threads > 1 && chunks->count > 1) {
        started = start_workers(&all, workers, threads);
        wait_for_workers(&all, progress, done_before);
    }
    while (started == 0 && do_next(&all, 0)) {
        ttm_status status =
            ttm_progress_tell(progress, done_before + atomic_load(&all.bytes_done), false);
        if (status != TTM_OK) {
            stop_job(&all, status);
        }
    }
    for (unsigned i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    pthread_cond_destroy(&all.changed);
    pthread_mutex_destroy(&all.lock);
    return all.status == TTM_OK ? TTM_OK : ttm_fail(all.status, "%s", all.message);
}
