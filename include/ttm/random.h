/* Random numbers that are the same on every device: Philox4x32-10, a counter-based generator.
 *
 * Word i of the stream of a seed is a pure function of (seed, i), so that a plugin can draw element
 * i of a dropout mask in any thread and in any order and get what every other plugin gets. This
 * header stands alone (C11, C++17, libm only) because plugins, which link nothing of libttm, need
 * the very same definition.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef TTM_RANDOM_H
#define TTM_RANDOM_H

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A position in the stream of one seed. Copying it forks the stream; saving both numbers resumes
 * it exactly. */
typedef struct ttm_random {
    uint64_t seed;
    uint64_t position; /**< Index of the next 32-bit word. */
} ttm_random;

/** block[0…3] = Philox4x32-10 of the 128-bit `counter` and the 64-bit `key`, both least significant
 * word first. */
static inline void ttm_philox4x32(uint32_t block[4], const uint32_t counter[4],
                                  const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product1;
        c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    block[0] = c0;
    block[1] = c1;
    block[2] = c2;
    block[3] = c3;
}

/** block[0…3] = words 4·block_index … 4·block_index + 3 of the stream of `seed`: key = (low, high
 * word of seed), counter = (low, high word of block_index, 0, 0). */
static inline void ttm_philox_block(uint32_t block[4], uint64_t seed, uint64_t block_index)
{
    const uint32_t counter[4] = {(uint32_t)block_index, (uint32_t)(block_index >> 32), 0u, 0u};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    ttm_philox4x32(block, counter, key);
}

/** Returns word `index` of the stream of `seed`: word index mod 4 of block index / 4. */
static inline uint32_t ttm_philox_u32(uint64_t seed, uint64_t index)
{
    uint32_t block[4];
    ttm_philox_block(block, seed, index / 4);
    return block[index % 4];
}

/** Returns a float in [0, 1) made of the upper 24 bits of a word; every value is exact. */
static inline float ttm_uniform_f32(uint32_t word)
{
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

/** Returns a double in [0, 1) made of 53 bits: the upper 27 of `high` and the upper 26 of `low`. */
static inline double ttm_uniform_f64(uint32_t high, uint32_t low)
{
    return ((double)(high >> 5) * 67108864.0 + (double)(low >> 6)) * (1.0 / 9007199254740992.0);
}

/** Returns uniform float `index` in [0, 1) of the stream of `seed`. (Dropout masks compare all 32
 * bits of a word: see ttm/ops.h.) */
static inline float ttm_philox_uniform(uint64_t seed, uint64_t index)
{
    return ttm_uniform_f32(ttm_philox_u32(seed, index));
}

/** normals[0, 1] = two independent standard normal numbers from one block (Box and Muller 1958):
 * sqrt(−2 ln u)·(cos, sin)(2πv), where 1 − u comes from words 0 and 1, so that u is never 0, and v
 * from words 2, 3. */
static inline void ttm_normal_pair(double normals[2], const uint32_t block[4])
{
    const double radius = sqrt(-2.0 * log(1.0 - ttm_uniform_f64(block[0], block[1])));
    const double angle = 6.283185307179586476925286766559 * ttm_uniform_f64(block[2], block[3]);
    normals[0] = radius * cos(angle);
    normals[1] = radius * sin(angle);
}

/** Returns the next word and moves on by one. */
static inline uint32_t ttm_random_u32(ttm_random *random)
{
    return ttm_philox_u32(random->seed, random->position++);
}

/** Returns the next float in [0, 1) and moves on by one word. */
static inline float ttm_random_uniform_f32(ttm_random *random)
{
    return ttm_uniform_f32(ttm_random_u32(random));
}

/** Returns the next double in [0, 1) and moves on by two words. */
static inline double ttm_random_uniform(ttm_random *random)
{
    const uint32_t high = ttm_random_u32(random);
    const uint32_t low = ttm_random_u32(random);
    return ttm_uniform_f64(high, low);
}

/** Moves on to the next whole block and returns its index; the position is then behind that block.
 */
static inline uint64_t ttm_random_take_block(ttm_random *random)
{
    const uint64_t block_index = random->position / 4 + (random->position % 4 != 0 ? 1u : 0u);
    random->position = (block_index + 1) * 4;
    return block_index;
}

/** Returns the next standard normal number. Takes one whole block; ttm_random_fill_normal in libttm
 * takes half. */
static inline double ttm_random_normal(ttm_random *random)
{
    uint32_t block[4];
    double normals[2];
    ttm_philox_block(block, random->seed, ttm_random_take_block(random));
    ttm_normal_pair(normals, block);
    return normals[0];
}

#ifdef __cplusplus
}
#endif

#endif
