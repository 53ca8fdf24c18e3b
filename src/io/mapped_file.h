/* Whole regular files, memory-mapped for reading.
 *
 * The one thing to know: the mapping is only as long as the file. When another program truncates
 * the file while it is mapped, touching the lost pages raises SIGBUS, which no library can turn
 * into an error. Files that are written by renaming (io/atomic_file.h) are never truncated in
 * place. Where a file may shrink, ttm_mapped_file_read_at reads through the descriptor and reports
 * a short file as an error instead. */
#ifndef TTM_IO_MAPPED_FILE_H
#define TTM_IO_MAPPED_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** A mapped file. Zeroed means closed. Read-only for callers; many threads may read it at once. */
typedef struct ttm_mapped_file {
    char *path;                /**< As given when opened; NULL when closed. */
    const unsigned char *data; /**< The bytes; never NULL while open, also for an empty file. */
    void *mapping;             /**< What to unmap; NULL for an empty file. */
    size_t size;               /**< Length in bytes when it was opened. */
    int descriptor;            /**< Kept open for ttm_mapped_file_read_at. */
} ttm_mapped_file;

/** How the bytes will be touched; the kernel reads ahead accordingly. */
typedef enum ttm_file_access {
    TTM_FILE_ACCESS_NORMAL,
    TTM_FILE_ACCESS_SEQUENTIAL, /**< Front to back, once. */
    TTM_FILE_ACCESS_RANDOM      /**< Short pieces from anywhere. */
} ttm_file_access;

/** Maps the regular file `path`. An empty file is allowed and has size 0. Folders, pipes and
 * devices are refused with TTM_ERROR_IO, a missing file is TTM_ERROR_NOT_FOUND. After failure *file
 * is closed; after success the caller closes. */
TTM_CHECKED ttm_status ttm_mapped_file_open(ttm_mapped_file *file, const char *path);

/** Tells the kernel how the file will be read. A hint: it can't fail. */
void ttm_mapped_file_advise(const ttm_mapped_file *file, ttm_file_access access);

/** Copies `bytes` bytes from `offset` into `out` by reading, not through the mapping: a file that
 * shrank since it was opened gives TTM_ERROR_IO instead of SIGBUS. TTM_ERROR_ARGUMENT when the
 * range exceeds the size at opening. */
TTM_CHECKED ttm_status ttm_mapped_file_read_at(const ttm_mapped_file *file, void *out,
                                               uint64_t offset, size_t bytes);

/** Unmaps and closes. A closed (or zeroed) file is left as it is. */
void ttm_mapped_file_close(ttm_mapped_file *file);

/** Reads the whole regular file `path` into new memory: *out has `*bytes` bytes and a NUL after
 * them; the caller frees with free(). A file longer than `max_bytes` is TTM_ERROR_FORMAT. For small
 * files such as config.json. */
TTM_CHECKED ttm_status ttm_file_read(char **out, size_t *bytes, const char *path, size_t max_bytes);

#endif
