/* Vectors of floats as wide as the instruction set that this file is compiled for.
 *
 * Every kernel source is compiled once per instruction-set level (see meson.build); the compiler's
 * vector extension turns the same lines into SSE, AVX2, AVX-512 or NEON code. Nothing here may be
 * shared between levels at run time, hence everything is static. */
#ifndef TTM_CPU_KERNELS_SIMD_H
#define TTM_CPU_KERNELS_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/** Floats in a vector. */
#define LANES (VECTOR_BYTES / 4)

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t vector_int __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t vector_uint __attribute__((vector_size(VECTOR_BYTES)));
typedef float vector_anywhere __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

/** Names a function that other files of the same level call: KERNEL(gelu) → ttm_cpu_avx512_gelu. */
#define KERNEL_JOIN(level, name) ttm_cpu_##level##_##name
#define KERNEL_NAME(level, name) KERNEL_JOIN(level, name)
#define KERNEL(name)             KERNEL_NAME(TTM_CPU_LEVEL, name)

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/** Brings a line into the caches by reading a byte of it. Unlike this, a prefetch is dropped where
 * the address's translation isn't at hand, and a row further on mostly lies in another page. */
ALWAYS_INLINE void touch(const void *byte)
{
    (void)*(const volatile unsigned char *)byte;
}

ALWAYS_INLINE vector vector_load(const float *source)
{
    return *(const vector_anywhere *)source;
}

ALWAYS_INLINE void vector_store(float *target, vector value)
{
    *(vector_anywhere *)target = value;
}

/** Loads `count` < LANES floats; the other lanes are 0. */
ALWAYS_INLINE vector vector_load_part(const float *source, size_t count)
{
#if defined(__AVX512F__)
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), source);
#else
    vector value = {0};
    memcpy(&value, source, count * sizeof(float));
    return value;
#endif
}

/** Stores the first `count` < LANES floats. */
ALWAYS_INLINE void vector_store_part(float *target, vector value, size_t count)
{
#if defined(__AVX512F__)
    _mm512_mask_storeu_ps(target, (__mmask16)((1u << count) - 1u), value);
#else
    memcpy(target, &value, count * sizeof(float));
#endif
}

/* ---- Elements: what the rows of tensors are stored as. Kernels that move between tensors and
 * vectors of floats are compiled twice, for float and for bf16, under the names TYPED gives. ----
 */

#if defined(TTM_CPU_ELEMENT_BF16)
typedef uint16_t element;
#define TYPED(name) KERNEL(bf16_##name)

ALWAYS_INLINE float element_get(const element *source)
{
    const uint32_t bits = (uint32_t)*source << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

ALWAYS_INLINE vector element_load(const element *source)
{
#if defined(__AVX512F__)
    const __m256i halves = _mm256_loadu_si256((const __m256i *)(const void *)source);
    return (vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
#elif defined(__AVX2__)
    const __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)source);
    return (vector)_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
#elif defined(__aarch64__)
    return (vector)vshll_n_u16(vld1_u16(source), 16);
#else
    vector value;
    for (int lane = 0; lane < LANES; lane++) {
        value[lane] = element_get(source + lane);
    }
    return value;
#endif
}

/** The bits of each lane as bf16 in its lower half: to nearest, ties to even, NaNs stay NaNs. */
ALWAYS_INLINE vector_uint bf16_bits(vector value)
{
    const vector_uint bits = (vector_uint)value;
    const vector_uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const vector_uint quiet = (bits >> 16) | 0x0040u;
    const vector_uint is_nan = (vector_uint)((bits & 0x7fffffffu) > 0x7f800000u);
    return (quiet & is_nan) | (rounded & ~is_nan);
}

#if defined(__AVX512F__)
ALWAYS_INLINE __m256i bf16_halves(vector value)
{
#if defined(__AVX512BF16__)
    return (__m256i)_mm512_cvtneps_pbh(
        value); /* the same, but for subnormal numbers, which are 0 */
#else
    return _mm512_cvtepi32_epi16((__m512i)bf16_bits(value));
#endif
}
#endif

