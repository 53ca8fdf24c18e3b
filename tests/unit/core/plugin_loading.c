/* Broken and hostile plugins: each is one clear line, none takes the program down or keeps the good
 * ones from being used. */
#include "plugin_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/tensor.h>
#include <unistd.h>

/* Each flaw, and what the line about it must say. */
static const struct {
    const char *plugin;
    const char *says;
    const char *says_too;
} flawed_plugins[] = {
    {"wrongmagic", "0x12345678", "magic"},
    {"newermajor", "plugin ABI 2.6", "this libttm 1.6"},
    {"tinytable", "claims", "sizeof(ttm_backend)"},
    {"hugetable", "claims 1099511627776 bytes", "at least"},
    {"nosymbol", "doesn't export ttm_backend_entry", "TTM_API"},
    {"notable", "this processor lacks the instructions", ""},
    {"noreason", "returned no table", "no reason"},
    {"undefined", "undefined symbol", "ttm_test_function_that_nobody_defines"},
    {"constructor", "the driver could not be started", ""},
    {"noopen", "lacks the required member device_open", ""},
    {"noversion", "lacks the required member version", ""},
    {"halfevents", "4 of the 5 event members", "all or none"},
    {"halfops", "op_run without op_supported", ""},
    {"misnamed", "calls itself 'other'", "name must be 'misnamed'"},
    {"countnegative", "-1 devices", ""},
    {"countmillion", "1000000 devices", "256"},
    {"countfails", "the driver doesn't answer", ""},
    {"oddalignment", "48 bytes", "powers of two"},
    {"strangekind", "kind is 7", ""},
    {"nomap", "memory_map", ""},
};

enum { FLAWED_COUNT = sizeof flawed_plugins / sizeof flawed_plugins[0] };

static ttm_device_list *list_devices(void)
{
    ttm_device_list *list = NULL;
    assert_int_equal(ttm_device_list_new(&list), TTM_OK);
    assert_non_null(list);
    return list;
}

static void each_flaw_is_one_line_that_names_it(void **state)
{
    const char *folder = *state;
    for (int k = 0; k < FLAWED_COUNT; k++) {
        link_plugin(folder, flawed_plugins[k].plugin);
    }
    link_plugin(folder, "fake");
    search_only(folder);
    ttm_device_list *list = list_devices();
    for (int k = 0; k < FLAWED_COUNT; k++) {
        char file[128];
        snprintf(file, sizeof file, "libttm-backend-%s.so", flawed_plugins[k].plugin);
        const char *message = failure_of(list, path_in(folder, file));
        assert_contains(message, flawed_plugins[k].says);
        assert_contains(message, flawed_plugins[k].says_too);
        assert_null(strchr(message, '\n'));
        assert_int_equal(count_devices(list, flawed_plugins[k].plugin), 0);
    }
    assert_int_equal(count_devices(list, "fake"), 2);
    ttm_device_list_free(list);
}

static void naming_a_flawed_plugin_is_an_error_with_the_reason(void **state)
{
    const char *folder = *state;
    for (int k = 0; k < FLAWED_COUNT; k++) {
        link_plugin(folder, flawed_plugins[k].plugin);
    }
    search_only(folder);
    for (int k = 0; k < FLAWED_COUNT; k++) {
        ttm_device *device = NULL;
        assert_int_equal(ttm_device_open(&device, flawed_plugins[k].plugin, NULL),
                         TTM_ERROR_PLUGIN);
        assert_null(device);
        assert_contains(ttm_error_message(), flawed_plugins[k].plugin);
        assert_contains(ttm_error_message(), flawed_plugins[k].says);
    }
}

static void a_failed_plugin_is_tried_once_and_listed_every_time(void **state)
{
    const char *folder = *state;
    char missing[4096];
    link_plugin(folder, "notable");
    snprintf(missing, sizeof missing, "%s", path_in(folder, "libttm-backend-notable.so"));
    search_only(folder);
    ttm_device_list *first = list_devices();
    start_capturing_log();
    ttm_device_list *second = list_devices();
    stop_capturing_log();
    assert_non_null(failure_of(first, missing));
    assert_string_equal(failure_of(first, missing), failure_of(second, missing));
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "notable", NULL), 0);
    ttm_device_list_free(first);
    ttm_device_list_free(second);
}

