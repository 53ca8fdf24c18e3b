/* ATTENTION forward in flash style: softmax(scale·q·kᵀ)·v by tiles of keys, with a running maximum
 * and a running sum, so that no score ever reaches global memory (arXiv 2205.14135).
 *
 * Shapes: q, out [B, H, Tq, HEAD_SIZE], k, v [B, H, Tk, HEAD_SIZE], lse [B, H, Tq]; last strides 1.
 * Launch: groups of (COL_ITEMS, ROW_ITEMS), one a block of BLOCK_ROWS queries of a head:
 * global (⌈Tq / BLOCK_ROWS⌉·COL_ITEMS, B·H·ROW_ITEMS).
 * Macros: attention_tile.cl. Local memory in floats: ROW_TILE + 2·COL_TILE + STEP_ROWS·COL_ITEMS; on CPUs
 * v isn't put there, but WEIGHT_TILE is. Bound by arithmetic: 4·HEAD_SIZE operations a visible score. */

/* Folds the values that the items of a row have for it, for all rows of an item at once. */
#if COL_ITEMS == 1
#define FOLD_ROWS(values, OP)
#else
#define FOLD_ROWS(values, OP)                                                   \
    barrier(CLK_LOCAL_MEM_FENCE);                                               \
    _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                       \
    {                                                                           \
        scratch[ROW_OF(0, i) * COL_ITEMS + col_item] = values[i];               \
    }                                                                           \
    barrier(CLK_LOCAL_MEM_FENCE);                                               \
    _Pragma("unroll") for (int i = 0; i < EACH_ROWS; i++)                       \
    {                                                                           \
        float4 folded = FOUR(scratch + ROW_OF(0, i) * COL_ITEMS);               \
        _Pragma("unroll") for (int other = 4; other < COL_ITEMS; other += 4)    \
        {                                                                       \
            folded = OP(folded, FOUR(scratch + ROW_OF(0, i) * COL_ITEMS + other)); \
        }                                                                       \
        values[i] = OP(OP(folded.s0, folded.s1), OP(folded.s2, folded.s3));     \
    }
#endif
#define ADD_VALUES(a, b) ((a) + (b))

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, out batch,
 * head, row, 0, 0); lse_strides = (batch, head, row, 0) */
ATTENTION_KERNEL void
attention(__global data_t *out, long out_start, __global const data_t *q, long q_start,
          __global const data_t *k, long k_start, __global const data_t *v, long v_start,
          __global float *lse, long lse_start, long heads, long queries, long keys, long8 strides,
          long8 more, long8 lse_strides, float scale, int causal, int has_lse, ulong seed,
          uint threshold, float keep_scale)
{
    TILE(q_tile, ROW_TILE);
#if VECTOR == 1
    /* Weights take the place of the keys, which aren't looked at again. */
    TILE(k_tile, COL_TILE > WEIGHT_TILE ? COL_TILE : WEIGHT_TILE);
    __local float *const p_tile = k_tile;
    TILE(v_tile, COL_TILE);
#else
    TILE(k_tile, COL_TILE);
    TILE(p_tile, WEIGHT_TILE);
#endif
#if COL_ITEMS > 1
    TILE(scratch, STEP_ROWS * COL_ITEMS);
#endif
    DECLARE_ITEMS
    const long head_number = get_group_id(1);
    const long batch = head_number / heads;
    const long head = head_number - batch * heads;
    const long first_row = (long)get_group_id(0) * BLOCK_ROWS;
    const long before = keys - queries;
    q += q_start + batch * strides.s0 + head * strides.s1;
    k += k_start + batch * strides.s3 + head * strides.s4;
    v += v_start + batch * more.s0 + head * more.s1;
    out += out_start + batch * more.s3 + head * more.s4;
    lse += lse_start + batch * lse_strides.s0 + head * lse_strides.s1;

    fvec sums[STEPS][EACH_ROWS][EACH_D];
    float maxima[STEPS][EACH_ROWS];
    fvec totals[STEPS][EACH_ROWS]; /* of the item's own columns */
    for (int step = 0; step < STEPS; step++) {
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
            maxima[step][i] = -INFINITY;
            totals[step][i] = (fvec)(0.0f);
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                sums[step][i][j] = (fvec)(0.0f);
            }
        }
    }
    load_tile(q_tile, BLOCK_ROWS, q, strides.s2, first_row, queries, item);
    const long last_row = min(first_row + BLOCK_ROWS, queries) - 1;
    const long end = causal != 0 ? min(keys, last_row + before + 1) : keys;
    for (long start = 0; start < end; start += TILE_COLS) {
        barrier(CLK_LOCAL_MEM_FENCE);
        load_tile(k_tile, TILE_COLS, k, strides.s5, start, keys, item);
#if VECTOR == 1
        load_tile(v_tile, TILE_COLS, v, more.s2, start, keys, item);
#endif
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int step = 0; step < STEPS; step++) {
            fvec p[EACH_ROWS][EACH_COLS];
            fvec part[EACH_ROWS][EACH_D];
            float largest_of[EACH_ROWS];
            MULTIPLY_TILES(p, q_tile, k_tile, step)
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
                const long row = first_row + ROW_OF(step, i);
                const long visible = (causal != 0 ? min(keys, row + before + 1) : keys) - start;
                fvec largest = (fvec)(-INFINITY);
#pragma unroll
                for (int j = 0; j < EACH_COLS; j++) {
                    p[i][j] = keep_between(scale * p[i][j], -INFINITY, COL_OF(j), 0, visible);
                    largest = fmax(largest, p[i][j]);
                }
                largest_of[i] = VECTOR_MAX(largest);
            }
            FOLD_ROWS(largest_of, fmax)
