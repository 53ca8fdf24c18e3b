/* Depth-first walks with openat: names are resolved against open folders, so that a folder which
 * somebody swaps for a symbolic link during the walk can't lead it elsewhere. */
#include "io/directory_tree.h"

#include "core/error.h"
#include "io/io_error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_self_or_parent(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/** Opens the folder `name` inside `parent` (AT_FDCWD for a path) for listing; NULL with errno set
 * on failure. */
static DIR *open_folder(int parent, const char *name)
{
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return NULL;
    }
    DIR *folder = fdopendir(descriptor);
    if (folder == NULL) {
        int error_number = errno;
        close(descriptor);
        errno = error_number;
    }
    return folder;
}

static ttm_status remove_at(int parent, const char *name);

/** Removes everything in an open folder; keeps going after a failure and returns the first.
 * *removed tells whether anything went, since some file systems skip entries of a folder that
 * changes while it is listed. */
static ttm_status remove_entries(DIR *folder, bool *removed)
{
    ttm_status status = TTM_OK;
    *removed = false;
    rewinddir(folder);
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (is_self_or_parent(entry->d_name)) {
            continue;
        }
        ttm_status result = remove_at(dirfd(folder), entry->d_name);
        if (result == TTM_OK) {
            *removed = true;
        } else {
            status = result;
        }
    }
    return status;
}

/** Removes one entry of a folder, with everything in it when it's a folder itself. */
static ttm_status remove_at(int parent, const char *name)
{
    struct stat information;
    if (fstatat(parent, name, &information, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? TTM_OK : ttm_io_fail("remove", name, errno);
    }
    if (!S_ISDIR(information.st_mode)) {
        return unlinkat(parent, name, 0) == 0 ? TTM_OK : ttm_io_fail("remove", name, errno);
    }
    DIR *folder = open_folder(parent, name);
    if (folder == NULL) {
        return ttm_io_fail("open the folder", name, errno);
    }
    ttm_status status = TTM_OK;
    bool removed = false;
    do {
        status = remove_entries(folder, &removed);
    } while (removed && status == TTM_OK);
    closedir(folder);
    if (status == TTM_OK && unlinkat(parent, name, AT_REMOVEDIR) != 0) {
        status = ttm_io_fail("remove the folder", name, errno);
    }
    return status;
}

ttm_status ttm_directory_remove(const char *path)
{
    struct stat information;
    if (lstat(path, &information) == 0 && !S_ISDIR(information.st_mode)) {
        return ttm_fail(TTM_ERROR_IO, "cannot remove '%s': it isn't a folder", path);
    }
    ttm_status status = remove_at(AT_FDCWD, path);
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "removing '%s'", path);
}

static ttm_status sync_folder(DIR *folder);

/** Syncs one entry of a folder; anything but regular files and folders has nothing to sync. */
static ttm_status sync_at(int parent, const char *name)
{
    struct stat information;
    if (fstatat(parent, name, &information, AT_SYMLINK_NOFOLLOW) != 0) {
        return ttm_io_fail("inspect", name, errno);
    }
    if (S_ISDIR(information.st_mode)) {
        DIR *folder = open_folder(parent, name);
        if (folder == NULL) {
            return ttm_io_fail("open the folder", name, errno);
        }
        ttm_status status = sync_folder(folder);
        closedir(folder);
        return status;
    }
    if (!S_ISREG(information.st_mode)) {
        return TTM_OK;
    }
    int descriptor = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return ttm_io_fail("open", name, errno);
    }
    ttm_status status = fsync(descriptor) == 0 ? TTM_OK : ttm_io_fail("sync", name, errno);
    close(descriptor);
    return status;
}

static ttm_status sync_folder(DIR *folder)
{
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (!is_self_or_parent(entry->d_name)) {
            TTM_TRY(sync_at(dirfd(folder), entry->d_name));
        }
    }
    if (fsync(dirfd(folder)) != 0 && errno != EINVAL && errno != ENOTSUP) {
        return ttm_io_fail("sync the folder", ".", errno);
    }
    return TTM_OK;
}

ttm_status ttm_directory_sync(const char *path)
{
    DIR *folder = open_folder(AT_FDCWD, path);
    if (folder == NULL) {
        return ttm_io_fail("open the folder", path, errno);
    }
    ttm_status status = sync_folder(folder);
    closedir(folder);
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "syncing '%s'", path);
}