static void a_repaired_file_is_tried_again(void **state)
{
    const char *folder = *state;
    ttm_device *device = NULL;
    copy_file(path_in(folder, "libttm-backend-fake.so"), built_plugin("fake"), 2000);
    search_only(folder);
    assert_int_equal(ttm_device_open(&device, "fake", NULL), TTM_ERROR_PLUGIN);
    assert_contains(ttm_error_message(), "cut off after 2000 bytes");
    copy_file(path_in(folder, "libttm-backend-fake.so"), built_plugin("fake"), SIZE_MAX);
    assert_int_equal(ttm_device_open(&device, "fake", NULL), TTM_OK);
    ttm_device_close(device);
}

static void older_and_newer_minor_versions_work(void **state)
{
    const char *folder = *state;
    const char *const names[] = {"olderminor", "newerminor"};
    search_only(folder);
    for (int k = 0; k < 2; k++) {
        ttm_device *device = NULL;
        link_plugin(folder, names[k]);
        assert_int_equal(ttm_device_open(&device, names[k], NULL), TTM_OK);
        assert_string_equal(ttm_device_backend_name(device), names[k]);
        ttm_device_close(device);
    }
}

static void a_plugin_tunes_itself_where_it_has_settings(void **state)
{
    const char *folder = *state;
    const int64_t four = 4;
    const ttm_tensor out = ttm_tensor_describe(TTM_F32, 1, &four);
    const ttm_fill_params params = {1.0};
    const ttm_op fill = {.struct_size = sizeof fill,
                         .opcode = TTM_OP_FILL,
                         .tensor_count = TTM_FILL_TENSORS,
                         .tensors = &out,
                         .params = &params,
                         .params_bytes = sizeof params};
    const ttm_op ops[3] = {fill, fill, fill};
    ttm_op bad = fill;
    ttm_device *device = NULL;
    int has_settings = 0;
    bad.tensor_count = 0;
    link_plugin(folder, "fake");
    link_plugin(folder, "olderminor");
    search_only(folder);
    assert_int_equal(ttm_device_open(&device, "fake", "0"), TTM_OK);
    start_capturing_log();
    assert_int_equal(ttm_device_tune(&has_settings, device, ops, 2, 2.0), TTM_OK);
    stop_capturing_log();
    assert_int_equal(has_settings, 1);
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "fake: tuned a fill", NULL), 2);
    assert_int_equal(ttm_device_tune(&has_settings, device, NULL, 0, 2.0), TTM_OK);
    assert_int_equal(has_settings, 1);
    assert_int_equal(ttm_device_tune(&has_settings, device, ops, 3, 2.0), TTM_ERROR_IO);
    assert_contains(ttm_error_message(), "can't be written to");
    assert_int_equal(ttm_device_tune(&has_settings, device, &bad, 1, 2.0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_device_tune(&has_settings, device, ops, 1, 0.0), TTM_ERROR_ARGUMENT);
    ttm_device_close(device);
    const char *const without[][2] = {{"fake", "1"}, {"olderminor", "0"}};
    for (int k = 0; k < 2; k++) {
        has_settings = 1;
        assert_int_equal(ttm_device_open(&device, without[k][0], without[k][1]), TTM_OK);
        assert_int_equal(ttm_device_tune(&has_settings, device, ops, 2, 2.0), TTM_OK);
        assert_int_equal(has_settings, 0);
        ttm_device_close(device);
    }
}

