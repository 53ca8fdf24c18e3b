/* What every program starts with: element types, vectors, and how rows are read and written.
 *
 * Macros from the host:
 *   DATA, RESULT  type of the tensors and of the op's results: 1 f32, 2 bf16, 3 f16 (the numbers of
 *                 ttm_dtype). bf16 and f16 are stored as ushort and converted by integer operations,
 *                 so no extension is needed.
 *   VECTOR        1, 2, 4, 8 or 16: floats that one work-item takes at once. 1 where neighbouring
 *                 work-items are neighbouring lanes (GPUs), the width of a register on CPUs.
 *   WHOLE_ROWS    1, on GPUs, where what load_ and store_ access are VECTOR (4 or 8) neighbours from a multiple of
 *                 VECTOR on: one access each. Then stride and count have no meaning.
 *   GROUP         work-items of a group in kernels that give a row to a group: a power of two; 1 on
 *                 CPUs, where the row is one loop over vectors.
 * All arithmetic is in f32. Indices are long: tensors may exceed 2^31 elements. */

#ifndef DATA
#define DATA 1
#endif
#ifndef RESULT
#define RESULT DATA
#endif
#ifndef WHOLE_ROWS
#define WHOLE_ROWS 0
#endif
#if VECTOR == 8
#define HALF_VECTOR 4
#else
#define HALF_VECTOR 2
#endif

#define PASTE_2(a, b) a##b
#define PASTE(a, b) PASTE_2(a, b)

#ifdef FP_FAST_FMAF
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) mad(a, b, c)
#endif

/* Conversions of one width: F, U, S are the float, uint and ushort types. */
#define DEFINE_CONVERSIONS(F, U, S, AS_F, AS_U, TO_F, TO_U, TO_S)                                   \
    inline F __attribute__((overloadable)) bf16_to_float(S value)                                   \
    {                                                                                               \
        return AS_F(TO_U(value) << 16);                                                             \
    }                                                                                               \
    inline S __attribute__((overloadable)) float_to_bf16(F value)                                   \
    {                                                                                               \
        const U bits = AS_U(value);                                                                 \
        const U rounded = (bits + (U)(0x7fffu) + ((bits >> 16) & (U)(1u))) >> 16;                   \
        const U quiet = (bits >> 16) | (U)(0x40u);                                                  \
        return TO_S(select(rounded, quiet, (bits & (U)(0x7fffffffu)) > (U)(0x7f800000u)));          \
    }                                                                                               \
    inline F __attribute__((overloadable)) f16_to_float(S value)                                    \
    {                                                                                               \
        const U bits = TO_U(value);                                                                 \
        const U exponent = (bits >> 10) & (U)(0x1fu);                                               \
        const U mantissa = bits & (U)(0x3ffu);                                                      \
        const U normal = ((exponent + (U)(112u)) << 23) | (mantissa << 13);                         \
        const U special = (U)(0x7f800000u) | (mantissa << 13);                                      \
        const U tiny = AS_U(TO_F(mantissa) * (F)(0x1p-24f));                                        \
        const U magnitude =                                                                         \
            select(select(normal, tiny, exponent == (U)(0u)), special, exponent == (U)(0x1fu));     \
        return AS_F(magnitude | ((bits & (U)(0x8000u)) << 16));                                     \
    }                                                                                               \
    inline S __attribute__((overloadable)) float_to_f16(F value)                                    \
    {                                                                                               \
        const U bits = AS_U(value);                                                                 \
        const U magnitude = bits & (U)(0x7fffffffu);                                                \
        const U nan = (U)(0x7e00u) | ((magnitude >> 13) & (U)(0x1ffu));                             \
        /* Below 2^-14 one ulp of 0.5 is one ulp of an f16 subnormal. */                            \
        const U tiny = AS_U(AS_F(magnitude) + (F)(0.5f)) - (U)(0x3f000000u);                        \
        const U rounded = magnitude + (U)(0xfffu) + ((magnitude >> 13) & (U)(1u));                  \
        U half_bits = (rounded - (U)(0x38000000u)) >> 13;                                           \
        half_bits = select(half_bits, tiny, magnitude < (U)(0x38800000u));                          \
        half_bits = select(half_bits, (U)(0x7c00u), magnitude >= (U)(0x477ff000u));                 \
        half_bits = select(half_bits, nan, magnitude > (U)(0x7f800000u));                           \
        return TO_S(half_bits | ((bits >> 16) & (U)(0x8000u)));                                     \
    }

