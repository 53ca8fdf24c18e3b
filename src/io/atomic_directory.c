/* Temporary folder, sync, exchange or rename, sync of the parent; and clearing up after processes
 * that were killed. */
#include "io/atomic_directory.h"

#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"
#include "io/io_error.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct ttm_atomic_directory {
    ttm_path_parts parts;
    char *temporary;
    int descriptor; /* of the temporary folder: holds the lock that says it is in use */
};

/* Temporaries of this process that nobody has locked yet, or no longer, are safe from its other
 * threads only under this. */
static pthread_mutex_t temporaries_lock = PTHREAD_MUTEX_INITIALIZER;

/** Returns whether the folder may be replaced: it is empty or carries the marker. errno is 0 unless
 * it can't be read. */
static bool may_be_replaced(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return false;
    }
    bool empty = true;
    bool marked = false;
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            empty = false;
            marked = marked || strcmp(entry->d_name, TTM_ATOMIC_DIRECTORY_MARKER) == 0;
        }
    }
    closedir(folder);
    errno = 0;
    return empty || marked;
}

/** Checks what stands at the final path. *exists tells whether a folder is there to be replaced. */
static ttm_status check_final(bool *exists, const char *path)
{
    struct stat information;
    *exists = false;
    if (lstat(path, &information) != 0) {
        return errno == ENOENT ? TTM_OK : ttm_io_fail("write", path, errno);
    }
    if (!S_ISDIR(information.st_mode)) {
        return ttm_fail(TTM_ERROR_IO,
                        "cannot write the folder '%s': %s of that name exists; choose another name",
                        path, S_ISLNK(information.st_mode) ? "a symbolic link" : "a file");
    }
    if (!may_be_replaced(path)) {
        return errno != 0 ? ttm_io_fail("read the folder", path, errno)
                          : ttm_fail(TTM_ERROR_IO,
                                     "cannot replace the folder '%s': it holds files that libttm "
                                     "didn't write (no %s); choose another name or move it away",
                                     path, TTM_ATOMIC_DIRECTORY_MARKER);
    }
    *exists = true;
    return TTM_OK;
}

/** Handles one entry of the parent folder: puts back an old folder that lacks its successor,
 * removes other leftovers. What can't be removed is left: it harms nobody. */
static ttm_status clear_leftover(int parent, const ttm_path_parts *parts, const char *name)
{
    long pid = 0;
    bool moved_aside = ttm_temporary_matches(&pid, name, parts->name, "old");
    if (!moved_aside && !ttm_temporary_matches(&pid, name, parts->name, "folder")) {
        return TTM_OK;
    }
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        return TTM_OK;
    }
    bool abandoned = ttm_temporary_is_abandoned(descriptor, pid);
    close(descriptor);
    if (!abandoned) {
        return TTM_OK;
    }
    if (moved_aside && faccessat(parent, parts->name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT) {
        if (renameat(parent, name, parent, parts->name) != 0) {
            return ttm_io_fail("put back the previous", parts->path, errno);
        }
        return ttm_folder_sync(parts->folder);
    }
    char *path = NULL;
    TTM_TRY(ttm_path_join(&path, parts->folder, name));
    ttm_status ignored = ttm_directory_remove(path);
    (void)ignored;
    free(path);
    return TTM_OK;
}

/** Looks through the parent folder for leftovers. The caller holds temporaries_lock. */
static ttm_status clear_leftovers(const ttm_path_parts *parts)
{
    DIR *folder = opendir(parts->folder);
    if (folder == NULL) {
        return ttm_io_fail("open the folder", parts->folder, errno);
    }
    ttm_status status = TTM_OK;
    const struct dirent *entry = NULL;
    while (status == TTM_OK && (entry = readdir(folder)) != NULL) {
        status = clear_leftover(dirfd(folder), parts, entry->d_name);
    }
    closedir(folder);
    return status;
}

/** Creates and locks the temporary folder. The caller holds temporaries_lock. */
static ttm_status create_temporary(ttm_atomic_directory *directory)
{
    char *temporary = NULL;
    int result = 0;
    do {
        free(temporary);
        temporary = NULL;
        TTM_TRY(ttm_temporary_path(&temporary, &directory->parts, "folder"));
        result = mkdir(temporary, 0777);
    } while (result != 0 && errno == EEXIST);
    if (result != 0) {
        int error_number = errno;
        free(temporary);
        return ttm_io_fail("write the folder", directory->parts.path, error_number);
    }
    directory->temporary = temporary;
    directory->descriptor = open(directory->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->descriptor < 0) {
        return ttm_io_fail("open the folder", directory->temporary, errno);
    }
    /* Without lock support the pid in the name still tells a leftover. */
    (void)flock(directory->descriptor, LOCK_EX | LOCK_NB);
    return TTM_OK;
}

ttm_status ttm_atomic_directory_begin(ttm_atomic_directory **out, const char *final_path)
{
    *out = NULL;
    ttm_atomic_directory *directory = NULL;
    TTM_TRY(ttm_array_new(&directory, 1, sizeof *directory, "a folder's record"));
    directory->descriptor = -1;
    ttm_status status = TTM_OK;
    pthread_mutex_lock(&temporaries_lock);
    TTM_TRY_OUT(ttm_path_split(&directory->parts, final_path));
    TTM_TRY_OUT(clear_leftovers(&directory->parts));
    bool exists = false;
    TTM_TRY_OUT(check_final(&exists, directory->parts.path));
    TTM_TRY_OUT(create_temporary(directory));
    *out = directory;
    directory = NULL;
out:
    pthread_mutex_unlock(&temporaries_lock);
    ttm_atomic_directory_abort(&directory);
    return status;
}

