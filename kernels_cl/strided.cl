/* Where a row of a strided tensor begins: what kernels over tensors of any strides share.
 *
 * The host merges neighbouring dimensions where it can; what is left is an inner one and `outer_rank`
 * ≤ 7 outer ones (shape, strides), the innermost of these first. A row's number is taken apart by one
 * multiplication a dimension instead of a division, which GPUs do in some thirty instructions (in 64
 * bits more than a hundred) for elements that take two; and by named components, never by an array
 * with a running index, which would lie in memory.
 * Macros: WIDE_ROWS 0, or 1 where there are 2^31 rows or more: then by division, as
 * tests have it always with ALWAYS_WIDE_ROWS. */

#if WIDE_ROWS || defined(ALWAYS_WIDE_ROWS)
typedef ulong row_number;
#define DIVIDE(row, n) ((row) / (row_number)shape.s##n)
#else
typedef uint row_number;
/* ⌊row / d⌋ for row < 2^31, with shift = ⌈log2 d⌉ and multiplier = ⌊2^(31 + shift) / d⌋ + 1. */
#define DIVIDE(row, n) (mul_hi((row) << 1, multipliers.s##n) >> shifts.s##n)
#endif

#define ROWS_PARAMETERS \
    long inner, long rows, int outer_rank, long8 shape, uint8 multipliers, uint8 shifts

#define LOCATE_DIM(n)                                                               \
    if (n < outer_rank) {                                                           \
        const row_number quotient = n + 1 < outer_rank ? DIVIDE(rest, n) : 0;       \
        const long index = (long)(rest - quotient * (row_number)shape.s##n);        \
        first += index * strides.s##n;                                              \
        second += index * more_strides.s##n;                                        \
        third += index * third_strides.s##n;                                        \
        rest = quotient;                                                            \
    }

/* Adds to `first`, `second` and `third` where row number `row` begins by their strides. */
#define LOCATE_ROW(row, first_at, second_at, third_at, strides_1, strides_2, strides_3) \
    {                                                                                   \
        row_number rest = (row_number)(row);                                            \
        const long8 strides = strides_1;                                                \
        const long8 more_strides = strides_2;                                           \
        const long8 third_strides = strides_3;                                          \
        long first = 0, second = 0, third = 0;                                          \
        LOCATE_DIM(0)                                                                   \
        LOCATE_DIM(1)                                                                   \
        LOCATE_DIM(2)                                                                   \
        LOCATE_DIM(3)                                                                   \
        LOCATE_DIM(4)                                                                   \
        LOCATE_DIM(5)                                                                   \
        LOCATE_DIM(6)                                                                   \
        first_at += first;                                                              \
        second_at += second;                                                            \
        third_at += third;                                                              \
    }
