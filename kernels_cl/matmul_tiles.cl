/* What products on matrix units share: which tile of out a group computes, and what becomes of its sums.
 *
 * Tiles are numbered in bands of GROUPED_ROWS rows of tiles, so that groups that run together read the same slices from L2.
 * The epilogue finishes VECTOR neighbours of out at once, in one access where their address allows it. */

#define GROUPED_ROWS 8

#define BAND_ROWS (GROUPED_ROWS / CLUSTER_ROWS)

/* Declares first_row and first_col of the group's tile, and the group's number in its cluster. */
#define LOCATE_TILE                                                                                           \
    const int tiles_down = (int)((rows + TILE_ROWS - 1) / TILE_ROWS);                                         \
    const int tiles_across = (int)((cols + TILE_COLS - 1) / TILE_COLS);                                       \
    const int clusters_down = (tiles_down + CLUSTER_ROWS - 1) / CLUSTER_ROWS;                                 \
    const int clusters_across = (tiles_across + CLUSTER_COLS - 1) / CLUSTER_COLS;                             \
    const int rank = (int)get_group_id(0) % CLUSTER;                                                          \
    const int cluster_number = (int)get_group_id(0) / CLUSTER;                                                \
    const int band = cluster_number / (BAND_ROWS * clusters_across) * BAND_ROWS;                              \
    const int band_rows = min(clusters_down - band, BAND_ROWS);                                               \
    const int in_band = cluster_number % (BAND_ROWS * clusters_across);                                       \
    const long first_row = (long)((band + in_band % band_rows) * CLUSTER_ROWS + rank % CLUSTER_ROWS) * TILE_ROWS; \
    const long first_col = (long)(in_band / band_rows * CLUSTER_COLS + rank / CLUSTER_ROWS) * TILE_COLS;

#define PRODUCT_ARGUMENTS                                                                                      \
    out, out_start, a, a_start, b, b_start, bias, bias_start, residual, residual_start, pre, pre_start, rows, \
        cols, depth, strides, more_strides, outer, inner, alpha, flags, activation

/* Where a piece's sums go. */
#if PIECES
#define SUMS_PARAMETERS , __global float *partial, long pitch
#define SUMS_ARGUMENTS , partial, pitch
#else
#define SUMS_PARAMETERS
#define SUMS_ARGUMENTS
#endif

/* Where the sizes of the operands' lines are that were packed in halves, which their sums get back. */
#if HALVES
#define SIZES_PARAMETERS , __global const float *row_sizes, __global const float *col_sizes
#define SCALE_FRAGMENT(sums, row, col, lane) scale_fragment(sums, row_sizes + (row), col_sizes + (col), lane);
#else
#define SIZES_PARAMETERS
#define SCALE_FRAGMENT(sums, row, col, lane)
#endif

typedef PASTE(float, VECTOR) wide_1;
typedef PASTE(ushort, VECTOR) wide_2;
typedef PASTE(wide_, RESULT) result_wide;

#define IS_ALIGNED(p) (((ulong)(p) & (VECTOR * sizeof(result_t) - 1)) == 0)

/* As bf16 an item's neighbours are two registers: two instructions where the unit's files have one for pairs. */
#if RESULT == 2 && defined(PACK_PAIR)
INLINE result_wide encode_wide(fvec value)
{
    uint low;
    uint high;
    PACK_PAIR(low, value.s0, value.s1);
    PACK_PAIR(high, value.s2, value.s3);
    return as_ushort4((uint2)(low, high));
}
#else
#define encode_wide(value) PASTE(ENCODE_, RESULT)(value)
#endif

/* product.cl's formula for one element, anywhere. */
INLINE void finish_element(__global result_t *out, __global const result_t *bias, __global const result_t *residual,
                           __global result_t *pre, float sum, float alpha, int flags, int activation)
{
    float value = alpha * sum;
    if ((flags & FLAG_BETA) != 0) {
        value += LOAD_RESULT(out, 0);
    }
    if ((flags & FLAG_BIAS) != 0) {
        value += LOAD_RESULT(bias, 0);
    }
    if (activation == 1) {
        if ((flags & FLAG_PRE) != 0) {
            STORE_RESULT(pre, 0, value);
        }
        value = gelu((fvec)(value)).s0;
    } else if (activation == 2) {
        value *= gelu_slope((fvec)(LOAD_RESULT(pre, 0))).s0;
    }
    if ((flags & FLAG_RESIDUAL) != 0) {
        value += LOAD_RESULT(residual, 0);
    }
    STORE_RESULT(out, 0, value);
}

