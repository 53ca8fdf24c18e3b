/* ttm-devices, run as a program on folders of test plugins. */
#include "../core/plugin_fixture.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { OUTPUT_BYTES = 65536 };

/* Runs `TTM_DEVICES arguments` and returns its exit status. Both of its outputs go to `output`. */
static int run_tool(char output[OUTPUT_BYTES], const char *arguments)
{
    char command[4096];
    snprintf(command, sizeof command, "exec 2>&1; %s %s", TTM_DEVICES, arguments);
    FILE *tool = popen(command, "r"); /* NOLINT(cert-env33-c): a fixed command of this build */
    assert_non_null(tool);
    output[fread(output, 1, OUTPUT_BYTES - 1, tool)] = '\0';
    const int result = pclose(tool);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void the_table_marks_what_is_taken_and_lists_what_failed(void **state)
{
    static char output[OUTPUT_BYTES];
    link_plugin(*state, "openfails");
    link_plugin(*state, "goodgpu");
    link_plugin(*state, "wrongmagic");
    search_only(*state);
    assert_int_equal(run_tool(output, ""), 0);
    assert_contains(output, "\n* goodgpu:0");
    assert_contains(output, "\n  goodgpu:1");
    assert_contains(output, "\n  openfails:0");
    assert_contains(output, "another program holds");
    assert_contains(output, "Plugins that aren't used:\n");
    assert_contains(output, "libttm-backend-wrongmagic.so\n      its table starts with 0x12345678");
}

/* The second device has no type, and nothing else to be said of it. */
static void what_a_device_computes_with_is_shown_below_it(void **state)
{
    static char output[OUTPUT_BYTES];
    link_plugin(*state, "goodgpu");
    search_only(*state);
    assert_int_equal(run_tool(output, "--backend goodgpu"), 0);
    const char *first = strstr(output, "\n* goodgpu:0");
    const char *second = strstr(output, "\n  goodgpu:1");
    const char *dtypes = strstr(output, " dtypes: f32, bf16, tf32\n");
    assert_non_null(first);
    assert_non_null(second);
    assert_non_null(dtypes);
    assert_true(first < dtypes && dtypes < second);
    const char *after_second = strchr(second + 1, '\n');
    assert_non_null(after_second);
    assert_int_not_equal(strncmp(after_second, "\n    ", 5), 0);
}

static void json_says_the_same(void **state)
{
    static char output[OUTPUT_BYTES];
    link_plugin(*state, "goodgpu");
    link_plugin(*state, "wrongmagic");
    link_plugin(*state, "dirtyname");
    search_only(*state);
    assert_int_equal(run_tool(output, "--json"), 0);
    cJSON *document = cJSON_Parse(output);
    assert_non_null(document);
    int chosen = 0;
    int dirty = 0;
    static const char *const dtypes[] = {"f32", "bf16", "tf32"};
    const cJSON *device = NULL;
    cJSON_ArrayForEach(device, cJSON_GetObjectItem(document, "devices"))
    {
        const char *backend = cJSON_GetObjectItem(device, "backend")->valuestring;
        if (cJSON_IsTrue(cJSON_GetObjectItem(device, "chosen"))) {
            chosen++;
            assert_string_equal(backend, "goodgpu");
            assert_int_equal(cJSON_GetObjectItem(device, "index")->valueint, 0);
            assert_string_equal(cJSON_GetObjectItem(device, "kind")->valuestring, "gpu");
            assert_true(cJSON_GetObjectItem(device, "memory_bytes")->valuedouble == 0x1p61);
            const cJSON *listed = cJSON_GetObjectItem(device, "dtypes");
            assert_int_equal(cJSON_GetArraySize(listed), 3);
            for (int k = 0; k < 3; k++) {
                assert_string_equal(cJSON_GetArrayItem(listed, k)->valuestring, dtypes[k]);
            }
        }
        dirty += strcmp(backend, "dirtyname") == 0;
    }
    assert_int_equal(chosen, 1);
    assert_int_equal(dirty, 2);
    const cJSON *failures = cJSON_GetObjectItem(document, "failures");
    assert_true(cJSON_GetArraySize(failures) >= 1);
    assert_contains(cJSON_GetObjectItem(cJSON_GetArrayItem(failures, 0), "plugin")->valuestring,
                    "wrongmagic");
    cJSON_Delete(document);
}

static void a_device_that_was_named_and_can_not_be_used_is_exit_status_1(void **state)
{
    static char output[OUTPUT_BYTES];
    link_plugin(*state, "goodgpu");
    link_plugin(*state, "openfails");
    search_only(*state);
    assert_int_equal(run_tool(output, "--backend goodgpu --device beta"), 0);
    assert_contains(output, "\n* goodgpu:1");
    assert_int_equal(run_tool(output, "--backend openfails:1"), 1);
    assert_contains(output, "\nttm-devices: error: device openfails:1 (Fake Beta 4090) can't be "
                            "opened: another program holds");
    assert_int_equal(run_tool(output, "--backend goodgpu:7"), 1);
    assert_contains(output, "no device fits '7'; there are: goodgpu:0 (Fake Alpha)");
    assert_int_equal(run_tool(output, "--backend nix"), 1);
    assert_contains(output, "there is no backend 'nix'; there are: auto, goodgpu, openfails");
    assert_int_equal(run_tool(output, "--nix"), 2);
    assert_contains(output, "ttm-devices: error: unknown option '--nix'");
}

static void a_full_disk_is_reported(void **state)
{
    static char output[OUTPUT_BYTES];
    search_only(*state);
    assert_int_equal(run_tool(output, "--help >/dev/full"), 1);
    assert_string_equal(output, "ttm-devices: error: the output can't be written: No space left on "
                                "device\n");
}

#define TEST_IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_scratch_folder, remove_scratch_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_FOLDER(the_table_marks_what_is_taken_and_lists_what_failed),
        TEST_IN_FOLDER(what_a_device_computes_with_is_shown_below_it),
        TEST_IN_FOLDER(json_says_the_same),
        TEST_IN_FOLDER(a_device_that_was_named_and_can_not_be_used_is_exit_status_1),
        TEST_IN_FOLDER(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
