/* What a device says of itself, and that opening and closing leaves nothing behind. */
#include "conformance/device_tests.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    REPETITIONS = 1000,
    SETTLING_SECONDS = 2,
    WARM_UP = 50,             /* What a driver builds up once and keeps. */
    WINDOWS = 4,              /* Growth in each of them is a leak. */
    LEAK_BYTES_PER_TURN = 24, /* Less than the smallest thing that malloc gives takes: 32. */
    DRIFT_BYTES = 4096,       /* What a driver's threads hold at one time and not at another. */
    RESIDENT_BYTES = 32 << 20 /* Growth of the process beside malloc: maps of a driver. */
};

/* What a process holds. */
typedef struct footprint {
    uint64_t heap_bytes;
    uint64_t resident_bytes;
    int files;
    int threads;
} footprint;

static int count_entries(const char *folder)
{
    int count = 0;
    DIR *directory = opendir(folder);
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return count;
}

static footprint take_footprint(void)
{
    footprint taken = {0};
    unsigned long long resident = 0;
    const struct mallinfo2 heap = mallinfo2();
    taken.heap_bytes = heap.uordblks + heap.hblkhd;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%*u %llu", &resident) == 1) {
            taken.resident_bytes = resident * 4096;
        }
        fclose(file);
    }
    taken.files = count_entries("/proc/self/fd");
    taken.threads = count_entries("/proc/self/task");
    return taken;
}

static int is_heap_larger(const footprint *before, const footprint *after, int turns)
{
    return after->heap_bytes >
           before->heap_bytes + (uint64_t)turns * LEAK_BYTES_PER_TURN + DRIFT_BYTES;
}

