/* What the kernels of attention on matrix units share: rows of a head in local memory, and products of fragments.
 *
 * A group owns TILE_ROWS rows of a head (queries; keys in attention_dkdv_matrix_units), WARP_ROWS a warp, and walks over tiles of
 * TILE_COLS rows of the other kind, SLICE of them at a time. A warp's scores stay in its registers: where they are weights of another
 * product, sums of 16 x 8 are, rounded to bf16, its left operand as they lie.
 *
 * Macros from the host, one line of the table in backends/opencl/attention_units_shapes.c; DATA is 2:
 *   HEAD_SIZE   64 or 128
 *   TILE_ROWS   rows that a group owns: 64 or 128
 *   WARP_ROWS   16 or 32
 *   TILE_COLS   16, 32 or 64
 *   SLICE       16, 32 or TILE_COLS
 *   STAGES      2: a tile arrives while another is used. 1 (forward only): keys arrive while values are used, and the other way round
 *   KEPT        1: the owned rows are in registers for good, and later tiles take their place in local memory
 *   ALIGNED     1: every row of every tensor begins at a multiple of 16 bytes; 0: rows are read and written element by element
 *   DROPOUT     0, or with STAGES 2 1 or 2: attention_units_dropout.cl
 *   EMULATED    1: the unit's instructions are functions of matrix_units_emulated.cl
 *
 * Rows lie in local memory one behind the other, their chunks of 16 bytes swizzled; those that don't exist are 0. */

#define WARP_COLS TILE_COLS /* for matrix_units.cl: a warp's scores are of all columns */

#define LOG2_E 1.44269504f

#define CHUNKS (HEAD_SIZE / 8)
#define STEPS (HEAD_SIZE / 16)
#define ROW_BYTES (HEAD_SIZE * 2)
#define OWNED_BYTES (TILE_ROWS * ROW_BYTES)
#define WALKED_BYTES (TILE_COLS * ROW_BYTES)
#define PAIR_BYTES (2 * WALKED_BYTES) /* keys and values, or queries and gradients */
#define OWNED_PLACE ((KEPT ? 1 : STAGES) * PAIR_BYTES)
#define ATTENTION_BYTES(owned) LARGER(STAGES *PAIR_BYTES, OWNED_PLACE + (owned)*OWNED_BYTES)

#define PLACE(row, chunk) ((row) * ROW_BYTES + SWIZZLE(chunk, row, 8) * 16)

/* Where a lane's scores are in a fragment: SCORE(i, j, lower, e) is in row ROW_OF(i, lower), column COLUMN_OF(j) + e of the warp. */
#define ROW_OF(i, lower) ((i) * 16 + lane / 4 + (lower) * 8)
#define COLUMN_OF(j) ((j) * 8 + lane % 4 * 2)
#define SCORE(s, i, j, lower, e) (s)[i][j][(lower) * 2 + (e)]

#define DECLARE_ITEM                      \
    const int item = get_local_id(0);     \
    const int lane = item % LANES;        \
    const int warp_row = item / LANES * WARP_ROWS;

/* Eight neighbours of a row. */
#if ALIGNED
#define READ_CHUNK(from) (*(__global const ushort8 *)(from))
#define WRITE_CHUNK(to, chunk) *(__global ushort8 *)(to) = chunk
#else
#define READ_CHUNK(from) vload8(0, from)
#define WRITE_CHUNK(to, chunk) vstore8(chunk, 0, to)
#endif

/* The rows of a tensor that an item fetches: of the first tile the first one, at the item's chunk. */
#define ITEMS_ROW(rows, stride) ((rows) + item / CHUNKS * (stride) + item % CHUNKS * 8)
#define FETCHED_AT_ONCE (ITEMS / CHUNKS) /* a multiple of 8, so that the swizzle stays the same */

/* Begins to fetch `lines` rows, of which `left` exist, `stride` elements apart, from ITEMS_ROW's place. */
#define FETCH_ROWS(target, lines, from, stride, left)                                                           \
    UNROLL                                                                                                      \
    for (int i = 0; i < (lines) / FETCHED_AT_ONCE; i++) {                                                       \
        const uint place = (target) + PLACE(item / CHUNKS, item % CHUNKS) + i * (FETCHED_AT_ONCE * ROW_BYTES);  \
        const int exists = item / CHUNKS + i * FETCHED_AT_ONCE < (left);                                        \
        __global const ushort *source = (from) + i * FETCHED_AT_ONCE * (stride);                                \
        if (ALIGNED) {                                                                                          \
            COPY_CHUNK(place, source, exists ? 16 : 0);                                                         \
        } else {                                                                                                \
            const ushort8 value = exists ? READ_CHUNK(source) : (ushort8)(0);                                   \
            STORE_CHUNK(place, value);                                                                          \
        }                                                                                                       \
    }

/* Left operand: rows from `row` on, 16·step deep in the head. */
#define LOAD_LEFT(r, tile, row, step) \
    LOAD_MATRICES(r, (tile) + PLACE((row) + (lane & 15), (step)*2 + (lane >> 4)))
/* Right operand, two fragments: its columns are rows from `row` on, its depth is the head's. */
#define LOAD_RIGHT(r, tile, row, step) \
    LOAD_MATRICES(r, (tile) + PLACE((row) + (lane & 7) + (lane >> 4) * 8, (step)*2 + ((lane >> 3) & 1)))
