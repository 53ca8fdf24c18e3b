/* Files of the program cache.
 *
 * An entry is a header (magic, format version, key, length, checksum) and the binary. The checksum
 * finds truncated and overwritten entries; it is no defence against somebody who can write to the
 * folder, which is why the folder is private to its owner. */
#include "opencl/program_cache.h"

#include "opencl/report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FNV_PRIME        0x100000001b3u
#define MAX_BINARY_BYTES ((size_t)256 << 20)

static const char magic[8] = {'T', 'T', 'M', 'C', 'L', 'P', '0', '1'};

typedef struct entry_header {
    char magic[8];
    uint64_t key[2];
    uint64_t bytes;
    uint64_t checksum;
} entry_header;

static atomic_flag told = ATOMIC_FLAG_INIT;

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ byte[i]) * FNV_PRIME;
    }
    return hash;
}

opencl_cache_key opencl_cache_key_start(void)
{
    return (opencl_cache_key){{0xcbf29ce484222325u, 0x84222325cbf29ce4u}};
}

void opencl_cache_key_add(opencl_cache_key *key, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    key->words[0] = hash_bytes(key->words[0], text, bytes);
    /* The second word sees rotated input, so that the two don't collide together. */
    key->words[1] =
        hash_bytes(key->words[1] ^ (key->words[0] << 17 | key->words[0] >> 47), text, bytes);
}

static void tell_once(const char *folder, const char *what)
{
    if (!atomic_flag_test_and_set(&told)) {
        opencl_log(TTM_LOG_WARNING,
                   "opencl: built programs aren't kept: %s '%s': %s; the next start will compile "
                   "them again",
                   what, folder, strerror(errno));
    }
}

/* Makes the folder and those above it, each private to the user. */
static int make_folder(char *path)
{
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

/* The cache's folder, or 0 where the environment doesn't name one. */
static int find_folder(char *folder, size_t folder_bytes)
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

static int find_file(char *path, size_t path_bytes, const opencl_cache_key *key)
{
    char folder[2048];
    if (!find_folder(folder, sizeof folder)) {
        return 0;
    }
    const int length = snprintf(path, path_bytes, "%s/%016" PRIx64 "%016" PRIx64 ".clbin", folder,
                                key->words[0], key->words[1]);
    return length > 0 && (size_t)length < path_bytes;
}

/* Only files of the user himself are trusted: a binary is code. */
static int is_trusted(int file)
{
    struct stat information;
    return fstat(file, &information) == 0 && S_ISREG(information.st_mode) &&
           information.st_uid == geteuid() && (information.st_mode & 022) == 0;
}

static int read_all(int file, void *target, size_t bytes)
{
    unsigned char *place = target;
    while (bytes > 0) {
        const ssize_t got = read(file, place, bytes);
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

static int write_all(int file, const void *source, size_t bytes)
{
    const unsigned char *place = source;
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

unsigned char *opencl_cache_read(size_t *bytes, const opencl_cache_key *key)
{
    char path[2304];
    entry_header header;
    unsigned char *binary = NULL;
    if (!find_file(path, sizeof path, key)) {
        return NULL;
    }
    const int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        return NULL;
    }
    if (is_trusted(file) && read_all(file, &header, sizeof header) &&
        memcmp(header.magic, magic, sizeof magic) == 0 && header.key[0] == key->words[0] &&
        header.key[1] == key->words[1] && header.bytes > 0 && header.bytes <= MAX_BINARY_BYTES) {
        binary = malloc((size_t)header.bytes);
    }
    if (binary != NULL && (!read_all(file, binary, (size_t)header.bytes) ||
                           hash_bytes(0, binary, (size_t)header.bytes) != header.checksum)) {
        free(binary);
        binary = NULL;
    }
    close(file);
    if (binary == NULL) {
        opencl_log(TTM_LOG_INFO, "opencl: a damaged or untrusted cache entry is built anew: %s",
                   path);
        return NULL;
    }
    *bytes = (size_t)header.bytes;
    return binary;
}

void opencl_cache_write(const opencl_cache_key *key, const unsigned char *binary, size_t bytes)
{
    char folder[2048];
    char path[2304];
    char temporary[2336];
    if (!find_folder(folder, sizeof folder) || !find_file(path, sizeof path, key) ||
        bytes > MAX_BINARY_BYTES) {
        return;
    }
    if (!make_folder(folder)) {
        tell_once(folder, "can't make the folder");
        return;
    }
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    const int file = mkostemp(temporary, O_CLOEXEC); /* mode 0600 */
    if (file < 0) {
        tell_once(folder, "can't write to the folder");
        return;
    }
    entry_header header = {.key = {key->words[0], key->words[1]},
                           .bytes = bytes,
                           .checksum = hash_bytes(0, binary, bytes)};
    memcpy(header.magic, magic, sizeof magic);
    int written = write_all(file, &header, sizeof header) && write_all(file, binary, bytes);
    written = close(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        tell_once(folder, "can't write to the folder");
        unlink(temporary);
    }
}

void opencl_cache_remove(const opencl_cache_key *key)
{
    char path[2304];
    if (find_file(path, sizeof path, key)) {
        unlink(path);
    }
}
