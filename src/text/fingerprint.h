/* A 128-bit fingerprint of a stream of bytes, to tell whether two vocabularies or datasets are the
 * same: XXH64 with two seeds. Its value is written into results, so it must never change; it
 * depends on the bytes only, not on how they were cut into calls nor on the machine's byte order.
 */
#ifndef TTM_TEXT_FINGERPRINT_H
#define TTM_TEXT_FINGERPRINT_H

#include "io/content_hash.h"
#include <inttypes.h>
#include <stdio.h>

/** Enough for 32 hexadecimal digits and a NUL. */
#define TTM_FINGERPRINT_TEXT_BYTES 33

typedef struct ttm_fingerprint {
    ttm_content_hash halves[2];
} ttm_fingerprint;

/** Begins the fingerprint of an empty stream. */
static inline void ttm_fingerprint_begin(ttm_fingerprint *fingerprint)
{
    ttm_content_hash_begin(&fingerprint->halves[0], 0);
    ttm_content_hash_begin(&fingerprint->halves[1], 1);
}

/** Appends `bytes` bytes to the stream. */
static inline void ttm_fingerprint_add(ttm_fingerprint *fingerprint, const void *data, size_t bytes)
{
    ttm_content_hash_add(&fingerprint->halves[0], data, bytes);
    ttm_content_hash_add(&fingerprint->halves[1], data, bytes);
}

/** Appends a number as 8 bytes, least significant first. */
static inline void ttm_fingerprint_add_number(ttm_fingerprint *fingerprint, uint64_t number)
{
    ttm_content_hash_add_uint64(&fingerprint->halves[0], number);
    ttm_content_hash_add_uint64(&fingerprint->halves[1], number);
}

/** Writes the fingerprint of the stream so far as 32 lower-case hexadecimal digits. */
static inline void ttm_fingerprint_text(const ttm_fingerprint *fingerprint,
                                        char text[TTM_FINGERPRINT_TEXT_BYTES])
{
    snprintf(text, TTM_FINGERPRINT_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64,
             ttm_content_hash_value(&fingerprint->halves[0]),
             ttm_content_hash_value(&fingerprint->halves[1]));
}

#endif
