/* Files that appear whole or not at all: written under a temporary name in the same folder, synced,
 * renamed.
 *
 * Until commit returns TTM_OK the old file of that name is untouched, whatever happens: a full
 * disk, a signal, a lost machine. Afterwards the new one is on the disk, its folder entry too. A
 * process that is killed leaves a hidden temporary file behind; the next begin for the same path
 * removes it once its owner is gone. As with open(2), a path that is a symbolic link stays one: the
 * file that it leads to is replaced, or made where there is none yet. A file that is replaced hands
 * its permissions on. One thread at a time per object; two writers of one path are safe, and the
 * last commit wins. */
#ifndef TTM_IO_ATOMIC_FILE_H
#define TTM_IO_ATOMIC_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

typedef struct ttm_atomic_file ttm_atomic_file;

/** Starts writing `path` (mode 0666 less the umask where no file is there). TTM_ERROR_IO when the
 * folder can't be written or `path` is a folder, a device or a pipe, TTM_ERROR_NOT_FOUND when its
 * folder doesn't exist. After success the caller commits or aborts. */
TTM_CHECKED ttm_status ttm_atomic_file_begin(ttm_atomic_file **out, const char *path);

/** Appends `bytes` bytes. Small pieces are gathered, large ones written straight from `data`. After
 * a failure (TTM_ERROR_IO: disk full, quota, size limit, fault) every later write and the commit
 * fail too. SIGXFSZ is not raised. */
TTM_CHECKED ttm_status ttm_atomic_file_write(ttm_atomic_file *file, const void *data, size_t bytes);

/** Returns how many bytes were written so far. */
uint64_t ttm_atomic_file_size(const ttm_atomic_file *file);

/** Syncs, renames to the final name and syncs the folder. Frees *file and sets it to NULL, after
 * success and failure. After failure the temporary file is gone and the old file is as it was,
 * unless the message says that syncing the folder failed: then the new one is in place but may not
 * outlive a power cut. */
TTM_CHECKED ttm_status ttm_atomic_file_commit(ttm_atomic_file **file);

/** Removes the temporary file, frees *file and sets it to NULL. Does nothing when *file is NULL, so
 * that one exit path serves both ends. Leaves the thread's error message alone. */
void ttm_atomic_file_abort(ttm_atomic_file **file);

/** Writes a whole small file: begin, write, commit. */
TTM_CHECKED ttm_status ttm_atomic_file_save(const char *path, const void *data, size_t bytes);

#endif
