/* Files appear whole or not at all, also when the disk is full or the process is killed. */
#include "scratch_folder.h"

#include "core/error.h"
#include "io/atomic_file.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void a_committed_file_replaces_the_old_one(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    scratch_write(path, "old", 3);
    ttm_atomic_file *file = NULL;
    assert_int_equal(ttm_atomic_file_begin(&file, path), TTM_OK);
    assert_int_equal(ttm_atomic_file_write(file, "new ", 4), TTM_OK);
    assert_int_equal(ttm_atomic_file_write(file, "text", 4), TTM_OK);
    assert_int_equal(ttm_atomic_file_size(file), 8);
    assert_file_holds(path, "old");
    assert_int_equal(ttm_atomic_file_commit(&file), TTM_OK);
    assert_null(file);
    assert_file_holds(path, "new text");
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void an_aborted_file_leaves_no_trace(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    scratch_write(path, "old", 3);
    ttm_atomic_file *file = NULL;
    assert_int_equal(ttm_atomic_file_begin(&file, path), TTM_OK);
    assert_int_equal(ttm_atomic_file_write(file, "new", 3), TTM_OK);
    assert_int_equal(count_entries(scratch_folder), 2);
    (void)ttm_fail(TTM_ERROR_NUMERIC, "the reason");
    ttm_atomic_file_abort(&file);
    ttm_atomic_file_abort(&file);
    assert_null(file);
    assert_string_equal(ttm_error_message(), "the reason");
    assert_file_holds(path, "old");
    assert_int_equal(count_entries(scratch_folder), 1);
    assert_int_equal(ttm_atomic_file_commit(&file), TTM_ERROR_ARGUMENT);
}

static void pieces_of_any_size_arrive_in_order(void **state)
{
    (void)state;
    enum { TOTAL = 1000003 };
    const char *path = scratch_path("pieces");
    unsigned char *data = malloc(TOTAL);
    assert_non_null(data);
    for (size_t index = 0; index < TOTAL; index++) {
        data[index] = (unsigned char)(index * 2654435761u >> 13);
    }
    ttm_atomic_file *file = NULL;
    assert_int_equal(ttm_atomic_file_begin(&file, path), TTM_OK);
    size_t at = 0;
    for (size_t piece = 0; at < TOTAL; piece = (piece * 3 + 1) % 150001) {
        size_t taken = piece < TOTAL - at ? piece : TOTAL - at;
        assert_int_equal(ttm_atomic_file_write(file, data + at, taken), TTM_OK);
        at += taken;
    }
    assert_int_equal(ttm_atomic_file_commit(&file), TTM_OK);
    ttm_mapped_file mapped;
    assert_int_equal(ttm_mapped_file_open(&mapped, path), TTM_OK);
    assert_int_equal(mapped.size, TOTAL);
    assert_memory_equal(mapped.data, data, TOTAL);
    ttm_mapped_file_close(&mapped);
    free(data);
}

static void the_mode_follows_the_umask(void **state)
{
    (void)state;
    struct stat information;
    mode_t before = umask(027);
    assert_int_equal(ttm_atomic_file_save(scratch_path("file"), "x", 1), TTM_OK);
    umask(before);
    assert_int_equal(stat(scratch_path("file"), &information), 0);
    assert_int_equal(information.st_mode & 0777, 0640);
}

static void names_that_cannot_be_written_are_refused(void **state)
{
    (void)state;
    ttm_atomic_file *file = NULL;
    assert_int_equal(ttm_atomic_file_begin(&file, ""), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_atomic_file_begin(&file, NULL), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_atomic_file_begin(&file, "/"), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path("..")), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_folder), TTM_ERROR_IO);
    assert_message_has("directory");
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path("new/")), TTM_ERROR_IO);
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path("no/file")), TTM_ERROR_NOT_FOUND);
    assert_message_has("no/file");
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path(name)), TTM_ERROR_IO);
    assert_message_has("shorter name");
    assert_null(file);
    assert_int_equal(count_entries(scratch_folder), 0);
}

