/* XXH64: four lanes of multiply and rotate over 32-byte stripes, then the tail, then an avalanche.
 */
#include "io/content_hash.h"

#include <endian.h>
#include <string.h>

#define PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME_3 UINT64_C(0x165667B19E3779F9)
#define PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME_5 UINT64_C(0x27D4EB2F165667C5)

enum { STRIPE_BYTES = 32 };

static uint64_t rotate_left(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t load_uint64(const unsigned char *at)
{
    uint64_t value = 0;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint64_t mix(uint64_t lane, uint64_t input)
{
    return rotate_left(lane + input * PRIME_2, 31) * PRIME_1;
}

static void add_stripes(uint64_t lanes[4], const unsigned char *data, size_t stripes)
{
    uint64_t lane0 = lanes[0];
    uint64_t lane1 = lanes[1];
    uint64_t lane2 = lanes[2];
    uint64_t lane3 = lanes[3];
    for (; stripes > 0; stripes--, data += STRIPE_BYTES) {
        lane0 = mix(lane0, load_uint64(data));
        lane1 = mix(lane1, load_uint64(data + 8));
        lane2 = mix(lane2, load_uint64(data + 16));
        lane3 = mix(lane3, load_uint64(data + 24));
    }
    lanes[0] = lane0;
    lanes[1] = lane1;
    lanes[2] = lane2;
    lanes[3] = lane3;
}

void ttm_content_hash_begin(ttm_content_hash *hash, uint64_t seed)
{
    *hash = (ttm_content_hash){
        .lanes = {seed + PRIME_1 + PRIME_2, seed + PRIME_2, seed, seed - PRIME_1}};
}

void ttm_content_hash_add(ttm_content_hash *hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    size_t pending = hash->total_bytes % STRIPE_BYTES;
    hash->total_bytes += bytes;
    if (bytes == 0) {
        return;
    }
    if (pending > 0) {
        size_t wanted = STRIPE_BYTES - pending;
        size_t taken = bytes < wanted ? bytes : wanted;
        memcpy(hash->pending + pending, at, taken);
        at += taken;
        bytes -= taken;
        if (taken < wanted) {
            return;
        }
        add_stripes(hash->lanes, hash->pending, 1);
    }
    add_stripes(hash->lanes, at, bytes / STRIPE_BYTES);
    memcpy(hash->pending, at + bytes / STRIPE_BYTES * STRIPE_BYTES, bytes % STRIPE_BYTES);
}

void ttm_content_hash_add_uint64(ttm_content_hash *hash, uint64_t value)
{
    uint64_t little_endian = htole64(value);
    ttm_content_hash_add(hash, &little_endian, sizeof little_endian);
}

/** Joins the lanes; short inputs never filled them. */
static uint64_t converge(const ttm_content_hash *hash)
{
    if (hash->total_bytes < STRIPE_BYTES) {
        return hash->lanes[2] + PRIME_5; /* lane 2 starts as the seed */
    }
    uint64_t value = rotate_left(hash->lanes[0], 1) + rotate_left(hash->lanes[1], 7) +
                     rotate_left(hash->lanes[2], 12) + rotate_left(hash->lanes[3], 18);
    for (int lane = 0; lane < 4; lane++) {
        value = (value ^ mix(0, hash->lanes[lane])) * PRIME_1 + PRIME_4;
    }
    return value;
}

uint64_t ttm_content_hash_value(const ttm_content_hash *hash)
{
    uint64_t value = converge(hash) + hash->total_bytes;
    const unsigned char *at = hash->pending;
    size_t left = hash->total_bytes % STRIPE_BYTES;
    for (; left >= 8; left -= 8, at += 8) {
        value = rotate_left(value ^ mix(0, load_uint64(at)), 27) * PRIME_1 + PRIME_4;
    }
    if (left >= 4) {
        uint32_t word = 0;
        memcpy(&word, at, sizeof word);
        value = rotate_left(value ^ le32toh(word) * PRIME_1, 23) * PRIME_2 + PRIME_3;
        left -= 4;
        at += 4;
    }
    for (; left > 0; left--, at++) {
        value = rotate_left(value ^ *at * PRIME_5, 11) * PRIME_1;
    }
    value = (value ^ value >> 33) * PRIME_2;
    value = (value ^ value >> 29) * PRIME_3;
    return value ^ value >> 32;
}
