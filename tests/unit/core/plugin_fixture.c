/* Scratch folders with plugins in them, and captured log lines. */
#include "plugin_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINES = 512, LINE_BYTES = 512, PATH_BYTES = 4096 };

/* Written under the log's lock, read when nothing logs. */
static char lines[MAX_LINES][LINE_BYTES];
static ttm_log_level levels[MAX_LINES];
static int line_count;

int make_scratch_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    char *folder = NULL;
    assert_true(asprintf(&folder, "%s/ttm-plugins-XXXXXX", base != NULL ? base : "/tmp") > 0);
    assert_non_null(mkdtemp(folder));
    *state = folder;
    return 0;
}

static int remove_entry(const char *path, const struct stat *information, int type,
                        struct FTW *where)
{
    (void)information;
    (void)type;
    (void)where;
    return remove(path);
}

int remove_scratch_folder(void **state)
{
    const int result = nftw(*state, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(*state);
    return result;
}

const char *path_in(const char *folder, const char *name)
{
    static char buffers[4][PATH_BYTES];
    static int next;
    char *buffer = buffers[next++ % 4];
    snprintf(buffer, PATH_BYTES, "%s/%s", folder, name);
    return buffer;
}

const char *built_plugin(const char *name)
{
    char file[256];
    snprintf(file, sizeof file, "libttm-backend-%s.so", name);
    return path_in(FAKE_PLUGIN_FOLDER, file);
}

void link_plugin(const char *folder, const char *name)
{
    char file[256];
    snprintf(file, sizeof file, "libttm-backend-%s.so", name);
    assert_int_equal(symlink(built_plugin(name), path_in(folder, file)), 0);
}

void copy_file(const char *to, const char *from, size_t bytes)
{
    FILE *source = fopen(from, "rb");
    FILE *target = fopen(to, "wb");
    assert_non_null(source);
    assert_non_null(target);
    int byte = 0;
    for (size_t k = 0; k < bytes && (byte = getc(source)) != EOF; k++) {
        putc(byte, target);
    }
    fclose(source);
    assert_int_equal(fclose(target), 0);
}

void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

void search_only(const char *folder)
{
    assert_int_equal(setenv("TTM_BACKEND_PATH", folder, 1), 0);
    unsetenv("TTM_BACKEND");
}

static void collect(void *user, ttm_log_level level, const char *line)
{
    (void)user;
    if (line_count < MAX_LINES) {
        levels[line_count] = level;
        snprintf(lines[line_count++], LINE_BYTES, "%s", line);
    }
}

void start_capturing_log(void)
{
    line_count = 0;
    ttm_log_set_level(TTM_LOG_DEBUG);
    ttm_log_set_sink(collect, NULL);
}

void stop_capturing_log(void)
{
    ttm_log_set_sink(NULL, NULL);
    ttm_log_set_level(TTM_LOG_ERROR);
}

int count_log_lines(ttm_log_level level, const char *text, const char *also)
{
    int count = 0;
    for (int k = 0; k < line_count; k++) {
        count += levels[k] == level && (text == NULL || strstr(lines[k], text) != NULL) &&
                 (also == NULL || strstr(lines[k], also) != NULL);
    }
    return count;
}

const char *failure_of(const ttm_device_list *list, const char *path)
{
    for (size_t k = 0; k < list->failure_count; k++) {
        if (strncmp(list->failures[k].plugin_path, path, strlen(path)) == 0) {
            return list->failures[k].message;
        }
    }
    return NULL;
}

int count_devices(const ttm_device_list *list, const char *backend)
{
    int count = 0;
    for (size_t k = 0; k < list->device_count; k++) {
        count += strcmp(list->devices[k].backend, backend) == 0;
    }
    return count;
}

void assert_contains(const char *text, const char *part)
{
    assert_non_null(text);
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" isn't in \"%s\"", part, text);
    }
}
