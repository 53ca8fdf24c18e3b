/* dk and dv of ATTENTION_BACKWARD on matrix units: owned rows are keys, and the last tile of queries ends within `padded`.
 *
 * Launch, macros, local memory: attention_dq_matrix_units.cl; the first blocks are seen by the most queries. Bound by the units:
 * 8·HEAD_SIZE operations a score. */

/* Scores of queries that don't see a key become -infinity. The slice's first query sees the warp's first `visible` keys, each query one
 * more than the one before it. */
INLINE void mask_keys(float (*scores)[SLICE / 8][4], int visible, int lane)
{
    FOR_SCORES(if (ROW_OF(i, lower) >= visible + COLUMN_OF(j) + e) { SCORE(scores, i, j, lower, e) = -INFINITY; })
}

/* The statistics of the queries of a lane's scores in a slice. */
#define READ_STATISTICS(two_queries, start)                                                               \
    UNROLL                                                                                                \
    for (int j = 0; j < SLICE / 8; j++) {                                                                 \
        two_queries[j] = *(__global const float4 *)(statistics + 2 * (start + slice + COLUMN_OF(j)));     \
    }

/* result_strides = (dk batch, head, row, dv batch, head, row, 0, 0) */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
attention_dkdv_matrix_units(__global data_t *dk, long dk_start, __global data_t *dv, long dv_start, BACKWARD_INPUTS)
{
#if EMULATED
    __local uint exchange[ITEMS * EXCHANGE_WORDS];
#endif
    DECLARE_ITEM
    GO_TO_HEAD(keys, 0)
    const int warp_first = first_row + warp_row;
    /* The first tile with a query that sees a key of the block. */
    const int begin = causal != 0 ? max(first_row - before, 0) / TILE_COLS * TILE_COLS : 0;
    /* The first query that sees a key of the warp's, and of the team's, far before the first one where all see all: sizes are below 2^29. */
    const int warp_begin = causal != 0 ? warp_first - before : -(1 << 30);
    const int team_begin = causal != 0 ? first_row + TEAM_ROW(warp_row) - before : -(1 << 30);

    const int head_of_group = group / blocks;
    const uint base = LOCAL_ADDRESS(memory);
    const uint owned_k = base + OWNED_PLACE;
    const uint owned_v = owned_k + SECOND_OWNED;
    UNIT_COPIES
    DECLARE_RAW(raw, TILE_COLS)
    __global const data_t *next_q = ITEMS_ROW(q, strides.s2);
    __global const data_t *next_dout = ITEMS_ROW(dout, more.s5);
#if PARTS == 1
    FETCH_ROWS(raw_owned, owned_k, TILE_ROWS, ITEMS_ROW(k + first_row * strides.s5, strides.s5), strides.s5, keys - first_row)
#endif
#if PARTS == 1 || !KEPT
    DECLARE_RAW(raw_owned, TILE_ROWS)
    FETCH_ROWS(raw_owned, owned_v, TILE_ROWS, ITEMS_ROW(v + first_row * more.s2, more.s2), more.s2, keys - first_row)
    PUT_ROWS(raw_owned, owned_v, TILE_ROWS)
#endif
    FETCH_FIRST(next_q, strides.s2, next_dout, more.s5, begin, queries)
    END_COPIES();
    uint k_kept[FRAGMENTS_DOWN][STEPS][PARTS][4];
    uint v_kept[FRAGMENTS_DOWN][STEPS][PARTS][4];
#if PARTS > 1
    split_rows(k_kept, k + warp_first * strides.s5, strides.s5, keys - warp_first, lane);
#if KEPT
    split_rows(v_kept, v + warp_first * more.s2, more.s2, keys - warp_first, lane);
#endif
#elif KEPT
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    keep_rows(k_kept, owned_k, warp_row, lane UNIT_ARGUMENTS);
    keep_rows(v_kept, owned_v, warp_row, lane UNIT_ARGUMENTS);
#endif
    float dk_sums[FRAGMENTS_DOWN][HEAD_SIZE / 8][4];
    float dv_sums[FRAGMENTS_DOWN][HEAD_SIZE / 8][4];
    clear_sums(dk_sums);
    clear_sums(dv_sums);
    uint q_tile = base;
    for (int start = begin; start < queries; start += TILE_COLS) {
        const uint dout_tile = q_tile + WALKED_TILE;
        const uint next_tile = base + PAIR_BYTES - (q_tile - base);
        const int next = start + TILE_COLS;
        WAIT_COPIES(0);
        UNIT_PREPARE();
        barrier(CLK_LOCAL_MEM_FENCE);
        FETCH_NEXT(next_q, strides.s2, next_dout, more.s5, queries, queries)
        END_COPIES();
        UNROLL
        for (int slice = 0; slice < TILE_COLS; slice += SLICE) {
            float p[FRAGMENTS_DOWN][SLICE / 8][4];
            float ds[FRAGMENTS_DOWN][SLICE / 8][4];
            if (IS_LEFT_OUT(start + slice + SLICE <= team_begin)) {
                PUT_NEXT_A(next_dout, more.s5, queries, queries)
                PUT_NEXT_B(queries)
                continue;
            }
            float4 two_queries[SLICE / 8];
#if PARTS == 1
            READ_STATISTICS(two_queries, start) /* early; split scores leave no registers for them */
#endif
#if DROPOUT
            uint kept_rows[FRAGMENTS_DOWN][2][2];
            int head_number = head_of_group;
            FORGET_IN_LOOP(head_number);
            choose_rows(kept_rows, ((ulong)head_number * queries + start + slice) * keys + warp_first, keys, seed, threshold,
                        lane UNIT_ARGUMENTS);
#endif
            int reader = lane;
            FORGET_IN_LOOP(reader);
            multiply_rows(p, IS_KEPT_FIRST, k_kept, owned_k, warp_row, q_tile, slice, reader UNIT_ARGUMENTS);
            MULTIPLY_EARLY(ds, KEPT, v_kept, owned_v, warp_row, dout_tile, slice, lane UNIT_ARGUMENTS);
            FINISH_SCORES(p, 1)
#if PARTS > 1
            READ_STATISTICS(two_queries, start)
#endif
            /* A query behind the last one has rows of 0 and statistics of 0, and adds nothing. */
            const int visible = SEEN(start + slice + 1 - warp_begin, start + slice + SLICE <= team_begin);
            if (visible < WARP_ROWS) {
                mask_keys(p, visible, lane);
            }
            FOR_SCORES(SCORE(p, i, j, lower, e) = native_exp2(
                           MULTIPLY_ADD(SCORE(p, i, j, lower, e), scale_log2, -(e == 0 ? two_queries[j].s0 : two_queries[j].s2)));)
#if DROPOUT
            float left[FRAGMENTS_DOWN][SLICE / 8][4];
            DROP(left, p, kept_rows, ROW_IS_KEPT)
            add_weighted_rows(dv_sums, left, dout_tile, slice, lane UNIT_ARGUMENTS);
#else
            add_weighted_rows(dv_sums, p, dout_tile, slice, lane UNIT_ARGUMENTS);
#endif
            MULTIPLY_LATE(ds, KEPT, v_kept, owned_v, warp_row, dout_tile, slice, lane UNIT_ARGUMENTS);
            FINISH_SCORES(ds, 1)
#if LACKS_REGISTERS
            int again = start;
            FORGET_IN_LOOP(again);
            READ_STATISTICS(two_queries, again) /* not kept over the products */
#endif
#if DROPOUT
            DROP(ds, ds, kept_rows, ROW_IS_KEPT)
#endif
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                UNROLL
                for (int lower = 0; lower < 2; lower++) {
                    UNROLL
                    for (int j = 0; j < SLICE / 8; j++) {
                        SCORE(ds, i, j, lower, 0) =
                            SCORE(p, i, j, lower, 0) * LESS_DELTA(SCORE(ds, i, j, lower, 0), two_queries[j].s1);
                        SCORE(ds, i, j, lower, 1) =
                            SCORE(p, i, j, lower, 1) * LESS_DELTA(SCORE(ds, i, j, lower, 1), two_queries[j].s3);
                    }
                }
            }
            PUT_NEXT_A(next_dout, more.s5, queries, queries)
            add_weighted_rows(dk_sums, ds, q_tile, slice, lane UNIT_ARGUMENTS);
            PUT_NEXT_B(queries)
            FINISH_SUMS(dv_sums)
            FINISH_SUMS(dk_sums)
        }
        q_tile = next_tile;
    }
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    /* The group's places are found anew (FORGET). */
    {
        DECLARE_ITEM
        FIND_BLOCK(keys, 0)
        const int warp_first = first_row + warp_row;
        dk += dk_start + batch * result_strides.s0 + head * result_strides.s1 + warp_first * result_strides.s2;
        dv += dv_start + batch * result_strides.s3 + head * result_strides.s4 + warp_first * result_strides.s5;
        float dk_scales[FRAGMENTS_DOWN][2];
        float dv_scales[FRAGMENTS_DOWN][2];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            dk_scales[i][0] = dk_scales[i][1] = scale;
            dv_scales[i][0] = dv_scales[i][1] = DROPOUT ? keep_scale : 1.0f;
        }
        __local uchar *scratch = memory + warp_row * ROW_BYTES;
        store_sums(dk, result_strides.s2, keys - warp_first, dk_sums, dk_scales, scratch, lane);
        store_sums(dv, result_strides.s5, keys - warp_first, dv_sums, dv_scales, scratch, lane);
    }
}
