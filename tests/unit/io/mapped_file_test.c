/* Mapping and reading whole files, and everything that isn't one. */
#include "scratch_folder.h"

static void a_mapped_file_shows_its_bytes(void **state)
{
    (void)state;
    const char *path = scratch_path("text");
    scratch_write(path, "hello world", 11);
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, path), TTM_OK);
    assert_int_equal(file.size, 11);
    assert_memory_equal(file.data, "hello world", 11);
    ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_SEQUENTIAL);
    ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_RANDOM);
    ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_NORMAL);
    char piece[5];
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 6, 5), TTM_OK);
    assert_memory_equal(piece, "world", 5);
    ttm_mapped_file_close(&file);
    ttm_mapped_file_close(&file);
    assert_null(file.path);
}

static void an_empty_file_maps_to_no_bytes(void **state)
{
    (void)state;
    const char *path = scratch_path("empty");
    scratch_write(path, "", 0);
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, path), TTM_OK);
    assert_int_equal(file.size, 0);
    assert_non_null(file.data);
    ttm_mapped_file_advise(&file, TTM_FILE_ACCESS_SEQUENTIAL);
    ttm_mapped_file_close(&file);
}

static void what_is_no_regular_file_is_refused_by_name(void **state)
{
    (void)state;
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, scratch_path("missing")), TTM_ERROR_NOT_FOUND);
    assert_message_has(scratch_path("missing"));
    assert_message_has("No such file");
    assert_int_equal(ttm_mapped_file_open(&file, scratch_folder), TTM_ERROR_IO);
    assert_message_has("is a folder");
    assert_int_equal(ttm_mapped_file_open(&file, "/dev/null"), TTM_ERROR_IO);
    assert_message_has("a device");
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0);
    assert_int_equal(ttm_mapped_file_open(&file, scratch_path("pipe")), TTM_ERROR_IO);
    assert_message_has("a pipe");
    assert_int_equal(ttm_mapped_file_open(&file, ""), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_mapped_file_open(&file, NULL), TTM_ERROR_ARGUMENT);
    ttm_mapped_file_close(&file);
}

static void an_unreadable_file_is_an_error(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        skip(); /* root may read everything */
    }
    const char *path = scratch_path("secret");
    scratch_write(path, "x", 1);
    assert_int_equal(chmod(path, 0), 0);
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, path), TTM_ERROR_IO);
    assert_message_has("permissions");
}

static void reading_outside_the_file_is_an_error(void **state)
{
    (void)state;
    const char *path = scratch_path("text");
    char piece[16];
    scratch_write(path, "0123456789", 10);
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, path), TTM_OK);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 10, 0), TTM_OK);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 5, 6), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 11, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, UINT64_MAX, 2), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 2, SIZE_MAX), TTM_ERROR_ARGUMENT);
    ttm_mapped_file_close(&file);
}

static void reading_a_file_that_shrank_is_an_error_and_no_signal(void **state)
{
    (void)state;
    const char *path = scratch_path("shrinks");
    char piece[16];
    scratch_write(path, "0123456789", 10);
    ttm_mapped_file file;
    assert_int_equal(ttm_mapped_file_open(&file, path), TTM_OK);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(ttm_mapped_file_read_at(&file, piece, 0, 10), TTM_ERROR_IO);
    assert_message_has("shortened");
    ttm_mapped_file_close(&file);
}

static void a_small_file_is_read_whole_up_to_its_cap(void **state)
{
    (void)state;
    const char *path = scratch_path("small");
    char *text = NULL;
    size_t bytes = 0;
    scratch_write(path, "abc\0def", 7);
    assert_int_equal(ttm_file_read(&text, &bytes, path, 7), TTM_OK);
    assert_int_equal(bytes, 7);
    assert_memory_equal(text, "abc\0def", 8);
    free(text);
    assert_int_equal(ttm_file_read(&text, &bytes, path, 6), TTM_ERROR_FORMAT);
    assert_message_has("7 bytes");
    assert_null(text);
    assert_int_equal(ttm_file_read(&text, &bytes, scratch_path("none"), 6), TTM_ERROR_NOT_FOUND);
    assert_int_equal(ttm_file_read(&text, &bytes, "", 6), TTM_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(a_mapped_file_shows_its_bytes),
        scratch_test(an_empty_file_maps_to_no_bytes),
        scratch_test(what_is_no_regular_file_is_refused_by_name),
        scratch_test(an_unreadable_file_is_an_error),
        scratch_test(reading_outside_the_file_is_an_error),
        scratch_test(reading_a_file_that_shrank_is_an_error_and_no_signal),
        scratch_test(a_small_file_is_read_whole_up_to_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
