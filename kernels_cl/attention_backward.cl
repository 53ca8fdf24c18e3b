/* ATTENTION_BACKWARD: scores are computed again by tiles, twice: once by blocks of queries for dq, once
 * by blocks of keys for dk and dv. So every sum has one owner and needs no atomics.
 *
 *     p_ij = exp(scale·q_i·k_j − lse_i),  ds_ij = p_ij·(w_ij·dout_i·v_j − delta_i)
 *     dq_i = scale·Σ_j ds_ij·k_j,  dk_j = scale·Σ_i ds_ij·q_i,  dv_j = Σ_i w_ij·p_ij·dout_i
 *
 * with delta_i = dout_i·out_i and w the dropout factors.
 * Shapes: as in attention.cl; dq and dout like q, dk and dv like k; delta [B·H, Tq].
 * attention_delta: on CPUs global (Tq, B·H), an item a query; on GPUs groups of (COL_ITEMS, ROW_ITEMS),
 *   COL_ITEMS neighbours a query: global (COL_ITEMS·⌈Tq / ROW_ITEMS⌉, B·H·ROW_ITEMS).
 * attention_dq: groups as in attention.cl, rows are queries.
 * attention_dkdv: rows are keys, columns queries: global (⌈Tk / BLOCK_ROWS⌉·COL_ITEMS,
 *   B·H·ROW_ITEMS).
 * Macros: attention_tile.cl. Local memory in floats: 2·(ROW_TILE + COL_TILE + WEIGHT_TILE + TILE_COLS)
 * in attention_dkdv, less in the others. Bound by arithmetic: 6 and 8·HEAD_SIZE operations a visible
 * score. */

/* strides = (dout batch, head, row, out batch, head, row, 0, 0) */
__kernel void attention_delta(__global float *delta, long delta_start, __global const data_t *dout,
                              long dout_start, __global const data_t *out, long out_start,
                              long heads, long queries, long8 strides)
{
    DECLARE_ITEMS
#if ALL_ITEMS == 1
    const long row = get_global_id(0);
    const long head_number = get_global_id(1);
#else
    __local float scratch[ALL_ITEMS];
    const long row = (long)get_group_id(0) * ROW_ITEMS + row_item;
    const long head_number = get_group_id(1);
#endif
    const long batch = head_number / heads;
    const long head = head_number - batch * heads;
    const long known = min(row, queries - 1);
    dout += dout_start + batch * strides.s0 + head * strides.s1 + known * strides.s2;
    out += out_start + batch * strides.s3 + head * strides.s4 + known * strides.s5;
    fvec sum = (fvec)(0.0f);
    for (int d = col_item * VECTOR; d < HEAD_SIZE; d += COL_ITEMS * VECTOR) {
        sum = MULTIPLY_ADD(load_data(dout + d, 1, HEAD_SIZE - d, 0.0f),
                           load_data(out + d, 1, HEAD_SIZE - d, 0.0f), sum);
    }
    float total = VECTOR_SUM(sum);
#if ALL_ITEMS > 1
    scratch[item] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int other = 1; col_item == 0 && other < COL_ITEMS; other++) {
        total += scratch[item + other];
    }
#endif
    if (row < queries && col_item == 0) {
        delta[delta_start + head_number * queries + row] = total;
    }
}

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, dout batch,
 * head, row, 0, 0); lse_strides = (batch, head, row, 0…); dq_strides = (batch, head, row, 0…) */
#define BACKWARD_INPUTS                                                                        \
    __global const data_t *dout, long dout_start, __global const data_t *q, long q_start,      \
        __global const data_t *k, long k_start, __global const data_t *v, long v_start,        \
        __global const float *lse, long lse_start, __global const float *delta,                \
        long delta_start, long heads, long queries, long keys, long8 strides, long8 more,      \
        long8 lse_strides, long8 result_strides, float scale, int causal, ulong seed,          \
        uint threshold, float keep_scale

