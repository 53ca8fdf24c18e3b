/* What products on matrix units share: which tile of out a group computes, and what becomes of its sums.
 *
 * Tiles are numbered in rows of GROUPED_ROWS tiles, so that groups that run together read the same slices from L2.
 * The epilogue finishes VECTOR neighbours of out at once, in one access where their address allows it. */

#define GROUPED_ROWS 8

/* Declares first_row and first_col of the group's tile. */
#define LOCATE_TILE                                                                        \
    const int tiles_down = (int)((rows + TILE_ROWS - 1) / TILE_ROWS);                      \
    const int tiles_across = (int)((cols + TILE_COLS - 1) / TILE_COLS);                    \
    const int tile_number = get_group_id(0);                                               \
    const int band = tile_number / (GROUPED_ROWS * tiles_across) * GROUPED_ROWS;           \
    const int band_rows = min(tiles_down - band, GROUPED_ROWS);                            \
    const int in_band = tile_number % (GROUPED_ROWS * tiles_across);                       \
    const long first_row = (long)(band + in_band % band_rows) * TILE_ROWS;                 \
    const long first_col = (long)(in_band / band_rows) * TILE_COLS;

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

typedef PASTE(float, VECTOR) wide_1;
typedef PASTE(ushort, VECTOR) wide_2;
typedef PASTE(wide_, RESULT) result_wide;

#define IS_ALIGNED(p) (((ulong)(p) & (VECTOR * sizeof(result_t) - 1)) == 0)

INLINE fvec load_neighbours(__global const result_t *from, long stride, long count)
{
    if (stride == 1 && count >= VECTOR && IS_ALIGNED(from)) {
        return PASTE(DECODE_, RESULT)(*(__global const result_wide *)from);
    }
    return load_result(from, stride, count, 0.0f);
}

INLINE void store_neighbours(__global result_t *to, long stride, long count, fvec value)
{
    if (stride == 1 && count >= VECTOR && IS_ALIGNED(to)) {
        *(__global result_wide *)to = PASTE(ENCODE_, RESULT)(value);
    } else {
        store_result(to, stride, count, value);
    }
}

INLINE void finish_neighbours(__global result_t *out, long out_stride, __global const result_t *bias, long bias_stride,
                              __global const result_t *residual, long residual_stride, __global result_t *pre,
                              long pre_stride, long count, fvec sum, float alpha, int flags, int activation)
{
    fvec value = alpha * sum;
    if ((flags & FLAG_BETA) != 0) {
        value += load_neighbours(out, out_stride, count);
    }
    if ((flags & FLAG_BIAS) != 0) {
        value += load_neighbours(bias, bias_stride, count);
    }
    if (activation == 1) {
        if ((flags & FLAG_PRE) != 0) {
            store_neighbours(pre, pre_stride, count, value);
        }
        value = gelu(value);
    } else if (activation == 2) {
        value *= gelu_slope(load_neighbours(pre, pre_stride, count));
    }
    if ((flags & FLAG_RESIDUAL) != 0) {
        value += load_neighbours(residual, residual_stride, count);
    }
    store_neighbours(out, out_stride, count, value);
}

INLINE void clear_sums(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS])
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
            UNROLL
            for (int s = 0; s < FRAGMENT_SUMS; s++) {
                sums[i][j][s] = 0.0f;
            }
        }
    }
}

/* Sums go through local memory, a warp in its own part, so that an item finishes VECTOR neighbours of a row. Rows from `rows` on, and
 * columns from `cols` on, don't exist. */
INLINE void finish_tile(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS], __local uchar *memory, int warp, int lane, int warp_row,
                        int warp_col, long first_row, long first_col, PRODUCT_PARAMETERS SUMS_PARAMETERS)
{
    __local float *segment = (__local float *)(memory + warp * SEGMENT_BYTES);
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int s = 0; s < WARP_COLS / SEGMENT; s++) {
            WARP_BARRIER();
            UNROLL
            for (int j = 0; j < SEGMENT / FRAGMENT_COLS; j++) {
                STORE_FRAGMENT(segment + j * FRAGMENT_COLS, sums[i][s * (SEGMENT / FRAGMENT_COLS) + j], lane)
            }
            WARP_BARRIER();
            for (int place = lane; place < FRAGMENT_ROWS * SEGMENT / VECTOR; place += LANES) {
                const int segment_row = place / (SEGMENT / VECTOR);
                const int segment_col = place % (SEGMENT / VECTOR) * VECTOR;
                const long m = first_row + warp_row + i * FRAGMENT_ROWS + segment_row;
                const long n = first_col + warp_col + s * SEGMENT + segment_col;
                if (m < rows && n < cols) {
                    const fvec sum = *(__local const fvec *)(segment + segment_row * SEGMENT_PITCH + segment_col);
#if PIECES
                    *(__global fvec *)(partial + m * pitch + n) = sum;
#else
                    finish_neighbours(out + m * strides.s4 + n * strides.s5, strides.s5, bias + n * strides.s6, strides.s6,
                                      residual + m * more_strides.s0 + n * more_strides.s1, more_strides.s1,
                                      pre + m * more_strides.s2 + n * more_strides.s3, more_strides.s3, cols - n, sum,
                                      alpha, flags, activation);
#endif
                }
            }
        }
    }
}
