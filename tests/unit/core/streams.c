/* Devices, memory accounting, streams, scratch memory and events, on plugins made for it. */
#include "plugin_fixture.h"

#include "core/device_internal.h"
#include "core/device_memory.h"
#include "core/stream_workspace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ttm/tensor.h>

static ttm_device *open_plugin(const char *folder, const char *name)
{
    ttm_device *device = NULL;
    link_plugin(folder, name);
    search_only(folder);
    assert_int_equal(ttm_device_open(&device, name, NULL), TTM_OK);
    return device;
}

static void memory_is_counted(void **state)
{
    ttm_device *device = open_plugin(*state, "fake");
    ttm_memory *first = NULL;
    ttm_memory *second = NULL;
    assert_int_equal(ttm_device_memory_used(device), 0);
    assert_int_equal(ttm_device_memory_alloc(&first, device, 1000), TTM_OK);
    assert_int_equal(ttm_device_memory_alloc(&second, device, 500), TTM_OK);
    assert_int_equal(ttm_device_memory_used(device), 1500);
    ttm_device_memory_free(device, first, 1000);
    assert_int_equal(ttm_device_memory_used(device), 500);
    assert_int_equal(ttm_device_memory_peak(device), 1500);
    assert_int_equal(ttm_device_memory_alloc(&first, device, 0), TTM_ERROR_ARGUMENT);
    assert_null(first);
    ttm_device_memory_free(device, second, 500);
    ttm_device_memory_free(device, NULL, 0);
    ttm_device_close(device);
}

static void a_failed_allocation_names_device_and_bytes_and_counts_nothing(void **state)
{
    ttm_device *device = open_plugin(*state, "allocfails");
    ttm_memory *memory = NULL;
    assert_int_equal(ttm_device_memory_alloc(&memory, device, 12345), TTM_ERROR_OUT_OF_MEMORY);
    assert_null(memory);
    assert_contains(ttm_error_message(), "allocfails (Fake Alpha)");
    assert_contains(ttm_error_message(), "12345");
    assert_contains(ttm_error_message(), "the heap is full");
    assert_int_equal(ttm_device_memory_used(device), 0);
    assert_int_equal(ttm_device_memory_peak(device), 0);
    ttm_device_close(device);
}

static void closing_a_device_with_memory_in_use_is_a_warning(void **state)
{
    ttm_device *device = open_plugin(*state, "fake");
    ttm_memory *memory = NULL;
    const ttm_backend *backend = device->backend;
    assert_int_equal(ttm_device_memory_alloc(&memory, device, 64), TTM_OK);
    start_capturing_log();
    ttm_device_close(device);
    stop_capturing_log();
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "64 bytes", "still allocated"), 1);
    backend->memory_free(NULL, memory);
}

static void the_workspace_grows_and_keeps_to_the_alignment(void **state)
{
    ttm_device *device = open_plugin(*state, "fake");
    ttm_stream *stream = NULL;
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    assert_int_equal(ttm_stream_is_planning(stream), 0);
    assert_ptr_equal(ttm_stream_device(stream), device);
    assert_int_equal(ttm_stream_workspace_bytes(stream), 0);

    assert_int_equal(ttm_stream_reserve_workspace(stream, 100), TTM_OK);
    assert_int_equal(ttm_stream_workspace_bytes(stream), 0); /* reserved isn't needed */
    assert_int_equal(stream->workspace.memory_bytes, 128);
    assert_int_equal(stream->workspace.shape[0], 32);
    assert_int_equal(stream->workspace.dtype, TTM_F32);

    assert_int_equal(ttm_stream_workspace_ensure(stream, 90), TTM_OK);
    assert_int_equal(ttm_stream_workspace_bytes(stream), 90);
    assert_int_equal(stream->workspace.memory_bytes, 128);
    assert_int_equal(ttm_stream_workspace_ensure(stream, 129), TTM_OK);
    assert_int_equal(ttm_stream_workspace_bytes(stream), 129);
    assert_int_equal(ttm_device_memory_used(device), 192);
    assert_int_equal(ttm_device_memory_peak(device), 192); /* the old one went first */

    stream->workspace_used = 64;
    assert_int_equal(ttm_stream_workspace_ensure(stream, 1000), TTM_ERROR_INTERNAL);
    stream->workspace_used = 0;
    assert_int_equal(ttm_stream_reserve_workspace(stream, SIZE_MAX - 5), TTM_ERROR_OUT_OF_MEMORY);
    assert_int_equal(ttm_stream_reserve_workspace(stream, SIZE_MAX / 4), TTM_ERROR_OUT_OF_MEMORY);
    ttm_stream_destroy(stream);
    assert_int_equal(ttm_device_memory_used(device), 0);
    ttm_device_close(device);
}

