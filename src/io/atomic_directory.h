/* Folders that appear whole or not at all, such as checkpoints.
 *
 * A hidden folder beside the final one is filled, synced and renamed. Replacing an existing folder
 * swaps the two in one step where the file system can (RENAME_EXCHANGE); elsewhere the old one is
 * moved aside first, and should the machine stop between the two renames, the next begin or
 * ttm_atomic_directory_recover puts it back. Every folder committed here carries an empty file
 * `.ttm-complete`. Only such a folder, or an empty one, is ever replaced: a mistyped --out can't
 * delete somebody's files. */
#ifndef TTM_IO_ATOMIC_DIRECTORY_H
#define TTM_IO_ATOMIC_DIRECTORY_H

#include "io/directory_tree.h"
#include <ttm/status.h>

/** The empty file that marks a folder committed by libttm. */
#define TTM_ATOMIC_DIRECTORY_MARKER ".ttm-complete"

typedef struct ttm_atomic_directory ttm_atomic_directory;

/** Creates a temporary folder beside `final_path`, after removing those that killed processes left
 * for the same path. TTM_ERROR_IO when the parent can't be written, or `final_path` exists and may
 * not be replaced (see above); TTM_ERROR_NOT_FOUND when the parent doesn't exist. After success the
 * caller commits or aborts. */
TTM_CHECKED ttm_status ttm_atomic_directory_begin(ttm_atomic_directory **out,
                                                  const char *final_path);

/** Returns the temporary folder to write into. Valid until commit or abort. */
const char *ttm_atomic_directory_path(const ttm_atomic_directory *directory);

/** *out = a new string, the path of the file `name` in the temporary folder; the caller frees with
 * free(). Write it with io/atomic_file.h, or by other means: commit syncs every file. */
TTM_CHECKED ttm_status ttm_atomic_directory_file(char **out, const ttm_atomic_directory *directory,
                                                 const char *name);

/** Syncs every file and the folder, renames it to the final name, syncs the parent, removes what
 * was there before. Frees *directory and sets it to NULL; after failure the temporary folder is
 * gone and the old one is as it was. */
TTM_CHECKED ttm_status ttm_atomic_directory_commit(ttm_atomic_directory **directory);

/** Removes the temporary folder, frees *directory and sets it to NULL. Does nothing when *directory
 * is NULL. Leaves the thread's error message alone. */
void ttm_atomic_directory_abort(ttm_atomic_directory **directory);

/** Puts back an old `final_path` that a stopped machine left moved aside, and removes leftovers of
 * dead processes. Call before reading a folder that may have been replaced when the machine
 * stopped. Changes nothing else. */
TTM_CHECKED ttm_status ttm_atomic_directory_recover(const char *final_path);

/** Makes `path` a symbolic link to `target`, in one step: readers see the old link or the new one.
 * `path` may exist only as a symbolic link; anything else there is TTM_ERROR_IO. `target` is stored
 * as given, relative to path's folder. */
TTM_CHECKED ttm_status ttm_symlink_replace(const char *path, const char *target);

#endif
