/* What the kernels of attention on matrix units share: rows of a head in local memory, scores in registers, and what is done with them but
 * for the products (attention_mma.cl, attention_wgmma.cl).
 *
 * A group owns TILE_ROWS rows of a head (queries; keys in attention_dkdv_matrix_units), WARP_ROWS a warp, and walks over tiles of
 * TILE_COLS rows of the other kind, SLICE of them at a time. A warp's scores stay in its registers: where they are weights of another
 * product, sums of 16 x 8 are, rounded to bf16, its left operand as they lie.
 *
 * Macros from the host, one line of the table in backends/opencl/attention_shapes.c:
 *   UNIT        1 mma, 2 wgmma (not with PARTS 3; WARP_ROWS is 16 and KEPT 1)
 *   DATA, PARTS 2, 1: tensors are bf16. 1, 3: they are f32, and every operand is split into three bf16 parts (matrix_units_parts.cl).
 *               1, 2: they are f32 that may be rounded to 11 bits (TF32), and operands are split into two parts
 *   HEAD_SIZE   64 or 128
 *   TILE_ROWS   rows that a group owns: 64 or 128
 *   WARP_ROWS   16 or 32
 *   TILE_COLS   16, 32 or 64
 *   SLICE       16, 32 or TILE_COLS
 *   KEPT        1: the owned rows are in registers for good, and later tiles take their place in local memory. In parts they come to
 *               registers straight from the tensor; 0 keeps the first of two owned tensors there all the same, the other in local memory
 *   ALIGNED     1: every row of every tensor begins at a multiple of 16 bytes; 0 (bf16 only): rows are read and written element by element
 *   DROPOUT     0, 1 or 2: attention_units_dropout.cl
 *   EMULATED    1: the unit's instructions are functions of matrix_units_emulated.cl
 *
 * Rows lie in local memory in blocks of eight, in a block first their chunks of 16 bytes of the head's first 64 numbers, swizzled, then those
 * of the next 64: as descriptors of wgmma can name them, of both orders of neighbours. Rows that don't exist are 0. A tile of f32 rows is
 * two or three of these, one of each part: its rows come through registers, read while the tile before is used, and are split on their
 * way. */

#define WARP_COLS TILE_COLS /* for matrix_units.cl: a warp's scores are of all columns */

#define LOG2_E 1.44269504f

#define CHUNKS (HEAD_SIZE / 8)
#define STEPS (HEAD_SIZE / 16)
#define ROW_BYTES (HEAD_SIZE * 2)
#define OWNED_BYTES (TILE_ROWS * ROW_BYTES)
#define WALKED_BYTES (TILE_COLS * ROW_BYTES)
#define WALKED_TILE (PARTS * WALKED_BYTES)
#define PAIR_BYTES (2 * WALKED_TILE) /* keys and values, or queries and gradients */
#define OWNED_PLACE ((KEPT ? 1 : 2) * PAIR_BYTES) /* a pair arrives while another is used */
#define IS_KEPT_FIRST (KEPT || PARTS > 1)
#define SECOND_OWNED (PARTS == 1 ? OWNED_BYTES : 0) /* where the second of two owned tensors lies, behind OWNED_PLACE */
#define OWNED_TILES(owned) (PARTS == 1 ? (owned) : KEPT ? 0 : ((owned)-1) * PARTS)
#define ATTENTION_BYTES(owned) LARGER(2 * PAIR_BYTES, OWNED_PLACE + OWNED_TILES(owned) * OWNED_BYTES)

#define LINE_BYTES 128 /* of a row, 64 numbers */
#if HEAD_SIZE == 64
#define PLACE(row, chunk) ((row) * ROW_BYTES + SWIZZLE(chunk, row, 8) * 16)
#else
#define PLACE(row, chunk)                                                                                     \
    ((row) / 8 * (8 * ROW_BYTES) + (chunk) / 8 * (8 * LINE_BYTES) + (row) % 8 * LINE_BYTES + SWIZZLE((chunk) % 8, row, 8) * 16)
#endif

/* Where a lane's scores are in a fragment: SCORE(i, j, lower, e) is in row ROW_OF(i, lower), column COLUMN_OF(j) + e of the warp. */
#define ROW_OF(i, lower) ((i) * 16 + lane / 4 + (lower) * 8)
#define COLUMN_OF(j) ((j) * 8 + lane % 4 * 2)
#define SCORE(s, i, j, lower, e) (s)[i][j][(lower) * 2 + (e)]
/* What is done with every score of a slice. */
#define FOR_SCORES(...)                                                   \
    UNROLL                                                                \
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {                            \
        UNROLL                                                            \
        for (int lower = 0; lower < 2; lower++) {                         \
            UNROLL                                                        \
            for (int j = 0; j < SLICE / 8; j++) {                         \
                UNROLL                                                    \
                for (int e = 0; e < 2; e++) {                             \
                    __VA_ARGS__                                           \
                }                                                         \
            }                                                             \
        }                                                                 \
    }

