/* MATMUL and NORM_MATMUL with few rows on GPUs, where b is read in whole chunks of 16 bytes: out [M, N],
 * M ≤ MOST_ROWS. Reading b once is all it costs: an item begins AHEAD chunks before it needs the first.
 *
 * matmul_wide_rows (BY_ROWS 1): rows of b are contiguous. COLS items side by side own COLS·WIDTH columns;
 *   the PARTS items behind each take every PARTS-th step of the depth, and the group adds up what they
 *   have. Launch: groups of (COLS, PARTS): global (⌈N / (COLS·WIDTH)⌉·COLS, PARTS, batches).
 * matmul_wide_cols (BY_ROWS 0): columns of b are contiguous. COLS neighbours share a column, chunk by
 *   chunk; a group has PARTS columns. Launch: the same groups: global (⌈N / PARTS⌉·COLS, PARTS, batches).
 * Shapes: product.cl; every row, or column, of b begins at a multiple of 16 bytes, and its length is one;
 *   by columns so do rows of a.
 * Macros: DATA, RESULT, WIDTH (wide.cl); MOST_ROWS 1, 2, 4 or 8; COLS, PARTS powers of two, by rows
 *   PARTS ≥ WIDTH; AHEAD; by rows NORM 1: a is layer_norm(a; gamma, beta, epsilon), DEPTH long, computed
 *   by each group for itself while the first chunks are on their way.
 * Local memory in floats: by rows ITEMS·WIDTH, and MOST_ROWS·DEPTH with NORM; by columns MOST_ROWS·ITEMS.
 * Barriers stand outside conditions that depend on arguments: PoCL 3.1 writes nonsense otherwise.
 * Bound by memory bandwidth. */

#define UNROLL _Pragma("unroll")
#define ITEMS (COLS * PARTS)
#define WIDE_KERNEL __kernel __attribute__((reqd_work_group_size(COLS, PARTS, 1)))

/* chunks[u] = the chunk u·`stride` behind `from`, for steps k + u·`apart` that are within the depth. */
#define FETCH(chunks, from, stride, k, apart)                                                          \
    UNROLL                                                                                             \
    for (int u = 0; u < AHEAD; u++) {                                                                  \
        chunks[u] = (wide_data)(0);                                                                    \
        if ((k) + u * (apart) < (int)depth) {                                                          \
            chunks[u] = *(__global const wide_data *)((from) + u * (stride));                          \
        }                                                                                              \
    }

#if BY_ROWS
#define GROUP_COLS (COLS * WIDTH)
#define SLOTS      (ITEMS / GROUP_COLS)

#if NORM
#define NORM_PARAMETERS                                                                                 \
    , __global const data_t *gamma, long gamma_start, __global const data_t *beta, long beta_start,     \
        long gamma_stride, long beta_stride, float epsilon
#define FACTOR(i, k) normed[(i) * DEPTH + (k)]

/* Items of a group that share a row. */
#define SLICE (ITEMS / MOST_ROWS)

