/* Temporary file, fsync, rename, fsync of the folder. */
#include "io/atomic_file.h"

#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"
#include "io/io_error.h"
#include "io/link_target.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 64 * 1024 };

struct ttm_atomic_file {
    ttm_path_parts parts;
    char *temporary;
    int descriptor;
    int error_number; /* of the first write that failed, 0 so far */
    uint64_t size;
    size_t buffered;
    unsigned char buffer[BUFFER_BYTES];
};

/* Between creating a temporary and locking it another thread of this process could take it for a
 * leftover. */
static pthread_mutex_t temporaries_lock = PTHREAD_MUTEX_INITIALIZER;

/** Removes what killed processes left for the same path. What can't be removed is left: it harms
 * nobody. */
static void remove_leftovers(const ttm_path_parts *parts)
{
    DIR *folder = opendir(parts->folder);
    if (folder == NULL) {
        return;
    }
    const struct dirent *entry = NULL;
    while ((entry = readdir(folder)) != NULL) {
        long pid = 0;
        if (!ttm_temporary_matches(&pid, entry->d_name, parts->name, "file")) {
            continue;
        }
        int descriptor =
            openat(dirfd(folder), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (descriptor >= 0 && ttm_temporary_is_abandoned(descriptor, pid)) {
            unlinkat(dirfd(folder), entry->d_name, 0);
        }
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
    closedir(folder);
}

/** Creates and locks the temporary file. */
static ttm_status create_temporary(ttm_atomic_file *file)
{
    char *temporary = NULL;
    ttm_status status = TTM_OK;
    pthread_mutex_lock(&temporaries_lock);
    remove_leftovers(&file->parts);
    do {
        free(temporary);
        temporary = NULL;
        TTM_TRY_OUT(ttm_temporary_path(&temporary, &file->parts, "file"));
        file->descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (file->descriptor < 0 && errno == EEXIST);
    if (file->descriptor < 0) {
        status = ttm_io_fail("write", file->parts.path, errno);
        goto out;
    }
    file->temporary = temporary;
    temporary = NULL;
    /* Without lock support the pid in the name still tells a leftover. */
    (void)flock(file->descriptor, LOCK_EX | LOCK_NB);
out:
    pthread_mutex_unlock(&temporaries_lock);
    free(temporary);
    return status;
}

/** Refuses what the rename at the end mustn't replace: root would lose /dev/null that way, and what
 * follows on the standard output would be lost with the file that /dev/stdout leads to. *mode = the
 * permissions of a file that is there. */
static ttm_status check_replaceable(mode_t *mode, const char *path)
{
    static const char kernels_own[] = "/proc/";
    struct stat information;
    char target[sizeof kernels_own - 1];
    *mode = 0;
    if (path[strlen(path) - 1] == '/') {
        return ttm_io_fail("write", path, EISDIR);
    }
    const bool there = stat(path, &information) == 0;
    if (there && S_ISDIR(information.st_mode)) {
        return ttm_io_fail("write", path, EISDIR);
    }
    const bool leads_to_kernel = readlink(path, target, sizeof target) == sizeof target &&
                                 memcmp(target, kernels_own, sizeof target) == 0;
    if (leads_to_kernel || (there && !S_ISREG(information.st_mode))) {
        return ttm_fail(TTM_ERROR_IO,
                        "cannot write '%s': it is a device or a pipe, which a file would replace; "
                        "give the name of a file",
                        path);
    }
    *mode = there ? information.st_mode & 0777 : 0;
    return TTM_OK;
}

/** Finds the file that `path` stands for, which may be behind links. */
static ttm_status find_target(ttm_path_parts *parts, const char *path)
{
    char *target = ttm_link_target(path);
    if (target == NULL) {
        return ttm_io_fail("write", path, errno);
    }
    ttm_path_parts_free(parts);
    const ttm_status status = ttm_path_split(parts, target);
    free(target);
    return status;
}

ttm_status ttm_atomic_file_begin(ttm_atomic_file **out, const char *path)
{
    *out = NULL;
    ttm_atomic_file *file = NULL;
    TTM_TRY(ttm_array_new(&file, 1, sizeof *file, "a file's buffer"));
    file->descriptor = -1;
    ttm_status status = TTM_OK;
    mode_t mode = 0;
    TTM_TRY_OUT(ttm_path_split(&file->parts, path));
    TTM_TRY_OUT(check_replaceable(&mode, path));
    TTM_TRY_OUT(find_target(&file->parts, path));
    TTM_TRY_OUT(create_temporary(file));
    if (mode != 0) {
        /* Where that isn't allowed, the new file has the usual ones. */
        (void)!fchmod(file->descriptor, mode);
    }
    *out = file;
    file = NULL;
out:
    ttm_atomic_file_abort(&file);
    return status;
}

/** Calls write with SIGXFSZ held back, so that passing the file size limit is an error like any
 * other: a library may not change the process's signal handlers. */
static ssize_t write_without_signal(int descriptor, const void *data, size_t bytes)
{
    sigset_t size_signal;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&size_signal);
    sigaddset(&size_signal, SIGXFSZ);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &size_signal, &before);
    ssize_t written = write(descriptor, data, bytes);
    int error_number = errno;
    if (written < 0 && error_number == EFBIG && !sigismember(&pending, SIGXFSZ)) {
        const struct timespec at_once = {0};
        while (sigtimedwait(&size_signal, NULL, &at_once) < 0 && errno == EINTR) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error_number;
    return written;
}

/** Says which write failed. The old file is whole whatever happened. */
static ttm_status fail_write(const ttm_atomic_file *file, const char *action)
{
    ttm_status status = ttm_io_fail(action, file->parts.path, file->error_number);
    return status == TTM_ERROR_NOT_FOUND ? TTM_ERROR_IO : status;
}

/** Writes all of `data` to the descriptor. */
static ttm_status write_through(ttm_atomic_file *file, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t written = write_without_signal(file->descriptor, data, bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            file->error_number = errno;
            return fail_write(file, "write");
        }
        data += written;
        bytes -= (size_t)written;
    }
    return TTM_OK;
}

static ttm_status flush_buffer(ttm_atomic_file *file)
{
    size_t buffered = file->buffered;
    file->buffered = 0;
    return write_through(file, file->buffer, buffered);
}

ttm_status ttm_atomic_file_write(ttm_atomic_file *file, const void *data, size_t bytes)
{
    if (file == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no file is being written (NULL)");
    }
    if (file->error_number != 0) {
        return fail_write(file, "write");
    }
    file->size += bytes;
    if (bytes > BUFFER_BYTES - file->buffered) {
        TTM_TRY(flush_buffer(file));
    }
    if (bytes >= BUFFER_BYTES) {
        return write_through(file, data, bytes);
    }
    if (bytes > 0) {
        memcpy(file->buffer + file->buffered, data, bytes);
    }
    file->buffered += bytes;
    return TTM_OK;
}

uint64_t ttm_atomic_file_size(const ttm_atomic_file *file)
{
    return file->size;
}

/** Syncs and renames. The descriptor stays open, and with it the lock that keeps the temporary file
 * ours, until the rename is done; what close() could still report, a full disk on NFS, fsync has
 * reported by then. */
static ttm_status put_in_place(ttm_atomic_file *file)
{
    if (file->error_number != 0) {
        return fail_write(file, "write");
    }
    TTM_TRY(flush_buffer(file));
    if (fsync(file->descriptor) != 0) {
        file->error_number = errno;
        return fail_write(file, "sync");
    }
    if (rename(file->temporary, file->parts.path) != 0) {
        file->error_number = errno;
        return fail_write(file, "rename the finished file to");
    }
    free(file->temporary);
    file->temporary = NULL;
    return ttm_folder_sync(file->parts.folder);
}

ttm_status ttm_atomic_file_commit(ttm_atomic_file **file)
{
    if (*file == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no file is being written (NULL)");
    }
    ttm_status status = put_in_place(*file);
    ttm_atomic_file_abort(file);
    return status;
}

void ttm_atomic_file_abort(ttm_atomic_file **file)
{
    if (*file == NULL) {
        return;
    }
    if ((*file)->temporary != NULL) {
        unlink((*file)->temporary);
        free((*file)->temporary);
    }
    if ((*file)->descriptor >= 0) {
        close((*file)->descriptor);
    }
    ttm_path_parts_free(&(*file)->parts);
    free(*file);
    *file = NULL;
}

ttm_status ttm_atomic_file_save(const char *path, const void *data, size_t bytes)
{
    ttm_atomic_file *file = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_atomic_file_begin(&file, path));
    TTM_TRY_OUT(ttm_atomic_file_write(file, data, bytes));
    TTM_TRY_OUT(ttm_atomic_file_commit(&file));
out:
    ttm_atomic_file_abort(&file);
    return status;
}