/* Committing would rename over them: to root, even over /dev/null. */
static void devices_and_pipes_are_not_replaced(void **state)
{
    (void)state;
    ttm_atomic_file *file = NULL;
    struct stat information;
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_int_equal(symlink("pipe", scratch_path("link to a pipe")), 0);
    assert_int_equal(symlink("/proc/self/fd/1", scratch_path("stdout")), 0);
    const char *const names[] = {"pipe", "link to a pipe", "stdout"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        assert_int_equal(ttm_atomic_file_begin(&file, scratch_path(names[k])), TTM_ERROR_IO);
        assert_message_has(names[k]);
        assert_message_has("give the name of a file");
    }
    assert_int_equal(ttm_atomic_file_begin(&file, "/dev/null"), TTM_ERROR_IO);
    assert_int_equal(lstat(scratch_path("pipe"), &information), 0);
    assert_true(S_ISFIFO(information.st_mode));
    assert_int_equal(count_entries(scratch_folder), 3);
}

/* As with open(2), for a file that is there and for one that isn't yet. */
static void links_go_on_leading_to_the_file(void **state)
{
    (void)state;
    static const char *const links[] = {"link", "second", "dangling"};
    static const char *const files[] = {"folder/there", "folder/there", "folder/new"};
    struct stat information;
    ttm_atomic_file *file = NULL;
    assert_int_equal(mkdir(scratch_path("folder"), 0777), 0);
    scratch_write(scratch_path("folder/there"), "old", 3);
    assert_int_equal(symlink("folder/there", scratch_path("link")), 0);
    assert_int_equal(symlink("link", scratch_path("second")), 0);
    assert_int_equal(symlink("folder/new", scratch_path("dangling")), 0);
    for (size_t k = 0; k < sizeof links / sizeof *links; k++) {
        assert_int_equal(ttm_atomic_file_save(scratch_path(links[k]), links[k], strlen(links[k])),
                         TTM_OK);
        assert_int_equal(lstat(scratch_path(links[k]), &information), 0);
        assert_true(S_ISLNK(information.st_mode));
        assert_int_equal(lstat(scratch_path(files[k]), &information), 0);
        assert_true(S_ISREG(information.st_mode));
        assert_file_holds(scratch_path(files[k]), links[k]);
    }
    assert_int_equal(count_entries(scratch_path("folder")), 2);
    assert_int_equal(symlink("round", scratch_path("round")), 0);
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path("round")), TTM_ERROR_IO);
    assert_message_has("go in a circle");
}

static void a_file_that_is_replaced_hands_its_permissions_on(void **state)
{
    (void)state;
    struct stat information;
    scratch_write(scratch_path("private"), "old", 3);
    assert_int_equal(chmod(scratch_path("private"), 0600), 0);
    assert_int_equal(ttm_atomic_file_save(scratch_path("private"), "new", 3), TTM_OK);
    assert_int_equal(stat(scratch_path("private"), &information), 0);
    assert_int_equal(information.st_mode & 0777, 0600);
}

/** Writes 1 MB over a file with a size limit of 256 KB; returns 0 when everything went as promised.
 */
static int write_beyond_the_limit(const char *path, size_t piece)
{
    static unsigned char data[1 << 20];
    struct rlimit limit = {.rlim_cur = 256 << 10, .rlim_max = RLIM_INFINITY};
    ttm_atomic_file *file = NULL;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || ttm_atomic_file_begin(&file, path) != TTM_OK) {
        return 1;
    }
    ttm_status status = TTM_OK;
    for (size_t at = 0; status == TTM_OK && at < sizeof data; at += piece) {
        status = ttm_atomic_file_write(file, data, piece);
    }
    if (status != TTM_ERROR_IO || strstr(ttm_error_message(), "ulimit -f") == NULL ||
        strstr(ttm_error_message(), path) == NULL) {
        return 2;
    }
    /* The failure sticks: nobody commits a file with a hole. */
    if (ttm_atomic_file_write(file, data, 1) != TTM_ERROR_IO ||
        ttm_atomic_file_commit(&file) != TTM_ERROR_IO || file != NULL) {
        return 3;
    }
    return 0;
}