DEFINE_CONVERSIONS(float, uint, ushort, as_float, as_uint, convert_float, convert_uint,
                   convert_ushort)

/* ---- Vectors ---- */

#if VECTOR == 1
typedef float fvec;
#define LOAD_VECTOR(p) (*(p))
#define STORE_VECTOR(v, p) (*(p) = (v))
#define VECTOR_SUM(v) (v)
#define VECTOR_MAX(v) (v)
#else
typedef PASTE(float, VECTOR) fvec;
typedef PASTE(uint, VECTOR) uvec;
typedef PASTE(ushort, VECTOR) svec;
#define LOAD_VECTOR(p) PASTE(vload, VECTOR)(0, p)
#define STORE_VECTOR(v, p) PASTE(vstore, VECTOR)(v, 0, p)
DEFINE_CONVERSIONS(fvec, uvec, svec, PASTE(as_float, VECTOR), PASTE(as_uint, VECTOR),
                   PASTE(convert_float, VECTOR), PASTE(convert_uint, VECTOR),
                   PASTE(convert_ushort, VECTOR))
#define FOLD_2(v, OP) OP((v).s0, (v).s1)
#define FOLD_4(v, OP) OP(FOLD_2((v).lo, OP), FOLD_2((v).hi, OP))
#define FOLD_8(v, OP) OP(FOLD_4((v).lo, OP), FOLD_4((v).hi, OP))
#define FOLD_16(v, OP) OP(FOLD_8((v).lo, OP), FOLD_8((v).hi, OP))
#define ADD_TWO(a, b) ((a) + (b))
#define VECTOR_SUM(v) PASTE(FOLD_, VECTOR)(v, ADD_TWO)
#define VECTOR_MAX(v) PASTE(FOLD_, VECTOR)(v, fmax)
#endif

/* ---- Element types ---- */

typedef float type_1;
typedef ushort type_2;
typedef ushort type_3;
#define DECODE_1(v) (v)
#define DECODE_2(v) bf16_to_float(v)
#define DECODE_3(v) f16_to_float(v)
#define ENCODE_1(v) (v)
#define ENCODE_2(v) float_to_bf16(v)
#define ENCODE_3(v) float_to_f16(v)

typedef PASTE(type_, DATA) data_t;
typedef PASTE(type_, RESULT) result_t;
#define LOAD_DATA(p, i) PASTE(DECODE_, DATA)((p)[i])
#define STORE_DATA(p, i, v) ((p)[i] = PASTE(ENCODE_, DATA)(v))
#define LOAD_RESULT(p, i) PASTE(DECODE_, RESULT)((p)[i])
#define STORE_RESULT(p, i, v) ((p)[i] = PASTE(ENCODE_, RESULT)(v))

/* load_NAME reads VECTOR elements that are `stride` apart, of which only `count` exist; the others
 * become `fill`. store_NAME writes those that exist. */
#if VECTOR == 1
#define DEFINE_ACCESS(NAME, TYPE)                                                                   \
    inline fvec load_##NAME(__global const PASTE(type_, TYPE) *p, long stride, long count,          \
                            float fill)                                                             \
    {                                                                                               \
        return PASTE(DECODE_, TYPE)(*p);                                                            \
    }                                                                                               \
    inline void store_##NAME(__global PASTE(type_, TYPE) *p, long stride, long count, fvec value)   \
    {                                                                                               \
        *p = PASTE(ENCODE_, TYPE)(value);                                                           \
    }
