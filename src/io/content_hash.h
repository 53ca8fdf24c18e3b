/* XXH64 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md), written from its specification: a
 * fast 64-bit hash that finds accidental changes in large data. Not for security. */
#ifndef TTM_IO_CONTENT_HASH_H
#define TTM_IO_CONTENT_HASH_H

#include <stddef.h>
#include <stdint.h>

/** A hash being computed. Start with ttm_content_hash_begin. */
typedef struct ttm_content_hash {
    uint64_t lanes[4];
    uint64_t total_bytes;
    unsigned char
        pending[32]; /**< Input that doesn't fill a stripe yet: total_bytes mod 32 bytes. */
} ttm_content_hash;

void ttm_content_hash_begin(ttm_content_hash *hash, uint64_t seed);

/** Adds bytes; how they are cut into calls doesn't matter. */
void ttm_content_hash_add(ttm_content_hash *hash, const void *data, size_t bytes);

/** Adds an integer as 8 little-endian bytes. */
void ttm_content_hash_add_uint64(ttm_content_hash *hash, uint64_t value);

/** Returns the hash of what was added so far. */
uint64_t ttm_content_hash_value(const ttm_content_hash *hash);

#endif