static void a_planning_stream_only_notes_what_it_needs(void **state)
{
    ttm_device *device = open_plugin(*state, "streamfails");
    ttm_stream *stream = NULL;
    ttm_event *event = NULL;
    assert_int_equal(ttm_stream_create_planning(&stream, device), TTM_OK);
    assert_int_equal(ttm_stream_is_planning(stream), 1);
    assert_int_equal(ttm_stream_workspace_ensure(stream, (size_t)1 << 40), TTM_OK);
    assert_int_equal(ttm_stream_reserve_workspace(stream, (size_t)1 << 50), TTM_OK);
    assert_int_equal(ttm_stream_workspace_bytes(stream), (size_t)1 << 40);
    assert_int_equal(ttm_device_memory_used(device), 0);
    assert_int_equal(ttm_stream_synchronize(stream), TTM_OK);
    assert_int_equal(ttm_event_record(&event, stream), TTM_OK);
    assert_int_equal(ttm_event_wait(stream, event), TTM_OK);
    assert_int_equal(ttm_event_synchronize(event), TTM_OK);
    ttm_event_destroy(event);
    ttm_stream_destroy(stream);
    ttm_device_close(device);
}

static void failures_of_streams_carry_the_reason(void **state)
{
    ttm_stream *stream = NULL;
    ttm_device *device = open_plugin(*state, "streamfails");
    assert_int_equal(ttm_stream_create(&stream, device), TTM_ERROR_DEVICE);
    assert_null(stream);
    assert_contains(ttm_error_message(), "streamfails (Fake Alpha)");
    assert_contains(ttm_error_message(), "no queue is free");
    ttm_device_close(device);

    device = open_plugin(*state, "syncfails");
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    assert_int_equal(ttm_stream_synchronize(stream), TTM_ERROR_DEVICE);
    assert_contains(ttm_error_message(), "kernel 12 faulted");
    assert_int_equal(ttm_stream_reserve_workspace(stream, 64), TTM_ERROR_DEVICE);
    ttm_stream_destroy(stream);
    ttm_device_close(device);
}

static void events_work_with_and_without_help_of_the_plugin(void **state)
{
    const char *const names[] = {"fake", "noevents"};
    for (int k = 0; k < 2; k++) {
        ttm_stream *stream = NULL;
        ttm_event *start = NULL;
        ttm_event *end = NULL;
        uint64_t elapsed_ns = 0;
        ttm_device *device = open_plugin(*state, names[k]);
        assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
        assert_int_equal(ttm_event_record(&start, stream), TTM_OK);
        const struct timespec pause = {.tv_nsec = 3000000};
        nanosleep(&pause, NULL);
        assert_int_equal(ttm_event_record(&end, stream), TTM_OK);
        assert_int_equal(ttm_event_wait(stream, start), TTM_OK);
        assert_int_equal(ttm_event_synchronize(start), TTM_OK);
        assert_int_equal(ttm_event_synchronize(end), TTM_OK);
        assert_int_equal(ttm_event_elapsed_ns(&elapsed_ns, start, end), TTM_OK);
        assert_true(elapsed_ns >= 3000000 && elapsed_ns < UINT64_C(60000000000));
        ttm_event_destroy(end);
        ttm_event_destroy(start);
        ttm_event_destroy(NULL);
        ttm_stream_destroy(stream);
        ttm_device_close(device);
    }
}

static void events_of_two_devices_are_not_mixed(void **state)
{
    ttm_device *left = open_plugin(*state, "fake");
    ttm_device *right = open_plugin(*state, "noevents");
    ttm_stream *left_stream = NULL;
    ttm_stream *right_stream = NULL;
    ttm_event *left_event = NULL;
    ttm_event *right_event = NULL;
    uint64_t elapsed_ns = 0;
    assert_int_equal(ttm_stream_create(&left_stream, left), TTM_OK);
    assert_int_equal(ttm_stream_create(&right_stream, right), TTM_OK);
    assert_int_equal(ttm_event_record(&left_event, left_stream), TTM_OK);
    assert_int_equal(ttm_event_record(&right_event, right_stream), TTM_OK);
    assert_int_equal(ttm_event_wait(right_stream, left_event), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_event_elapsed_ns(&elapsed_ns, left_event, right_event),
                     TTM_ERROR_ARGUMENT);
    ttm_event_destroy(left_event);
    ttm_event_destroy(right_event);
    ttm_stream_destroy(left_stream);
    ttm_stream_destroy(right_stream);
    ttm_device_close(left);
    ttm_device_close(right);
}

