/* Products of attention through mma.sync: fragments of walked rows come by ldmatrix, and everything is done when a function ends. */

#if UNIT == 1

#define UNIT_PREPARE()

/* Right operand, two fragments: its columns are rows from `row` on, its depth is the head's. */
#define LOAD_RIGHT(r, tile, row, step) \
    LOAD_MATRICES(r, PLACE_AT(tile, (row) + (lane & 7) + (lane >> 4) * 8, step, (lane >> 3) & 1))
/* Right operand, two fragments: its depth are rows from `row` on, its columns are the head's from 16·step on. */
#define LOAD_RIGHT_ACROSS(r, tile, row, step) \
    LOAD_MATRICES_TRANSPOSED(r, PLACE_AT(tile, (row) + (lane & 15), step, lane >> 4))

/* Pairs of neighbouring fragments that are multiplied together: the products of a sum of parts wait for each other. */
#define PAIRS_AT_ONCE (PARTS == 1 ? 1 : SLICE / 16)

/* sums[j] (+)= left · right for PAIRS_AT_ONCE pairs of neighbouring fragments, 16 deep; `is_first` where sums hold nothing yet. Of split
 * operands the small products are summed first, and of three parts the sum of these 16 comes into `sums` by an f32 addition that rounds
 * (matrix_units_mma.cl). */
INLINE void add_products(float (*sums)[4], uint (*left)[4], uint (*right)[PARTS][4], int is_first UNIT_PARAMETERS)
{
#if PARTS == 3
    float target[2 * PAIRS_AT_ONCE][4];
    UNROLL
    for (int j = 0; j < 2 * PAIRS_AT_ONCE; j++) {
        target[j][0] = target[j][1] = target[j][2] = target[j][3] = 0.0f;
    }
#else
    float(*const target)[4] = sums;
#endif
    UNROLL
    for (int order = PARTS - 1; order >= 0; order--) {
        UNROLL
        for (int part = 0; part <= order; part++) {
            UNROLL
            for (int j = 0; j < 2 * PAIRS_AT_ONCE; j++) {
                MULTIPLY(target[j], left[part], right[j / 2][order - part] + j % 2 * 2);
            }
        }
    }
#if PARTS == 3
    UNROLL
    for (int j = 0; j < 2 * PAIRS_AT_ONCE; j++) {
        UNROLL
        for (int e = 0; e < 4; e++) {
            sums[j][e] = is_first ? target[j][e] : sums[j][e] + target[j][e];
        }
    }
#endif
}

/* scores = owned rows · walked rows from `col` on, over the head. The owned are `kept` where `is_kept`, or are read from row `row` of
 * `owned`. */
INLINE void multiply_rows(float (*scores)[SLICE / 8][4], int is_kept, uint (*kept)[STEPS][PARTS][4], uint owned, int row, uint walked,
                          int col, int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int j = 0; j < SLICE / 8; j++) {
            scores[i][j][0] = scores[i][j][1] = scores[i][j][2] = scores[i][j][3] = 0.0f;
        }
    }
    UNROLL
    for (int step = 0; step < STEPS; step++) {
        uint read[FRAGMENTS_DOWN][PARTS][4];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN * PARTS && !is_kept; i++) {
            LOAD_LEFT(read[i / PARTS][i % PARTS], owned + i % PARTS * OWNED_BYTES, row + 16 * (i / PARTS), step);
        }
        UNROLL
        for (int j = 0; j < SLICE / 16; j += PAIRS_AT_ONCE) {
            uint right[PAIRS_AT_ONCE][PARTS][4];
            UNROLL
            for (int part = 0; part < PARTS; part++) {
                UNROLL
                for (int pair = 0; pair < PAIRS_AT_ONCE; pair++) {
                    LOAD_RIGHT(right[pair][part], walked + part * WALKED_BYTES, col + 16 * (j + pair), step);
                }
            }
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                add_products(scores[i] + 2 * j, is_kept ? kept[i][step] : read[i], right, step == 0 UNIT_ARGUMENTS);
            }
        }
    }
}

/* sums += weights · walked rows from `col` on. */
INLINE void add_weighted_rows(float (*sums)[HEAD_SIZE / 8][4], float (*weights)[SLICE / 8][4], uint walked, int col,
                              int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int k = 0; k < SLICE / 16; k++) {
        uint left[FRAGMENTS_DOWN][PARTS][4];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            UNROLL
            for (int quarter = 0; quarter < 4; quarter++) {
                const float *pair = weights[i][2 * k + quarter / 2] + quarter % 2 * 2;
                SPLIT_PAIR(left[i], quarter, pair[0], pair[1]);
            }
        }
        UNROLL
        for (int step = 0; step < STEPS; step += PAIRS_AT_ONCE) {
            uint right[PAIRS_AT_ONCE][PARTS][4];
            UNROLL
            for (int part = 0; part < PARTS; part++) {
                UNROLL
                for (int pair = 0; pair < PAIRS_AT_ONCE; pair++) {
                    LOAD_RIGHT_ACROSS(right[pair][part], walked + part * WALKED_BYTES, col + 16 * k, step + pair);
                }
            }
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                add_products(sums[i] + 2 * step, left[i], right, 0 UNIT_ARGUMENTS);
            }
        }
    }
}

/* Where units work by themselves, products are begun first and ended later (attention_wgmma.cl). Here the second product of a slice comes
 * late, for fewer registers. */
#define MULTIPLY_EARLY(...)
#define MULTIPLY_LATE(...) multiply_rows(__VA_ARGS__)
#define FINISH_SCORES(scores, left)
#define FINISH_SUMS(sums)

#endif
