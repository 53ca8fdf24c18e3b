/* Dropout masks: Philox4x32-10 (ttm/random.h) on as many blocks at once as a vector holds. */
#ifndef TTM_CPU_KERNELS_PHILOX_H
#define TTM_CPU_KERNELS_PHILOX_H

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/simd.h"
#include "cpu/kernels/transpose.h"

#include <ttm/random.h>

/** Elements of a mask that are drawn at once. */
#define KEEP_COUNT 256
/** Philox blocks that cover KEEP_COUNT words from any start, in whole vectors. */
#define KEEP_BLOCKS ((KEEP_COUNT / 4 + 1 + LANES - 1) / LANES * LANES)

/** *low, *high = the halves of the 64-bit products of 32-bit lanes with `factor`. */
ALWAYS_INLINE void multiply_wide(vector_uint *low, vector_uint *high, vector_uint x,
                                 uint32_t factor)
{
#if defined(__AVX512F__)
    const __m512i f = _mm512_set1_epi64((long long)factor);
    const __m512i even = _mm512_mul_epu32((__m512i)x, f);
    const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64((__m512i)x, 32), f);
    *low = (vector_uint)_mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32));
    *high = (vector_uint)_mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xaaaa, odd);
#elif defined(__AVX2__)
    const __m256i f = _mm256_set1_epi64x((long long)factor);
    const __m256i even = _mm256_mul_epu32((__m256i)x, f);
    const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64((__m256i)x, 32), f);
    *low = (vector_uint)_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
    *high = (vector_uint)_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
#else
    for (int lane = 0; lane < LANES; lane++) {
        const uint64_t product = (uint64_t)factor * x[lane];
        (*low)[lane] = (uint32_t)product;
        (*high)[lane] = (uint32_t)(product >> 32);
    }
#endif
}

/** word[j], lane i = word j of block first + i. */
ALWAYS_INLINE void philox_vector(vector_uint word[4], uint64_t seed, uint64_t first)
{
    uint32_t key0 = (uint32_t)seed;
    uint32_t key1 = (uint32_t)(seed >> 32);
    uint32_t number[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        number[lane] = lane;
    }
    memcpy(&word[0], number, sizeof number);
    word[0] += (uint32_t)first;
    word[1] = (uint32_t)(first >> 32) - (vector_uint)(word[0] < (uint32_t)first); /* the carry */
    word[2] = (vector_uint){0};
    word[3] = (vector_uint){0};
    for (int round = 0; round < 10; round++) {
        vector_uint low0;
        vector_uint high0;
        vector_uint low1;
        vector_uint high1;
        multiply_wide(&low0, &high0, word[0], 0xD2511F53u);
        multiply_wide(&low1, &high1, word[2], 0xCD9E8D57u);
        word[0] = high1 ^ word[1] ^ key0;
        word[1] = low1;
        word[2] = high0 ^ word[3] ^ key1;
        word[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

/** words[4·i + j] = word j of block first + i, for at least `blocks` blocks. */
ALWAYS_INLINE void philox_blocks(uint32_t *words, uint64_t seed, uint64_t first, size_t blocks)
{
    for (size_t start = 0; start < blocks; start += LANES) {
        vector_uint word[4];
        philox_vector(word, seed, first + start);
        const vector even_low = INTERLEAVE_LOW((vector)word[0], (vector)word[2]);
        const vector even_high = INTERLEAVE_HIGH((vector)word[0], (vector)word[2]);
        const vector odd_low = INTERLEAVE_LOW((vector)word[1], (vector)word[3]);
        const vector odd_high = INTERLEAVE_HIGH((vector)word[1], (vector)word[3]);
        float *target = (float *)(void *)(words + 4 * start);
        vector_store(target, INTERLEAVE_LOW(even_low, odd_low));
        vector_store(target + LANES, INTERLEAVE_HIGH(even_low, odd_low));
        vector_store(target + 2 * (ptrdiff_t)LANES, INTERLEAVE_LOW(even_high, odd_high));
        vector_store(target + 3 * (ptrdiff_t)LANES, INTERLEAVE_HIGH(even_high, odd_high));
    }
}

/** keep[i] = the factor of element `number` + i: 0 where it is dropped, else rule->scale.
 * count ≤ KEEP_COUNT. */
static inline void dropout_keep(float *keep, const ttm_cpu_dropout *rule, uint64_t number,
                                size_t count)
{
    uint32_t words[4 * KEEP_BLOCKS];
    const size_t skip = (size_t)(number % 4);
    philox_blocks(words, rule->seed, number / 4, (skip + count + 3) / 4);
    /* Below 2^32 the threshold fits a word; at 2^32 nothing is kept. */
    const uint32_t threshold = (uint32_t)rule->threshold;
    const float scale = rule->threshold >> 32 != 0 ? 0.0F : rule->scale;
    for (size_t i = 0; i < count; i++) {
        keep[i] = words[skip + i] >= threshold ? scale : 0.0F;
    }
}

#endif