/* The sum over the items of a slice, in a fixed order. */
inline float slice_sum(float value, __local float *scratch, int item)
{
    const int first = item % SLICE;
    scratch[item] = value;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = SLICE / 2; half_size > 0; half_size /= 2) {
        if (first < half_size) {
            scratch[item] += scratch[item + half_size];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    const float sum = scratch[item - first];
    barrier(CLK_LOCAL_MEM_FENCE);
    return sum;
}

/* normed [MOST_ROWS, DEPTH] = the layer norm of x's rows; the variance comes from centred values. */
inline void normalise(__local float *normed, __local float *scratch, __global const data_t *x,
                      int rows, long row_stride, long stride, __global const data_t *gamma,
                      long gamma_stride, __global const data_t *beta, long beta_stride,
                      float epsilon, int item)
{
    const int row = item / SLICE;
    x += min(row, rows - 1) * row_stride;
    float sum = 0.0f;
    for (int k = item % SLICE; k < DEPTH; k += SLICE) {
        sum += LOAD_DATA(x, k * stride);
    }
    const float mean = slice_sum(sum, scratch, item) / (float)DEPTH;
    float squares = 0.0f;
    for (int k = item % SLICE; k < DEPTH; k += SLICE) {
        const float centred = LOAD_DATA(x, k * stride) - mean;
        squares = MULTIPLY_ADD(centred, centred, squares);
    }
    const float variance = slice_sum(squares, scratch, item) / (float)DEPTH;
    const float rstd = 1.0f / sqrt(variance + epsilon);
    for (int k = item % SLICE; k < DEPTH; k += SLICE) {
        normed[row * DEPTH + k] = (LOAD_DATA(x, k * stride) - mean) * rstd * LOAD_DATA(gamma, k * gamma_stride) +
                                  LOAD_DATA(beta, k * beta_stride);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
}
#else
#define NORM_PARAMETERS
#define FACTOR(i, k) LOAD_DATA(a, (i) * strides.s0 + (k) * strides.s1)
#endif

WIDE_KERNEL void matmul_wide_rows(PRODUCT_PARAMETERS NORM_PARAMETERS)
{
    __local float parts[ITEMS * WIDTH] __attribute__((aligned(64)));
    const int part = get_local_id(1);
    const int item = part * COLS + get_local_id(0);
    const long group_col = (long)get_group_id(0) * GROUP_COLS;
    const long own_col = group_col + get_local_id(0) * WIDTH;
    const long step = PARTS * strides.s2;
    GO_TO_BATCH((long)get_group_id(2))
    /* Items behind the last column read the first one, and nobody looks at what they have. */
    __global const data_t *next = b + part * strides.s2 + (own_col < cols ? own_col : 0);
    wide_data ahead[AHEAD];
    FETCH(ahead, next, step, part, PARTS)
#if NORM
    __local float normed[MOST_ROWS * DEPTH];
    normalise(normed, parts, a, (int)rows, strides.s0, strides.s1, gamma + gamma_start, gamma_stride,
              beta + beta_start, beta_stride, epsilon, item);
#endif
    wvec sums[MOST_ROWS];
UNROLL
    for (int i = 0; i < MOST_ROWS; i++) {
        sums[i] = (wvec)(0.0f);
    }
    for (int k = part; k < (int)depth; k += AHEAD * PARTS) {
UNROLL
        for (int u = 0; u < AHEAD; u++) {
            const wvec b_part = DECODE_WIDE(ahead[u]);
            const int at = k + u * PARTS;
UNROLL
            for (int i = 0; i < MOST_ROWS; i++) {
                if (i < rows && at < (int)depth) {
                    sums[i] = MULTIPLY_ADD((wvec)(FACTOR(i, at)), b_part, sums[i]);
                }
            }
        }
        next += AHEAD * step;
        FETCH(ahead, next, step, k + AHEAD * PARTS, PARTS)
    }
UNROLL
    for (int i = 0; i < MOST_ROWS; i++) {
        barrier(CLK_LOCAL_MEM_FENCE);
        WIDE(parts + item * WIDTH) = sums[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        float total = 0.0f;
        for (int place = item; place < ITEMS * WIDTH; place += ITEMS) {
            total += parts[place];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        parts[item] = total;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (item < GROUP_COLS && group_col + item < cols && i < rows) {
            for (int slot = 1; slot < SLOTS; slot++) {
                total += parts[slot * GROUP_COLS + item];
            }
            FINISH((long)i, group_col + item, 1L, (fvec)(total));
        }
    }
}

#else

WIDE_KERNEL void matmul_wide_cols(PRODUCT_PARAMETERS)
{
    __local float parts[MOST_ROWS * ITEMS];
    const int along = get_local_id(0);
    const int own = get_local_id(1);
    const int item = own * COLS + along;
    const long group_col = (long)get_group_id(0) * PARTS;
    GO_TO_BATCH((long)get_group_id(2))
    __global const data_t *next = b + min(group_col + own, cols - 1) * strides.s3 + along * WIDTH;
    wide_data ahead[AHEAD];
    wvec sums[MOST_ROWS];
UNROLL
    for (int i = 0; i < MOST_ROWS; i++) {
        sums[i] = (wvec)(0.0f);
    }
    for (int k = along * WIDTH; k < (int)depth; k += AHEAD * COLS * WIDTH) {
        FETCH(ahead, next, COLS * WIDTH, k, COLS * WIDTH)
UNROLL
        for (int u = 0; u < AHEAD; u++) {
            const wvec b_part = DECODE_WIDE(ahead[u]);
            const int at = k + u * COLS * WIDTH;
UNROLL
            for (int i = 0; i < MOST_ROWS; i++) {
                if (i < rows && at < (int)depth) {
                    __global const data_t *own_a = a + i * strides.s0 + at;
                    sums[i] = MULTIPLY_ADD(LOAD_WIDE(own_a, WIDTH), b_part, sums[i]);
                }
            }
        }
        next += AHEAD * COLS * WIDTH;
    }
UNROLL
    for (int i = 0; i < MOST_ROWS; i++) {
        parts[i * ITEMS + item] = WIDE_SUM(sums[i]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int done = item; done < MOST_ROWS * PARTS; done += ITEMS) {
        const int row = done / PARTS;
        const int col = done % PARTS;
        /* Items begin at different places, so that they ask different banks. */
        float total = 0.0f;
        for (int other = 0; other < COLS; other++) {
            total += parts[row * ITEMS + col * COLS + (other + col) % COLS];
        }
        if (row < rows && group_col + col < cols) {
            FINISH((long)row, group_col + col, 1L, (fvec)(total));
        }
    }
}
#endif
