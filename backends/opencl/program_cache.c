/* Files of the program cache.
 *
 * An entry is a header (magic, format version, key, length, checksum) and the binary. The checksum
 * finds truncated and overwritten entries; it is no defence against somebody who can write to the
 * folder, which is why the folder is private to its owner. */
#include "opencl/program_cache.h"

#include "opencl/private_file.h"
#include "opencl/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
                   "built programs aren't kept: %s '%s': %s; the next start will compile "
                   "them again",
                   what, folder, strerror(errno));
    }
}

static int find_file(char *path, size_t path_bytes, const opencl_cache_key *key)
{
    char folder[2048];
    if (!opencl_cache_folder(folder, sizeof folder)) {
        return 0;
    }
    const int length = snprintf(path, path_bytes, "%s/%016" PRIx64 "%016" PRIx64 ".clbin", folder,
                                key->words[0], key->words[1]);
    return length > 0 && (size_t)length < path_bytes;
}

unsigned char *opencl_cache_read(size_t *bytes, const opencl_cache_key *key)
{
    char path[2304];
    entry_header header;
    size_t file_bytes = 0;
    if (!find_file(path, sizeof path, key)) {
        return NULL;
    }
    errno = 0;
    unsigned char *entry = opencl_private_read(&file_bytes, path, MAX_BINARY_BYTES + sizeof header);
    if (entry == NULL && errno == ENOENT) {
        return NULL;
    }
    if (entry != NULL && file_bytes > sizeof header) {
        memcpy(&header, entry, sizeof header);
        unsigned char *binary = entry + sizeof header;
        const size_t binary_bytes = file_bytes - sizeof header;
        if (memcmp(header.magic, magic, sizeof magic) == 0 && header.key[0] == key->words[0] &&
            header.key[1] == key->words[1] && header.bytes == binary_bytes &&
            hash_bytes(0, binary, binary_bytes) == header.checksum) {
            memmove(entry, binary, binary_bytes);
            *bytes = binary_bytes;
            return entry;
        }
    }
    free(entry);
    opencl_log(TTM_LOG_INFO, "a damaged or untrusted cache entry is built anew: %s", path);
    return NULL;
}

void opencl_cache_write(const opencl_cache_key *key, const unsigned char *binary, size_t bytes)
{
    char folder[2048];
    char path[2304];
    if (!opencl_cache_folder(folder, sizeof folder) || !find_file(path, sizeof path, key) ||
        bytes > MAX_BINARY_BYTES) {
        return;
    }
    if (!opencl_private_folder(folder)) {
        tell_once(folder, "can't make the folder");
        return;
    }
    entry_header header = {.key = {key->words[0], key->words[1]},
                           .bytes = bytes,
                           .checksum = hash_bytes(0, binary, bytes)};
    memcpy(header.magic, magic, sizeof magic);
    const void *const parts[] = {&header, binary};
    const size_t part_bytes[] = {sizeof header, bytes};
    if (!opencl_private_write(path, parts, part_bytes, 2)) {
        tell_once(folder, "can't write to the folder");
    }
}

void opencl_cache_remove(const opencl_cache_key *key)
{
    char path[2304];
    if (find_file(path, sizeof path, key)) {
        unlink(path);
    }
}
