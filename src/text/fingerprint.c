/* Two 64-bit lanes. Every step is invertible, so that no input can make a lane forget what came
 * before. */
#include "text/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_BYTES = 16 };

/* Odd numbers without pattern: the first 64 bits of the fractional parts of the square roots of 2,
 * 3, 5 and 7, last bit set. */
static const uint64_t multipliers[4] = {UINT64_C(0x6a09e667f3bcc909), UINT64_C(0xbb67ae8584caa73b),
                                        UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1)};

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t load(const unsigned char *bytes)
{
    uint64_t value = 0;
    memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

static void add_block(ttm_fingerprint *fingerprint, const unsigned char *block)
{
    uint64_t first = fingerprint->first ^ load(block) * multipliers[0];
    first = rotate(first, 29) * multipliers[1] + fingerprint->second;
    uint64_t second = fingerprint->second ^ load(block + 8) * multipliers[2];
    second = rotate(second, 31) * multipliers[3] + first;
    fingerprint->first = first;
    fingerprint->second = second;
}

static uint64_t scramble(uint64_t value)
{
    value = (value ^ value >> 32) * multipliers[1];
    value = (value ^ value >> 29) * multipliers[3];
    return value ^ value >> 32;
}

void ttm_fingerprint_begin(ttm_fingerprint *fingerprint)
{
    *fingerprint = (ttm_fingerprint){.first = multipliers[2], .second = multipliers[0]};
}

void ttm_fingerprint_add(ttm_fingerprint *fingerprint, const void *data, size_t bytes)
{
    const unsigned char *next = data;
    size_t pending = (size_t)(fingerprint->length % BLOCK_BYTES);
    fingerprint->length += bytes;
    if (pending > 0) {
        size_t taken = bytes < BLOCK_BYTES - pending ? bytes : BLOCK_BYTES - pending;
        memcpy(fingerprint->pending + pending, next, taken);
        if (pending + taken < BLOCK_BYTES) {
            return;
        }
        add_block(fingerprint, fingerprint->pending);
        next += taken;
        bytes -= taken;
    }
    for (; bytes >= BLOCK_BYTES; next += BLOCK_BYTES, bytes -= BLOCK_BYTES) {
        add_block(fingerprint, next);
    }
    if (bytes > 0) {
        memcpy(fingerprint->pending, next, bytes);
    }
}

void ttm_fingerprint_add_number(ttm_fingerprint *fingerprint, uint64_t number)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)(number >> (8 * i));
    }
    ttm_fingerprint_add(fingerprint, bytes, sizeof bytes);
}

void ttm_fingerprint_text(const ttm_fingerprint *fingerprint, char text[TTM_FINGERPRINT_TEXT_BYTES])
{
    ttm_fingerprint end = *fingerprint;
    size_t pending = (size_t)(end.length % BLOCK_BYTES);
    memset(end.pending + pending, 0, BLOCK_BYTES - pending);
    add_block(&end, end.pending);
    end.first ^= end.length;
    end.second += scramble(end.first);
    end.first += scramble(end.second);
    end.second = scramble(end.second);
    end.first = scramble(end.first);
    snprintf(text, TTM_FINGERPRINT_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64, end.first, end.second);
}
