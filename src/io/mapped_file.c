/* Opens, checks, maps and reads whole regular files. */
#include "io/mapped_file.h"

#include "core/array.h"
#include "core/error.h"
#include "io/io_error.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* mmap refuses length 0, and callers should not have to treat an empty file apart. */
static const unsigned char empty_file[1];

/** Says what the thing at `path` is when it isn't a regular file. */
static ttm_status refuse_irregular(const char *path, mode_t mode)
{
    if (S_ISDIR(mode)) {
        return ttm_fail(TTM_ERROR_IO, "cannot read '%s': it is a folder; give the name of a file",
                        path);
    }
    const char *kind = S_ISFIFO(mode) ? "a pipe" : S_ISSOCK(mode) ? "a socket" : "a device";
    return ttm_fail(TTM_ERROR_IO,
                    "cannot read '%s': it is %s; only regular files can be mapped, so save its "
                    "contents to a file first",
                    path, kind);
}

/** Opens a regular file for reading and finds its size. */
static ttm_status open_regular(int *descriptor, size_t *size, const char *path)
{
    *descriptor = -1;
    /* O_NONBLOCK: opening a pipe nobody writes to would wait for ever. */
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (opened < 0) {
        return ttm_io_fail("open", path, errno);
    }
    struct stat information;
    ttm_status status = TTM_OK;
    if (fstat(opened, &information) != 0) {
        status = ttm_io_fail("inspect", path, errno);
    } else if (!S_ISREG(information.st_mode)) {
        status = refuse_irregular(path, information.st_mode);
    } else if ((uint64_t)information.st_size > (uint64_t)PTRDIFF_MAX) {
        status = ttm_fail(TTM_ERROR_IO, "cannot map '%s': its %lld bytes exceed the address space",
                          path, (long long)information.st_size);
    }
    if (status != TTM_OK) {
        close(opened);
        return status;
    }
    *descriptor = opened;
    *size = (size_t)information.st_size;
    return TTM_OK;
}

/** Reads exactly `bytes` bytes at `offset`. */
static ttm_status read_exactly(int descriptor, const char *path, void *out, uint64_t offset,
                               size_t bytes)
{
    unsigned char *destination = out;
    size_t done = 0;
    while (done < bytes) {
        ssize_t got = pread(descriptor, destination + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return ttm_io_fail("read", path, errno);
        }
        if (got == 0) {
            return ttm_fail(TTM_ERROR_IO,
                            "cannot read '%s': it ended at byte %llu of the %llu wanted; it was "
                            "shortened while in use",
                            path, (unsigned long long)offset + done,
                            (unsigned long long)offset + bytes);
        }
        done += (size_t)got;
    }
    return TTM_OK;
}

ttm_status ttm_mapped_file_open(ttm_mapped_file *file, const char *path)
{
    *file = (ttm_mapped_file){.descriptor = -1};
    if (path == NULL || path[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no file name given (it is empty)");
    }
    TTM_TRY(open_regular(&file->descriptor, &file->size, path));
    ttm_status status = TTM_OK;
    file->path = strdup(path);
    if (file->path == NULL) {
        status = ttm_io_fail("open", path, ENOMEM);
        goto out;
    }
    file->data = empty_file;
    if (file->size > 0) {
        file->mapping = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->descriptor, 0);
        if (file->mapping == MAP_FAILED) {
            status = ttm_io_fail("map", path, errno);
            goto out;
        }
        file->data = file->mapping;
    }
out:
    if (status != TTM_OK) {
        close(file->descriptor);
        free(file->path);
        *file = (ttm_mapped_file){.descriptor = -1};
    }
    return status;
}

void ttm_mapped_file_advise(const ttm_mapped_file *file, ttm_file_access access)
{
    if (file->mapping == NULL) {
        return;
    }
    int advice = MADV_NORMAL;
    if (access == TTM_FILE_ACCESS_SEQUENTIAL) {
        advice = MADV_SEQUENTIAL;
    } else if (access == TTM_FILE_ACCESS_RANDOM) {
        advice = MADV_RANDOM;
    }
    (void)madvise(file->mapping, file->size, advice);
}

ttm_status ttm_mapped_file_read_at(const ttm_mapped_file *file, void *out, uint64_t offset,
                                   size_t bytes)
{
    if (offset > file->size || bytes > file->size - offset) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "cannot read %zu bytes at %llu of '%s': the file has %zu bytes", bytes,
                        (unsigned long long)offset, file->path == NULL ? "(closed)" : file->path,
                        file->size);
    }
    return read_exactly(file->descriptor, file->path, out, offset, bytes);
}

void ttm_mapped_file_close(ttm_mapped_file *file)
{
    if (file->path == NULL) {
        return;
    }
    if (file->mapping != NULL) {
        munmap(file->mapping, file->size);
    }
    close(file->descriptor);
    free(file->path);
    *file = (ttm_mapped_file){.descriptor = -1};
}

ttm_status ttm_file_read(char **out, size_t *bytes, const char *path, size_t max_bytes)
{
    *out = NULL;
    *bytes = 0;
    if (path == NULL || path[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no file name given (it is empty)");
    }
    int descriptor = -1;
    size_t size = 0;
    char *contents = NULL;
    TTM_TRY(open_regular(&descriptor, &size, path));
    ttm_status status = TTM_OK;
    if (size > max_bytes) {
        status = ttm_fail(TTM_ERROR_FORMAT,
                          "'%s' has %zu bytes, more than the %zu such a file may have; is it the "
                          "right file?",
                          path, size, max_bytes);
        goto out;
    }
    TTM_TRY_OUT(ttm_array_new(&contents, size + 1, 1, path));
    TTM_TRY_OUT(read_exactly(descriptor, path, contents, 0, size));
    *out = contents;
    *bytes = size;
    contents = NULL;
out:
    free(contents);
    close(descriptor);
    return status;
}
