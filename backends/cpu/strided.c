#include "cpu/strided.h"

#include <string.h>

/** Longest run that one call gets, and elements a thread takes at a time at least. */
#define RUN_LENGTH     16384
#define SHARE_ELEMENTS 8192

static void swap_dimensions(ttm_cpu_loops *loops, int a, int b)
{
    const int64_t extent = loops->shape[a];
    loops->shape[a] = loops->shape[b];
    loops->shape[b] = extent;
    for (int t = 0; t < loops->tensors; t++) {
        const int64_t stride = loops->stride[t][a];
        loops->stride[t][a] = loops->stride[t][b];
        loops->stride[t][b] = stride;
    }
}

static void sort_dimensions(ttm_cpu_loops *loops)
{
    for (int i = 1; i < loops->rank; i++) {
        for (int j = i; j > 0 && loops->stride[0][j - 1] < loops->stride[0][j]; j--) {
            swap_dimensions(loops, j - 1, j);
        }
    }
}

static int mergeable(const ttm_cpu_loops *loops, int outer, int inner)
{
    for (int t = 0; t < loops->tensors; t++) {
        if (loops->stride[t][outer] != loops->stride[t][inner] * loops->shape[inner]) {
            return 0;
        }
    }
    return 1;
}

static void merge_dimensions(ttm_cpu_loops *loops)
{
    int last = 0;
    for (int i = 1; i < loops->rank; i++) {
        const int merged = mergeable(loops, last, i);
        const int64_t before = merged ? loops->shape[last] : 1;
        last += !merged;
        loops->shape[last] = before * loops->shape[i];
        for (int t = 0; t < loops->tensors; t++) {
            loops->stride[t][last] = loops->stride[t][i];
        }
    }
    loops->rank = last + 1;
}

void ttm_cpu_loops_plan(ttm_cpu_loops *loops, const ttm_tensor *const *tensors, int count,
                        int reorder)
{
    memset(loops, 0, sizeof *loops);
    loops->tensors = count;
    loops->count = 1;
    for (int i = 0; i < tensors[0]->rank; i++) {
        loops->count *= tensors[0]->shape[i];
        if (tensors[0]->shape[i] == 1) {
            continue;
        }
        loops->shape[loops->rank] = tensors[0]->shape[i];
        for (int t = 0; t < count; t++) {
            loops->stride[t][loops->rank] = tensors[t]->stride[i];
        }
        loops->rank++;
    }
    if (loops->rank == 0) {
        loops->rank = 1;
        loops->shape[0] = 1;
        for (int t = 0; t < count; t++) {
            loops->stride[t][0] = 1;
        }
    }
    if (reorder) {
        sort_dimensions(loops);
    }
    merge_dimensions(loops);
}

int ttm_cpu_loops_unit(const ttm_cpu_loops *loops)
{
    for (int t = 0; t < loops->tensors; t++) {
        if (loops->stride[t][loops->rank - 1] != 1) {
            return 0;
        }
    }
    return 1;
}

typedef struct loop_job {
    const ttm_cpu_loops *loops;
    int64_t pieces; /**< Pieces of one innermost loop. */
    ttm_cpu_run_function function;
    void *context;
} loop_job;

/** Where the outer loops stand. */
typedef struct loop_place {
    int64_t index[TTM_MAX_RANK];
    int64_t offset[TTM_CPU_LOOP_TENSORS];
} loop_place;

static loop_place find_place(const ttm_cpu_loops *loops, int64_t outer)
{
    loop_place place = {{0}, {0}};
    for (int i = loops->rank - 2; i >= 0; i--) {
        place.index[i] = outer % loops->shape[i];
        outer /= loops->shape[i];
        for (int t = 0; t < loops->tensors; t++) {
            place.offset[t] += place.index[i] * loops->stride[t][i];
        }
    }
    return place;
}

/** Moves on by one: divisions would cost more than a short run. */
static void next_place(const ttm_cpu_loops *loops, loop_place *place)
{
    for (int i = loops->rank - 2; i >= 0; i--) {
        const int wraps = ++place->index[i] == loops->shape[i];
        const int64_t step = wraps ? 1 - loops->shape[i] : 1;
        for (int t = 0; t < loops->tensors; t++) {
            place->offset[t] += step * loops->stride[t][i];
        }
        if (!wraps) {
            return;
        }
        place->index[i] = 0;
    }
}

static void run_pieces(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const loop_job *job = context;
    const ttm_cpu_loops *loops = job->loops;
    const int inner = loops->rank - 1;
    int64_t outer = first / job->pieces;
    int64_t piece = first % job->pieces;
    loop_place place = find_place(loops, outer);
    for (int64_t item = first; item < last; item++) {
        const int64_t begin = piece * RUN_LENGTH;
        const int64_t left = loops->shape[inner] - begin;
        ttm_cpu_run run = {.start = outer * loops->shape[inner] + begin,
                           .count = left < RUN_LENGTH ? left : RUN_LENGTH};
        for (int t = 0; t < loops->tensors; t++) {
            run.offset[t] = place.offset[t] + begin * loops->stride[t][inner];
        }
        job->function(job->context, &run);
        if (++piece == job->pieces) {
            piece = 0;
            outer++;
            next_place(loops, &place);
        }
    }
}

void ttm_cpu_loops_run(const ttm_backend_device *device, const ttm_cpu_loops *loops,
                       ttm_cpu_run_function function, void *context)
{
    if (loops->count == 0) {
        return;
    }
    const int64_t inner = loops->shape[loops->rank - 1];
    loop_job job = {loops, (inner + RUN_LENGTH - 1) / RUN_LENGTH, function, context};
    const int64_t items = loops->count / inner * job.pieces;
    const int64_t length = inner < RUN_LENGTH ? inner : RUN_LENGTH;
    ttm_cpu_parallel(device, items, ttm_cpu_piece(device, items, 1 + SHARE_ELEMENTS / length),
                     run_pieces, &job);
}