static void check_size_limit(size_t piece)
{
    const char *path = scratch_path("file");
    scratch_write(path, "old", 3);
    /* In a child, whose SIGXFSZ has its default action: to kill. */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(write_beyond_the_limit(path, piece));
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    assert_file_holds(path, "old");
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void a_size_limit_is_an_error_that_keeps_the_old_file(void **state)
{
    (void)state;
    check_size_limit(1 << 20);
    check_size_limit(1000);
}

enum { CANNOT_MOUNT = 77 };

/** Mounts a file system of 256 KB that only this process sees and writes 1 MB over a file there;
 * returns 0 when everything went as promised. */
static int fill_a_disk(const char *disk)
{
    static unsigned char data[1 << 20];
    char path[600];
    char contents[4] = {0};
    snprintf(path, sizeof path, "%s/file", disk);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", disk, "tmpfs", 0, "size=256k") != 0) {
        return CANNOT_MOUNT;
    }
    ttm_atomic_file *file = NULL;
    if (ttm_atomic_file_save(path, "old", 3) != TTM_OK ||
        ttm_atomic_file_begin(&file, path) != TTM_OK ||
        ttm_atomic_file_write(file, data, sizeof data) != TTM_ERROR_IO) {
        return 1;
    }
    if (strstr(ttm_error_message(), "disk is full") == NULL ||
        strstr(ttm_error_message(), path) == NULL) {
        return 2;
    }
    ttm_atomic_file_abort(&file);
    FILE *old = fopen(path, "rb");
    bool kept = old != NULL && fread(contents, 1, 4, old) == 3 && strcmp(contents, "old") == 0;
    return kept && count_entries(disk) == 1 ? 0 : 3;
}

static void a_full_disk_is_an_error_that_keeps_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("disk"), 0777), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(fill_a_disk(scratch_path("disk")));
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    if (WEXITSTATUS(result) == CANNOT_MOUNT) {
        skip(); /* only root may mount; the size limit above takes the same path */
    }
    assert_int_equal(WEXITSTATUS(result), 0);
}

static void leftovers_of_killed_processes_go_at_the_next_begin(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        ttm_atomic_file *file = NULL;
        char answer = ttm_atomic_file_begin(&file, path) == TTM_OK ? 'y' : 'n';
        (void)!write(ready[1], &answer, 1);
        pause();
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ready[0]);
    close(ready[1]);

    /* While the other lives its file stays, and so do files that only look alike. */
    scratch_write(scratch_path(".file.ttm-1-0.other"), "", 0);
    scratch_write(scratch_path(".file2.ttm-999999999-0.file"), "", 0);
    assert_int_equal(ttm_atomic_file_save(path, "mine", 4), TTM_OK);
    assert_int_equal(count_entries(scratch_folder), 4);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(ttm_atomic_file_save(path, "mine", 4), TTM_OK);
    assert_int_equal(count_entries(scratch_folder), 3);
    assert_file_holds(path, "mine");
}

static void two_writers_of_one_path_do_not_disturb_each_other(void **state)
{
    (void)state;
    const char *path = scratch_path("file");
    ttm_atomic_file *first = NULL;
    ttm_atomic_file *second = NULL;
    assert_int_equal(ttm_atomic_file_begin(&first, path), TTM_OK);
    assert_int_equal(ttm_atomic_file_write(first, "first", 5), TTM_OK);
    assert_int_equal(ttm_atomic_file_begin(&second, path), TTM_OK);
    assert_int_equal(ttm_atomic_file_write(second, "second", 6), TTM_OK);
    assert_int_equal(ttm_atomic_file_commit(&second), TTM_OK);
    assert_int_equal(ttm_atomic_file_commit(&first), TTM_OK);
    assert_file_holds(path, "first");
    assert_int_equal(count_entries(scratch_folder), 1);
}

static void a_folder_that_vanishes_is_an_io_error(void **state)
{
    (void)state;
    ttm_atomic_file *file = NULL;
    assert_int_equal(mkdir(scratch_path("gone"), 0777), 0);
    assert_int_equal(ttm_atomic_file_begin(&file, scratch_path("gone/file")), TTM_OK);
    assert_int_equal(ttm_directory_remove(scratch_path("gone")), TTM_OK);
    assert_int_equal(ttm_atomic_file_commit(&file), TTM_ERROR_IO);
    assert_message_has("gone/file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_committed_file_replaces_the_old_one),
        scratch_test(an_aborted_file_leaves_no_trace),
        scratch_test(pieces_of_any_size_arrive_in_order),
        scratch_test(the_mode_follows_the_umask),
        scratch_test(names_that_cannot_be_written_are_refused),
        scratch_test(devices_and_pipes_are_not_replaced),
        scratch_test(links_go_on_leading_to_the_file),
        scratch_test(a_file_that_is_replaced_hands_its_permissions_on),
        scratch_test(a_size_limit_is_an_error_that_keeps_the_old_file),
        scratch_test(a_full_disk_is_an_error_that_keeps_the_old_file),
        scratch_test(leftovers_of_killed_processes_go_at_the_next_begin),
        scratch_test(two_writers_of_one_path_do_not_disturb_each_other),
        scratch_test(a_folder_that_vanishes_is_an_io_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
