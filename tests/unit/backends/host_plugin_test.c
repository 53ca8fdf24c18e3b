/* Host memory, streams and events as plugins of this tree share them, above all what they refuse.
 */
#include "common/host_plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h> /* needs the standard headers above */

static char last_error[512];

static void keep_error(const char *message)
{
    snprintf(last_error, sizeof last_error, "%s", message);
}

static const ttm_backend_host host = {.struct_size = sizeof host, .error = keep_error};

static int start(void **state)
{
    (void)state;
    host_plugin_start(&host);
    last_error[0] = '\0';
    return 0;
}

static ttm_memory *allocate(size_t bytes)
{
    ttm_memory *memory = NULL;
    assert_int_equal(host_memory_alloc(&memory, NULL, bytes), TTM_OK);
    return memory;
}

static void allocations_are_aligned_and_writable_to_the_end(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 4096, 3 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        ttm_memory *memory = allocate(sizes[i]);
        unsigned char *bytes = host_memory_map(NULL, memory);
        assert_int_equal((uintptr_t)bytes % HOST_ALIGNMENT_BYTES, 0);
        memset(bytes, 1, sizes[i]);
        host_memory_free(NULL, memory);
    }
}

static void more_memory_than_the_machine_has_is_refused_with_the_size(void **state)
{
    (void)state;
    ttm_memory *memory = NULL;
    assert_int_equal(host_memory_alloc(&memory, NULL, SIZE_MAX), TTM_ERROR_OUT_OF_MEMORY);
    assert_null(memory);
    assert_non_null(strstr(last_error, "18446744073709551615 bytes"));
}

static void bytes_written_are_read_copied_and_zeroed(void **state)
{
    (void)state;
    ttm_memory *one = allocate(64);
    ttm_memory *other = allocate(64);
    char text[8] = "";
    assert_int_equal(host_memory_write(NULL, one, 8, "abcdefg", 8), TTM_OK);
    assert_int_equal(host_memory_copy(NULL, other, 16, one, 8, 8), TTM_OK);
    assert_int_equal(host_memory_read(NULL, text, other, 16, 8), TTM_OK);
    assert_string_equal(text, "abcdefg");
    assert_int_equal(host_memory_zero(NULL, other, 16, 3), TTM_OK);
    assert_int_equal(host_memory_read(NULL, text, other, 16, 8), TTM_OK);
    assert_memory_equal(text, "\0\0\0defg", 8);
    host_memory_free(NULL, other);
    host_memory_free(NULL, one);
}

static void ranges_outside_an_allocation_are_refused(void **state)
{
    (void)state;
    ttm_memory *memory = allocate(16);
    ttm_memory *large = allocate(64);
    char bytes[32] = {0};
    assert_int_equal(host_memory_write(NULL, memory, 8, bytes, 9), TTM_ERROR_ARGUMENT);
    assert_non_null(strstr(last_error, "9 bytes at offset 8"));
    assert_int_equal(host_memory_read(NULL, bytes, memory, 17, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(host_memory_zero(NULL, memory, SIZE_MAX, 2), TTM_ERROR_ARGUMENT);
    assert_int_equal(host_memory_copy(NULL, large, 0, memory, 0, 17), TTM_ERROR_ARGUMENT);
    assert_int_equal(host_memory_copy(NULL, memory, 0, large, 0, 17), TTM_ERROR_ARGUMENT);
    assert_int_equal(host_memory_write(NULL, memory, 16, bytes, 0), TTM_OK);
    host_memory_free(NULL, large);
    host_memory_free(NULL, memory);
}

static void time_passes_between_events(void **state)
{
    (void)state;
    ttm_backend_stream *stream = NULL;
    ttm_backend_event *first = NULL;
    ttm_backend_event *second = NULL;
    uint64_t elapsed_ns = UINT64_MAX;
    assert_int_equal(host_stream_create(&stream, NULL), TTM_OK);
    assert_int_equal(host_event_record(&first, stream), TTM_OK);
    assert_int_equal(host_event_record(&second, stream), TTM_OK);
    assert_int_equal(host_event_wait(stream, first), TTM_OK);
    assert_int_equal(host_event_synchronize(second), TTM_OK);
    assert_int_equal(host_event_elapsed_ns(&elapsed_ns, first, second), TTM_OK);
    assert_true(elapsed_ns < 60000000000u);
    assert_int_equal(host_stream_synchronize(stream), TTM_OK);
    host_event_destroy(second);
    host_event_destroy(first);
    host_stream_destroy(stream);
}

static void a_device_description_is_cut_to_what_the_caller_knows(void **state)
{
    (void)state;
    ttm_device_info full = {.name = "a name", .compute_units = 7};
    ttm_device_info old;
    memset(&old, 0x55, sizeof old);
    old.struct_size = offsetof(ttm_device_info, kind);
    host_copy_info(&old, &full);
    assert_int_equal(old.struct_size, offsetof(ttm_device_info, kind));
    assert_string_equal(old.name, "a name");
    assert_int_equal(old.compute_units, 0x55555555);
    old.struct_size = sizeof old;
    host_copy_info(&old, &full);
    assert_int_equal(old.struct_size, sizeof old);
    assert_int_equal(old.compute_units, 7);
}

static void failures_without_a_host_are_still_failures(void **state)
{
    (void)state;
    host_plugin_start(NULL);
    assert_int_equal(host_fail(TTM_ERROR_DEVICE, "nobody hears %d", 1), TTM_ERROR_DEVICE);
    host_log(TTM_LOG_INFO, "nor this");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(allocations_are_aligned_and_writable_to_the_end, start),
        cmocka_unit_test_setup(more_memory_than_the_machine_has_is_refused_with_the_size, start),
        cmocka_unit_test_setup(bytes_written_are_read_copied_and_zeroed, start),
        cmocka_unit_test_setup(ranges_outside_an_allocation_are_refused, start),
        cmocka_unit_test_setup(time_passes_between_events, start),
        cmocka_unit_test_setup(a_device_description_is_cut_to_what_the_caller_knows, start),
        cmocka_unit_test_setup(failures_without_a_host_are_still_failures, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
