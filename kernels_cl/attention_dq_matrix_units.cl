/* dq of ATTENTION_BACKWARD on matrix units: owned rows are queries.
 *
 * Launch: groups of ITEMS, global (blocks·B·H·ITEMS); those blocks of a head that see the most keys first.
 * Macros: attention_units.cl. Local memory: ATTENTION_BYTES(2). Bound by the units: 6·HEAD_SIZE operations a score. */

/* delta of the rows of a lane: Σ dout·out, of which each lane of four adds up every fourth chunk. */
INLINE void sum_deltas(float (*deltas)[2], __global const data_t *dout, long dout_stride, __global const data_t *out,
                       long out_stride, int left, int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            const int row = min(ROW_OF(i, lower), left - 1);
            float sum = 0.0f;
            UNROLL
            for (int j = 0; j < CHUNKS / 4; j++) {
                const int chunk = 4 * j + lane % 4;
                const float8 a = EXPAND_CHUNK(READ_CHUNK(dout + row * dout_stride + chunk * 8));
                const float8 b = EXPAND_CHUNK(READ_CHUNK(out + row * out_stride + chunk * 8));
                const float factors[16] = {a.s0, a.s1, a.s2, a.s3, a.s4, a.s5, a.s6, a.s7,
                                           b.s0, b.s1, b.s2, b.s3, b.s4, b.s5, b.s6, b.s7};
                UNROLL
                for (int e = 0; e < 8; e++) {
                    sum = MULTIPLY_ADD(factors[e], factors[8 + e], sum);
                }
            }
            ADD_ROW_LANES(sum)
            deltas[i][lower] = sum;
        }
    }
}

/* Replaces scores by the weights 2^(scale_log2·score − lse of the row). */
INLINE void weigh_slice(float (*scores)[SLICE / 8][4], float (*lses)[2], float scale_log2)
{
    FOR_SCORES(SCORE(scores, i, j, lower, e) =
                   native_exp2(MULTIPLY_ADD(SCORE(scores, i, j, lower, e), scale_log2, -lses[i][lower]));)
}

/* lse_strides = (lse batch, head, row, out batch, head, row, 0, 0); result_strides = (dq batch, head, row, 0…) */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
attention_dq_matrix_units(__global data_t *dq, long dq_start, __global const float *lse, long lse_start,
                          __global const data_t *out, long out_start, long8 lse_strides, BACKWARD_INPUTS)
{
#if EMULATED
    __local uint exchange[ITEMS * EXCHANGE_WORDS];
#endif
    DECLARE_ITEM
    GO_TO_HEAD(queries, causal != 0)
    const int warp_first = first_row + warp_row;
    lse += lse_start + batch * lse_strides.s0 + head * lse_strides.s1;
    out += out_start + batch * lse_strides.s3 + head * lse_strides.s4;
    const int end = causal != 0 ? min(first_row + TILE_ROWS, queries) + before : keys;
    const int team_end = causal != 0 ? first_row + TEAM_ROW(warp_row) + TEAM_ROWS + before : keys;

    const uint base = LOCAL_ADDRESS(memory);
    const uint q_tile = base + OWNED_PLACE;
    const uint dout_tile = q_tile + SECOND_OWNED;
    UNIT_COPIES
    DECLARE_RAW(raw, TILE_COLS)
    __global const data_t *next_k = ITEMS_ROW(k, strides.s5);
    __global const data_t *next_v = ITEMS_ROW(v, more.s2);
#if PARTS == 1
    FETCH_ROWS(raw_owned, q_tile, TILE_ROWS, ITEMS_ROW(q + first_row * strides.s2, strides.s2), strides.s2, queries - first_row)
#endif
#if PARTS == 1 || !KEPT
    DECLARE_RAW(raw_owned, TILE_ROWS)
    FETCH_ROWS(raw_owned, dout_tile, TILE_ROWS, ITEMS_ROW(dout + first_row * more.s5, more.s5), more.s5, queries - first_row)
    PUT_ROWS(raw_owned, dout_tile, TILE_ROWS)
#endif
    FETCH_FIRST(next_k, strides.s5, next_v, more.s2, 0, keys)
    END_COPIES();
    float lses[FRAGMENTS_DOWN][2];
    float deltas[FRAGMENTS_DOWN][2];
    /* A warp behind the last query repeats it, as far as it reads. */
    const int known = min(warp_first, queries - 1);
    sum_deltas(deltas, dout + known * more.s5, more.s5, out + known * lse_strides.s5, lse_strides.s5, queries - known,
               lane UNIT_ARGUMENTS);
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            const int row = warp_first + ROW_OF(i, lower);
            lses[i][lower] = row < queries ? lse[row * lse_strides.s2] * LOG2_E : 0.0f;
            if (row < padded && lane % 4 == 0) {
                vstore2((float2)(lses[i][lower], row < queries ? deltas[i][lower] : 0.0f), row, statistics);
            }
        }
    }
    uint q_kept[FRAGMENTS_DOWN][STEPS][PARTS][4];
    uint dout_kept[FRAGMENTS_DOWN][STEPS][PARTS][4];