/* A number of which the compiler knows nothing more: so what a kernel finds by it behind a loop isn't kept in registers over the loop,
 * where split operands leave none. */
#if PARTS > 1 && !EMULATED
#define FORGET(number) asm volatile("" : "+r"(number))
#else
#define FORGET(number)
#endif
/* With dropout three parts leave the fewest registers: there the same is done within the loop, where it takes instructions in every tile. */
#define LACKS_REGISTERS (PARTS == 3 && DROPOUT)
#if LACKS_REGISTERS
#define FORGET_IN_LOOP(number) FORGET(number)
#else
#define FORGET_IN_LOOP(number)
#endif

#define DECLARE_ITEM                      \
    int item = get_local_id(0);           \
    FORGET(item);                         \
    const int lane = item % LANES;        \
    const int warp_row = item / LANES * WARP_ROWS;

/* The group's head, and the first row that it owns; blocks of a head follow each other, the first last where LAST_FIRST. */
#define FIND_BLOCK(rows, LAST_FIRST)                                            \
    int all_rows = rows;                                                        \
    int group = get_group_id(0);                                                \
    FORGET(all_rows);                                                           \
    FORGET(group);                                                              \
    const int blocks = (all_rows + TILE_ROWS - 1) / TILE_ROWS;                  \
    const int batch = group / blocks / heads;                                   \
    const int head = group / blocks % heads;                                    \
    const int first_row = (LAST_FIRST ? blocks - 1 - group % blocks : group % blocks) * TILE_ROWS;

/* Eight neighbours of a row. */
#if PARTS == 1
typedef ushort8 raw_chunk;
#define EXPAND_CHUNK(chunk) bf16_chunk_to_floats(chunk)
INLINE float8 bf16_chunk_to_floats(ushort8 chunk)
{
    return as_float8(convert_uint8(chunk) << 16);
}
#else
typedef float8 raw_chunk;
#define EXPAND_CHUNK(chunk) (chunk)
#endif
#if PARTS > 1
#define READ_CHUNK(from) (float8)(*(__global const float4 *)(from), *(__global const float4 *)((from) + 4))
#elif ALIGNED
#define READ_CHUNK(from) (*(__global const ushort8 *)(from))
#define WRITE_CHUNK(to, chunk) *(__global ushort8 *)(to) = chunk
#else
#define READ_CHUNK(from) vload8(0, from)
#define WRITE_CHUNK(to, chunk) vstore8(chunk, 0, to)
#endif

/* The rows of a tensor that an item fetches: of the first tile the first one, at the item's chunk. */
#define ITEMS_ROW(rows, stride) ((rows) + item / CHUNKS * (stride) + item % CHUNKS * 8)
#define FETCHED_AT_ONCE (ITEMS / CHUNKS) /* a multiple of 8, so that the swizzle stays the same */
#define FETCHES(lines) ((lines) / FETCHED_AT_ONCE)
#define FETCHED_PLACE(target, i) ((target) + PLACE(item / CHUNKS, item % CHUNKS) + (i) * (FETCHED_AT_ONCE * ROW_BYTES))

/* Begins to fetch `lines` rows, of which `left` exist, `stride` elements apart, from ITEMS_ROW's place: to `target`, or where they are to
 * be split to `raw`, from where PUT_ROWS brings them to `target`. */
#if PARTS == 1
#define DECLARE_RAW(raw, lines)
#define FETCH_ROWS(raw, target, lines, from, stride, left)                                                      \
    UNROLL                                                                                                      \
    for (int i = 0; i < FETCHES(lines); i++) {                                                                  \
        const uint place = FETCHED_PLACE(target, i);                                                            \
        const int exists = item / CHUNKS + i * FETCHED_AT_ONCE < (left);                                        \
        __global const ushort *source = (from) + i * FETCHED_AT_ONCE * (stride);                                \
        if (ALIGNED) {                                                                                          \
            COPY_CHUNK(place, source, exists ? 16 : 0);                                                         \
        } else {                                                                                                \
            const ushort8 value = exists ? READ_CHUNK(source) : (ushort8)(0);                                   \
            STORE_CHUNK(place, value);                                                                          \
        }                                                                                                       \
    }
#define PUT_ROWS(raw, target, lines)
#else
#define DECLARE_RAW(raw, lines) raw_chunk raw[FETCHES(lines)];
#define FETCH_ROWS(raw, target, lines, from, stride, left)                                                      \
    UNROLL                                                                                                      \
    for (int i = 0; i < FETCHES(lines); i++) {                                                                  \
        raw[i] = item / CHUNKS + i * FETCHED_AT_ONCE < (left) ? READ_CHUNK((from) + i * FETCHED_AT_ONCE * (stride)) \
                                                              : (float8)(0.0f);                                 \
    }
