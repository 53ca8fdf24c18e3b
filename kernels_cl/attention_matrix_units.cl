/* ATTENTION on matrix units: softmax(scale·q·kᵀ)·v with a running maximum and sum, scores and weights in registers only (arXiv
 * 2307.08691). Weights are rounded to bf16 for their product with v, or split as f32 tensors are.
 *
 * Shapes: attention.cl. Launch: groups of ITEMS, one a block of TILE_ROWS queries of a head: global (blocks·B·H·ITEMS); a head's blocks
 * follow each other, those that see the most keys first.
 * Macros: attention_units.cl; SLICE is TILE_COLS. Local memory: ATTENTION_BYTES(1), at most 48 KiB. Bound by the units:
 * 4·HEAD_SIZE operations a score that isn't in a block that is masked as a whole. */

#define LN_2 0.693147181f

/* Replaces scores by weights 2^(scale·(score − maximum)) under the new maximum of each row, and takes sums and totals there. A lane's
 * total is that of its own columns. */
INLINE void weigh_scores(float (*scores)[SLICE / 8][4], float (*maxima)[2], float (*totals)[2], float (*sums)[HEAD_SIZE / 8][4],
                         float scale, int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            float largest = maxima[i][lower];
            float other;
            UNROLL
            for (int j = 0; j < SLICE / 8; j++) {
                largest = fmax(largest, fmax(SCORE(scores, i, j, lower, 0), SCORE(scores, i, j, lower, 1)));
            }
            SWAP_LANES(other, largest, 1);
            largest = fmax(largest, other);
            SWAP_LANES(other, largest, 2);
            largest = fmax(largest, other);
            /* A row that has seen nothing yet has nothing to rescale either. */
            const float base = largest == -INFINITY ? 0.0f : largest * scale;
            const float shrink = native_exp2(maxima[i][lower] * scale - base);
            float total = totals[i][lower] * shrink;
            UNROLL
            for (int j = 0; j < SLICE / 8; j++) {
                UNROLL
                for (int e = 0; e < 2; e++) {
                    const float weight = native_exp2(MULTIPLY_ADD(SCORE(scores, i, j, lower, e), scale, -base));
                    SCORE(scores, i, j, lower, e) = weight;
                    total += weight;
                }
            }
            totals[i][lower] = total;
            maxima[i][lower] = largest;
            UNROLL
            for (int j = 0; j < HEAD_SIZE / 8; j++) {
                SCORE(sums, i, j, lower, 0) *= shrink;
                SCORE(sums, i, j, lower, 1) *= shrink;
            }
        }
    }
}

/* Where operands are split the next tiles come through registers one after the other: keys are read while scores are multiplied, values
 * behind that. */
#if PARTS > 1
#define PUT_NEXT_KEYS                                                                                   \
    if (next < end) {                                                                                   \
        PUT_ROWS(raw, next_tile, TILE_COLS)                                                             \
        next_v += TILE_COLS * more.s2;                                                                  \
        FETCH_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS, next_v, more.s2, keys - next)               \
    }
#define PUT_NEXT_VALUES                                          \
    if (next < end) {                                            \
        PUT_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS)        \
    }
#else
#define PUT_NEXT_KEYS
#define PUT_NEXT_VALUES
#endif

/* strides = (q batch, head, row, k batch, head, row, 0, 0); more = (v batch, head, row, out batch, head, row, 0, 0); lse_strides =
 * (batch, head, row, 0…); scale = ATTENTION's, positive, times log2 e; seed, threshold, keep_scale as of dropout_factor in philox.cl */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
attention_matrix_units(__global data_t *out, long out_start, __global const data_t *q, long q_start, __global const data_t *k,
                       long k_start, __global const data_t *v, long v_start, __global float *lse, long lse_start, int heads,
                       int queries, int keys, long8 strides, long8 more, long8 lse_strides, float scale, int causal, int has_lse,
                       ulong seed, uint threshold, float keep_scale)
{
    __local uchar memory[ATTENTION_BYTES(1)] __attribute__((aligned(1024)));
#if EMULATED
    __local uint exchange[ITEMS * EXCHANGE_WORDS];
#endif
    DECLARE_ITEM
    FIND_BLOCK(queries, 1)
    const int before = keys - queries;
    q += q_start + batch * strides.s0 + head * strides.s1 + first_row * strides.s2;
    k += k_start + batch * strides.s3 + head * strides.s4;
    v += v_start + batch * more.s0 + head * more.s1;
    const int end = causal != 0 ? min(first_row + TILE_ROWS, queries) + before : keys;
    const int team_end = causal != 0 ? first_row + TEAM_ROW(warp_row) + TEAM_ROWS + before : keys;

    const uint base = LOCAL_ADDRESS(memory);
    UNIT_COPIES
    DECLARE_RAW(raw, TILE_COLS)
    __global const data_t *next_k = ITEMS_ROW(k, strides.s5);
    __global const data_t *next_v = ITEMS_ROW(v, more.s2);
    uint kept[FRAGMENTS_DOWN][STEPS][PARTS][4];
#if PARTS > 1
    split_rows(kept, q + warp_row * strides.s2, strides.s2, queries - first_row - warp_row, lane);
#else
    FETCH_ROWS(raw, base + OWNED_PLACE, TILE_ROWS, ITEMS_ROW(q, strides.s2), strides.s2, queries - first_row)
#endif
    FETCH_ROWS(raw, base, TILE_COLS, next_k, strides.s5, keys)
    PUT_ROWS(raw, base, TILE_COLS)
    FETCH_ROWS(raw, base + WALKED_TILE, TILE_COLS, next_v, more.s2, keys)
    PUT_ROWS(raw, base + WALKED_TILE, TILE_COLS)
    END_COPIES();
#if PARTS == 1 && KEPT
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    keep_rows(kept, base + OWNED_PLACE, warp_row, lane UNIT_ARGUMENTS);
#endif
    float sums[FRAGMENTS_DOWN][HEAD_SIZE / 8][4];
    float maxima[FRAGMENTS_DOWN][2];
    float totals[FRAGMENTS_DOWN][2];
    clear_sums(sums);
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        maxima[i][0] = maxima[i][1] = -INFINITY;
        totals[i][0] = totals[i][1] = 0.0f;
    }