ALWAYS_INLINE void element_store(element *target, vector value)
{
#if defined(__AVX512F__)
    _mm256_storeu_si256((__m256i *)(void *)target, bf16_halves(value));
#elif defined(__AVX2__)
    const vector_uint bits = bf16_bits(value);
    const __m256i packed = _mm256_packus_epi32((__m256i)bits, (__m256i)bits);
    _mm_storeu_si128((__m128i *)(void *)target,
                     _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
#elif defined(__aarch64__)
    vst1_u16(target, vmovn_u32((uint32x4_t)bf16_bits(value)));
#else
    const vector_uint bits = bf16_bits(value);
    for (int lane = 0; lane < LANES; lane++) {
        target[lane] = (element)bits[lane];
    }
#endif
}

ALWAYS_INLINE vector element_load_part(const element *source, size_t count)
{
    element some[LANES] = {0};
    memcpy(some, source, count * sizeof(element));
    return element_load(some);
}

/** Stores the first `count` < LANES elements. */
ALWAYS_INLINE void element_store_part(element *target, vector value, size_t count)
{
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    _mm256_mask_storeu_epi16(target, (__mmask16)((1u << count) - 1u), bf16_halves(value));
#else
    element some[LANES];
    element_store(some, value);
    memcpy(target, some, count * sizeof(element));
#endif
}

ALWAYS_INLINE void element_put(element *target, float value)
{
    element_store_part(target, (vector){value}, 1);
}
#else
typedef float element;
#define TYPED(name) KERNEL(name)

ALWAYS_INLINE float element_get(const element *source)
{
    return *source;
}

ALWAYS_INLINE void element_put(element *target, float value)
{
    *target = value;
}

ALWAYS_INLINE vector element_load(const element *source)
{
    return vector_load(source);
}

ALWAYS_INLINE void element_store(element *target, vector value)
{
    vector_store(target, value);
}

ALWAYS_INLINE vector element_load_part(const element *source, size_t count)
{
    return vector_load_part(source, count);
}

ALWAYS_INLINE void element_store_part(element *target, vector value, size_t count)
{
    vector_store_part(target, value, count);
}
#endif

ALWAYS_INLINE vector vector_of(float value)
{
    return value - (vector){0};
}

/* ---- Words: what a product is computed from, 32 bits each. A word is a float, or with
 * TTM_CPU_PAIRS two bf16 elements that follow each other along the depth, the first in the lower
 * half, as the processor's dot products of pairs want them. PRODUCT names functions that are made
 * of words, TILE is the product of small matrices of them. ---- */

#if defined(TTM_CPU_PAIRS)
#define WORD_ELEMENTS 2
#define PRODUCT(name) KERNEL(pairs_##name)
#define TILE          KERNEL(pairs_tile)

/** The word of an element and the one `step` further, or 0 where `count` is 1. */
ALWAYS_INLINE float word_get(const element *source, ptrdiff_t step, ptrdiff_t count)
{
    const uint32_t bits = source[0] | (count > 1 ? (uint32_t)source[step] << 16 : 0u);
    float word;
    memcpy(&word, &bits, sizeof word);
    return word;
}

/** LANES words along the depth. */
ALWAYS_INLINE vector words_load(const element *source)
{
    return (vector)_mm512_loadu_si512(source); /* at any element, so not at any multiple of 4 */
}

/** Words of `count` < 2·LANES elements along the depth; the rest is 0. */
ALWAYS_INLINE vector words_load_part(const element *source, size_t count)
{
    return (vector)_mm512_maskz_loadu_epi16((__mmask32)((1ull << count) - 1u), source);
}

/** LANES words of neighbouring elements and those `step` further. */
ALWAYS_INLINE vector words_across(const element *source, ptrdiff_t step)
{
    const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)source);
    const __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)(source + step));
    return (vector)_mm512_or_si512(_mm512_cvtepu16_epi32(first),
                                   _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}

/** The same word in all lanes. */
ALWAYS_INLINE vector words_of_one(const void *word)
{
    int32_t bits;
    memcpy(&bits, word, sizeof bits);
    return (vector)_mm512_set1_epi32(bits);
}

/** sum + the products of the words' elements. */
ALWAYS_INLINE vector words_multiply_add(vector sum, vector a, vector b)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/** Stores LANES elements that follow each other along the depth: half as many words. */
ALWAYS_INLINE void words_store_along(float *target, vector elements)
{
    _mm256_storeu_si256((__m256i *)(void *)target, bf16_halves(elements));
}

/** Returns words of which the first elements are of one vector, the second of another. */
ALWAYS_INLINE vector words_of_rows(vector first, vector second)
{
    const __m512i low = _mm512_cvtepu16_epi32(bf16_halves(first));
    const __m512i high = _mm512_cvtepu16_epi32(bf16_halves(second));
    return (vector)_mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}
#else
#define WORD_ELEMENTS 1
#define PRODUCT(name) TYPED(name)
#define TILE          KERNEL(tile)

ALWAYS_INLINE float word_get(const element *source, ptrdiff_t step, ptrdiff_t count)
{
    (void)step;
    (void)count;
    return element_get(source);
}

ALWAYS_INLINE vector words_load(const element *source)
{
    return element_load(source);
}

ALWAYS_INLINE vector words_load_part(const element *source, size_t count)
{
    return element_load_part(source, count);
}

ALWAYS_INLINE vector words_across(const element *source, ptrdiff_t step)
{
    (void)step;
    return element_load(source);
}