INLINE void clear_sums(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS])
{
    UNROLL
    for (int i = 0; i < SUMS_DOWN; i++) {
        UNROLL
        for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
            UNROLL
            for (int s = 0; s < FRAGMENT_SUMS; s++) {
                sums[i][j][s] = 0.0f;
            }
        }
    }
}

/* An item's rows of a segment are ROWS_AT_ONCE apart, TURNS in number. What AT_ONCE of them read is read before any is finished,
 * but for packed operands, which come with few inputs: their groups of 9 warps have 112 registers each where two share a multiprocessor. */
#define ROWS_AT_ONCE (LANES * VECTOR / SEGMENT)
#define TURNS        (FRAGMENT_ROWS / ROWS_AT_ONCE)
#if PACKED
#define AT_ONCE      1
#else
#define AT_ONCE      2
#endif

#define WIDE_AT(p, place) (*(__global result_wide *)((p) + (place)))

/* The one tensor that finishing an element reads beside the bias; NULL for none. */
INLINE __global const result_t *find_input(__global const result_t *out, __global const result_t *residual, __global const result_t *pre,
                                           int flags, int activation)
{
    return activation == 2 ? pre : (flags & FLAG_RESIDUAL) != 0 ? residual : (flags & FLAG_BETA) != 0 ? out : 0;
}

/* Whether all is done in wide accesses: at most one input beside the bias; and tensors that have their elements at the same places, but for
 * where they begin, with rows of whole vectors. */
INLINE int is_wide(__global const result_t *out, __global const result_t *bias, __global const result_t *residual,
                   __global const result_t *pre, long cols, long8 strides, long8 more_strides, int flags, int activation)
{
    const int has_residual = (flags & FLAG_RESIDUAL) != 0;
    const int has_pre = activation == 2 || (flags & FLAG_PRE) != 0;
    const int inputs = (activation == 2) + has_residual + ((flags & FLAG_BETA) != 0);
    return inputs <= 1 && cols % VECTOR == 0 && strides.s5 == 1 && strides.s4 % VECTOR == 0 && IS_ALIGNED(out) &&
           ((flags & FLAG_BIAS) == 0 || (strides.s6 == 1 && IS_ALIGNED(bias))) &&
           (!has_residual || (more_strides.s1 == 1 && more_strides.s0 == strides.s4 && IS_ALIGNED(residual))) &&
           (!has_pre || (more_strides.s3 == 1 && more_strides.s2 == strides.s4 && IS_ALIGNED(pre)));
}

/* finish_element for the item's part of a segment, from `place` on, in wide accesses. rows_left: how many rows there are from the item's
 * first on; row_stride: elements from row to row. */
INLINE void finish_wide(__global result_t *out, __global const result_t *bias, __global const result_t *input,
                        __global result_t *pre, long place, long row_stride, int rows_left, __local const float *sums, float alpha,
                        int flags, int activation)
{
    const fvec added = (flags & FLAG_BIAS) != 0 && rows_left > 0 ? PASTE(DECODE_, RESULT)(*(__global const result_wide *)bias)
                                                                 : (fvec)(0.0f);
#pragma unroll 1
    for (int turn = 0; turn < TURNS; turn += AT_ONCE) {
        result_wide inputs[AT_ONCE];
        UNROLL
        for (int i = 0; i < AT_ONCE; i++) {
            if (input != 0 && (turn + i) * ROWS_AT_ONCE < rows_left) {
                inputs[i] = *(__global const result_wide *)(input + place + i * ROWS_AT_ONCE * row_stride);
            }
        }
        UNROLL
        for (int i = 0; i < AT_ONCE; i++) {
            if ((turn + i) * ROWS_AT_ONCE < rows_left) {
                fvec value = mad((fvec)(alpha), *(__local const fvec *)(sums + i * ROWS_AT_ONCE * SEGMENT_PITCH), added);
                if (activation == 1) {
                    if ((flags & FLAG_PRE) != 0) {
                        WIDE_AT(pre, place) = encode_wide(value);
                    }
                    value = gelu(value);
                } else if (activation == 2) {
                    value *= gelu_slope(PASTE(DECODE_, RESULT)(inputs[i]));
                }
                if ((flags & (FLAG_BETA | FLAG_RESIDUAL)) != 0) {
                    value += PASTE(DECODE_, RESULT)(inputs[i]);
                }
                WIDE_AT(out, place) = encode_wide(value);
            }
            place += ROWS_AT_ONCE * row_stride;
        }
        sums += AT_ONCE * ROWS_AT_ONCE * SEGMENT_PITCH;
    }
}