const char *ttm_atomic_directory_path(const ttm_atomic_directory *directory)
{
    return directory->temporary;
}

ttm_status ttm_atomic_directory_file(char **out, const ttm_atomic_directory *directory,
                                     const char *name)
{
    return ttm_path_join(out, directory->temporary, name);
}

/** Puts the marker into the temporary folder. */
static ttm_status mark_complete(const ttm_atomic_directory *directory)
{
    int descriptor = openat(directory->descriptor, TTM_ATOMIC_DIRECTORY_MARKER,
                            O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        return ttm_io_fail("write the folder", directory->parts.path, errno);
    }
    close(descriptor);
    return TTM_OK;
}

/** Puts the temporary folder in the place of an existing one; *replaced is where the old one is
 * then. */
static ttm_status exchange(char **replaced, ttm_atomic_directory *directory)
{
    const char *final_path = directory->parts.path;
    if (renameat2(AT_FDCWD, directory->temporary, AT_FDCWD, final_path, RENAME_EXCHANGE) == 0) {
        *replaced = directory->temporary;
        directory->temporary = NULL;
        return TTM_OK;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return ttm_io_fail("replace the folder", final_path, errno);
    }
    char *aside = NULL;
    TTM_TRY(ttm_temporary_path(&aside, &directory->parts, "old"));
    ttm_status status = TTM_OK;
    if (rename(final_path, aside) != 0) {
        status = ttm_io_fail("move aside the folder", final_path, errno);
        free(aside);
        return status;
    }
    if (rename(directory->temporary, final_path) != 0) {
        status = ttm_io_fail("rename the finished folder to", final_path, errno);
        /* When even this fails, the next begin or recover tries again. */
        (void)!rename(aside, final_path);
        free(aside);
        return status;
    }
    free(directory->temporary);
    directory->temporary = NULL;
    *replaced = aside;
    return TTM_OK;
}

/** Renames to the final name and removes what stood there. The caller holds temporaries_lock. */
static ttm_status put_in_place(ttm_atomic_directory *directory)
{
    bool exists = false;
    char *replaced = NULL;
    TTM_TRY(check_final(&exists, directory->parts.path));
    if (exists) {
        TTM_TRY(exchange(&replaced, directory));
    } else if (rename(directory->temporary, directory->parts.path) != 0) {
        return ttm_io_fail("rename the finished folder to", directory->parts.path, errno);
    } else {
        free(directory->temporary);
        directory->temporary = NULL;
    }
    ttm_status status = ttm_folder_sync(directory->parts.folder);
    if (replaced != NULL && status == TTM_OK) {
        /* The new folder is in place and durable: an old one that can't be removed is no failure of
         * the commit. */
        ttm_status ignored = ttm_directory_remove(replaced);
        (void)ignored;
    }
    free(replaced);
    return status;
}

ttm_status ttm_atomic_directory_commit(ttm_atomic_directory **directory)
{
    if (*directory == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no folder is being written (NULL)");
    }
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(mark_complete(*directory));
    TTM_TRY_OUT(ttm_directory_sync((*directory)->temporary));
    pthread_mutex_lock(&temporaries_lock);
    status = put_in_place(*directory);
    pthread_mutex_unlock(&temporaries_lock);
out:
    ttm_atomic_directory_abort(directory);
    return status;
}

/** Removes a folder without touching the thread's error message, which tells of an earlier failure.
 */
static void remove_quietly(const char *path)
{
    char message[TTM_ERROR_BYTES];
    snprintf(message, sizeof message, "%s", ttm_error_message());
    if (ttm_directory_remove(path) != TTM_OK) {
        (void)ttm_fail(TTM_ERROR_IO, "%s", message);
    }
}

void ttm_atomic_directory_abort(ttm_atomic_directory **directory)
{
    if (*directory == NULL) {
        return;
    }
    if ((*directory)->temporary != NULL) {
        remove_quietly((*directory)->temporary);
        free((*directory)->temporary);
    }
    if ((*directory)->descriptor >= 0) {
        close((*directory)->descriptor);
    }
    ttm_path_parts_free(&(*directory)->parts);
    free(*directory);
    *directory = NULL;
}

ttm_status ttm_atomic_directory_recover(const char *final_path)
{
    ttm_path_parts parts;
    TTM_TRY(ttm_path_split(&parts, final_path));
    pthread_mutex_lock(&temporaries_lock);
    ttm_status status = clear_leftovers(&parts);
    pthread_mutex_unlock(&temporaries_lock);
    ttm_path_parts_free(&parts);
    return status;
}

ttm_status ttm_symlink_replace(const char *path, const char *target)
{
    ttm_path_parts parts;
    char *temporary = NULL;
    ttm_status status = TTM_OK;
    struct stat information;
    TTM_TRY(ttm_path_split(&parts, path));
    if (lstat(parts.path, &information) == 0 && !S_ISLNK(information.st_mode)) {
        status = ttm_fail(TTM_ERROR_IO,
                          "cannot make '%s' a symbolic link: something else of that name exists; "
                          "move it away",
                          parts.path);
        goto out;
    }
    TTM_TRY_OUT(ttm_temporary_path(&temporary, &parts, "link"));
    unlink(temporary); /* of an earlier process with our pid */
    if (symlink(target, temporary) != 0) {
        status = ttm_io_fail("make the symbolic link", parts.path, errno);
        goto out;
    }
    if (rename(temporary, parts.path) != 0) {
        status = ttm_io_fail("replace the symbolic link", parts.path, errno);
        unlink(temporary);
        goto out;
    }
    status = ttm_folder_sync(parts.folder);
out:
    free(temporary);
    ttm_path_parts_free(&parts);
    return status;
}
