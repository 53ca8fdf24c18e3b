/* Where plugins are looked for, in which order, and what isn't trusted. */
#include "plugin_fixture.h"

#include "core/plugin_search.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *problem_of(const ttm_plugin_files *files, const char *path)
{
    for (size_t k = 0; k < files->count; k++) {
        if (strcmp(files->items[k].path, path) == 0) {
            return files->items[k].problem != NULL ? files->items[k].problem : "none";
        }
    }
    return "not found";
}

static void search(ttm_plugin_files *files, ttm_plugin_places places)
{
    *files = (ttm_plugin_files){0};
    assert_int_equal(ttm_plugin_search(files, &places), TTM_OK);
}

static void make_folder(const char *path)
{
    assert_int_equal(mkdir(path, 0755), 0);
}

static void environment_library_subfolder_and_installation_are_searched_in_this_order(void **state)
{
    const char *folder = *state;
    const char *names[] = {"environment", "library", "library/ttm", "installed"};
    char paths[4][PATH_MAX];
    ttm_plugin_files files;
    for (int k = 0; k < 4; k++) {
        snprintf(paths[k], sizeof paths[k], "%s", path_in(folder, names[k]));
        make_folder(paths[k]);
        write_text(path_in(paths[k], "libttm-backend-b.so"), "b");
        write_text(path_in(paths[k], "libttm-backend-a.so"), "a");
        write_text(path_in(paths[k], "libttm.so"), "not a plugin's name");
        write_text(path_in(paths[k], "libttm-backend-a.so.1"), "not a plugin's name");
    }
    search(&files, (ttm_plugin_places){paths[0], paths[1], paths[3], false, false});
    assert_int_equal(files.count, 8);
    for (size_t k = 0; k < 8; k++) {
        assert_string_equal(files.items[k].name, k % 2 == 0 ? "a" : "b");
        assert_string_equal(
            files.items[k].path,
            path_in(paths[k / 2], k % 2 == 0 ? "libttm-backend-a.so" : "libttm-backend-b.so"));
        assert_null(files.items[k].problem);
    }
    ttm_plugin_files_free(&files);
}

static void relative_and_empty_entries_are_refused_with_a_warning(void **state)
{
    const char *folder = *state;
    char path[PATH_MAX];
    ttm_plugin_files files;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    write_text(path_in(folder, "libttm-backend-a.so"), "a");
    assert_int_equal(chdir(folder), 0);
    const char *const refused[] = {".", "./", "..", "a/b", ":", ".:", "::"};
    for (size_t k = 0; k < sizeof refused / sizeof refused[0]; k++) {
        start_capturing_log();
        search(&files, (ttm_plugin_places){refused[k], NULL, NULL, false, false});
        stop_capturing_log();
        assert_int_equal(files.count, 0);
        assert_true(count_log_lines(TTM_LOG_WARNING, "TTM_BACKEND_PATH", "absolute") >= 1);
        ttm_plugin_files_free(&files);
    }
    snprintf(path, sizeof path, ":.:%s:", folder);
    start_capturing_log();
    search(&files, (ttm_plugin_places){path, NULL, NULL, false, false});
    stop_capturing_log();
    assert_int_equal(files.count, 1);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "TTM_BACKEND_PATH", "absolute"), 3);
    ttm_plugin_files_free(&files);
    start_capturing_log();
    search(&files, (ttm_plugin_places){path, NULL, NULL, false, true});
    stop_capturing_log();
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, NULL, NULL), 0);
    ttm_plugin_files_free(&files);
    assert_int_equal(chdir(before), 0);
}

static void a_folder_named_twice_is_searched_once(void **state)
{
    const char *folder = *state;
    char path[PATH_MAX];
    ttm_plugin_files files;
    make_folder(path_in(folder, "plugins"));
    write_text(path_in(folder, "plugins/libttm-backend-a.so"), "a");
    assert_int_equal(symlink("plugins", path_in(folder, "alias")), 0);
    snprintf(path, sizeof path, "%s/plugins:%s/alias:%s/plugins/", folder, folder, folder);
    search(&files, (ttm_plugin_places){path, path_in(folder, "alias"), path_in(folder, "plugins"),
                                       false, false});
    assert_int_equal(files.count, 1);
    ttm_plugin_files_free(&files);
}

static void a_folder_of_the_environment_that_is_not_there_is_a_warning(void **state)
{
    ttm_plugin_files files;
    start_capturing_log();
    search(&files, (ttm_plugin_places){path_in(*state, "missing"), path_in(*state, "missing too"),
                                       path_in(*state, "missing as well"), false, false});
    stop_capturing_log();
    assert_int_equal(files.count, 0);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, NULL, NULL), 1);
    assert_int_equal(count_log_lines(TTM_LOG_WARNING, "missing'", "No such file"), 1);
    assert_int_equal(count_log_lines(TTM_LOG_DEBUG, "missing", "No such file"), 3);
}

static void what_is_no_regular_file_is_a_problem_and_is_not_opened(void **state)
{
    const char *folder = *state;
    ttm_plugin_files files;
    make_folder(path_in(folder, "libttm-backend-directory.so"));
    assert_int_equal(mkfifo(path_in(folder, "libttm-backend-pipe.so"), 0644), 0);
    assert_int_equal(symlink("libttm-backend-loop2.so", path_in(folder, "libttm-backend-loop1.so")),
                     0);
    assert_int_equal(symlink("libttm-backend-loop1.so", path_in(folder, "libttm-backend-loop2.so")),
                     0);
    assert_int_equal(symlink("nowhere", path_in(folder, "libttm-backend-dangling.so")), 0);
    search(&files, (ttm_plugin_places){folder, NULL, NULL, false, false});
    assert_int_equal(files.count, 5);
    assert_contains(problem_of(&files, path_in(folder, "libttm-backend-directory.so")),
                    "directory");
    assert_contains(problem_of(&files, path_in(folder, "libttm-backend-pipe.so")), "regular");
    assert_contains(problem_of(&files, path_in(folder, "libttm-backend-loop1.so")),
                    "symbolic links");
    assert_contains(problem_of(&files, path_in(folder, "libttm-backend-loop2.so")),
                    "symbolic links");
    assert_contains(problem_of(&files, path_in(folder, "libttm-backend-dangling.so")),
                    "No such file");
    ttm_plugin_files_free(&files);
}

