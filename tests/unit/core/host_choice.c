/* Which backend computes on the host what a device can't do: one that does all of it and maps its
 * memory, or none. */
#include "plugin_fixture.h"

#include <ttm/compute.h>
#include <unistd.h>

/* A backend of the name `cpu` does products alone, so that a TT_BUILD would be done in parts there,
 * with copies that it passes on: to itself. Another one of the name `reference` does everything,
 * in memory that nobody else sees. */
static void a_host_that_does_half_of_an_op_or_hides_its_memory_is_not_asked(void **state)
{
    const char *folder = *state;
    ttm_device *device = NULL;
    ttm_stream *stream = NULL;
    ttm_tensor w;
    ttm_tensor cores[2];
    assert_int_equal(
        symlink(built_plugin("onlyproducts"), path_in(folder, "libttm-backend-cpu.so")), 0);
    assert_int_equal(
        symlink(built_plugin("unmapped"), path_in(folder, "libttm-backend-reference.so")), 0);
    link_plugin(folder, "fake");
    search_only(folder);
    assert_int_equal(ttm_device_open(&device, "fake", NULL), TTM_OK);
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&w, device, TTM_F32, 3, (int64_t[]){1, 6, 8}), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&cores[0], device, TTM_F32, 5, (int64_t[]){1, 1, 2, 4, 3}),
                     TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&cores[1], device, TTM_F32, 5, (int64_t[]){1, 3, 3, 2, 1}),
                     TTM_OK);
    start_capturing_log();
    assert_int_equal(ttm_tt_build(stream, &w, 2, cores), TTM_ERROR_UNSUPPORTED);
    stop_capturing_log();
    assert_contains(ttm_error_message(), "neither the cpu nor the reference");
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "on reference", "doesn't map its memory"), 1);
    ttm_tensor_free(&cores[1], device);
    ttm_tensor_free(&cores[0], device);
    ttm_tensor_free(&w, device);
    ttm_stream_destroy(stream);
    ttm_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_host_that_does_half_of_an_op_or_hides_its_memory_is_not_asked, make_scratch_folder,
            remove_scratch_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
