/* A folder for one test's files, removed with everything in it afterwards; and short ways to make
 * and read files. */
#ifndef TTM_TEST_SCRATCH_FOLDER_H
#define TTM_TEST_SCRATCH_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/status.h>
#include <unistd.h>

#include "io/directory_tree.h"
#include "io/mapped_file.h"

static char scratch_folder[128];

static inline int scratch_setup(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(scratch_folder, sizeof scratch_folder, "%.100s/ttm-test-XXXXXX",
             parent != NULL ? parent : "/tmp");
    return mkdtemp(scratch_folder) == NULL;
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return ttm_directory_remove(scratch_folder) != TTM_OK;
}

/** Returns the path of `name` in the scratch folder; valid for the next seven calls. */
static inline const char *scratch_path(const char *name)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

/** Writes a file by the plainest means. */
static inline void scratch_write(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/** Asserts that a file holds exactly this text. */
static inline void assert_file_holds(const char *path, const char *text)
{
    char *contents = NULL;
    size_t bytes = 0;
    assert_int_equal(ttm_file_read(&contents, &bytes, path, 1 << 20), TTM_OK);
    assert_string_equal(contents, text);
    free(contents);
}

static inline bool exists(const char *path)
{
    struct stat information;
    return lstat(path, &information) == 0;
}

/** Counts the entries of a folder, hidden ones too. */
static inline int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    assert_non_null(folder);
    int count = -2;
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

/** Asserts that the thread's error message holds this text. */
static inline void assert_message_has(const char *text)
{
    if (strstr(ttm_error_message(), text) == NULL) {
        fail_msg("the message \"%s\" lacks \"%s\"", ttm_error_message(), text);
    }
}

#define scratch_test(function) \
    cmocka_unit_test_setup_teardown(function, scratch_setup, scratch_teardown)

#endif