/* A plugin isn't asked to tune ops that came after it, and gets what ttm_op_run would give it. */
static void only_ops_that_a_plugin_knows_are_tuned(void **state)
{
    const char *folder = *state;
    const int64_t four = 4;
    const ttm_tensor out = ttm_tensor_describe(TTM_F32, 1, &four);
    const ttm_tensor sampled[TTM_SAMPLE_TENSORS] = {
        [TTM_SAMPLE_TOKENS] = ttm_tensor_describe(TTM_I32, 1, &four),
        [TTM_SAMPLE_LOGITS] = ttm_tensor_describe(TTM_F32, 2, (int64_t[]){4, 9}),
        [TTM_SAMPLE_RANDOM] = ttm_tensor_describe(TTM_I32, 2, (int64_t[]){4, 2})};
    const ttm_fill_params fill = {1.0};
    const ttm_sample_params sample = {.temperature = 1.0, .top_p = 1.0};
    const ttm_op ops[] = {
        {.opcode = TTM_OP_SAMPLE,
         .tensor_count = TTM_SAMPLE_TENSORS,
         .tensors = sampled,
         .params = &sample,
         .params_bytes = sizeof sample},
        {.opcode = TTM_OP_FILL,
         .tensor_count = TTM_FILL_TENSORS,
         .tensors = &out,
         .params = &fill,
         .params_bytes = sizeof fill},
    };
    static const struct {
        const char *plugin;
        int others;
    } cases[] = {{"fake", 1}, {"minortwo", 0}};
    search_only(folder);
    for (int k = 0; k < 2; k++) {
        ttm_device *device = NULL;
        int has_settings = 0;
        link_plugin(folder, cases[k].plugin);
        assert_int_equal(ttm_device_open(&device, cases[k].plugin, "0"), TTM_OK);
        start_capturing_log();
        assert_int_equal(ttm_device_tune(&has_settings, device, ops, 2, 2.0), TTM_OK);
        stop_capturing_log();
        assert_int_equal(count_log_lines(TTM_LOG_INFO, cases[k].plugin, "tuned a fill"), 1);
        assert_int_equal(count_log_lines(TTM_LOG_INFO, cases[k].plugin, "tuned else"),
                         cases[k].others);
        ttm_device_close(device);
    }
}

static void *tune_device(void *argument)
{
    ttm_device *device = argument;
    for (int k = 0; k < 10; k++) {
        int has_settings = 0;
        if (ttm_device_tune(&has_settings, device, NULL, 0, 2.0) != TTM_OK) {
            return argument;
        }
    }
    return NULL;
}

/* The ABI promises a plugin that its devices aren't tuned at once. */
static void devices_are_tuned_one_after_the_other(void **state)
{
    const char *folder = *state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    ttm_device *devices[THREADS];
    link_plugin(folder, "fake");
    search_only(folder);
    start_capturing_log();
    for (int k = 0; k < THREADS; k++) {
        assert_int_equal(ttm_device_open(&devices[k], "fake", "0"), TTM_OK);
        assert_int_equal(pthread_create(&threads[k], NULL, tune_device, devices[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[k], &failed), 0);
        assert_null(failed);
        ttm_device_close(devices[k]);
    }
    stop_capturing_log();
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "tuned twice at once", NULL), 0);
}

static void files_that_are_no_shared_objects_are_told_apart(void **state)
{
    const char *folder = *state;
    write_text(path_in(folder, "libttm-backend-empty.so"), "");
    write_text(path_in(folder, "libttm-backend-short.so"), "hello");
    write_text(path_in(folder, "libttm-backend-script.so"),
               "#!/bin/sh\necho this is a text file that is longer than any ELF header, so that "
               "only its content can tell\n");
    copy_file(path_in(folder, "libttm-backend-program.so"), "/proc/self/exe", SIZE_MAX);
    assert_int_equal(mkdir(path_in(folder, "libttm-backend-folder.so"), 0755), 0);
    search_only(folder);
    ttm_device_list *list = list_devices();
    assert_contains(failure_of(list, path_in(folder, "libttm-backend-empty.so")), "empty");
    assert_contains(failure_of(list, path_in(folder, "libttm-backend-short.so")), "ELF");
    assert_contains(failure_of(list, path_in(folder, "libttm-backend-script.so")), "ELF");
    assert_non_null(failure_of(list, path_in(folder, "libttm-backend-program.so")));
    assert_contains(failure_of(list, path_in(folder, "libttm-backend-folder.so")), "directory");
    ttm_device_list_free(list);
}