ALWAYS_INLINE vector words_of_one(const void *word)
{
    return vector_of(*(const float *)word);
}

ALWAYS_INLINE vector words_multiply_add(vector sum, vector a, vector b)
{
    return sum + a * b;
}
#endif

/** Lane by lane `mask` ? a : b; each lane of the mask is all ones or all zeros. */
ALWAYS_INLINE vector vector_select(vector_int mask, vector a, vector b)
{
    return (vector)((mask & (vector_int)a) | (~mask & (vector_int)b));
}

/** Lane by lane a > b ? a : b, that is b where either is NaN. */
ALWAYS_INLINE vector vector_max(vector a, vector b)
{
#if defined(__AVX512F__)
    return _mm512_max_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_max_ps(a, b);
#elif defined(__SSE__)
    return _mm_max_ps(a, b);
#else
    return vector_select(a > b, a, b);
#endif
}

/** Lane by lane a < b ? a : b, that is b where either is NaN. */
ALWAYS_INLINE vector vector_min(vector a, vector b)
{
#if defined(__AVX512F__)
    return _mm512_min_ps(a, b);
#elif defined(__AVX2__)
    return _mm256_min_ps(a, b);
#elif defined(__SSE__)
    return _mm_min_ps(a, b);
#else
    return vector_select(a < b, a, b);
#endif
}

ALWAYS_INLINE vector vector_sqrt(vector value)
{
#if defined(__AVX512F__)
    return _mm512_sqrt_ps(value);
#elif defined(__AVX2__)
    return _mm256_sqrt_ps(value);
#elif defined(__SSE__)
    return _mm_sqrt_ps(value);
#elif defined(__aarch64__)
    return (vector)vsqrtq_f32((float32x4_t)value);
#else
    vector root;
    for (int lane = 0; lane < LANES; lane++) {
        root[lane] = __builtin_sqrtf(value[lane]);
    }
    return root;
#endif
}

/** A vector of the numbered lanes of a and (from LANES on) b. */
#if defined(__clang__) || __GNUC__ >= 12
#define VECTOR_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define VECTOR_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vector_int){__VA_ARGS__})
#endif

/** The value with lanes exchanged that are `distance` (a power of two) apart. */
#if LANES == 16
#define VECTOR_SWAP(value, distance)                                                               \
    VECTOR_SHUFFLE(value, value, 0 ^ (distance), 1 ^ (distance), 2 ^ (distance), 3 ^ (distance),   \
                   4 ^ (distance), 5 ^ (distance), 6 ^ (distance), 7 ^ (distance), 8 ^ (distance), \
                   9 ^ (distance), 10 ^ (distance), 11 ^ (distance), 12 ^ (distance),              \
                   13 ^ (distance), 14 ^ (distance), 15 ^ (distance))
#elif LANES == 8
#define VECTOR_SWAP(value, distance)                                                             \
    VECTOR_SHUFFLE(value, value, 0 ^ (distance), 1 ^ (distance), 2 ^ (distance), 3 ^ (distance), \
                   4 ^ (distance), 5 ^ (distance), 6 ^ (distance), 7 ^ (distance))
#else
#define VECTOR_SWAP(value, distance) \
    VECTOR_SHUFFLE(value, value, 0 ^ (distance), 1 ^ (distance), 2 ^ (distance), 3 ^ (distance))
#endif

/** Returns the sum of the lanes, always in the same order. */
ALWAYS_INLINE float vector_sum(vector value)
{
#if LANES == 16
    value += VECTOR_SWAP(value, 8);
#endif
#if LANES >= 8
    value += VECTOR_SWAP(value, 4);
#endif
    value += VECTOR_SWAP(value, 2);
    value += VECTOR_SWAP(value, 1);
    return value[0];
}

/** Returns the largest lane; a NaN may be passed over. */
ALWAYS_INLINE float vector_largest(vector value)
{
#if LANES == 16
    value = vector_max(value, VECTOR_SWAP(value, 8));
#endif
#if LANES >= 8
    value = vector_max(value, VECTOR_SWAP(value, 4));
#endif
    value = vector_max(value, VECTOR_SWAP(value, 2));
    value = vector_max(value, VECTOR_SWAP(value, 1));
    return value[0];
}

/** e^x within 2 ulp; 0 below −86.5 (where e^x < 3e-38), infinity above 88.73; NaN stays NaN.
 *
 * x = n·ln 2 + r with |r| ≤ ln 2/2, e^r by a polynomial of degree 6 (minimax on that interval). */
