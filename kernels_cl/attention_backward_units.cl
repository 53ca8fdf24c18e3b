/* What the two kernels of ATTENTION_BACKWARD on matrix units share. Scores are computed again, by tiles, twice: by blocks of queries for
 * dq, by blocks of keys for dk and dv, transposed there, so that in both the weights of the last product lie in registers as its left
 * operand, and every sum has one owner. Formulas and shapes: attention_backward.cl. Weights and their gradients are rounded to bf16 for
 * their products.
 *
 * attention_dq_matrix_units is run first. It writes the statistics of each query, (lse·log2 e, delta), `padded` a head, 0 behind the last
 * query; `padded` is a multiple of 64, at most blocks·TILE_ROWS. */

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, dout batch, head, row, 0, 0); scale = ATTENTION's,
 * positive; scale_log2 = that times log2 e; seed, threshold, keep_scale as of dropout_factor in philox.cl */
#define BACKWARD_INPUTS                                                                                                     \
    __global const ushort *dout, long dout_start, __global const ushort *q, long q_start, __global const ushort *k,         \
        long k_start, __global const ushort *v, long v_start, __global float *statistics, long statistics_start, int heads, \
        int queries, int keys, int padded, long8 strides, long8 more, long8 result_strides, float scale, float scale_log2,  \
        int causal, ulong seed, uint threshold, float keep_scale

/* dp − delta, dp being what is left of it behind dropout. */
#if DROPOUT
#define LESS_DELTA(dp, delta) MULTIPLY_ADD(keep_scale, dp, -(delta))
#else
#define LESS_DELTA(dp, delta) ((dp) - (delta))
#endif

/* first_row: of the group's owned rows; blocks of a head follow each other, the first last where LAST_FIRST. */
#define GO_TO_HEAD(rows, LAST_FIRST)                                                            \
    __local uchar memory[ATTENTION_BYTES(2)] __attribute__((aligned(1024)));                   \
    const int blocks = ((rows) + TILE_ROWS - 1) / TILE_ROWS;                                    \
    const int group = get_group_id(0);                                                          \
    const int batch = group / blocks / heads;                                                   \
    const int head = group / blocks % heads;                                                    \
    const int first_row = (LAST_FIRST ? blocks - 1 - group % blocks : group % blocks) * TILE_ROWS; \
    const int before = keys - queries;                                                          \
    q += q_start + batch * strides.s0 + head * strides.s1;                                      \
    k += k_start + batch * strides.s3 + head * strides.s4;                                      \
    v += v_start + batch * more.s0 + head * more.s1;                                            \
    dout += dout_start + batch * more.s3 + head * more.s4;                                      \
    statistics += statistics_start + (long)(group / blocks) * padded * 2;
