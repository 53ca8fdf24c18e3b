/* GELU and its derivative for bf16 elements, where a vector register holds a table: half the price
 * of computing an exponential and a reciprocal, for errors below 2^-18, which is a small part of
 * bf16's rounding. */
#ifndef TTM_CPU_KERNELS_GELU_PIECES_H
#define TTM_CPU_KERNELS_GELU_PIECES_H

#include "cpu/kernels/simd.h"

#if defined(TTM_CPU_ELEMENT_BF16) && defined(__AVX512F__)
#include "cpu/kernels/gelu_table.h"

ALWAYS_INLINE vector piece_of(const float row[GELU_PIECES], vector_int number)
{
    return _mm512_permutex2var_ps(vector_load(row), (__m512i)number, vector_load(row + LANES));
}

/** 1/2 + f(x), f odd and given by its pieces for x ≥ 0. NaN stays NaN. */
ALWAYS_INLINE vector half_and_odd(const float pieces[4][GELU_PIECES], vector x)
{
    const vector rounder = vector_of(0x1.8p23F); /* leaves a whole number in the low bits */
    const vector position = vector_min(vector_of((float)(GELU_PIECES - 1)),
                                       _mm512_abs_ps(x) * (1.0F / GELU_PIECE_WIDTH));
    const vector shifted = position + rounder;
    const vector_int number = (vector_int)shifted;
    const vector rest = position - (shifted - rounder);
    vector odd = piece_of(pieces[3], number);
    odd = odd * rest + piece_of(pieces[2], number);
    odd = odd * rest + piece_of(pieces[1], number);
    odd = odd * rest + piece_of(pieces[0], number);
    const __m512i sign = _mm512_set1_epi32(INT32_MIN);
    enum { A_XOR_B_AND_C = 0x78 };
    return 0.5F + (vector)_mm512_ternarylogic_epi32((__m512i)odd, (__m512i)x, sign, A_XOR_B_AND_C);
}

/** gelu(x), to be rounded to an element. */
ALWAYS_INLINE vector element_gelu(vector x)
{
    return x * half_and_odd(gelu_gate_pieces, x);
}

/** gelu'(x), to be multiplied and rounded to an element. */
ALWAYS_INLINE vector element_gelu_derivative(vector x)
{
    return half_and_odd(gelu_slope_pieces, x);
}
#else
ALWAYS_INLINE vector element_gelu(vector x)
{
    return vector_gelu(x);
}

ALWAYS_INLINE vector element_gelu_derivative(vector x)
{
    return vector_gelu_derivative(x);
}
#endif

#endif
