/* Products through wgmma (wgmma.cl): four warps multiply 64 rows by all of the tile's columns, both operands in local memory, named by
 * descriptors. WARP_ROWS is 16, WARP_COLS is TILE_COLS. The sums are the instruction's until finish_multiply: nothing may be done with them
 * before. */

#if A_RUNS == 0
#define A_WIDTH TILE_DEPTH
#else
#define A_WIDTH BLOCK_LINES(TILE_ROWS)
#endif
#if B_RUNS == 0
#define B_WIDTH TILE_DEPTH
#else
#define B_WIDTH BLOCK_LINES(TILE_COLS)
#endif

/* Of an operand `width` bf16 wide from `start` on. The stride goes from 8 rows to the next 8; the leading offset from a block of lines to the
 * next, where neighbours differ in the line (RUNS 1), and is 16 bytes where they differ in k: there it has no meaning. */
#define LEADING_BYTES(runs, width) ((runs) == 0 ? 16 : TILE_DEPTH * (width)*2)
#define DESCRIPTOR(start, runs, width) WGMMA_DESCRIPTOR(start, LEADING_BYTES(runs, width), 8 * (width)*2, width)

/* From one 16 of depth to the next. */
#define STEP_BYTES(runs, width) ((runs) == 0 ? 32 : 16 * (width)*2)

/* The unit's sums: the kernel's, or those of the depth that is being multiplied, where these are apart. */
#define UNIT_SUMS(sums) &(sums)[SUMS_APART][0][0]

/* MULTIPLY: d = a·b where `is_first`, else d += a·b. WAIT_MULTIPLY ends all that has begun; what is done with d may not come before. */
#if EMULATED
#define MULTIPLY(d, a, b, is_first) \
    emulated_wide_multiply(d, a, b, is_first, TILE_COLS, A_RUNS, B_RUNS, memory)
#define WAIT_MULTIPLY(d)
#else
#if TILE_COLS != 64 && TILE_COLS != 96 && TILE_COLS != 128 && TILE_COLS != 192
#error "TILE_COLS isn't 64, 96, 128 or 192"
#endif
#define WGMMA(compare)                                                                                                  \
    asm volatile(WGMMA_TEXT(compare, TILE_COLS) TWO_BEHIND(TILE_COLS) ", p, 1, 1, " TEXT(A_RUNS) ", " TEXT(B_RUNS) "; }" \
                 : SUMS_OF(TILE_COLS)                                                                                    \
                 : "l"(a), "l"(b)                                                                                        \
                 : "memory")
INLINE void wide_multiply(float *d, ulong a, ulong b, int is_first)
{
    if (is_first) {
        WGMMA("ne");
    } else {
        WGMMA("eq");
    }
}
/* The slice that comes next into the place of the last may only do so when that has been read, too. */
INLINE void wait_multiply(float *d)
{
    asm volatile("//@ wgmma.wait_group.sync.aligned 0;" : SUMS_OF(TILE_COLS) : : "memory");
}
#define MULTIPLY(d, a, b, is_first) wide_multiply(d, a, b, is_first)
#define WAIT_MULTIPLY(d) wait_multiply(d)
#endif

/* What multiply_slices has begun ends. Sums that are apart come into the others by an f32 addition that rounds, as in matrix_units_mma.cl. */
INLINE void finish_multiply(float (*sums)[FRAGMENTS_ACROSS][4])
{
    WAIT_MULTIPLY(UNIT_SUMS(sums));
#if SUMS_APART
    UNROLL
    for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
        UNROLL
        for (int s = 0; s < 4; s++) {
            sums[0][j][s] += sums[SUMS_APART][j][s];
        }
    }
#endif
}
#define UNIT_FINISH(sums) finish_multiply(sums)

/* Begins sums += a·b, as in matrix_units_mma.cl, or = a·b where sums are apart and slice `number` is the first one of theirs. Of operands in
 * parts the small products come first; those in three have slices that are 16 deep. */
INLINE void multiply_slices(float (*sums)[FRAGMENTS_ACROSS][4], uint tile, int number, int warp_row, int lane UNIT_PARAMETERS)
{
    /* Warps of 16 rows: the four of a warpgroup name the same 64 rows. */
    const int row = warp_row / 64 * 64;
    const uint a_start = tile + (A_RUNS == 0 ? row * TILE_DEPTH * 2 : row / A_WIDTH * TILE_DEPTH * A_WIDTH * 2);
    const uint b_start = tile + PARTS * A_BYTES;
    const ulong a = DESCRIPTOR(a_start, A_RUNS, A_WIDTH);
    const ulong b = DESCRIPTOR(b_start, B_RUNS, B_WIDTH);
    BEGIN_MULTIPLY();
    UNROLL
    for (int step = 0; step < TILE_DEPTH / 16; step++) {
        UNROLL
        for (int order = PARTS - 1; order >= 0; order--) {
            UNROLL
            for (int part = 0; part <= order; part++) {
                MULTIPLY(UNIT_SUMS(sums), a + (ulong)((step * STEP_BYTES(A_RUNS, A_WIDTH) + part * A_BYTES) / 16),
                         b + (ulong)((step * STEP_BYTES(B_RUNS, B_WIDTH) + (order - part) * B_BYTES) / 16),
                         SUMS_APART && number == 0 && step == 0 && order == PARTS - 1 && part == 0);
            }
        }
    }
    END_MULTIPLY();
}

/* Begins to multiply the slices at `tile`, the `number`-th of those whose sums are apart together; ends all but the `left` (0 or 1) begun
 * last. Sums that are apart are so until they have ended, so that none is left. IS_CONSUMER: the item's warp multiplies. */
#if EMULATED
/* What is begun is done when a wait demands it. */
#define DECLARE_BEGUN \
    uint begun[2];    \
    int begun_count = 0;
#define BEGIN_SLICES(tile, number) begun[begun_count++] = tile;
#define WAIT_SLICES(left)                                                          \
    for (int number = 0; begun_count > (left); number++) {                         \
        if (IS_CONSUMER) {                                                         \
            multiply_slices(sums, begun[0], number, warp_row, lane UNIT_ARGUMENTS); \
        }                                                                          \
        begun[0] = begun[1];                                                       \
        begun_count--;                                                             \
        if (IS_CONSUMER && (begun_count == 0 || !SUMS_APART)) {                    \
            UNIT_FINISH(sums);                                                     \
        }                                                                          \
    }
#else
#define DECLARE_BEGUN
#define BEGIN_SLICES(tile, number) multiply_slices(sums, tile, number, warp_row, lane UNIT_ARGUMENTS);
#define WAIT_SLICES(left)                \
    if ((left) == 0) {                   \
        UNIT_FINISH(sums);               \
    } else {                             \
        WAIT_ALL_BUT_ONE_MULTIPLY();     \
    }
#endif
