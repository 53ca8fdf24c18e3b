/* MATMUL on matrix units: tiles of out, slices of a and b in local memory that arrive while others are multiplied.
 *
 * Shapes: product.cl, any strides and sizes. Launch: groups of ITEMS; global (tiles·ITEMS, 1, batches), tiles in rows of
 * GROUPED_ROWS tiles, so that groups that run together read the same slices from L2.
 * With PIECES the depth is cut: group dimension 1 is the piece, of piece_depth (a multiple of TILE_DEPTH), and its sums go to
 * partial [batches, pieces, M, pitch], f32, pitch = N rounded up to 4, for matmul_pieces.cl.
 * Macros: matrix_units.cl. Local memory: MEMORY_BYTES, at most 48 KiB. Bound by the units for a depth of some thousand, by
 * writing out for less.
 *
 * Step t of the loop multiplies slice t and begins to fetch slice t + STAGES - 1 into the place of slice t - 1, which
 * everybody has left at the step's barrier. With OVERLAPS the units still have slice t - 1 when slice t begins, so that they don't wait for
 * the barrier; then slice t + STAGES - 2 comes into the place of slice t - 2, or with three stages a second barrier says that everybody has
 * left slice t - 1. Where f32 operands are split while units multiply, what is split has been read a step
 * earlier, or the step would last as long as a read and the splitting. Elements outside of the operands are 0, but for lines whose sums nobody writes. */

#define CHUNKS(lines) ((lines) * TILE_DEPTH / 8)
#define CHUNKS_OF_ITEM(lines) (CHUNKS(lines) / ITEMS)

INLINE void store_chunk(uint target, uint part_bytes, raw_chunk chunk UNIT_PARAMETERS)
{
#if PARTS == 1
    STORE_CHUNK(target, chunk);
#else
    ushort8 parts[PARTS];
    split_eight(parts, chunk);
    UNROLL
    for (int part = 0; part < PARTS; part++) {
        STORE_CHUNK(target + part * part_bytes, parts[part]);
    }
#endif
}

/* The item's chunk number i of a slice: which chunk of which line (RUNS 0) or of which depth (RUNS 1) it is, and its place. */
#define NAME_CHUNK(RUNS, LINES, i)                                                            \
    const int number = item + (i)*ITEMS;                                                      \
    const int chunk = RUNS == 0 ? number % (TILE_DEPTH / 8) : number % ((LINES) / 8);         \
    const int other = RUNS == 0 ? number / (TILE_DEPTH / 8) : number / ((LINES) / 8);         \
    const int place = RUNS == 0 ? PLACE_ALONG_DEPTH(other, chunk)                             \
                                : PLACE_ALONG_LINES(other, chunk, LINES);

/* Where the item's chunks of the first slice come from; those of the others lie `further` elements behind. Finding each anew would take
 * more of the loop's instructions than all else. x: the operand at the tile's first line; left: its lines from there on. Lines that don't
 * exist are the last one in RUNS 0: nobody writes their sums. */
#define FIND_FIRST(RUNS, LINES, first, x, line_stride, k_stride, left)                                     \
    UNROLL                                                                                                 \
    for (int i = 0; i < CHUNKS_OF_ITEM(LINES); i++) {                                                      \
        NAME_CHUNK(RUNS, LINES, i)                                                                         \
        const long line = RUNS == 0 ? min((long)other, (left)-1) : chunk * 8;                              \
        first[i] = (x) + line * (line_stride) + (RUNS == 0 ? chunk * 8 : other) * (k_stride);              \
    }

/* How many elements of a chunk exist, in a slice that has `depth_left` of its depth and `lines_left` of its lines. */
#define COUNT_CHUNK(RUNS, depth_left, lines_left)                                                          \
    clamp(RUNS == 0 ? (depth_left)-chunk * 8 : (other < (depth_left) ? (lines_left)-chunk * 8 : 0), 0, 8)

/* Begins to fetch the item's chunks of a slice: copies that need no registers, or reads into `raw`. Of whole slices all is there. Where a
 * chunk isn't there at all its address is the tile's. */