#if PARTS > 1
    split_rows(q_kept, q + warp_first * strides.s2, strides.s2, queries - warp_first, lane);
#if KEPT
    split_rows(dout_kept, dout + warp_first * more.s5, more.s5, queries - warp_first, lane);
#endif
#elif KEPT
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    keep_rows(q_kept, q_tile, warp_row, lane UNIT_ARGUMENTS);
    keep_rows(dout_kept, dout_tile, warp_row, lane UNIT_ARGUMENTS);
#endif
    float sums[FRAGMENTS_DOWN][HEAD_SIZE / 8][4];
    clear_sums(sums);
#if DROPOUT
    const ulong first_weight = first_weight_of_rows(group / blocks, warp_first, queries, keys, lane);
#endif
    uint k_tile = base;
    for (int start = 0; start < end; start += TILE_COLS) {
        const uint v_tile = k_tile + WALKED_TILE;
        const uint next_tile = base + PAIR_BYTES - (k_tile - base);
        const int next = start + TILE_COLS;
        WAIT_COPIES(0);
        UNIT_PREPARE();
        barrier(CLK_LOCAL_MEM_FENCE);
        FETCH_NEXT(next_k, strides.s5, next_v, more.s2, end, keys)
        END_COPIES();
        UNROLL
        for (int slice = 0; slice < TILE_COLS; slice += SLICE) {
            float p[FRAGMENTS_DOWN][SLICE / 8][4];
            float ds[FRAGMENTS_DOWN][SLICE / 8][4];
            if (IS_LEFT_OUT(start + slice >= team_end)) {
                PUT_NEXT_A(next_v, more.s2, end, keys)
                PUT_NEXT_B(end)
                continue;
            }
#if DROPOUT
            uint kept_columns[FRAGMENTS_DOWN][2][KEPT_WORDS];
            choose_columns(kept_columns, first_weight, keys, start + slice, seed, threshold, lane UNIT_ARGUMENTS);
#endif
            multiply_rows(p, IS_KEPT_FIRST, q_kept, q_tile, warp_row, k_tile, slice, lane UNIT_ARGUMENTS);
            MULTIPLY_EARLY(ds, KEPT, dout_kept, dout_tile, warp_row, v_tile, slice, lane UNIT_ARGUMENTS);
            FINISH_SCORES(p, 1)
            const int most = keys - start - slice;
            const int visible = SEEN(warp_first + before + 1 - start - slice, start + slice >= team_end);
            if (most < SLICE || (causal != 0 && visible < SLICE)) {
                mask_scores(p, visible, most, causal, lane);
            }
            PUT_NEXT_A(next_v, more.s2, end, keys)
            MULTIPLY_LATE(ds, KEPT, dout_kept, dout_tile, warp_row, v_tile, slice, lane UNIT_ARGUMENTS);
            weigh_slice(p, lses, scale_log2);
            FINISH_SCORES(ds, 0)
#if DROPOUT
            DROP(ds, ds, kept_columns, COLUMN_IS_KEPT)
#endif
            FOR_SCORES(SCORE(ds, i, j, lower, e) =
                           SCORE(p, i, j, lower, e) * LESS_DELTA(SCORE(ds, i, j, lower, e), deltas[i][lower]);)
            add_weighted_rows(sums, ds, k_tile, slice, lane UNIT_ARGUMENTS);
            PUT_NEXT_B(end)
            FINISH_SUMS(sums)
        }
        k_tile = next_tile;
    }
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    /* The group's places are found anew (FORGET). */
    {
        DECLARE_ITEM
        FIND_BLOCK(queries, causal != 0)
        const int warp_first = first_row + warp_row;
        dq += dq_start + batch * result_strides.s0 + head * result_strides.s1 + warp_first * result_strides.s2;
        float factor[FRAGMENTS_DOWN][2];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            factor[i][0] = factor[i][1] = scale;
        }
        store_sums(dq, result_strides.s2, queries - warp_first, sums, factor, memory + warp_row * ROW_BYTES, lane);
    }
}
