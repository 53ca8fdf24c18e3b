/* What the two kernels of ATTENTION_BACKWARD on matrix units share. Scores are computed again, by tiles, twice: by blocks of queries for
 * dq, by blocks of keys for dk and dv, transposed there, so that in both the weights of the last product lie in registers as its left
 * operand, and every sum has one owner. Formulas and shapes: attention_backward.cl. Weights and their gradients are rounded to bf16 for
 * their products, or split as f32 tensors are.
 *
 * attention_dq_matrix_units is run first. It writes the statistics of each query, (lse·log2 e, delta), `padded` a head, 0 behind the last
 * query; `padded` is a multiple of 64, at most blocks·TILE_ROWS. */

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, dout batch, head, row, 0, 0); scale = ATTENTION's,
 * positive; scale_log2 = that times log2 e; seed, threshold, keep_scale as of dropout_factor in philox.cl */
#define BACKWARD_INPUTS                                                                                                     \
    __global const data_t *dout, long dout_start, __global const data_t *q, long q_start, __global const data_t *k,         \
        long k_start, __global const data_t *v, long v_start, __global float *statistics, long statistics_start, int heads, \
        int queries, int keys, int padded, long8 strides, long8 more, long8 result_strides, float scale, float scale_log2,  \
        int causal, ulong seed, uint threshold, float keep_scale

/* dp − delta, dp being what is left of it behind dropout. */
#if DROPOUT
#define LESS_DELTA(dp, delta) MULTIPLY_ADD(keep_scale, dp, -(delta))
#else
#define LESS_DELTA(dp, delta) ((dp) - (delta))
#endif

#define GO_TO_HEAD(rows, LAST_FIRST)                                                            \
    __local uchar memory[ATTENTION_BYTES(2)] __attribute__((aligned(1024)));                   \
    FIND_BLOCK(rows, LAST_FIRST)                                                                \
    const int before = keys - queries;                                                          \
    q += q_start + batch * strides.s0 + head * strides.s1;                                      \
    k += k_start + batch * strides.s3 + head * strides.s4;                                      \
    v += v_start + batch * more.s0 + head * more.s1;                                            \
    dout += dout_start + batch * more.s3 + head * more.s4;                                      \
    statistics += statistics_start + (long)(group / blocks) * padded * 2;

/* Begins to fetch the first tiles of both kinds, rows from `begin` on, and the next ones, if there are any. `next_a` and `next_b` are
 * ITEMS_ROW of the first rows; where copies come straight to local memory they go along with the tiles. Split operands come through
 * registers one after the other, the second when PUT_NEXT_A has taken the first away; a tile is one slice there. */
#if PARTS == 1
#define FETCH_FIRST(next_a, stride_a, next_b, stride_b, begin, rows)                        \
    next_a += (begin) * stride_a;                                                           \
    next_b += (begin) * stride_b;                                                           \
    FETCH_ROWS(raw, base, TILE_COLS, next_a, stride_a, (rows) - (begin))                    \
    FETCH_ROWS(raw, base + WALKED_TILE, TILE_COLS, next_b, stride_b, (rows) - (begin))
#define FETCH_NEXT(next_a, stride_a, next_b, stride_b, end, rows)                           \
    if (next < (end)) {                                                                     \
        next_a += TILE_COLS * stride_a;                                                     \
        next_b += TILE_COLS * stride_b;                                                     \
        FETCH_ROWS(raw, next_tile, TILE_COLS, next_a, stride_a, (rows) - next)              \
        FETCH_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS, next_b, stride_b, (rows) - next) \
    }
#define PUT_NEXT_A(next_b, stride_b, end, rows)
#define PUT_NEXT_B(end)
#else
#define FETCH_FIRST(next_a, stride_a, next_b, stride_b, begin, rows)                        \
    FETCH_ROWS(raw, base, TILE_COLS, next_a + (begin) * stride_a, stride_a, (rows) - (begin)) \
    PUT_ROWS(raw, base, TILE_COLS)                                                          \
    FETCH_ROWS(raw, base + WALKED_TILE, TILE_COLS, next_b + (begin) * stride_b, stride_b, (rows) - (begin)) \
    PUT_ROWS(raw, base + WALKED_TILE, TILE_COLS)
#define FETCH_NEXT(next_a, stride_a, next_b, stride_b, end, rows)                           \
    if (next < (end)) {                                                                     \
        FETCH_ROWS(raw, next_tile, TILE_COLS, next_a + next * stride_a, stride_a, (rows) - next) \
    }
#define PUT_NEXT_A(next_b, stride_b, end, rows)                                             \
    if (next < (end)) {                                                                     \
        PUT_ROWS(raw, next_tile, TILE_COLS)                                                 \
        FETCH_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS, next_b + next * stride_b, stride_b, (rows) - next) \
    }
#define PUT_NEXT_B(end)                                                                     \
    if (next < (end)) {                                                                     \
        PUT_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS)                                   \
    }
#endif