#if DROPOUT
    const ulong first_weight = first_weight_of_rows(group / blocks, first_row + warp_row, queries, keys, lane);
#endif
    uint k_tile = base;
    for (int start = 0; start < end; start += TILE_COLS) {
        const uint v_tile = k_tile + WALKED_TILE;
        const int next = start + TILE_COLS;
        float scores[FRAGMENTS_DOWN][SLICE / 8][4];
        WAIT_COPIES(0);
        UNIT_PREPARE();
        barrier(CLK_LOCAL_MEM_FENCE);
        const uint next_tile = base + PAIR_BYTES - (k_tile - base);
        if (next < end) {
            next_k += TILE_COLS * strides.s5;
            FETCH_ROWS(raw, next_tile, TILE_COLS, next_k, strides.s5, keys - next)
#if PARTS == 1
            next_v += TILE_COLS * more.s2;
            FETCH_ROWS(raw, next_tile + WALKED_TILE, TILE_COLS, next_v, more.s2, keys - next)
#endif
        }
        END_COPIES();
        if (IS_LEFT_OUT(start >= team_end)) {
            PUT_NEXT_KEYS
            PUT_NEXT_VALUES
            k_tile = next_tile;
            continue;
        }
#if DROPOUT
        uint kept_columns[FRAGMENTS_DOWN][2][KEPT_WORDS];
        choose_columns(kept_columns, first_weight, keys, start, seed, threshold, lane UNIT_ARGUMENTS);
#endif
        multiply_rows(scores, IS_KEPT_FIRST, kept, base + OWNED_PLACE, warp_row, k_tile, 0, lane UNIT_ARGUMENTS);
        PUT_NEXT_KEYS
        FINISH_SCORES(scores, 0)
        const int visible = SEEN(first_row + warp_row + before + 1 - start, start >= team_end);
        if (keys - start < TILE_COLS || (causal != 0 && visible < TILE_COLS)) {
            mask_scores(scores, visible, keys - start, causal, lane);
        }
        weigh_scores(scores, maxima, totals, sums, scale, lane UNIT_ARGUMENTS);
#if DROPOUT
        DROP(scores, scores, kept_columns, COLUMN_IS_KEPT)
#endif
        add_weighted_rows(sums, scores, v_tile, 0, lane UNIT_ARGUMENTS);
        PUT_NEXT_VALUES
        FINISH_SUMS(sums)
        k_tile = next_tile;
    }
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    /* The group's places are found anew (FORGET). */
    {
        DECLARE_ITEM
        FIND_BLOCK(queries, 1)
        out += out_start + batch * more.s3 + head * more.s4 + (first_row + warp_row) * more.s5;
        lse += lse_start + batch * lse_strides.s0 + head * lse_strides.s1;
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            UNROLL
            for (int lower = 0; lower < 2; lower++) {
                const int row = first_row + warp_row + ROW_OF(i, lower);
                ADD_ROW_LANES(totals[i][lower])
                if (has_lse != 0 && row < queries && lane % 4 == 0) {
                    lse[row * lse_strides.s2] =
                        (maxima[i][lower] == -INFINITY ? -INFINITY : maxima[i][lower] * scale * LN_2) + log(totals[i][lower]);
                }
                totals[i][lower] = totals[i][lower] > 0.0f ? 1.0f / totals[i][lower] : 0.0f;
#if DROPOUT
                totals[i][lower] *= keep_scale;
#endif
            }
        }
        store_sums(out, more.s5, queries - first_row - warp_row, sums, totals, memory + warp_row * ROW_BYTES, lane);
    }
}
