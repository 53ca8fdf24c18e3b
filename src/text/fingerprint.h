/* A 128-bit fingerprint of a stream of bytes, to tell whether two vocabularies or datasets are the
 * same.
 *
 * It is a hash for telling honest things apart, not a cryptographic one. Its value is written into
 * results, so it must never change: it depends on the bytes only, not on how they were cut into
 * calls nor on the machine's byte order. */
#ifndef TTM_TEXT_FINGERPRINT_H
#define TTM_TEXT_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

/** Enough for 32 hexadecimal digits and a NUL. */
#define TTM_FINGERPRINT_TEXT_BYTES 33

typedef struct ttm_fingerprint {
    uint64_t first;
    uint64_t second;
    uint64_t length;
    unsigned char pending[16]; /**< The last length mod 16 bytes. */
} ttm_fingerprint;

/** Begins the fingerprint of an empty stream. */
void ttm_fingerprint_begin(ttm_fingerprint *fingerprint);

/** Appends `bytes` bytes to the stream. */
void ttm_fingerprint_add(ttm_fingerprint *fingerprint, const void *data, size_t bytes);

/** Appends a number as 8 bytes, least significant first. */
void ttm_fingerprint_add_number(ttm_fingerprint *fingerprint, uint64_t number);

/** Writes the fingerprint of the stream so far as 32 lower-case hexadecimal digits. */
void ttm_fingerprint_text(const ttm_fingerprint *fingerprint,
                          char text[TTM_FINGERPRINT_TEXT_BYTES]);

#endif
