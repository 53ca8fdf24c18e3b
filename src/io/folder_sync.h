/* What atomic files and folders share: syncing, the folder part of a path, and temporary names that
 * tell who owns them.
 *
 * A temporary is named `.NAME.ttm-PID-N.KIND`. Its owner holds a lock (flock) on it; a leftover is
 * one whose process is gone and whose lock is free. The lock also tells apart processes of
 * containers that share a folder but not their pids. */
#ifndef TTM_IO_FOLDER_SYNC_H
#define TTM_IO_FOLDER_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <ttm/status.h>

/** A path taken apart. Zeroed means empty. */
typedef struct ttm_path_parts {
    char *path;   /**< Without trailing slashes. */
    char *folder; /**< "." when the path has no slash. */
    char *name;   /**< The last component. */
} ttm_path_parts;

/** Takes `path` apart. An empty path, "/", or one ending in "." or ".." is TTM_ERROR_ARGUMENT. The
 * caller frees with ttm_path_parts_free. */
TTM_CHECKED ttm_status ttm_path_split(ttm_path_parts *parts, const char *path);

void ttm_path_parts_free(ttm_path_parts *parts);

/** *out = "folder/name" as a new string. */
TTM_CHECKED ttm_status ttm_path_join(char **out, const char *folder, const char *name);

/** *out = a temporary path of the given kind ("file", "folder", "old", "link") for these parts, new
 * in this process. */
TTM_CHECKED ttm_status ttm_temporary_path(char **out, const ttm_path_parts *parts,
                                          const char *kind);

/** Returns whether `name` is a temporary of kind `kind` for the final name `final_name`, and its
 * owner's pid. */
bool ttm_temporary_matches(long *pid, const char *name, const char *final_name, const char *kind);

/** Returns whether the process that owns a temporary is gone: no such pid (our own counts as gone,
 * since containers give the same pid again), and nobody holds the lock on `descriptor`. */
bool ttm_temporary_is_abandoned(int descriptor, long pid);

/** Makes the entries of the folder `path` durable. File systems that can't sync folders count as
 * done. */
TTM_CHECKED ttm_status ttm_folder_sync(const char *path);

#endif
