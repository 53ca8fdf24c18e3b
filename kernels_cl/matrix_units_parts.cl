/* An f32 as the sum of three bf16, or nearly as that of two, for units that multiply bf16 (docs/opencl-matrix-units.md): each part is what
 * was left by those before it, rounded to nearest. Two numbers' parts are a word, the first one's in the lower half.
 *
 * Macros: PARTS, as in matrix_units.cl; nothing is here for 1. PACK_PAIR, where it's there, rounds two numbers by one instruction.
 * CUTS_LARGE: finite numbers stay finite. That takes registers which attention hasn't got: there those of 3.39·10³⁸ and more become infinite. */

#if PARTS > 1

#ifdef PACK_PAIR

/* `pair` = the next parts of two numbers, which lose them; no first parts of numbers that may be infinite. */
#define TAKE_PAIR(pair, low, high)                \
    {                                             \
        PACK_PAIR(pair, low, high);               \
        (low) -= as_float((pair) << 16);          \
        (high) -= as_float((pair) & 0xffff0000u); \
    }

/* The first parts of any two numbers: what rounds to infinity, and NaN, is all in them. */
#define TAKE_FIRST_PAIR(pair, low, high)                               \
    {                                                                  \
        PACK_PAIR(pair, low, high);                                    \
        const float low_part = as_float((pair) << 16);                 \
        const float high_part = as_float((pair) & 0xffff0000u);        \
        (low) = fabs(low_part) < INFINITY ? (low)-low_part : 0.0f;     \
        (high) = fabs(high_part) < INFINITY ? (high)-high_part : 0.0f; \
    }

#endif

INLINE float4 widen_pairs(uint2 pairs)
{
    return as_float4((uint4)(pairs.x << 16, pairs.x & 0xffff0000u, pairs.y << 16, pairs.y & 0xffff0000u));
}

INLINE uint2 cut_to_pairs(uint4 bits)
{
    return bits.even >> 16 | (bits.odd & 0xffff0000u);
}

INLINE uint2 round_to_pairs(float4 x)
{
#ifdef PACK_PAIR
    uint pairs[2];
    PACK_PAIR(pairs[0], x.s0, x.s1);
    PACK_PAIR(pairs[1], x.s2, x.s3);
    return (uint2)(pairs[0], pairs[1]);
#else
    const uint4 bits = as_uint4(x);
    return cut_to_pairs(bits + 0x7fffu + ((bits >> 16) & 1u));
#endif
}

#ifdef CUTS_LARGE
/* `first` and `rest` of numbers that are infinite, NaN or would round to infinity: the last are cut off, the others are all in their
 * first part. */
INLINE void split_large(uint2 *first, float4 *rest, float4 x)
{
    const uint4 bits = as_uint4(x);
    const uint4 rounded = as_uint4(widen_pairs(*first));
    const int4 is_large = (rounded & 0x7f800000u) == 0x7f800000u;
    const int4 is_special = (bits & 0x7f800000u) == 0x7f800000u;
    const uint4 quiet = select((uint4)(0u), (uint4)(0x400000u), (bits & 0x7fffffffu) > 0x7f800000u);
    const uint4 upper = select(rounded, (bits & 0xffff0000u) | quiet, is_large);
    *first = cut_to_pairs(upper);
    *rest = select(x - as_float4(upper), (float4)(0.0f), is_special);
}
#endif

/* Four at once, for few registers. */
INLINE void split_four(uint2 *parts, float4 x)
{
    parts[0] = round_to_pairs(x);
    float4 rest = x - widen_pairs(parts[0]);
#ifdef CUTS_LARGE
    /* Hardly ever: one infinity or NaN, and the sum is no number. */
    if (!(fabs(rest.s0 + rest.s1 + rest.s2 + rest.s3) <= FLT_MAX)) {
        split_large(&parts[0], &rest, x);
    }
#else
    rest = select((float4)(0.0f), rest, fabs(rest) <= FLT_MAX);
#endif
    parts[1] = round_to_pairs(rest);
#if PARTS == 3
    parts[2] = cut_to_pairs(as_uint4(rest - widen_pairs(parts[1])));
#endif
}

/* The parts of 8 numbers, 16 bytes each; a third holds all that is left, without rounding. */
INLINE void split_eight(ushort8 *parts, float8 x)
{
    uint2 low[PARTS];
    uint2 high[PARTS];
    split_four(low, x.lo);
    split_four(high, x.hi);
    UNROLL
    for (int part = 0; part < PARTS; part++) {
        parts[part] = as_ushort8((uint4)(low[part], high[part]));
    }
}

#endif
