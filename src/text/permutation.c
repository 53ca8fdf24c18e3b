/* A Feistel network permutes the numbers of 2h bits, where 2^2h ≥ count is as small as that goes. A
 * result that isn't below `count` is put in again until one is (Black and Rogaway's cycle walking),
 * which keeps it one-to-one and takes fewer than four rounds on average. */
#include "text/permutation.h"

enum { ROUNDS = 6 };

uint64_t ttm_scramble(uint64_t number)
{
    /* The finaliser of SplitMix64 (Steele, Lea and Flood, 2014). */
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static uint64_t feistel(uint64_t number, unsigned half_bits, uint64_t key)
{
    uint64_t mask = (UINT64_C(1) << half_bits) - 1;
    uint64_t left = number >> half_bits;
    uint64_t right = number & mask;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t swapped = left ^ (ttm_scramble(right ^ ttm_scramble(key + round)) & mask);
        left = right;
        right = swapped;
    }
    return left << half_bits | right;
}

uint64_t ttm_permute(uint64_t index, uint64_t count, uint64_t key)
{
    unsigned half_bits = 1;
    while (half_bits < 32 && UINT64_C(1) << (2 * half_bits) < count) {
        half_bits++;
    }
    do {
        index = feistel(index, half_bits, key);
    } while (index >= count);
    return index;
}
