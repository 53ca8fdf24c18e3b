/* Private files: trusted only when they are the user's own, replaced in one rename. */
#include "opencl/private_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 2400 };

int opencl_cache_folder(char *folder, size_t folder_bytes)
{
    const char *cache = secure_getenv("XDG_CACHE_HOME");
    const char *home = secure_getenv("HOME");
    int length = -1;
    if (cache != NULL && cache[0] == '/') {
        length = snprintf(folder, folder_bytes, "%s/ttm", cache);
    } else if (home != NULL && home[0] == '/') {
        length = snprintf(folder, folder_bytes, "%s/.cache/ttm", home);
    }
    return length > 0 && (size_t)length < folder_bytes;
}

int opencl_private_folder(const char *folder)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return 0;
    }
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int failed = mkdir(path, 0700) != 0 && errno != EEXIST;
        *slash = '/';
        if (failed) {
            return 0;
        }
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static int read_all(int file, unsigned char *place, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t got = read(file, place, bytes);
        if (got == 0) {
            errno = EIO; /* it has become shorter */
        }
        if (got <= 0) {
            if (got < 0 && errno == EINTR) {
                continue;
            }
            return 0;
        }
        place += got;
        bytes -= (size_t)got;
    }
    return 1;
}

static int write_all(int file, const unsigned char *place, size_t bytes)
{
    while (bytes > 0) {
        const ssize_t put = write(file, place, bytes);
        if (put < 0) {
            if (errno == EINTR) {
                continue;
            }
            return 0;
        }
        place += put;
        bytes -= (size_t)put;
    }
    return 1;
}

/* *bytes = the size of a file that is the user's own; 0 with errno otherwise. */
static int check_file(size_t *bytes, int file, size_t most_bytes)
{
    struct stat information;
    if (fstat(file, &information) != 0) {
        return 0;
    }
    if (!S_ISREG(information.st_mode) || information.st_uid != geteuid() ||
        (information.st_mode & 022) != 0) {
        errno = EPERM;
        return 0;
    }
    if (information.st_size < 0 || (unsigned long long)information.st_size > most_bytes) {
        errno = EFBIG;
        return 0;
    }
    *bytes = (size_t)information.st_size;
    return 1;
}

unsigned char *opencl_private_read(size_t *bytes, const char *path, size_t most_bytes)
{
    unsigned char *content = NULL;
    /* Nobody waits for who may write to a pipe that was put there. */
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0) {
        return NULL;
    }
    if (check_file(bytes, file, most_bytes)) {
        content = malloc(*bytes + 1);
    }
    if (content != NULL && !read_all(file, content, *bytes)) {
        free(content);
        content = NULL;
    }
    const int error = errno;
    close(file);
    errno = error;
    if (content != NULL) {
        content[*bytes] = '\0';
    }
    return content;
}

int opencl_private_write(const char *path, const void *const *parts, const size_t *part_bytes,
                         size_t part_count)
{
    char temporary[PATH_ROOM];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary) {
        errno = ENAMETOOLONG;
        return 0;
    }
    const int file = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (file < 0) {
        return 0;
    }
    int written = 1;
    for (size_t k = 0; k < part_count && written; k++) {
        written = write_all(file, parts[k], part_bytes[k]);
    }
    written = written && fsync(file) == 0;
    written = close(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        const int error = errno;
        unlink(temporary);
        errno = error;
        return 0;
    }
    return 1;
}
