/* Files that this plugin keeps for its user from run to run: in folders that are the user's own,
 * read only when nobody else can have written them, and written whole or not at all. */
#ifndef TTM_OPENCL_PRIVATE_FILE_H
#define TTM_OPENCL_PRIVATE_FILE_H

#include <stddef.h>

/** Writes the folder of cached files, $XDG_CACHE_HOME/ttm or ~/.cache/ttm, to folder[folder_bytes].
 * Returns 0 where the environment names none, or it doesn't fit. */
int opencl_cache_folder(char *folder, size_t folder_bytes);

/** Returns the content of the file `path`, which the caller frees, with a NUL behind it; NULL with
 * errno. EPERM: it isn't the user's own, or others may write to it; EFBIG: it has more than
 * `most_bytes`. Doesn't follow a link. */
unsigned char *opencl_private_read(size_t *bytes, const char *path, size_t most_bytes);

/** Makes `folder` and those above it, each private to the user. Returns 0 with errno on failure. */
int opencl_private_folder(const char *folder);

/** Writes the file `path` for the user alone: under another name, then renamed. Returns 0 with
 * errno on failure, and nothing has changed. */
int opencl_private_write(const char *path, const void *const *parts, const size_t *part_bytes,
                         size_t part_count);

#endif