static void names_are_lower_case_and_of_bounded_length(void **state)
{
    const char *folder = *state;
    const char *const bad[] = {"libttm-backend-.so", "libttm-backend-CPU.so",
                               "libttm-backend-a b.so", "libttm-backend-a:b.so",
                               "libttm-backend-a.b.so"};
    char long_name[128] = "libttm-backend-";
    ttm_plugin_files files;
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        write_text(path_in(folder, bad[k]), "x");
    }
    memset(long_name + strlen(long_name), 'a', 64);
    strcat(long_name, ".so");
    write_text(path_in(folder, long_name), "x");
    write_text(path_in(folder, "libttm-backend-my_npu-2.so"), "x");
    search(&files, (ttm_plugin_places){folder, NULL, NULL, false, false});
    assert_int_equal(files.count, 7);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        assert_contains(problem_of(&files, path_in(folder, bad[k])), "lower-case");
    }
    assert_contains(problem_of(&files, path_in(folder, long_name)), "lower-case");
    assert_string_equal(problem_of(&files, path_in(folder, "libttm-backend-my_npu-2.so")), "none");
    ttm_plugin_files_free(&files);
}

static void a_privileged_program_ignores_the_environment(void **state)
{
    const char *folder = *state;
    ttm_plugin_files files;
    make_folder(path_in(folder, "own"));
    write_text(path_in(folder, "libttm-backend-evil.so"), "x");
    write_text(path_in(folder, "own/libttm-backend-good.so"), "x");
    search(&files, (ttm_plugin_places){folder, path_in(folder, "own"), NULL, true, false});
    assert_int_equal(files.count, 1);
    assert_string_equal(files.items[0].name, "good");
    assert_null(files.items[0].problem);
    ttm_plugin_files_free(&files);
}

static void a_privileged_program_refuses_what_everyone_may_write(void **state)
{
    const char *folder = *state;
    ttm_plugin_files files;
    make_folder(path_in(folder, "closed"));
    make_folder(path_in(folder, "open"));
    write_text(path_in(folder, "closed/libttm-backend-file.so"), "x");
    write_text(path_in(folder, "open/libttm-backend-folder.so"), "x");
    assert_int_equal(chmod(path_in(folder, "closed/libttm-backend-file.so"), 0666), 0);
    assert_int_equal(chmod(path_in(folder, "open"), 01777), 0);
    const ttm_plugin_places places = {NULL, path_in(folder, "closed"), path_in(folder, "open"),
                                      false, false};
    search(&files, places);
    assert_int_equal(files.count, 2);
    assert_null(files.items[0].problem);
    assert_null(files.items[1].problem);
    ttm_plugin_files_free(&files);
    ttm_plugin_places secure = places;
    secure.secure = true;
    search(&files, secure);
    assert_int_equal(files.count, 2);
    assert_contains(files.items[0].problem, "written by everyone");
    assert_string_equal(files.items[1].path, places.installed_folder);
    assert_contains(files.items[1].problem, "written by everyone");
    ttm_plugin_files_free(&files);
}

static void trust_depends_on_owner_and_mode(void **state)
{
    (void)state;
    const struct {
        uid_t owner;
        mode_t mode;
        const char *problem;
    } cases[] = {
        {0, 0755, NULL},
        {1000, 0755, NULL},
        {1000, 0775, NULL},
        {1001, 0755, "another user"},
        {0, 0757, "everyone"},
        {1000, 01777, "everyone"},
        {1001, 0600, "another user"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        const struct stat information = {.st_uid = cases[k].owner, .st_mode = cases[k].mode};
        const char *problem = ttm_plugin_distrust(&information, 1000);
        if (cases[k].problem == NULL) {
            assert_null(problem);
        } else {
            assert_contains(problem, cases[k].problem);
        }
    }
}

static void the_default_places_are_absolute(void **state)
{
    (void)state;
    const ttm_plugin_places places = ttm_plugin_default_places();
    assert_false(places.secure);
    assert_int_equal(places.library_folder[0], '/');
    assert_int_equal(places.installed_folder[0], '/');
}

#define TEST_IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_scratch_folder, remove_scratch_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_IN_FOLDER(environment_library_subfolder_and_installation_are_searched_in_this_order),
        TEST_IN_FOLDER(relative_and_empty_entries_are_refused_with_a_warning),
        TEST_IN_FOLDER(a_folder_named_twice_is_searched_once),
        TEST_IN_FOLDER(a_folder_of_the_environment_that_is_not_there_is_a_warning),
        TEST_IN_FOLDER(what_is_no_regular_file_is_a_problem_and_is_not_opened),
        TEST_IN_FOLDER(names_are_lower_case_and_of_bounded_length),
        TEST_IN_FOLDER(a_privileged_program_ignores_the_environment),
        TEST_IN_FOLDER(a_privileged_program_refuses_what_everyone_may_write),
        cmocka_unit_test(trust_depends_on_owner_and_mode),
        cmocka_unit_test(the_default_places_are_absolute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
