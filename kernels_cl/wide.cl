/* Chunks of WIDTH elements that an item reads at once: 16 bytes on GPUs where rows begin at multiples
 * of so many, else VECTOR elements.
 *
 * wide_data      a chunk as it lies in memory, and DECODE_WIDE what it is as floats. 16-bit types are read as
 *                uints: a ushort8 costs NVIDIA's compilers two accesses.
 * wvec           the chunk as floats
 * LOAD_WIDE      reads one; WIDTH = VECTOR may have fewer elements, `count`, and lie anywhere
 * WIDE_SUM       the sum of its elements
 * WIDE           a chunk of floats in local memory
 * Macros: DATA, VECTOR (types.cl); WIDTH: VECTOR, or 4 or 8. */

#if WIDTH == VECTOR
typedef fvec wvec;
#define LOAD_WIDE(p, count) load_data(p, 1, count, 0.0f)
#define WIDE_SUM(v)         VECTOR_SUM(v)
#else
typedef PASTE(float, WIDTH) wvec;
#define LOAD_WIDE(p, count) DECODE_WIDE(*(__global const wide_data *)(p))
#define WIDE_SUM_4(v)       (((v).s0 + (v).s1) + ((v).s2 + (v).s3))
#define WIDE_SUM_8(v)       (WIDE_SUM_4((v).lo) + WIDE_SUM_4((v).hi))
#define WIDE_SUM(v)         PASTE(WIDE_SUM_, WIDTH)(v)
#endif

#if WIDTH == 4 || WIDTH == 8
#define HALF_OF_4 2
#define HALF_OF_8 4
#define HALF_WIDTH PASTE(HALF_OF_, WIDTH)
#if DATA == 1
typedef wvec wide_data;
#define DECODE_WIDE(v) (v)
#else
typedef PASTE(uint, HALF_WIDTH) wide_data;
#define PAIR(v, part) (v).part << 16, (v).part & 0xffff0000u
#if WIDTH == 4
#define PAIRS(v) PAIR(v, s0), PAIR(v, s1)
#else
#define PAIRS(v) PAIR(v, s0), PAIR(v, s1), PAIR(v, s2), PAIR(v, s3)
#endif
#if DATA == 2
#define DECODE_WIDE(v) PASTE(as_float, WIDTH)((PASTE(uint, WIDTH))(PAIRS(v)))
#else
#if WIDTH != VECTOR
DEFINE_CONVERSIONS(wvec, PASTE(uint, WIDTH), PASTE(ushort, WIDTH), PASTE(as_float, WIDTH),
                   PASTE(as_uint, WIDTH), PASTE(convert_float, WIDTH), PASTE(convert_uint, WIDTH),
                   PASTE(convert_ushort, WIDTH))
#endif
#define DECODE_WIDE(v) f16_to_float(PASTE(as_ushort, WIDTH)(v))
#endif
#endif
#endif
#define WIDE(place) (*(__local wvec *)(place))
