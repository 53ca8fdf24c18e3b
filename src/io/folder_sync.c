/* Paths, temporary names and fsync for io/atomic_file.c and io/atomic_directory.c. */
#include "io/folder_sync.h"

#include "core/error.h"
#include "io/io_error.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

ttm_status ttm_path_split(ttm_path_parts *parts, const char *path)
{
    *parts = (ttm_path_parts){0};
    if (path == NULL || path[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no file name given (it is empty)");
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    const char *slash = memrchr(path, '/', length);
    const char *name = slash == NULL ? path : slash + 1;
    size_t name_length = length - (size_t)(name - path);
    if (name_length == 0 || (name_length == 1 && name[0] == '.') ||
        (name_length == 2 && name[0] == '.' && name[1] == '.')) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "'%s' doesn't end in a name that can be written", path);
    }
    parts->path = strndup(path, length);
    parts->name = strndup(name, name_length);
    if (slash == NULL) {
        parts->folder = strdup(".");
    } else {
        parts->folder = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    }
    if (parts->path == NULL || parts->name == NULL || parts->folder == NULL) {
        ttm_path_parts_free(parts);
        return ttm_io_fail("write", path, ENOMEM);
    }
    return TTM_OK;
}

void ttm_path_parts_free(ttm_path_parts *parts)
{
    free(parts->path);
    free(parts->folder);
    free(parts->name);
    *parts = (ttm_path_parts){0};
}

ttm_status ttm_path_join(char **out, const char *folder, const char *name)
{
    if (asprintf(out, "%s/%s", folder, name) < 0) {
        *out = NULL;
        return ttm_io_fail("name", name, ENOMEM);
    }
    return TTM_OK;
}

ttm_status ttm_temporary_path(char **out, const ttm_path_parts *parts, const char *kind)
{
    static atomic_ulong counter;
    if (asprintf(out, "%s/.%s.ttm-%ld-%lu.%s", parts->folder, parts->name, (long)getpid(),
                 atomic_fetch_add(&counter, 1), kind) < 0) {
        *out = NULL;
        return ttm_io_fail("write", parts->path, ENOMEM);
    }
    return TTM_OK;
}

bool ttm_temporary_matches(long *pid, const char *name, const char *final_name, const char *kind)
{
    size_t length = strlen(final_name);
    if (name[0] != '.' || strncmp(name + 1, final_name, length) != 0 ||
        strncmp(name + 1 + length, ".ttm-", 5) != 0) {
        return false;
    }
    const char *digits = name + 1 + length + 5;
    char *end = NULL;
    if (digits[0] < '0' || digits[0] > '9') {
        return false;
    }
    errno = 0;
    *pid = strtol(digits, &end, 10);
    if (errno != 0 || *end != '-' || end[1] < '0' || end[1] > '9') {
        return false;
    }
    end = end + 1 + strspn(end + 1, "0123456789");
    return *end == '.' && strcmp(end + 1, kind) == 0;
}

bool ttm_temporary_is_abandoned(int descriptor, long pid)
{
    if (pid != (long)getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)) {
        return false;
    }
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        /* A file system without locks leaves only the pid to go by, and our own then says nothing.
         */
        return errno != EWOULDBLOCK && pid != (long)getpid();
    }
    flock(descriptor, LOCK_UN);
    return true;
}

ttm_status ttm_folder_sync(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) {
        return ttm_io_fail("open the folder", path, errno);
    }
    ttm_status status = TTM_OK;
    if (fsync(descriptor) != 0 && errno != EINVAL && errno != ENOTSUP) {
        status = ttm_io_fail("sync the folder", path, errno);
    }
    close(descriptor);
    return status;
}
