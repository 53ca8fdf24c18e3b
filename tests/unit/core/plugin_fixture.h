/* What the tests of plugins share: a scratch folder to put plugin files in, and captured log lines.
 */
#ifndef TTM_TESTS_PLUGIN_FIXTURE_H
#define TTM_TESTS_PLUGIN_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <ttm/device.h>

/** Makes an empty scratch folder; use as a test's set-up. *state is its path. */
int make_scratch_folder(void **state);

/** Removes the scratch folder with all that is in it; use as a test's tear-down. */
int remove_scratch_folder(void **state);

/** Returns "FOLDER/NAME" in a static buffer; one of four in turn. */
const char *path_in(const char *folder, const char *name);

/** Returns the path of the test plugin `name` as it was built; buffers as path_in. */
const char *built_plugin(const char *name);

/** Puts a symbolic link to the built plugin `name` into `folder` under its own file name. */
void link_plugin(const char *folder, const char *name);

/** Copies the first `bytes` bytes of file `from` (SIZE_MAX: all) to `to`. */
void copy_file(const char *to, const char *from, size_t bytes);

/** Writes a text file. */
void write_text(const char *path, const char *text);

/** Makes TTM_BACKEND_PATH name this folder alone. */
void search_only(const char *folder);

/** Starts to collect log lines up to debug, forgetting earlier ones; stops and returns to stderr.
 */
void start_capturing_log(void);
void stop_capturing_log(void);

/** Returns the number of lines at exactly `level` that contain both texts (NULL: any). */
int count_log_lines(ttm_log_level level, const char *text, const char *also);

/** Returns the message of the first failure in `list` whose file's path begins with `path`, or
 * NULL. */
const char *failure_of(const ttm_device_list *list, const char *path);

/** Returns the number of devices of a backend in `list`. */
int count_devices(const ttm_device_list *list, const char *backend);

/** Fails the test unless `text` contains `part`. */
void assert_contains(const char *text, const char *part);

#endif
