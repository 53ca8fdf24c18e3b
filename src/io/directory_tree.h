/* Whole folders: removing and syncing everything in them, never following a symbolic link. */
#ifndef TTM_IO_DIRECTORY_TREE_H
#define TTM_IO_DIRECTORY_TREE_H

#include <ttm/status.h>

/** Removes the folder `path` with everything in it. A symbolic link inside is removed itself;
 * `path` may not be one. A folder that doesn't exist is TTM_OK. On failure what could be removed is
 * gone. */
TTM_CHECKED ttm_status ttm_directory_remove(const char *path);

/** Syncs every regular file and folder in `path`, and `path` itself. */
TTM_CHECKED ttm_status ttm_directory_sync(const char *path);

#endif