#define GO_TO_HEAD                                                    \
    const long head_number = get_group_id(1);                         \
    const long batch = head_number / heads;                           \
    const long head = head_number - batch * heads;                    \
    const long first_row = (long)get_group_id(0) * BLOCK_ROWS;        \
    const long before = keys - queries;                               \
    q += q_start + batch * strides.s0 + head * strides.s1;            \
    k += k_start + batch * strides.s3 + head * strides.s4;            \
    v += v_start + batch * more.s0 + head * more.s1;                  \
    dout += dout_start + batch * more.s3 + head * more.s4;            \
    lse += lse_start + batch * lse_strides.s0 + head * lse_strides.s1; \
    delta += delta_start + head_number * queries;

ATTENTION_KERNEL void attention_dq(__global data_t *dq, long dq_start, BACKWARD_INPUTS)
{
    TILE(q_tile, ROW_TILE);
    TILE(dout_tile, ROW_TILE);
    TILE(k_tile, COL_TILE);
    TILE(v_tile, COL_TILE);
    TILE(ds_tile, WEIGHT_TILE);
    DECLARE_ITEMS
    GO_TO_HEAD
    dq += dq_start + batch * result_strides.s0 + head * result_strides.s1;
    fvec sums[STEPS][EACH_ROWS][EACH_D];
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                sums[step][i][j] = (fvec)(0.0f);
            }
        }
    }
    load_tile(q_tile, BLOCK_ROWS, q, strides.s2, first_row, queries, item);
    load_tile(dout_tile, BLOCK_ROWS, dout, more.s5, first_row, queries, item);
    const long last_row = min(first_row + BLOCK_ROWS, queries) - 1;
    const long end = causal != 0 ? min(keys, last_row + before + 1) : keys;
    for (long start = 0; start < end; start += TILE_COLS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(k_tile, TILE_COLS, k, strides.s5, start, keys, item);
        load_tile(v_tile, TILE_COLS, v, more.s2, start, keys, item);
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < STEPS; step++) {
            fvec p[EACH_ROWS][EACH_COLS];
            fvec dp[EACH_ROWS][EACH_COLS];
            MULTIPLY_TILES(p, q_tile, k_tile, step)
            MULTIPLY_TILES(dp, dout_tile, v_tile, step)
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
                const long row = first_row + ROW_OF(step, i);
                const long known = min(row, queries - 1);
                const long visible = (causal != 0 ? min(keys, row + before + 1) : keys) - start;
                const float row_lse = lse[known * lse_strides.s2];
                const float row_delta = delta[known];
#pragma unroll
                for (int j = 0; j < EACH_COLS; j++) {
                    const ulong number =
                        (ulong)((head_number * queries + row) * keys + start + COL_OF(j));
                    const fvec weight = dropout_factors(seed, number, 1, threshold, keep_scale);
                    const fvec probability = exp(
                        keep_between(scale * p[i][j] - row_lse, -INFINITY, COL_OF(j), 0, visible));
                    dp[i][j] = probability * (weight * dp[i][j] - row_delta);
                }
            }
            STORE_WEIGHTS(ds_tile, dp)
            barrier(CLK_LOCAL_MEM_FENCE);
            fvec part[EACH_ROWS][EACH_D];
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
#pragma unroll
                for (int j = 0; j < EACH_D; j++) {
                    part[i][j] = sums[step][i][j];
                }
            }
            ADD_WEIGHTED_ROWS(part, ds_tile, k_tile, k, strides.s5, start, keys)
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
#pragma unroll
                for (int j = 0; j < EACH_D; j++) {
                    sums[step][i][j] = part[i][j];
                }
            }
        }
    }
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
            const long row = first_row + ROW_OF(step, i);
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                if (row < queries && D_OF(j) < HEAD_SIZE) {
                    store_data(dq + row * result_strides.s2 + D_OF(j), 1, HEAD_SIZE - D_OF(j),
                               scale * sums[step][i][j]);
                }
            }
        }
    }
}