static ttm_status compare_footprints(const footprint *before, const footprint *after, int turns,
                                     const char *what)
{
    REQUIRE(after->files <= before->files, "%s %d times leaves %d files open", what, turns,
            after->files - before->files);
    REQUIRE(after->threads <= before->threads, "%s %d times leaves %d threads running", what, turns,
            after->threads - before->threads);
    if (after->heap_bytes == 0) {
        return TTM_OK; /* a sanitizer's malloc: it keeps what was freed, and finds leaks itself */
    }
    REQUIRE(!is_heap_larger(before, after, turns), "%s %d times leaves %llu bytes of heap", what,
            turns, (unsigned long long)(after->heap_bytes - before->heap_bytes));
    REQUIRE(after->resident_bytes <= before->resident_bytes + RESIDENT_BYTES,
            "%s %d times makes the process %llu bytes larger", what, turns,
            (unsigned long long)(after->resident_bytes - before->resident_bytes));
    return TTM_OK;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The same, after giving threads that were told to end the time to do so, and a driver's own
 * threads the time to free what is done with. */
static footprint take_settled_footprint(const footprint *before, int turns)
{
    const double deadline = now_seconds() + SETTLING_SECONDS;
    footprint taken = take_footprint();
    while ((taken.threads > before->threads || is_heap_larger(before, &taken, turns)) &&
           now_seconds() < deadline) {
        const struct timespec moment = {.tv_nsec = 1000000};
        nanosleep(&moment, NULL);
        taken = take_footprint();
    }
    return taken;
}

/* Runs a turn `most` times, fewer if that takes too long, but once at least. */
static ttm_status run_turns(int *turns, turn_function *turn, void *context, const test_bench *bench,
                            int most)
{
    const double deadline = now_seconds() + (double)bench->seconds / (WINDOWS + 1);
    for (*turns = 0; *turns < most && (*turns == 0 || now_seconds() < deadline); ++*turns) {
        TTM_TRY(turn(bench, context));
    }
    return TTM_OK;
}

/* Repeats a turn a thousand times and compares what the process holds after a warm-up and at the
 * end. A driver's pools grow at some times and not at others, what is forgotten grows each time:
 * where the heap is larger than it may be, the next thousand decide, and so on. On a slow device a
 * window is a few turns, in which one pool's growth looks like a leak: hence more than two. */
ttm_status leak_check(turn_function *turn, void *context, const char *what, const test_bench *bench)
{
    int turns = 0;
    TTM_TRY(run_turns(&turns, turn, context, bench, WARM_UP));
    footprint before = {0};
    footprint after = take_footprint();
    for (int window = 0; window < WINDOWS; window++) {
        before = after;
        TTM_TRY(run_turns(&turns, turn, context, bench, REPETITIONS));
        after = take_settled_footprint(&before, turns);
        if (!is_heap_larger(&before, &after, turns)) {
            break;
        }
    }
    return compare_footprints(&before, &after, turns, what);
}

/* Opens, uses and closes the device once. */
static ttm_status one_life(const test_bench *bench, void *context)
{
    (void)context;
    struct target target;
    test_block block = {0};
    TTM_TRY(target_open(&target, bench->plugin_path, bench->device));
    ttm_status status = block_new(&block, &target, 4096, 9);
    if (status == TTM_OK) {
        status = block_check(&block, &target);
    }
    block_free(&block, &target);
    target_close(&target);
    return status;
}

static ttm_status open_and_close(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    return leak_check(one_life, NULL, "opening and closing the device", bench);
}

static ttm_status one_stream(const test_bench *bench, void *context)
{
    (void)context;
    struct target target = *bench->tested;
    ttm_plugin_begin();
    TTM_TRY(target_check(&target, "stream_create",
                         target.backend->stream_create(&target.stream, target.device)));
    if (target.backend->event_record != NULL) {
        ttm_backend_event *event = NULL;
        ttm_plugin_begin();
        TTM_TRY(target_check(&target, "event_record",
                             target.backend->event_record(&event, target.stream)));
        target.backend->event_destroy(event);
    }
    target.backend->stream_destroy(target.stream);
    return TTM_OK;
}

static ttm_status streams_and_events(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    return leak_check(one_stream, NULL, "making and destroying a stream and an event", bench);
}

static ttm_status one_allocation(const test_bench *bench, void *context)
{
    (void)context;
    test_block block = {0};
    TTM_TRY(block_new(&block, bench->tested, 100000, 11));
    block_free(&block, bench->tested);
    return TTM_OK;
}

static ttm_status allocations(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    return leak_check(one_allocation, NULL, "allocating and freeing 100000 bytes", bench);
}

/* Two handles of one device: closing one doesn't disturb the other. */
static ttm_status open_twice(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    for (int first = 0; first < 2; first++) {
        struct target targets[2] = {0};
        test_block blocks[2] = {0};
        ttm_status status = TTM_OK;
        for (uint32_t k = 0; k < 2; k++) {
            TTM_TRY_OUT(target_open(&targets[k], bench->plugin_path, bench->device));
            TTM_TRY_OUT(block_new(&blocks[k], &targets[k], 5000, 30 + k));
        }
        TTM_TRY_OUT(block_check(&blocks[first], &targets[first]));
        block_free(&blocks[first], &targets[first]);
        target_close(&targets[first]);
        TTM_TRY_OUT(block_check(&blocks[1 - first], &targets[1 - first]));
    out:
        for (uint32_t k = 0; k < 2; k++) {
            if (targets[k].backend != NULL) {
                block_free(&blocks[k], &targets[k]);
                target_close(&targets[k]);
            }
        }
        TTM_TRY(status);
    }
    return TTM_OK;
}

/* An older libttm passes a shorter struct. */
static ttm_status shorter_info(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    const size_t shorter[] = {offsetof(ttm_device_info, details),
                              offsetof(ttm_device_info, memory_bytes)};
    for (size_t k = 0; k < sizeof shorter / sizeof shorter[0]; k++) {
        ttm_device_info info;
        memset(&info, 0xa5, sizeof info);
        memset(&info, 0, shorter[k]);
        info.struct_size = shorter[k];
        ttm_plugin_begin();
        TTM_TRY(target_check(bench->tested, "device_info",
                             bench->tested->backend->device_info(0, &info)));
        REQUIRE(info.struct_size == shorter[k], "device_info changes struct_size from %zu to %zu",
                shorter[k], info.struct_size);
        for (size_t i = shorter[k]; i < sizeof info; i++) {
            REQUIRE(((unsigned char *)&info)[i] == 0xa5,
                    "device_info writes byte %zu of a struct of struct_size %zu", i, shorter[k]);
        }
    }
    return TTM_OK;
}

static ttm_status info(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    const ttm_device_info *first = &bench->tested->info;
    ttm_device_info second = {.struct_size = sizeof second};
    int32_t index = 0;
    int32_t count = 0;
    ttm_plugin_begin();
    TTM_TRY(
        target_check(bench->tested, "device_count", bench->tested->backend->device_count(&count)));
    for (index = 0; index < count; index++) {
        second = (ttm_device_info){.struct_size = sizeof second};
        ttm_plugin_begin();
        TTM_TRY(target_check(bench->tested, "device_info",
                             bench->tested->backend->device_info(index, &second)));
        if (strcmp(first->name, second.name) == 0) {
            break;
        }
    }
    REQUIRE(index < count, "the device's name changes: no device is called \"%s\" any more",
            first->name);
    REQUIRE(first->kind == second.kind && first->alignment_bytes == second.alignment_bytes &&
                first->max_allocation_bytes == second.max_allocation_bytes &&
                first->dtype_mask == second.dtype_mask,
            "device_info says something else the second time");
    REQUIRE(first->vendor[0] != '\0' && first->driver[0] != '\0',
            "the device has no vendor or no driver: bug reports need them");
    REQUIRE(first->max_allocation_bytes <= first->memory_bytes || first->memory_bytes == 0,
            "max_allocation_bytes is more than there is");
    REQUIRE(first->memory_free_bytes <= first->memory_bytes || first->memory_bytes == 0,
            "more memory is free than there is");
    return TTM_OK;
}

const device_test device_life_tests[] = {
    {"device/info", "a device says the same of itself each time, with vendor and driver", info},
    {"device/shorter_info", "device_info fills no more than struct_size", shorter_info},
    {"device/open_twice", "two handles of one device don't disturb each other", open_twice},
    {"device/open_and_close", "opening and closing a thousand times leaves nothing behind",
     open_and_close},
    {"device/streams_and_events", "nor do a thousand streams and events", streams_and_events},
    {"device/allocations", "nor do a thousand allocations", allocations},
    {0},
};