/* Sums go through local memory, a warp in its own part, so that an item finishes VECTOR neighbours of a row. Rows from `rows` on, and
 * columns from `cols` on, don't exist. */
INLINE void finish_tile(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS], __local uchar *memory, int warp, int lane, int warp_row,
                        int warp_col, long first_row, long first_col, PRODUCT_PARAMETERS SUMS_PARAMETERS SIZES_PARAMETERS)
{
    __local float *segment = (__local float *)(memory + warp * SEGMENT_BYTES);
    const int lane_row = lane / (SEGMENT / VECTOR);
    const int lane_col = lane % (SEGMENT / VECTOR) * VECTOR;
    __local const float *from = segment + lane_row * SEGMENT_PITCH + lane_col;
#if !PIECES
    /* Only now: registers are few before. */
    GO_TO_RESULTS(get_group_id(2))
    __global const result_t *input = find_input(out, residual, pre, flags, activation);
    const int goes_wide = is_wide(out, bias, residual, pre, cols, strides, more_strides, flags, activation);
#endif
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int s = 0; s < WARP_COLS / SEGMENT; s++) {
            WARP_BARRIER();
            UNROLL
            for (int j = 0; j < SEGMENT / FRAGMENT_COLS; j++) {
                SCALE_FRAGMENT(sums[i][s * (SEGMENT / FRAGMENT_COLS) + j], first_row + warp_row + i * FRAGMENT_ROWS,
                               first_col + warp_col + s * SEGMENT + j * FRAGMENT_COLS, lane)
                STORE_FRAGMENT(segment + j * FRAGMENT_COLS, sums[i][s * (SEGMENT / FRAGMENT_COLS) + j], lane)
            }
            WARP_BARRIER();
            const long segment_row = first_row + warp_row + i * FRAGMENT_ROWS;
            const long segment_col = first_col + warp_col + s * SEGMENT;
            const long m = segment_row + lane_row;
            const long n = segment_col + lane_col;
            const int rows_left = n < cols ? (int)clamp(rows - m, 0L, (long)FRAGMENT_ROWS) : 0;
#if PIECES
            for (int turn = 0; turn < TURNS; turn++) {
                if (turn * ROWS_AT_ONCE < rows_left) {
                    *(__global fvec *)(partial + (m + turn * ROWS_AT_ONCE) * pitch + n) =
                        *(__local const fvec *)(from + turn * ROWS_AT_ONCE * SEGMENT_PITCH);
                }
            }
#else
            if (goes_wide) {
                finish_wide(out, bias + n, input, pre, m * strides.s4 + n, strides.s4, rows_left, from, alpha, flags, activation);
                continue;
            }
#pragma unroll 1
            for (int place = lane; place < FRAGMENT_ROWS * SEGMENT; place += LANES) {
                const long row = segment_row + place / SEGMENT;
                const long col = segment_col + place % SEGMENT;
                if (row < rows && col < cols) {
                    finish_element(out + row * strides.s4 + col * strides.s5, bias + col * strides.s6,
                                   residual + row * more_strides.s0 + col * more_strides.s1,
                                   pre + row * more_strides.s2 + col * more_strides.s3,
                                   segment[place / SEGMENT * SEGMENT_PITCH + place % SEGMENT], alpha, flags, activation);
                }
            }
#endif
        }
    }
}