static void a_plugin_cut_off_anywhere_is_refused_and_not_mapped(void **state)
{
    const char *folder = *state;
    struct stat information;
    bool whole = false;
    int refused = 0;
    search_only(folder);
    assert_int_equal(stat(built_plugin("fake"), &information), 0);
    /* Behind the last segment there are only section headers, which nobody needs. */
    for (off_t bytes = 1; bytes < information.st_size && !whole; bytes += 997) {
        char path[4096];
        char name[64];
        snprintf(name, sizeof name, "libttm-backend-cut%ld.so", (long)bytes);
        snprintf(path, sizeof path, "%s", path_in(folder, name));
        copy_file(path, built_plugin("fake"), (size_t)bytes);
        ttm_device_list *list = list_devices();
        const char *message = failure_of(list, path);
        assert_non_null(message);
        whole = strstr(message, "calls itself 'fake'") != NULL;
        if (!whole && bytes >= 4) {
            assert_contains(message, "cut off");
        }
        refused += !whole;
        ttm_device_list_free(list);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(refused > 4);
}

static void an_unreadable_file_is_a_failure(void **state)
{
    const char *folder = *state;
    const uid_t nobody = 65534;
    const bool is_root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0755), 0);
    copy_file(path_in(folder, "libttm-backend-secret.so"), built_plugin("fake"), SIZE_MAX);
    assert_int_equal(chmod(path_in(folder, "libttm-backend-secret.so"), 0), 0);
    search_only(folder);
    if (is_root && seteuid(nobody) != 0) {
        skip();
    }
    ttm_device_list *list = list_devices();
    const char *message = failure_of(list, path_in(folder, "libttm-backend-secret.so"));
    const bool right = message != NULL && strstr(message, "Permission denied") != NULL;
    ttm_device_list_free(list);
    if (is_root) {
        assert_int_equal(seteuid(0), 0);
    }
    assert_true(right);
}

static void the_first_of_two_plugins_with_one_name_wins(void **state)
{
    const char *folder = *state;
    char path[4096];
    char first[2048];
    char second[2048];
    snprintf(first, sizeof first, "%s", path_in(folder, "first"));
    snprintf(second, sizeof second, "%s", path_in(folder, "second"));
    assert_int_equal(mkdir(first, 0755), 0);
    assert_int_equal(mkdir(second, 0755), 0);
    copy_file(path_in(first, "libttm-backend-fake.so"), built_plugin("fake"), SIZE_MAX);
    copy_file(path_in(second, "libttm-backend-fake.so"), built_plugin("fake"), SIZE_MAX);
    snprintf(path, sizeof path, "%s:%s", first, second);
    search_only(path);
    start_capturing_log();
    ttm_device_list *list = list_devices();
    stop_capturing_log();
    assert_int_equal(count_devices(list, "fake"), 2);
    for (size_t k = 0; k < list->device_count; k++) { /* an installed libttm has some, too */
        if (strcmp(list->devices[k].backend, "fake") == 0) {
            assert_string_equal(list->devices[k].plugin_path,
                                path_in(first, "libttm-backend-fake.so"));
        }
    }
    assert_contains(failure_of(list, second), "shadowed by");
    assert_contains(failure_of(list, second), first);
    assert_int_equal(count_log_lines(TTM_LOG_DEBUG, "shadowed by", second), 1);
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "shadowed by", NULL), 0);
    ttm_device_list_free(list);
}

