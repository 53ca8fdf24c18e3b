/* An f32 as the sum of two f16, for units that multiply f16 (docs/opencl-matrix-units.md): the nearest one, and the nearest one to what is
 * left, 22 bits together. An f16 reaches from 2⁻²⁴ to 2¹⁶ only, so the numbers of a line (a row of a, a column of b) are first brought below 2¹⁵
 * by a power of two, which comes back when its sums are finished.
 *
 * A line's size is the power of two that its largest finite number has reached, 2⁻⁹⁸ at least. Before the slices of a packed matrix lie the
 * sizes of its lines, those of whole tiles, as f32; behind these, where line_maxima.cl has found them, the largest numbers of DEPTH_PIECES pieces
 * of the lines, as their bits.
 * Macros: matrix_units.cl with HALVES. */

#define DEPTH_PIECES 8
#define SIZES_BYTES  (4 * (1 + DEPTH_PIECES)) /* of a line, what its sizes take before slices */
#define LINE_BYTES(slices) ((slices)*TILE_DEPTH * 2 * PARTS + SIZES_BYTES)

#define FINITE_END    0x7f800000u
#define SMALLEST_SIZE (29u << 23) /* 2⁻⁹⁸ */

/* The bits of an f32's magnitude, 0 for those of an infinity or NaN. */
INLINE uint finite_bits(float x)
{
    const uint bits = as_uint(x) & 0x7fffffffu;
    return bits < FINITE_END ? bits : 0;
}

INLINE float size_of(uint largest_bits)
{
    return as_float(LARGER(largest_bits & FINITE_END, SMALLEST_SIZE));
}

/* What brings numbers of a line of this size below 2¹⁵: 2¹⁴ over it. */
INLINE float scale_of(float size)
{
    return as_float((268u << 23) - as_uint(size));
}

INLINE float unscaled(float sum, float row_size, float col_size)
{
    return sum * fmin(row_size, col_size) * fmax(row_size, col_size);
}

/* Gives an item's sums of a fragment, from whose first row and column on the sizes are, the powers of two back that were taken from their
 * lines. The smaller one goes first: then nothing on the way is too large that isn't in the end. */
INLINE void scale_fragment(float *sums, __global const float *row_sizes, __global const float *col_sizes, int lane)
{
    const float upper = row_sizes[lane / 4] * 0x1p-28f;
    const float lower = row_sizes[lane / 4 + 8] * 0x1p-28f;
    const float2 sizes = *(__global const float2 *)(col_sizes + lane % 4 * 2);
    sums[0] = unscaled(sums[0], upper, sizes.x);
    sums[1] = unscaled(sums[1], upper, sizes.y);
    sums[2] = unscaled(sums[2], lower, sizes.x);
    sums[3] = unscaled(sums[3], lower, sizes.y);
}

/* Two numbers, the nearest f16 of which are returned, the first one's in the lower half, and taken off; of an infinity or NaN nothing is left. */
INLINE uint take_halves(float *low, float *high)
{
    float low_half;
    float high_half;
#if EMULATED
    const uint pair = float_to_f16(*low) | (uint)float_to_f16(*high) << 16;
    low_half = f16_to_float((ushort)pair);
    high_half = f16_to_float((ushort)(pair >> 16));
#else
    uint pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(*high), "f"(*low));
    asm("{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }" : "=f"(low_half), "=f"(high_half) : "r"(pair));
#endif
    *low = fabs(low_half) < INFINITY ? *low - low_half : 0.0f;
    *high = fabs(high_half) < INFINITY ? *high - high_half : 0.0f;
    return pair;
}

/* The parts of 8 numbers below 2¹⁶, 16 bytes each. */
INLINE void split_in_halves(ushort8 *parts, float8 x)
{
    float numbers[8];
    vstore8(x, 0, numbers);
    UNROLL
    for (int part = 0; part < 2; part++) {
        uint pairs[4];
        UNROLL
        for (int i = 0; i < 4; i++) {
            pairs[i] = take_halves(&numbers[2 * i], &numbers[2 * i + 1]);
        }
        parts[part] = as_ushort8((uint4)(pairs[0], pairs[1], pairs[2], pairs[3]));
    }
}