#else
#if WHOLE_ROWS
/* 16-bit elements in pairs, so that compilers make one access of a vector. */
typedef PASTE(uint, HALF_VECTOR) pairs;
inline fvec whole_from_bf16(pairs both)
{
    uvec bits;
    bits.even = both << 16;
    bits.odd = both & 0xffff0000u;
    return PASTE(as_float, VECTOR)(bits);
}
inline pairs whole_to_bf16(fvec value)
{
    const uvec bits = PASTE(as_uint, VECTOR)(value);
    const uvec rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    const uvec kept = select(rounded, bits | 0x400000u, (bits & 0x7fffffffu) > 0x7f800000u);
    return (kept.even >> 16) | (kept.odd & 0xffff0000u);
}
typedef fvec whole_1;
typedef pairs whole_2;
typedef pairs whole_3;
#define FROM_WHOLE_1(v) (v)
#define FROM_WHOLE_2(v) whole_from_bf16(v)
#define FROM_WHOLE_3(v) f16_to_float(PASTE(as_ushort, VECTOR)(v))
#define TO_WHOLE_1(v)   (v)
#define TO_WHOLE_2(v)   whole_to_bf16(v)
#define TO_WHOLE_3(v)   PASTE(as_uint, HALF_VECTOR)(float_to_f16(v))
#define DEFINE_ACCESS(NAME, TYPE)                                                                   \
    inline fvec load_##NAME(__global const PASTE(type_, TYPE) *p, long stride, long count,          \
                            float fill)                                                             \
    {                                                                                               \
        return PASTE(FROM_WHOLE_, TYPE)(*(__global const PASTE(whole_, TYPE) *)p);                  \
    }                                                                                               \
    inline void store_##NAME(__global PASTE(type_, TYPE) *p, long stride, long count, fvec value)   \
    {                                                                                               \
        *(__global PASTE(whole_, TYPE) *)p = PASTE(TO_WHOLE_, TYPE)(value);                         \
    }
#else
#define DEFINE_ACCESS(NAME, TYPE)                                                                   \
    inline fvec load_##NAME(__global const PASTE(type_, TYPE) *p, long stride, long count,          \
                            float fill)                                                             \
    {                                                                                               \
        if (stride == 1 && count >= VECTOR) {                                                       \
            return PASTE(DECODE_, TYPE)(LOAD_VECTOR(p));                                            \
        }                                                                                           \
        float parts[VECTOR];                                                                        \
        for (int lane = 0; lane < VECTOR; lane++) {                                                 \
            parts[lane] = lane < count ? PASTE(DECODE_, TYPE)(p[lane * stride]) : fill;             \
        }                                                                                           \
        return LOAD_VECTOR(parts);                                                                  \
    }                                                                                               \
    inline void store_##NAME(__global PASTE(type_, TYPE) *p, long stride, long count, fvec value)   \
    {                                                                                               \
        if (stride == 1 && count >= VECTOR) {                                                       \
            STORE_VECTOR(PASTE(ENCODE_, TYPE)(value), p);                                           \
            return;                                                                                 \
        }                                                                                           \
        float parts[VECTOR];                                                                        \
        STORE_VECTOR(value, parts);                                                                 \
        for (int lane = 0; lane < VECTOR && lane < count; lane++) {                                 \
            p[lane * stride] = PASTE(ENCODE_, TYPE)(parts[lane]);                                   \
        }                                                                                           \
    }
#endif
#endif

DEFINE_ACCESS(f32, 1)
DEFINE_ACCESS(data, DATA)
DEFINE_ACCESS(result, RESULT)

/* Elements 0, 1, … of a vector, as floats. */
#if VECTOR == 1
#define LANE_NUMBERS 0.0f
#else
#define LANE_NUMBERS (PASTE(LANES_, VECTOR))
#define LANES_2 (float2)(0, 1)
#define LANES_4 (float4)(0, 1, 2, 3)
#define LANES_8 (float8)(0, 1, 2, 3, 4, 5, 6, 7)
#define LANES_16 (float16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#endif