static void a_broken_plugin_does_not_hide_a_good_one_of_its_name(void **state)
{
    const char *folder = *state;
    char path[4096];
    char first[2048];
    char second[2048];
    ttm_device *device = NULL;
    snprintf(first, sizeof first, "%s", path_in(folder, "first"));
    snprintf(second, sizeof second, "%s", path_in(folder, "second"));
    assert_int_equal(mkdir(first, 0755), 0);
    assert_int_equal(mkdir(second, 0755), 0);
    write_text(path_in(first, "libttm-backend-fake.so"), "");
    link_plugin(second, "fake");
    snprintf(path, sizeof path, "%s:%s", first, second);
    search_only(path);
    start_capturing_log();
    assert_int_equal(ttm_device_open(&device, "fake", NULL), TTM_OK);
    stop_capturing_log();
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "first/libttm-backend-fake.so", "empty"), 1);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, NULL, NULL), 1);
    ttm_device_close(device);
}

static void one_file_under_two_names_belongs_to_its_own_name(void **state)
{
    const char *folder = *state;
    copy_file(path_in(folder, "libttm-backend-fake.so"), built_plugin("fake"), SIZE_MAX);
    assert_int_equal(symlink("libttm-backend-fake.so", path_in(folder, "libttm-backend-alias.so")),
                     0);
    search_only(folder);
    ttm_device_list *list = list_devices();
    assert_contains(failure_of(list, path_in(folder, "libttm-backend-alias.so")),
                    "calls itself 'fake'");
    assert_int_equal(count_devices(list, "fake"), 2);
    assert_int_equal(count_devices(list, "alias"), 0);
    ttm_device_list_free(list);
}

static void a_device_that_can_not_be_described_is_left_out(void **state)
{
    const char *folder = *state;
    link_plugin(folder, "infofails");
    search_only(folder);
    ttm_device_list *list = list_devices();
    assert_int_equal(count_devices(list, "infofails"), 1);
    assert_contains(failure_of(list, folder), "device 1: the device fell off the bus");
    ttm_device_list_free(list);
}

static void names_from_a_plugin_are_ended_and_cleaned(void **state)
{
    const char *folder = *state;
    link_plugin(folder, "endlessname");
    link_plugin(folder, "dirtyname");
    search_only(folder);
    ttm_device_list *list = list_devices();
    for (size_t k = 0; k < list->device_count; k++) {
        const ttm_device_entry *entry = &list->devices[k];
        if (strcmp(entry->backend, "endlessname") == 0) {
            assert_int_equal(strlen(entry->info.name), sizeof entry->info.name - 1);
            assert_int_equal(strlen(entry->info.details), sizeof entry->info.details - 1);
        } else if (strcmp(entry->backend, "dirtyname") == 0) {
            assert_string_equal(entry->info.name, "Fak??[31m? \xc3\xa9 ??");
        }
    }
    assert_int_equal(count_devices(list, "endlessname"), 2);
    assert_int_equal(count_devices(list, "dirtyname"), 2);
    ttm_device_list_free(list);
}

static void automatic_choice_passes_over_what_fails_to_open(void **state)
{
    const char *folder = *state;
    ttm_device *device = NULL;
    for (int k = 0; k < FLAWED_COUNT; k++) {
        link_plugin(folder, flawed_plugins[k].plugin);
    }
    link_plugin(folder, "openfails"); /* claims to be the best GPU of all */
    link_plugin(folder, "goodgpu");   /* and this the second */
    search_only(folder);
    start_capturing_log();
    assert_int_equal(ttm_device_open(&device, NULL, NULL), TTM_OK);
    stop_capturing_log();
    assert_string_equal(ttm_device_backend_name(device), "goodgpu");
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "openfails:0", "another program holds the?"),
                     1);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, NULL, NULL), 2); /* it has two devices */
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "using goodgpu:0", "best GPU"), 1);
    assert_int_equal(count_log_lines(TTM_LOG_INFO, "goodgpu: opened", NULL), 1);
    ttm_device_close(device);
}