#define FETCH(RUNS, ACCESS, LINES, raw, is_whole, x, line_stride, k_stride, first, further, depth_left, lines_left, target) \
    UNROLL                                                                                                 \
    for (int i = 0; i < CHUNKS_OF_ITEM(LINES); i++) {                                                      \
        NAME_CHUNK(RUNS, LINES, i)                                                                         \
        const int count = is_whole ? 8 : COUNT_CHUNK(RUNS, depth_left, lines_left);                        \
        __global const data_t *from = is_whole || count > 0 ? first[i] + (further) : (x);                  \
        if (ACCESS == 2) {                                                                                 \
            COPY_CHUNK((target) + place, from, count * 2);                                                 \
        } else if (ACCESS == 1) {                                                                          \
            raw[i] = read_chunk(from, count);                                                              \
        } else {                                                                                           \
            raw[i] = read_elements(from, RUNS == 0 ? (k_stride) : (line_stride), count);                   \
        }                                                                                                  \
    }
#define FETCH_BOTH(is_whole, depth_left, target)                                                           \
    FETCH(A_RUNS, A_ACCESS, TILE_ROWS, raw_a, is_whole, a, strides.s0, strides.s1, first_a, further_a, depth_left, \
          tile_rows, target)                                                                               \
    FETCH(B_RUNS, B_ACCESS, TILE_COLS, raw_b, is_whole, b, strides.s3, strides.s2, first_b, further_b, depth_left, \
          tile_cols, (target) + PARTS * A_BYTES)

/* Begins to fetch slice number `slice`, the next one. */
#define FETCH_NEXT(slice, target)                                                                          \
    if ((slice) < whole_slices) {                                                                          \
        FETCH_BOTH(1, TILE_DEPTH, target)                                                                  \
    } else {                                                                                               \
        const int depth_left = (int)(depth - (long)(slice)*TILE_DEPTH);                                    \
        FETCH_BOTH(0, depth_left, target)                                                                  \
    }                                                                                                      \
    further_a += TILE_DEPTH * strides.s1;                                                                  \
    further_b += TILE_DEPTH * strides.s2;

/* Whether slices are in registers a step before they go to local memory. */
#define READS_AHEAD (UNIT_IS_ASYNCHRONOUS && PARTS > 1)

/* Puts what was read into registers into local memory. */
#define PUT(RUNS, ACCESS, LINES, raw, target)                                                 \
    if (ACCESS != 2) {                                                                        \
        UNROLL                                                                                \
        for (int i = 0; i < CHUNKS_OF_ITEM(LINES); i++) {                                     \
            NAME_CHUNK(RUNS, LINES, i)                                                        \
            store_chunk((target) + place, (LINES)*TILE_DEPTH * 2, raw[i] UNIT_ARGUMENTS);     \
        }                                                                                     \
    }

#define PUT_BOTH(target)                                   \
    PUT(A_RUNS, A_ACCESS, TILE_ROWS, raw_a, target)        \
    PUT(B_RUNS, B_ACCESS, TILE_COLS, raw_b, (target) + PARTS * A_BYTES)

#if UNIT_IS_ASYNCHRONOUS
#define IS_CONSUMER 1
#define MULTIPLY_SLICES(tile)
#else
#define DECLARE_BEGUN
#define BEGIN_SLICES(tile, number)
#define MULTIPLY_SLICES(tile) multiply_slices(sums, tile, warp_row, warp_col, lane UNIT_ARGUMENTS);
#define WAIT_SLICES(left) UNIT_FINISH(sums);
#endif
#ifndef OVERLAPS
#define OVERLAPS 0
#endif
#define HAS_TWO_BARRIERS (OVERLAPS && STAGES == 3)
/* Slices that are fetched before they are used. */
#define AHEAD (OVERLAPS && !HAS_TWO_BARRIERS ? STAGES - 2 : STAGES - 1)