#pragma unroll
            for (int i = 0; i < EACH_ROWS; i++) {
                const long row = first_row + ROW_OF(step, i);
                const float maximum = fmax(maxima[step][i], largest_of[i]);
                /* A row that has seen nothing yet has nothing to rescale either. */
                const float base = maximum == -INFINITY ? 0.0f : maximum;
                const float shrink = exp(maxima[step][i] - base);
                maxima[step][i] = maximum;
                fvec total = totals[step][i] * shrink;
#pragma unroll
                for (int j = 0; j < EACH_COLS; j++) {
                    const fvec probability = exp(p[i][j] - base);
                    const ulong number = (ulong)((head_number * queries + row) * keys + start +
                                                 COL_OF(j));
                    total += probability;
                    p[i][j] =
                        probability * dropout_factors(seed, number, 1, threshold, keep_scale);
                }
                totals[step][i] = total;
#pragma unroll
                for (int j = 0; j < EACH_D; j++) {
                    part[i][j] = sums[step][i][j] * shrink;
                }
            }
            STORE_WEIGHTS(p_tile, p)
            barrier(CLK_LOCAL_MEM_FENCE);
#if VECTOR == 1
            ADD_WEIGHTED_ROWS(part, p_tile, v_tile, v, more.s2, start, keys)
#else
            ADD_WEIGHTED_ROWS(part, p_tile, 0, v, more.s2, start, keys)
#endif
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
        float total_of[EACH_ROWS];
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
            total_of[i] = VECTOR_SUM(totals[step][i]);
        }
        FOLD_ROWS(total_of, ADD_VALUES)
#pragma unroll
        for (int i = 0; i < EACH_ROWS; i++) {
            const long row = first_row + ROW_OF(step, i);
            const float total = total_of[i];
            const float inverse = total > 0.0f ? 1.0f / total : 0.0f;
#pragma unroll
            for (int j = 0; j < EACH_D; j++) {
                if (row < queries && D_OF(j) < HEAD_SIZE) {
                    store_data(out + row * more.s5 + D_OF(j), 1, HEAD_SIZE - D_OF(j),
                               sums[step][i][j] * inverse);
                }
            }
            if (has_lse != 0 && row < queries && col_item == 0) {
                lse[row * lse_strides.s2] = maxima[step][i] + log(total);
            }
        }
    }
}
