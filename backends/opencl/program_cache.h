/* Built programs on disk: one file each in $XDG_CACHE_HOME/ttm or ~/.cache/ttm, readable by their
 * owner only, written under a temporary name and renamed. An entry that is damaged or of another
 * driver is ignored and written anew; a folder that can't be written to costs one log line. */
#ifndef TTM_OPENCL_PROGRAM_CACHE_H
#define TTM_OPENCL_PROGRAM_CACHE_H

#include <stddef.h>
#include <stdint.h>

/** What a binary depends on: 128 bits over source, options, device, driver and platform. */
typedef struct opencl_cache_key {
    uint64_t words[2];
} opencl_cache_key;

/** Starts a key. */
opencl_cache_key opencl_cache_key_start(void);

/** Adds a text, including its end. */
void opencl_cache_key_add(opencl_cache_key *key, const char *text);

/** Returns the cached binary and its size, or NULL. The caller frees it. */
unsigned char *opencl_cache_read(size_t *bytes, const opencl_cache_key *key);

/** Writes a binary. Failure is logged once a process, and otherwise harmless. */
void opencl_cache_write(const opencl_cache_key *key, const unsigned char *binary, size_t bytes);

/** Removes an entry that turned out to be unusable. */
void opencl_cache_remove(const opencl_cache_key *key);

#endif