#if PIECES
#define PIECES_PARAMETERS , __global float *partial, long partial_start, long piece_depth
#else
#define PIECES_PARAMETERS
#endif

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) UNIT_ATTRIBUTES void matmul_matrix_units(
    PRODUCT_PARAMETERS PIECES_PARAMETERS)
{
    __local uchar memory[MEMORY_BYTES] __attribute__((aligned(1024)));
#if EMULATED
    __local uint exchange[ITEMS * EXCHANGE_WORDS];
#endif
    const int item = get_local_id(0);
    const int lane = UNIT_LANE(item);
    const int warp = UNIT_WARP(item);
    const int warp_row = warp / WARPS_ACROSS * WARP_ROWS;
    const int warp_col = warp % WARPS_ACROSS * WARP_COLS;
    const uint base = LOCAL_ADDRESS(memory);
    LOCATE_TILE
    const long rows_left = rows - first_row;
    const long cols_left = cols - first_col;
    GO_TO_OPERANDS(get_group_id(2))
    a += first_row * strides.s0;
    b += first_col * strides.s3;
#if PIECES
    const long piece = get_group_id(1);
    const long pitch = (cols + 3) / 4 * 4;
    partial += partial_start + ((long)get_group_id(2) * get_num_groups(1) + piece) * rows * pitch;
    a += piece * piece_depth * strides.s1;
    b += piece * piece_depth * strides.s2;
    depth = min(depth - piece * piece_depth, piece_depth);
#endif
    UNIT_COPIES
    raw_chunk raw_a[CHUNKS_OF_ITEM(TILE_ROWS)];
    raw_chunk raw_b[CHUNKS_OF_ITEM(TILE_COLS)];
    __global const data_t *first_a[CHUNKS_OF_ITEM(TILE_ROWS)];
    __global const data_t *first_b[CHUNKS_OF_ITEM(TILE_COLS)];
    const int tile_rows = (int)min(rows_left, (long)TILE_ROWS);
    const int tile_cols = (int)min(cols_left, (long)TILE_COLS);
    FIND_FIRST(A_RUNS, TILE_ROWS, first_a, a, strides.s0, strides.s1, rows_left)
    FIND_FIRST(B_RUNS, TILE_COLS, first_b, b, strides.s3, strides.s2, cols_left)
    long further_a = 0;
    long further_b = 0;
    float sums[SUMS_DOWN][FRAGMENTS_ACROSS][FRAGMENT_SUMS];
    clear_sums(sums);
    const int steps = (int)((depth + TILE_DEPTH - 1) / TILE_DEPTH);
    /* Where lines are neighbours, a tile that the operand doesn't fill cuts chunks. Single elements aren't worth a second path. */
    const int has_whole = A_ACCESS > 0 && B_ACCESS > 0 && (A_RUNS == 0 || tile_rows == TILE_ROWS) &&
                          (B_RUNS == 0 || tile_cols == TILE_COLS);
    const int whole_slices = has_whole ? (int)(depth / TILE_DEPTH) : 0;
    for (int stage = 0; stage < AHEAD; stage++) {
        if (stage < steps) {
            FETCH_NEXT(stage, base + stage * STAGE_BYTES)
            PUT_BOTH(base + stage * STAGE_BYTES)
        }
        END_COPIES();
    }
    if (READS_AHEAD && AHEAD < steps) {
        FETCH_NEXT(AHEAD, base)
    }
    int used = 0;
    int filled = AHEAD;
    DECLARE_BEGUN
    for (int step = 0; step < steps; step++) {
        WAIT_COPIES(AHEAD - 1);
        UNIT_PREPARE();
        barrier(CLK_LOCAL_MEM_FENCE);
        const int next = step + AHEAD;
        BEGIN_SLICES(base + used * STAGE_BYTES, 0)
        if (HAS_TWO_BARRIERS) {
            WAIT_SLICES(1)
            barrier(CLK_LOCAL_MEM_FENCE);
        }
        if (!READS_AHEAD && next < steps) {
            FETCH_NEXT(next, base + filled * STAGE_BYTES)
        }
        END_COPIES();
        MULTIPLY_SLICES(base + used * STAGE_BYTES)
        if (next < steps) {
            PUT_BOTH(base + filled * STAGE_BYTES)
        }
        if (READS_AHEAD && next + 1 < steps) {
            FETCH_NEXT(next + 1, base)
        }
        if (!HAS_TWO_BARRIERS) {
            WAIT_SLICES(OVERLAPS)
        }
        used = used + 1 == STAGES ? 0 : used + 1;
        filled = filled + 1 == STAGES ? 0 : filled + 1;
    }
    if (OVERLAPS) {
        WAIT_SLICES(0)
    }
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    finish_tile(sums, memory, warp, lane, warp_row, warp_col, first_row, first_col, PRODUCT_ARGUMENTS SUMS_ARGUMENTS);
}
