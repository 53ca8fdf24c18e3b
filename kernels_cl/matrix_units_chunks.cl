/* Reading 8 neighbours of an operand, which are a chunk of a slice (matrix_units.cl), into registers.
 *
 * Macros: PARTS, as in matrix_units.cl; data_t is bf16 for 1, else f32. */

/* A chunk that is on its way through registers. */
#if PARTS == 1
typedef ushort8 raw_chunk;
#define ZERO_CHUNK ((ushort8)(0))
#else
#define CUTS_LARGE /* in matrix_units_parts.cl */
typedef float8 raw_chunk;
#define ZERO_CHUNK ((float8)(0.0f))
#endif

/* `count` of 8 elements that are `stride` apart; the others are 0. */
INLINE raw_chunk read_elements(__global const data_t *from, long stride, int count)
{
    data_t elements[8];
    UNROLL
    for (int i = 0; i < 8; i++) {
        elements[i] = i < count ? from[i * stride] : (data_t)0;
    }
    return vload8(0, elements);
}

INLINE raw_chunk read_chunk(__global const data_t *from, int count)
{
    return count == 8 ? *(__global const raw_chunk *)from : read_elements(from, 1, count);
}
