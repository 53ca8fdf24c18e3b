/* Splitting f32 numbers into three bf16 parts whose sum they are, for units that multiply bf16 (docs/opencl-matrix-units.md): each part is
 * what was left by those before it, rounded to nearest. What rounds to infinity, and NaN, is all in its first part.
 *
 * Macros: PARTS, as in matrix_units.cl; nothing is here but for 3, and where there is PACK_PAIR, which rounds two numbers and is one
 * instruction of the unit. */

#if PARTS == 3 && defined(PACK_PAIR)

/* `pair` = the next parts of two numbers, which lose them; no first parts of numbers that may be infinite. */
#define TAKE_PAIR(pair, low, high)                \
    {                                             \
        PACK_PAIR(pair, low, high);               \
        (low) -= as_float((pair) << 16);          \
        (high) -= as_float((pair) & 0xffff0000u); \
    }

/* The first parts of any two numbers. */
#define TAKE_FIRST_PAIR(pair, low, high)                              \
    {                                                                 \
        PACK_PAIR(pair, low, high);                                   \
        const float low_part = as_float((pair) << 16);                \
        const float high_part = as_float((pair) & 0xffff0000u);       \
        (low) = fabs(low_part) < INFINITY ? (low)-low_part : 0.0f;     \
        (high) = fabs(high_part) < INFINITY ? (high)-high_part : 0.0f; \
    }

/* The parts of eight numbers, 16 bytes each. */
INLINE void split_eight(ushort8 *parts, float8 numbers)
{
    float rest[8] = {numbers.s0, numbers.s1, numbers.s2, numbers.s3, numbers.s4, numbers.s5, numbers.s6, numbers.s7};
    uint pairs[3][4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        TAKE_FIRST_PAIR(pairs[0][i], rest[2 * i], rest[2 * i + 1]);
        TAKE_PAIR(pairs[1][i], rest[2 * i], rest[2 * i + 1]);
        PACK_PAIR(pairs[2][i], rest[2 * i], rest[2 * i + 1]);
    }
    UNROLL
    for (int part = 0; part < 3; part++) {
        parts[part] = as_ushort8((uint4)(pairs[part][0], pairs[part][1], pairs[part][2], pairs[part][3]));
    }
}

#endif