ALWAYS_INLINE vector vector_exp(vector x)
{
    const vector clamped = vector_min(vector_of(89.0F), vector_max(vector_of(-87.0F), x));
#if defined(__AVX512F__)
    const vector whole = _mm512_roundscale_ps(clamped * 1.44269504088896341F, 0);
#else
    const vector rounder =
        vector_of(0x1.8p23F); /* adding it leaves a whole number in the low bits */
    const vector shifted = clamped * 1.44269504088896341F + rounder;
    const vector whole = shifted - rounder;
#endif
    const vector rest = (clamped - whole * 0.693359375F) + whole * 2.12194440e-4F;
    vector series = vector_of(1.9875691500e-4F);
    series = series * rest + 1.3981999507e-3F;
    series = series * rest + 8.3334519073e-3F;
    series = series * rest + 4.1665795894e-2F;
    series = series * rest + 1.6666665459e-1F;
    series = series * rest + 5.0000001201e-1F;
    series = series * (rest * rest) + rest + 1.0F;
#if defined(__AVX512F__)
    const __mmask16 large_enough = _mm512_cmp_ps_mask(x, vector_of(-86.5F), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(large_enough, series, whole);
#else
    /* 2^n as 2·2^(n−1), because 2^128 isn't a float. */
    const vector_int exponent = ((vector_int)shifted - (vector_int)rounder + 126) << 23;
    const vector result = series * (vector)exponent * 2.0F;
    const vector_int too_small = x < vector_of(-86.5F);
    return (vector)((vector_int)result & ~too_small);
#endif
}

/** e^x = 2^(x·log2 e). */
#define LOG2_OF_E 1.44269504088896341F

/** 2^x within 2 ulp; 0 below −126, infinity from 128 on; NaN stays NaN.
 *
 * x = n + r with |r| ≤ 1/2, 2^r by a polynomial of degree 6 through 1 at 0. Cheaper than
 * vector_exp: whoever has a factor to multiply x by puts log2 e into it. */
ALWAYS_INLINE vector vector_exp2(vector x)
{
#if defined(__AVX512F__)
    const vector clamped = vector_min(vector_of(130.0F), x);
    const vector whole = _mm512_roundscale_ps(clamped, 0);
#else
    const vector rounder = vector_of(0x1.8p23F);
    const vector clamped = vector_min(vector_of(128.0F), vector_max(vector_of(-127.0F), x));
    const vector shifted = clamped + rounder;
    const vector whole = shifted - rounder;
#endif
    const vector rest = clamped - whole;
    vector series = vector_of(1.5453162940e-4F);
    series = series * rest + 1.3390863365e-3F;
    series = series * rest + 9.6180825573e-3F;
    series = series * rest + 5.5503571142e-2F;
    series = series * rest + 2.4022650761e-1F;
    series = series * rest + 6.9314718803e-1F;
    series = series * rest + 1.0F;
#if defined(__AVX512F__)
    const __mmask16 large_enough = _mm512_cmp_ps_mask(x, vector_of(-126.0F), _CMP_NLT_UQ);
    return _mm512_maskz_scalef_ps(large_enough, series, whole);
#else
    /* 2^n as 2·2^(n−1), because 2^128 isn't a float. */
    const vector_int exponent = ((vector_int)shifted - (vector_int)rounder + 126) << 23;
    const vector result = series * (vector)exponent * 2.0F;
    const vector_int too_small = x < vector_of(-126.0F);
    return (vector)((vector_int)result & ~too_small);
#endif
}

/** 1/x within 2 ulp, for numbers from 1 to 1e37. */
ALWAYS_INLINE vector vector_reciprocal(vector x)
{
#if defined(__AVX512F__)
    const vector guess = _mm512_rcp14_ps(x); /* one of Newton's steps doubles its 14 bits */
    return guess + guess * (1.0F - x * guess);
#else
    return 1.0F / x;
#endif
}

/** The logistic function of twice GPT-2's inner polynomial: gelu(x) = x·gelu_gate(x), because
 * (1 + tanh u)/2 = 1/(1 + e^(−2u)), u = √(2/π)·(x + 0.044715·x³). It is never below 1e-35. */
ALWAYS_INLINE vector vector_gelu_gate(vector x)
{
    const vector twice = x * (1.5957691216057308F + 0.07135481627260025F * x * x);
    return vector_reciprocal(1.0F + vector_exp(vector_min(vector_of(80.0F), -twice)));
}

ALWAYS_INLINE vector vector_gelu(vector x)
{
    return x * vector_gelu_gate(x);
}

/** gelu'(x). Beyond ±10 it is 1 or 0 to the last bit, and its formula would meet ∞·0. */
ALWAYS_INLINE vector vector_gelu_derivative(vector x)
{
    const vector near = vector_min(vector_of(10.0F), vector_max(vector_of(-10.0F), x));
    const vector gate = vector_gelu_gate(near);
    const vector slope = 1.5957691216057308F + 0.21406444881780076F * near * near;
    return gate + near * gate * (1.0F - gate) * slope;
}

#endif
