/* Which device is taken, on a made-up machine with many. */
#include "plugin_fixture.h"

#include "core/device_choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Best first, as a catalogue is. */
static ttm_device_entry machine[] = {
    {.backend = "cuda", .index = 1, .info = {.name = "NVIDIA H100", .kind = TTM_DEVICE_GPU}},
    {.backend = "cuda", .index = 0, .info = {.name = "NVIDIA H100 NVL", .kind = TTM_DEVICE_GPU}},
    {.backend = "opencl", .index = 0, .info = {.name = "GeForce 4090", .kind = TTM_DEVICE_GPU}},
    {.backend = "npu", .index = 0, .info = {.name = "Tensor One", .kind = TTM_DEVICE_ACCELERATOR}},
    {.backend = "cpu", .index = 0, .info = {.name = "EPYC", .kind = TTM_DEVICE_CPU}},
    {.backend = "opencl", .index = 1, .info = {.name = "pocl EPYC", .kind = TTM_DEVICE_CPU}},
    {.backend = "reference",
     .index = 0,
     .info = {.name = "reference",
              .kind = TTM_DEVICE_CPU,
              .capabilities = TTM_DEVICE_CHECKING_ONLY}},
};
enum { MACHINE_DEVICES = sizeof machine / sizeof machine[0] };

/* The part of the machine that one backend has, or all of it. */
static size_t part_of_machine(ttm_device_entry part[MACHINE_DEVICES], const char *backend)
{
    size_t count = 0;
    for (size_t k = 0; k < MACHINE_DEVICES; k++) {
        if (backend[0] == '\0' || strcmp(backend, machine[k].backend) == 0) {
            part[count++] = machine[k];
        }
    }
    return count;
}

/* Writes "backend:index" of each candidate, split by spaces, to `text`. */
static ttm_status choose(char *text, size_t text_bytes, bool *ambiguous, const char *backend,
                         const char *device, const char *environment)
{
    ttm_device_wish wish;
    ttm_device_entry part[MACHINE_DEVICES];
    ttm_device_candidates candidates = {0};
    text[0] = '\0';
    ttm_status status = ttm_device_wish_make(&wish, backend, device, environment);
    if (status != TTM_OK) {
        return status;
    }
    ttm_device_catalogue catalogue = {.entries = part};
    catalogue.list.devices = part;
    catalogue.list.device_count = part_of_machine(part, wish.backend);
    status = ttm_device_candidates_find(&candidates, &catalogue, &wish);
    for (size_t k = 0; k < candidates.count; k++) {
        const size_t used = strlen(text);
        const ttm_device_entry *entry = &part[candidates.items[k]];
        snprintf(text + used, text_bytes - used, "%s%s:%d", k > 0 ? " " : "", entry->backend,
                 entry->index);
    }
    *ambiguous = candidates.ambiguous;
    free(candidates.items);
    return status;
}

static void each_wish_finds_its_devices(void **state)
{
    (void)state;
    const struct {
        const char *backend;
        const char *device;
        const char *environment;
        const char *expected;
        bool ambiguous;
    } cases[] = {
        {NULL, NULL, NULL, "cuda:1 cuda:0 opencl:0 npu:0 cpu:0 opencl:1", false},
        {"auto", NULL, "cpu", "cuda:1 cuda:0 opencl:0 npu:0 cpu:0 opencl:1", false},
        {NULL, NULL, "", "cuda:1 cuda:0 opencl:0 npu:0 cpu:0 opencl:1", false},
        {NULL, NULL, "cpu", "cpu:0", false},
        {NULL, NULL, "opencl:1", "opencl:1", false},
        {NULL, "0", "opencl:1", "opencl:0", false},
        {"cuda", NULL, "opencl:1", "cuda:1 cuda:0", false},
        {"cuda:0", NULL, NULL, "cuda:0", false},
        {"cuda:", NULL, NULL, "cuda:1 cuda:0", false},
        {"cuda:0", "1", NULL, "cuda:1", false},
        {"opencl:pocl", NULL, NULL, "opencl:1", false},
        {"opencl", "EPYC", NULL, "opencl:1", false},
        {"reference", NULL, NULL, "reference:0", false},
        {NULL, "epyc", NULL, "cpu:0", false}, /* the whole name goes before a part */
        {NULL, "nvidia h100", NULL, "cuda:1", false},
        {NULL, "nvidia", NULL, "cuda:1", true},
        {NULL, "4090", NULL, "opencl:0", false}, /* digits, but no device has this number */
        {NULL, "0", NULL, "cuda:0", false},      /* counts within the best backend */
        {"auto:tensor", NULL, NULL, "npu:0", false},
        {"cuda:H100 NVL", NULL, NULL, "cuda:0", false},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char found[256];
        bool ambiguous = false;
        const ttm_status status = choose(found, sizeof found, &ambiguous, cases[k].backend,
                                         cases[k].device, cases[k].environment);
        assert_int_equal(status, TTM_OK);
        assert_string_equal(found, cases[k].expected);
        assert_int_equal(ambiguous, cases[k].ambiguous);
    }
}