/* Right operand, two fragments: its depth are rows from `row` on, its columns are the head's from 16·step on. */
#define LOAD_RIGHT_ACROSS(r, tile, row, step) \
    LOAD_MATRICES_TRANSPOSED(r, (tile) + PLACE((row) + (lane & 15), (step)*2 + (lane >> 4)))

/* The warp's owned rows from `row` of the tile on. */
INLINE void keep_rows(uint (*kept)[STEPS][4], uint tile, int row, int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int step = 0; step < STEPS; step++) {
            LOAD_LEFT(kept[i][step], tile, row + 16 * i, step);
        }
    }
}

/* scores = owned rows · walked rows from `col` on, over the head. The owned are `kept`, or are read from row `row` of `owned`. */
INLINE void multiply_rows(float (*scores)[SLICE / 8][4], uint (*kept)[STEPS][4], uint owned, int row, uint walked, int col,
                          int lane UNIT_PARAMETERS)
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
#if !KEPT
        uint left[FRAGMENTS_DOWN][4];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            LOAD_LEFT(left[i], owned, row + 16 * i, step);
        }
#define LEFT(i) left[i]
#else
#define LEFT(i) kept[i][step]
#endif
        UNROLL
        for (int j = 0; j < SLICE / 16; j++) {
            uint right[4];
            LOAD_RIGHT(right, walked, col + 16 * j, step);
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                MULTIPLY(scores[i][2 * j], LEFT(i), right);
                MULTIPLY(scores[i][2 * j + 1], LEFT(i), right + 2);
            }
        }
#undef LEFT
    }
}

/* A warp leaves out a slice of which it sees nothing. Emulated instructions want all warps of a group: there it masks all of the slice. */
#if EMULATED
#define IS_LEFT_OUT(unseen) 0
#define SEEN(visible, unseen) ((unseen) ? -WARP_ROWS - SLICE : (visible))
#else
#define IS_LEFT_OUT(unseen) (unseen)
#define SEEN(visible, unseen) (visible)
#endif

/* Scores of keys that a query doesn't see become -infinity. From the slice's first key on the warp's first query sees `visible` keys
 * where the attention is causal, each query one more than the one before it; there are `most`. */
INLINE void mask_scores(float (*scores)[SLICE / 8][4], int visible, int most, int causal, int lane)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            const int end = causal != 0 ? min(visible + ROW_OF(i, lower), most) : most;
            UNROLL
            for (int j = 0; j < SLICE / 8; j++) {
                UNROLL
                for (int e = 0; e < 2; e++) {
                    if (COLUMN_OF(j) + e >= end) {
                        SCORE(scores, i, j, lower, e) = -INFINITY;
                    }
                }
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
        uint left[FRAGMENTS_DOWN][4];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            UNROLL
            for (int part = 0; part < 4; part++) {
                const float *pair = weights[i][2 * k + part / 2] + part % 2 * 2;
                PACK_PAIR(left[i][part], pair[0], pair[1]);
            }
        }
        UNROLL
        for (int step = 0; step < STEPS; step++) {
            uint right[4];
            LOAD_RIGHT_ACROSS(right, walked, col + 16 * k, step);
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                MULTIPLY(sums[i][2 * step], left[i], right);
                MULTIPLY(sums[i][2 * step + 1], left[i], right + 2);
            }
        }
    }
}

INLINE void clear_sums(float (*sums)[HEAD_SIZE / 8][4])
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int j = 0; j < HEAD_SIZE / 8; j++) {
            sums[i][j][0] = sums[i][j][1] = sums[i][j][2] = sums[i][j][3] = 0.0f;
        }
    }
}

/* The sum of the four lanes that share rows. */
#define ADD_ROW_LANES(value)             \
    {                                    \
        float other;                     \
        SWAP_LANES(other, value, 1);     \
        value += other;                  \
        SWAP_LANES(other, value, 2);     \
        value += other;                  \
    }

/* Writes the warp's sums times factor[i][lower], WARP_ROWS rows of which `left` exist, through `scratch`, as much local memory, so that
 * whole chunks leave. */
INLINE void store_sums(__global ushort *to, long stride, int left, float (*sums)[HEAD_SIZE / 8][4], float (*factor)[2],
                       __local uchar *scratch, int lane)
{
    WARP_BARRIER();
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int j = 0; j < HEAD_SIZE / 8; j++) {
            UNROLL
            for (int lower = 0; lower < 2; lower++) {
                uint pair;
                PACK_PAIR(pair, factor[i][lower] * SCORE(sums, i, j, lower, 0),
                          factor[i][lower] * SCORE(sums, i, j, lower, 1));
                *(__local uint *)(scratch + PLACE(ROW_OF(i, lower), j) + lane % 4 * 4) = pair;
            }
        }
    }
    WARP_BARRIER();
    for (int place = lane; place < WARP_ROWS * CHUNKS; place += LANES) {
        const int row = place / CHUNKS;
        const int chunk = place % CHUNKS;
        if (row < left) {
            const ushort8 value = *(__local const ushort8 *)(scratch + PLACE(row, chunk));
            WRITE_CHUNK(to + row * stride + chunk * 8, value);
        }
    }
}