static void each_way_to_fail_at_opening_has_a_message(void **state)
{
    const struct {
        const char *plugin;
        ttm_status status;
        const char *says;
    } cases[] = {
        {"openfails", TTM_ERROR_DEVICE, "another program holds the?device"},
        {"opensilent", TTM_ERROR_DEVICE, "\"device failure\" from device_open and no reason"},
        {"opennothing", TTM_ERROR_PLUGIN, "opened nothing"},
        {"strangestatus", TTM_ERROR_PLUGIN, "77"},
    };
    const char *folder = *state;
    search_only(folder);
    ttm_log_set_level(TTM_LOG_ERROR);
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        ttm_device *device = NULL;
        link_plugin(folder, cases[k].plugin);
        assert_int_equal(ttm_device_open(&device, cases[k].plugin, "0"), cases[k].status);
        assert_null(device);
        assert_contains(ttm_error_message(), cases[k].says);
        assert_contains(ttm_error_message(), cases[k].plugin);
    }
}

static void a_backend_without_devices_is_no_failure_but_can_not_be_named(void **state)
{
    const char *folder = *state;
    ttm_device *device = NULL;
    link_plugin(folder, "nodevices");
    search_only(folder);
    ttm_device_list *list = list_devices();
    assert_null(failure_of(list, folder));
    assert_int_equal(count_devices(list, "nodevices"), 0);
    ttm_device_list_free(list);
    assert_int_equal(ttm_device_open(&device, "nodevices", NULL), TTM_ERROR_NOT_FOUND);
    assert_contains(ttm_error_message(), "no device");
}

/* Uses up what a process has: the last test. */
static void the_number_of_plugins_is_bounded(void **state)
{
    const char *folder = *state;
    int refused = 0;
    search_only(folder);
    for (int k = 0; k < 72; k++) {
        char name[64];
        snprintf(name, sizeof name, "libttm-backend-copy%d.so", k);
        copy_file(path_in(folder, name), built_plugin("fake"), SIZE_MAX);
    }
    ttm_device_list *list = list_devices();
    for (size_t k = 0; k < list->failure_count; k++) {
        refused += strstr(list->failures[k].message, "64 plugins are loaded already") != NULL;
    }
    assert_true(refused >= 8);
    ttm_device_list_free(list);
}

#define TEST_IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_scratch_folder, remove_scratch_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_FOLDER(each_flaw_is_one_line_that_names_it),
        TEST_IN_FOLDER(naming_a_flawed_plugin_is_an_error_with_the_reason),
        TEST_IN_FOLDER(a_failed_plugin_is_tried_once_and_listed_every_time),
        TEST_IN_FOLDER(older_and_newer_minor_versions_work),
        TEST_IN_FOLDER(a_plugin_tunes_itself_where_it_has_settings),
        TEST_IN_FOLDER(only_ops_that_a_plugin_knows_are_tuned),
        TEST_IN_FOLDER(devices_are_tuned_one_after_the_other),
        TEST_IN_FOLDER(files_that_are_no_shared_objects_are_told_apart),
        TEST_IN_FOLDER(a_plugin_cut_off_anywhere_is_refused_and_not_mapped),
        TEST_IN_FOLDER(an_unreadable_file_is_a_failure),
        TEST_IN_FOLDER(the_first_of_two_plugins_with_one_name_wins),
        TEST_IN_FOLDER(a_broken_plugin_does_not_hide_a_good_one_of_its_name),
        TEST_IN_FOLDER(one_file_under_two_names_belongs_to_its_own_name),
        TEST_IN_FOLDER(a_device_that_can_not_be_described_is_left_out),
        TEST_IN_FOLDER(names_from_a_plugin_are_ended_and_cleaned),
        TEST_IN_FOLDER(automatic_choice_passes_over_what_fails_to_open),
        TEST_IN_FOLDER(each_way_to_fail_at_opening_has_a_message),
        TEST_IN_FOLDER(a_backend_without_devices_is_no_failure_but_can_not_be_named),
        TEST_IN_FOLDER(a_repaired_file_is_tried_again),
        TEST_IN_FOLDER(the_number_of_plugins_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