/* result_strides = (dk batch, head, row, dv batch, head, row, 0, 0) */
ATTENTION_KERNEL void attention_dkdv(__global data_t *dk, long dk_start, __global data_t *dv,
                                     long dv_start, BACKWARD_INPUTS)
{
    TILE(k_tile, ROW_TILE);
    TILE(v_tile, ROW_TILE);
    TILE(q_tile, COL_TILE);
    TILE(dout_tile, COL_TILE);
    TILE(p_tile, WEIGHT_TILE);
    TILE(ds_tile, WEIGHT_TILE);
    __local float lse_tile[TILE_COLS];
    __local float delta_tile[TILE_COLS];
    DECLARE_ITEMS
    GO_TO_HEAD
    dk += dk_start + batch * result_strides.s0 + head * result_strides.s1;
    dv += dv_start + batch * result_strides.s3 + head * result_strides.s4;
    fvec dk_sums[STEPS][EACH_ROWS][EACH_D];
    fvec dv_sums[STEPS][EACH_ROWS][EACH_D];
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                dk_sums[step][i][j] = (fvec)(0.0f);
                dv_sums[step][i][j] = (fvec)(0.0f);
            }
        }
    }
    load_tile(k_tile, BLOCK_ROWS, k, strides.s5, first_row, keys, item);
    load_tile(v_tile, BLOCK_ROWS, v, more.s2, first_row, keys, item);
    /* The first query that sees the block's first key, at the start of its tile. */
    const long first_query = causal != 0 ? max(first_row - before, 0L) : 0;
    for (long start = first_query / TILE_COLS * TILE_COLS; start < queries; start += TILE_COLS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(q_tile, TILE_COLS, q, strides.s2, start, queries, item);
        load_tile(dout_tile, TILE_COLS, dout, more.s5, start, queries, item);
        for (int col = item; col < TILE_COLS; col += ALL_ITEMS) {
            const long query = min(start + col, queries - 1);
            lse_tile[col] = lse[query * lse_strides.s2];
            delta_tile[col] = delta[query];
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < STEPS; step++) {
            fvec p[EACH_ROWS][EACH_COLS];
            fvec dp[EACH_ROWS][EACH_COLS];
            MULTIPLY_TILES(p, k_tile, q_tile, step)
            MULTIPLY_TILES(dp, v_tile, dout_tile, step)
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
                const long row = first_row + ROW_OF(step, i);
                const long low = causal != 0 ? row - before - start : 0;
#pragma unroll
                for (int j = 0; j < EACH_COLS; j++) {
                    const ulong number =
                        (ulong)((head_number * queries + start + COL_OF(j)) * keys + row);
                    const fvec weight =
                        dropout_factors(seed, number, (ulong)keys, threshold, keep_scale);
                    const fvec exponent = scale * p[i][j] - LOAD_VECTOR(lse_tile + COL_OF(j));
                    const fvec probability =
                        exp(keep_between(exponent, -INFINITY, COL_OF(j), low, queries - start));
                    p[i][j] = probability * weight;
                    dp[i][j] = probability *
                               (weight * dp[i][j] - LOAD_VECTOR(delta_tile + COL_OF(j)));
                }
            }
            STORE_WEIGHTS(p_tile, p)
            STORE_WEIGHTS(ds_tile, dp)
            barrier(CLK_LOCAL_MEM_FENCE);
            ADD_WEIGHTED_ROWS(dv_sums[step], p_tile, dout_tile, dout, more.s5, start, queries)
            ADD_WEIGHTED_ROWS(dk_sums[step], ds_tile, q_tile, q, strides.s2, start, queries)
        }
    }
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
            const long row = first_row + ROW_OF(step, i);
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                if (row < keys && D_OF(j) < HEAD_SIZE) {
                    store_data(dk + row * result_strides.s2 + D_OF(j), 1, HEAD_SIZE - D_OF(j),
                               scale * dk_sums[step][i][j]);
                    store_data(dv + row * result_strides.s5 + D_OF(j), 1, HEAD_SIZE - D_OF(j),
                               dv_sums[step][i][j]);
                }
            }
        }
    }
}
