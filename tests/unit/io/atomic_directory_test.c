/* Folders appear whole or not at all, nothing of others is deleted, and what killed processes leave
 * is cleared. */
#include "scratch_folder.h"

#include "core/error.h"
#include "io/atomic_directory.h"
#include "io/atomic_file.h"
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool exchange_works = true;

/** Stands in for the C library's, so that tests can play a file system without RENAME_EXCHANGE. The
 * names of glibc's parameters are reserved. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name) */
int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path,
              unsigned int flags)
{
    if (!exchange_works) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_renameat2, old_folder, old_path, new_folder, new_path, flags);
}

/** Writes a folder with one file in it. */
static void write_folder(const char *path, const char *text)
{
    ttm_atomic_directory *directory = NULL;
    char *file = NULL;
    assert_int_equal(ttm_atomic_directory_begin(&directory, path), TTM_OK);
    assert_int_equal(ttm_atomic_directory_file(&file, directory, "file"), TTM_OK);
    assert_int_equal(ttm_atomic_file_save(file, text, strlen(text)), TTM_OK);
    free(file);
    assert_int_equal(ttm_atomic_directory_commit(&directory), TTM_OK);
    assert_null(directory);
}

static void a_committed_folder_replaces_the_old_one(void **state)
{
    (void)state;
    const char *path = scratch_path("model");
    write_folder(path, "one");
    assert_file_holds(scratch_path("model/file"), "one");
    scratch_write(scratch_path("model/extra"), "x", 1);
    write_folder(scratch_path("model/"), "two");
    assert_file_holds(scratch_path("model/file"), "two");
    assert_false(exists(scratch_path("model/extra")));
    assert_true(exists(scratch_path("model/" TTM_ATOMIC_DIRECTORY_MARKER)));
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void a_file_system_without_exchange_gets_the_new_folder_too(void **state)
{
    (void)state;
    write_folder(scratch_path("model"), "one");
    exchange_works = false;
    write_folder(scratch_path("model"), "two");
    exchange_works = true;
    assert_file_holds(scratch_path("model/file"), "two");
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void an_aborted_folder_leaves_no_trace(void **state)
{
    (void)state;
    const char *path = scratch_path("model");
    write_folder(path, "one");
    ttm_atomic_directory *directory = NULL;
    assert_int_equal(ttm_atomic_directory_begin(&directory, path), TTM_OK);
    assert_true(exists(ttm_atomic_directory_path(directory)));
    assert_int_equal(count_entries(scratch_folder), 2);
    (void)ttm_fail(TTM_ERROR_NUMERIC, "the reason");
    ttm_atomic_directory_abort(&directory);
    ttm_atomic_directory_abort(&directory);
    assert_string_equal(ttm_error_message(), "the reason");
    assert_file_holds(scratch_path("model/file"), "one");
    assert_int_equal(count_entries(scratch_folder), 1);
    assert_int_equal(ttm_atomic_directory_commit(&directory), TTM_ERROR_ARGUMENT);
}

static void folders_of_others_are_never_replaced(void **state)
{
    (void)state;
    ttm_atomic_directory *directory = NULL;
    assert_int_equal(mkdir(scratch_path("theirs"), 0777), 0);
    scratch_write(scratch_path("theirs/thesis"), "text", 4);
    assert_int_equal(ttm_atomic_directory_begin(&directory, scratch_path("theirs")), TTM_ERROR_IO);
    assert_message_has("didn't write");
    scratch_write(scratch_path("file"), "text", 4);
    assert_int_equal(ttm_atomic_directory_begin(&directory, scratch_path("file")), TTM_ERROR_IO);
    assert_message_has("a file");
    assert_int_equal(symlink("theirs", scratch_path("link")), 0);
    assert_int_equal(ttm_atomic_directory_begin(&directory, scratch_path("link")), TTM_ERROR_IO);
    assert_message_has("symbolic link");
    assert_int_equal(ttm_atomic_directory_begin(&directory, scratch_path("no/model")),
                     TTM_ERROR_NOT_FOUND);
    assert_int_equal(ttm_atomic_directory_begin(&directory, ""), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_atomic_directory_begin(&directory, "."), TTM_ERROR_ARGUMENT);
    assert_null(directory);
    assert_file_holds(scratch_path("theirs/thesis"), "text");
}

static void a_folder_filled_by_others_meanwhile_stops_the_commit(void **state)
{
    (void)state;
    ttm_atomic_directory *directory = NULL;
    assert_int_equal(mkdir(scratch_path("model"), 0777), 0);
    assert_int_equal(ttm_atomic_directory_begin(&directory, scratch_path("model")), TTM_OK);
    scratch_write(scratch_path("model/thesis"), "text", 4);
    assert_int_equal(ttm_atomic_directory_commit(&directory), TTM_ERROR_IO);
    assert_null(directory);
    assert_file_holds(scratch_path("model/thesis"), "text");
    assert_int_equal(count_entries(scratch_folder), 1);
}

/** Starts a process that begins the folder `path`, writes a file, and is killed. */
static void begin_and_die(const char *path, bool check_alive)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ttm_atomic_directory *directory = NULL;
        char *file = NULL;
        bool good = ttm_atomic_directory_begin(&directory, path) == TTM_OK &&
                    ttm_atomic_directory_file(&file, directory, "file") == TTM_OK &&
                    ttm_atomic_file_save(file, "unfinished", 10) == TTM_OK;
        (void)!write(ready[1], good ? "y" : "n", 1);
        pause();
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ready[0]);
    close(ready[1]);
    if (check_alive) {
        assert_int_equal(ttm_atomic_directory_recover(path), TTM_OK);
        assert_int_equal(count_entries(scratch_folder), 2);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void leftovers_of_killed_processes_go_at_the_next_begin(void **state)
{
    (void)state;
    write_folder(scratch_path("model"), "one");
    begin_and_die(scratch_path("model"), true);
    assert_int_equal(count_entries(scratch_folder), 2);
    assert_file_holds(scratch_path("model/file"), "one");
    write_folder(scratch_path("model"), "two");
    assert_int_equal(count_entries(scratch_folder), 1);
    begin_and_die(scratch_path("model"), false);
    assert_int_equal(ttm_atomic_directory_recover(scratch_path("model")), TTM_OK);
    assert_int_equal(count_entries(scratch_folder), 1);
    assert_file_holds(scratch_path("model/file"), "two");
}

/** Returns the pid of a process that is gone. */
static long dead_pid(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    return (long)child;
}

static void a_folder_moved_aside_comes_back(void **state)
{
    (void)state;
    char name[64];
    /* As a file system without exchange is left when the machine stops between the two renames. */
    snprintf(name, sizeof name, ".model.ttm-%ld-1.old", dead_pid());
    write_folder(scratch_path("model"), "one");
    assert_int_equal(rename(scratch_path("model"), scratch_path(name)), 0);
    assert_int_equal(ttm_atomic_directory_recover(scratch_path("model")), TTM_OK);
    assert_file_holds(scratch_path("model/file"), "one");
    assert_int_equal(count_entries(scratch_folder), 1);

    /* Once the new folder is in place, the old one is only a leftover. */
    assert_int_equal(rename(scratch_path("model"), scratch_path(name)), 0);
    assert_int_equal(mkdir(scratch_path("model"), 0777), 0);
    assert_int_equal(ttm_atomic_directory_recover(scratch_path("model")), TTM_OK);
    assert_int_equal(count_entries(scratch_folder), 1);
    assert_int_equal(count_entries(scratch_path("model")), 0);
}

static void a_symbolic_link_is_replaced_in_one_step(void **state)
{
    (void)state;
    char target[64] = {0};
    assert_int_equal(ttm_symlink_replace(scratch_path("best"), "step-1"), TTM_OK);
    assert_int_equal(ttm_symlink_replace(scratch_path("best"), "step-2"), TTM_OK);
    assert_int_equal(readlink(scratch_path("best"), target, sizeof target - 1), 6);
    assert_string_equal(target, "step-2");
    assert_int_equal(count_entries(scratch_folder), 1);
    scratch_write(scratch_path("file"), "text", 4);
    assert_int_equal(ttm_symlink_replace(scratch_path("file"), "step-2"), TTM_ERROR_IO);
    assert_file_holds(scratch_path("file"), "text");
    assert_int_equal(ttm_symlink_replace(scratch_path("no/link"), "x"), TTM_ERROR_NOT_FOUND);
    assert_int_equal(ttm_symlink_replace("", "x"), TTM_ERROR_ARGUMENT);
}

static void removing_a_folder_follows_no_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("outside"), 0777), 0);
    scratch_write(scratch_path("outside/kept"), "text", 4);
    assert_int_equal(mkdir(scratch_path("tree"), 0777), 0);
    assert_int_equal(mkdir(scratch_path("tree/inner"), 0777), 0);
    scratch_write(scratch_path("tree/inner/file"), "x", 1);
    assert_int_equal(symlink("../outside", scratch_path("tree/link")), 0);
    assert_int_equal(symlink("tree", scratch_path("link")), 0);
    assert_int_equal(ttm_directory_remove(scratch_path("link")), TTM_ERROR_IO);
    assert_int_equal(ttm_directory_remove(scratch_path("outside/kept")), TTM_ERROR_IO);
    assert_int_equal(ttm_directory_sync(scratch_path("tree")), TTM_OK);
    assert_int_equal(ttm_directory_remove(scratch_path("tree")), TTM_OK);
    assert_int_equal(ttm_directory_remove(scratch_path("tree")), TTM_OK);
    assert_false(exists(scratch_path("tree")));
    assert_file_holds(scratch_path("outside/kept"), "text");
    assert_int_equal(ttm_directory_sync(scratch_path("tree")), TTM_ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_committed_folder_replaces_the_old_one),
        scratch_test(a_file_system_without_exchange_gets_the_new_folder_too),
        scratch_test(an_aborted_folder_leaves_no_trace),
        scratch_test(folders_of_others_are_never_replaced),
        scratch_test(a_folder_filled_by_others_meanwhile_stops_the_commit),
        scratch_test(leftovers_of_killed_processes_go_at_the_next_begin),
        scratch_test(a_folder_moved_aside_comes_back),
        scratch_test(a_symbolic_link_is_replaced_in_one_step),
        scratch_test(removing_a_folder_follows_no_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