static void a_wish_that_nothing_fits_lists_what_there_is(void **state)
{
    (void)state;
    const struct {
        const char *backend;
        const char *device;
        ttm_status status;
        const char *says;
    } cases[] = {
        {"cuda", "2", TTM_ERROR_NOT_FOUND, "cuda:1 (NVIDIA H100), cuda:0 (NVIDIA H100 NVL)"},
        {NULL, "radeon", TTM_ERROR_NOT_FOUND, "cpu:0 (EPYC)"},
        {NULL, "reference", TTM_ERROR_NOT_FOUND, "no device fits 'reference'"},
        {NULL, "99999999999999999999", TTM_ERROR_NOT_FOUND, "no device fits"},
        {"", NULL, TTM_ERROR_ARGUMENT, "names no backend"},
        {":0", NULL, TTM_ERROR_ARGUMENT, "names no backend"},
        {"a-name-that-goes-on-and-on-and-on-and-on-and-on-and-on-and-on-and-on", NULL,
         TTM_ERROR_ARGUMENT, "names no backend"},
        {"nothere", NULL, TTM_ERROR_NOT_FOUND, "no backend 'nothere'"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        char found[256];
        bool ambiguous = false;
        assert_int_equal(
            choose(found, sizeof found, &ambiguous, cases[k].backend, cases[k].device, NULL),
            cases[k].status);
        assert_string_equal(found, "");
        assert_contains(ttm_error_message(), cases[k].says);
    }
}

static void a_device_for_checking_is_taken_only_when_named(void **state)
{
    (void)state;
    ttm_device_wish wish;
    ttm_device_candidates candidates = {0};
    ttm_device_catalogue catalogue = {.entries = &machine[MACHINE_DEVICES - 1]};
    catalogue.list.devices = catalogue.entries;
    catalogue.list.device_count = 1;
    assert_int_equal(ttm_device_wish_make(&wish, NULL, NULL, NULL), TTM_OK);
    assert_int_equal(ttm_device_candidates_find(&candidates, &catalogue, &wish),
                     TTM_ERROR_NOT_FOUND);
    assert_contains(ttm_error_message(), "reference:0");
    assert_contains(ttm_error_message(), "--backend");
    free(candidates.items);
}

static void an_unknown_backend_is_an_error_that_lists_the_known_ones(void **state)
{
    ttm_device *device = NULL;
    link_plugin(*state, "fake");
    link_plugin(*state, "goodgpu");
    search_only(*state);
    assert_int_equal(ttm_device_open(&device, "nix", NULL), TTM_ERROR_NOT_FOUND);
    assert_null(device);
    assert_contains(ttm_error_message(), "no backend 'nix'");
    assert_contains(ttm_error_message(), "auto, fake, goodgpu");
}

static void devices_are_listed_best_first(void **state)
{
    ttm_device_list *list = NULL;
    link_plugin(*state, "fake");
    link_plugin(*state, "goodgpu");
    search_only(*state);
    assert_int_equal(ttm_device_list_new(&list), TTM_OK);
    assert_true(list->device_count >= 4);
    assert_string_equal(list->devices[0].backend, "goodgpu");
    assert_int_equal(list->devices[0].index, 0); /* claims a byte more memory than device 1 */
    assert_int_equal(list->devices[1].index, 1);
    ttm_device_list_free(list);
}

static void the_environment_names_the_backend(void **state)
{
    ttm_device *device = NULL;
    link_plugin(*state, "fake");
    link_plugin(*state, "goodgpu");
    search_only(*state);
    assert_int_equal(setenv("TTM_BACKEND", "fake:beta", 1), 0);
    start_capturing_log();
    assert_int_equal(ttm_device_open(&device, NULL, NULL), TTM_OK);
    stop_capturing_log();
    unsetenv("TTM_BACKEND");
    assert_string_equal(ttm_device_backend_name(device), "fake");
    assert_int_equal(ttm_device_index(device), 1);
    assert_string_equal(ttm_device_get_info(device)->name, "Fake Beta 4090");
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "using fake:1", "named by TTM_BACKEND"), 1);
    ttm_device_close(device);
}

static void an_ambiguous_name_takes_the_first_and_says_so(void **state)
{
    ttm_device *device = NULL;
    link_plugin(*state, "fake");
    search_only(*state);
    start_capturing_log();
    assert_int_equal(ttm_device_open(&device, "fake", "fake"), TTM_OK);
    stop_capturing_log();
    assert_int_equal(ttm_device_index(device), 0);
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "using fake:0", "first of several"), 1);
    ttm_device_close(device);
}

static void a_bad_path_is_warned_of_once(void **state)
{
    ttm_device_list *list = NULL;
    ttm_device *device = NULL;
    char path[4096];
    snprintf(path, sizeof path, ".:%s", (const char *)*state);
    link_plugin(*state, "fake");
    search_only(path);
    start_capturing_log();
    assert_int_equal(ttm_device_list_new(&list), TTM_OK);
    assert_int_equal(ttm_device_open(&device, "fake", NULL), TTM_OK);
    stop_capturing_log();
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "TTM_BACKEND_PATH", NULL), 1);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, NULL, NULL), 1);
    ttm_device_close(device);
    ttm_device_list_free(list);
}

#define TEST_IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_scratch_folder, remove_scratch_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wish_finds_its_devices),
        cmocka_unit_test(a_wish_that_nothing_fits_lists_what_there_is),
        cmocka_unit_test(a_device_for_checking_is_taken_only_when_named),
        TEST_IN_FOLDER(an_unknown_backend_is_an_error_that_lists_the_known_ones),
        TEST_IN_FOLDER(devices_are_listed_best_first),
        TEST_IN_FOLDER(the_environment_names_the_backend),
        TEST_IN_FOLDER(an_ambiguous_name_takes_the_first_and_says_so),
        TEST_IN_FOLDER(a_bad_path_is_warned_of_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
