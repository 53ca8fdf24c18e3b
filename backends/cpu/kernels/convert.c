/* Casts between f32 and the 16-bit float types, with the very bits of common/float_formats.h. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

#include "common/float_formats.h"

/* bf16 is integer work that the compiler turns into vectors as it stands; the NaN case is a select
 * rather than a branch. */
void KERNEL(f32_to_bf16)(uint16_t *restrict out, const float *restrict x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = float_bits(x[i]);
        const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
        const uint32_t quiet = (bits >> 16) | 0x0040u;
        out[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
    }
}

void KERNEL(bf16_to_f32)(float *restrict out, const uint16_t *restrict x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = bf16_to_float(x[i]);
    }
}

void KERNEL(f32_to_f16)(uint16_t *restrict out, const float *restrict x, size_t count)
{
    size_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(void *)(out + i), halves);
    }
#endif
    for (; i < count; i++) {
        out[i] = f16_from_float(x[i]);
    }
}

void KERNEL(f16_to_f32)(float *restrict out, const uint16_t *restrict x, size_t count)
{
    size_t i = 0;
#if defined(__F16C__)
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm_loadu_si128((const __m128i *)(const void *)(x + i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
    }
#endif
    for (; i < count; i++) {
        out[i] = f16_to_float(x[i]);
    }
}