static void statistics_start_at_zero_and_can_be_reset(void **state)
{
    ttm_device *device = open_plugin(*state, "fake");
    ttm_stream *stream = NULL;
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    assert_int_equal(ttm_stream_statistics(stream, TTM_OP_MATMUL).calls, 0);
    stream->statistics[TTM_OP_MATMUL].calls = 3;
    assert_int_equal(ttm_stream_statistics(stream, TTM_OP_MATMUL).calls, 3);
    ttm_stream_reset_statistics(stream);
    assert_int_equal(ttm_stream_statistics(stream, TTM_OP_MATMUL).calls, 0);
    assert_int_equal(ttm_stream_statistics(stream, TTM_OP_COUNT).calls, 0);
    assert_int_equal(ttm_stream_statistics(stream, (ttm_opcode)-1).calls, 0);
    ttm_stream_destroy(stream);
    ttm_stream_destroy(NULL);
    ttm_device_close(device);
    ttm_device_close(NULL);
}

enum { THREADS = 6, ROUNDS = 25 };

/* Results come back as text: cmocka's assertions belong to the main thread. */
static void *use_devices(void *argument)
{
    const char **problem = argument;
    for (int round = 0; round < ROUNDS && *problem == NULL; round++) {
        ttm_device_list *list = NULL;
        ttm_device *device = NULL;
        ttm_stream *stream = NULL;
        ttm_event *event = NULL;
        ttm_tensor tensor;
        const int64_t shape[] = {7, 9};
        if (ttm_device_list_new(&list) != TTM_OK || list->failure_count == 0) {
            *problem = "list";
        } else if (ttm_device_open(&device, round % 2 == 0 ? "fake" : "noevents", NULL) != TTM_OK) {
            *problem = "open";
        } else if (ttm_stream_create(&stream, device) != TTM_OK ||
                   ttm_stream_reserve_workspace(stream, 4096) != TTM_OK) {
            *problem = "stream";
        } else if (ttm_tensor_alloc(&tensor, device, TTM_F32, 2, shape) != TTM_OK) {
            *problem = "tensor";
        } else {
            float values[63] = {0};
            if (ttm_tensor_write(stream, &tensor, values) != TTM_OK ||
                ttm_event_record(&event, stream) != TTM_OK ||
                ttm_event_synchronize(event) != TTM_OK) {
                *problem = "work";
            }
            ttm_tensor_free(&tensor, device);
        }
        ttm_event_destroy(event);
        ttm_stream_destroy(stream);
        ttm_device_close(device);
        ttm_device_list_free(list);
    }
    return NULL;
}

static void several_threads_list_and_open_devices_at_once(void **state)
{
    pthread_t threads[THREADS];
    const char *problems[THREADS] = {NULL};
    link_plugin(*state, "fake");
    link_plugin(*state, "noevents");
    link_plugin(*state, "wrongmagic");
    link_plugin(*state, "countfails");
    search_only(*state);
    for (int k = 0; k < THREADS; k++) {
        assert_int_equal(pthread_create(&threads[k], NULL, use_devices, &problems[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        assert_int_equal(pthread_join(threads[k], NULL), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        if (problems[k] != NULL) {
            fail_msg("thread %d failed at: %s", k, problems[k]);
        }
    }
}

#define TEST_IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_scratch_folder, remove_scratch_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_FOLDER(several_threads_list_and_open_devices_at_once),
        TEST_IN_FOLDER(memory_is_counted),
        TEST_IN_FOLDER(a_failed_allocation_names_device_and_bytes_and_counts_nothing),
        TEST_IN_FOLDER(closing_a_device_with_memory_in_use_is_a_warning),
        TEST_IN_FOLDER(the_workspace_grows_and_keeps_to_the_alignment),
        TEST_IN_FOLDER(a_planning_stream_only_notes_what_it_needs),
        TEST_IN_FOLDER(failures_of_streams_carry_the_reason),
        TEST_IN_FOLDER(events_work_with_and_without_help_of_the_plugin),
        TEST_IN_FOLDER(events_of_two_devices_are_not_mixed),
        TEST_IN_FOLDER(statistics_start_at_zero_and_can_be_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