#define PUT_ROWS(raw, target, lines)                                                                            \
    UNROLL                                                                                                      \
    for (int i = 0; i < FETCHES(lines); i++) {                                                                  \
        ushort8 parts[PARTS];                                                                                   \
        split_eight(parts, raw[i]);                                                                             \
        UNROLL                                                                                                  \
        for (int part = 0; part < PARTS; part++) {                                                              \
            STORE_CHUNK(FETCHED_PLACE(target, i) + part * (lines)*ROW_BYTES, parts[part]);                      \
        }                                                                                                       \
    }
#endif

/* Chunk 2·step + `chunk` of a row of a tile. Of a head of 64 the step is bits of the place, since tiles begin at multiples of a row, and the
 * swizzle keeps it so: that takes an instruction more, and a register less for every step. */
#if PARTS == 1
#define PLACE_AT(tile, row, step, chunk) ((tile) + PLACE(row, (step)*2 + (chunk)))
#else
#define PLACE_AT(tile, row, step, chunk) (((tile) + PLACE(row, chunk)) ^ (step)*32)
#endif
/* Left operand: rows from `row` on, 16·step deep in the head. */
#define LOAD_LEFT(r, tile, row, step) \
    LOAD_MATRICES(r, PLACE_AT(tile, (row) + (lane & 15), step, lane >> 4))

#if PARTS == 1
/* The warp's owned rows from `row` of the tile on. */
INLINE void keep_rows(uint (*kept)[STEPS][PARTS][4], uint tile, int row, int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int step = 0; step < STEPS; step++) {
            LOAD_LEFT(kept[i][step][0], tile, row + 16 * i, step);
        }
    }
}
#else
/* The warp's owned rows, of which `left` exist, straight from the tensor. */
INLINE void split_rows(uint (*kept)[STEPS][PARTS][4], __global const float *rows, long stride, int left, int lane)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int step = 0; step < STEPS; step++) {
            UNROLL
            for (int quarter = 0; quarter < 4; quarter++) {
                const int row = ROW_OF(i, quarter % 2);
                float2 two = (float2)(0.0f);
                if (row < left) {
                    two = *(__global const float2 *)(rows + row * stride + COLUMN_OF(step * 2 + quarter / 2));
                }
                TAKE_FIRST_PAIR(kept[i][step][0][quarter], two.s0, two.s1);
#if PARTS == 3
                TAKE_PAIR(kept[i][step][1][quarter], two.s0, two.s1);
#endif
                PACK_PAIR(kept[i][step][PARTS - 1][quarter], two.s0, two.s1);
            }
        }
    }
}
#endif

/* Rows that an instruction multiplies: a warp's, or those of a warpgroup, whose warps leave out slices together. */
#define TEAM_ROWS (UNIT == 2 ? 64 : WARP_ROWS)
#define TEAM_ROW(warp_row) ((warp_row) / TEAM_ROWS * TEAM_ROWS)

/* A team leaves out a slice of which it sees nothing. Emulated instructions want all warps of a group: there it masks all of the slice. */
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

/* A pair of a row's numbers as a left operand takes them, in parts. */
#if PARTS == 1
#define SPLIT_PAIR(parts, place, low, high) PACK_PAIR((parts)[0][place], low, high)
#else
#define SPLIT_PAIR(parts, place, low, high)                       \
    {                                                             \
        float2 rest = (float2)(low, high);                        \
        UNROLL                                                    \
        for (int part = 0; part < PARTS - 1; part++) {            \
            TAKE_PAIR((parts)[part][place], rest.s0, rest.s1);    \
        }                                                         \
        PACK_PAIR((parts)[PARTS - 1][place], rest.s0, rest.s1);   \
    }
#endif

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

/* Writes the warp's sums times factor[i][lower], WARP_ROWS rows of which `left` exist. */
#if PARTS > 1
INLINE void store_sums(__global float *to, long stride, int left, float (*sums)[HEAD_SIZE / 8][4], float (*factor)[2],
                       __local uchar *scratch, int lane)
{
    UNROLL
    for (int i = 0; i < FRAGMENTS_DOWN; i++) {
        UNROLL
        for (int lower = 0; lower < 2; lower++) {
            if (ROW_OF(i, lower) < left) {
                UNROLL
                for (int j = 0; j < HEAD_SIZE / 8; j++) {
                    const float2 pair = factor[i][lower] * (float2)(SCORE(sums, i, j, lower, 0), SCORE(sums, i, j, lower, 1));
                    *(__global float2 *)(to + ROW_OF(i, lower) * stride + COLUMN_OF(j)) = pair;
                }
            }
        }
    }
}
#else
/* They go through `scratch`, as much local memory, so that whole chunks leave. */
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
#endif
