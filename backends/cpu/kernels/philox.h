/* Dropout masks: Philox4x32-10 (ttm/random.h) on as many blocks at once as a vector holds. */
#ifndef TTM_CPU_KERNELS_PHILOX_H
#define TTM_CPU_KERNELS_PHILOX_H

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/simd.h"

#include <ttm/random.h>

/** Elements of a mask that are drawn at once. */
#define KEEP_COUNT 256
/** Philox blocks that cover KEEP_COUNT words from any start. */
#define KEEP_BLOCKS (KEEP_COUNT / 4 + 1)

/** words[4·i + j] = word j of block first + i. The rounds are plain loops over blocks: the compiler
 * makes vectors of them. */
ALWAYS_INLINE void philox_blocks(uint32_t *words, uint64_t seed, uint64_t first, size_t blocks)
{
    uint32_t c0[KEEP_BLOCKS];
    uint32_t c1[KEEP_BLOCKS];
    uint32_t c2[KEEP_BLOCKS];
    uint32_t c3[KEEP_BLOCKS];
    for (size_t i = 0; i < blocks; i++) {
        c0[i] = (uint32_t)(first + i);
        c1[i] = (uint32_t)((first + i) >> 32);
        c2[i] = 0;
        c3[i] = 0;
    }
    uint32_t key0 = (uint32_t)seed;
    uint32_t key1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < blocks; i++) {
            const uint64_t product0 = (uint64_t)0xD2511F53u * c0[i];
            const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(product1 >> 32) ^ c1[i] ^ key0;
            c1[i] = (uint32_t)product1;
            c2[i] = (uint32_t)(product0 >> 32) ^ c3[i] ^ key1;
            c3[i] = (uint32_t)product0;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (size_t i = 0; i < blocks; i++) {
        words[4 * i] = c0[i];
        words[4 * i + 1] = c1[i];
        words[4 * i + 2] = c2[i];
        words[4 * i + 3] = c3[i];
    }
}

/** keep[i] = the factor of element `element` + i: 0 where it is dropped, else rule->scale.
 * count ≤ KEEP_COUNT. */
static inline void dropout_keep(float *keep, const ttm_cpu_dropout *rule, uint64_t element,
                                size_t count)
{
    uint32_t words[4 * KEEP_BLOCKS];
    const size_t skip = (size_t)(element % 4);
    philox_blocks(words, rule->seed, element / 4, (skip + count + 3) / 4);
    for (size_t i = 0; i < count; i++) {
        keep[i] = words[skip + i] >= rule->threshold ? rule->scale : 0.0F;
    }
}

#endif
