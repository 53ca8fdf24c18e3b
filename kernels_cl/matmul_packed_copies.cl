/* MATMUL on matrix units of mma.sync's kind with operands packed in halves: all items bring each slice as it lies, 16 bytes at a time, while
 * the slices before are multiplied. (Hopper's units have matmul_packed.cl.)
 *
 * Shapes and launch: as matmul_packed.cl, in groups of ITEMS. Macros: matrix_units.cl with PACKED, HALVES and UNIT 1. Local memory:
 * MEMORY_BYTES, at most 48 KiB. Bound by the units. */

/* Slices that are fetched before they are used. */
#define AHEAD (STAGES - 1)

/* Begins to bring the item's chunks of a slice, as many as all others', from its first one on, and goes on to the next slice. */
#define COPY_SLICE(target, source, bytes)                                           \
    UNROLL                                                                          \
    for (int i = 0; i < (bytes) / (ITEMS * 16); i++) {                              \
        COPY_CHUNK((target) + (item + i * ITEMS) * 16, (source) + i * ITEMS * 16, 16); \
    }                                                                               \
    source += bytes;

/* Begins to bring the next slices of both operands to a stage. */
#define FETCH_SLICES(stage)                                                \
    COPY_SLICE(base + (stage)*STAGE_BYTES, a_slices, A_SLICE_BYTES)        \
    COPY_SLICE(base + (stage)*STAGE_BYTES + A_SLICE_BYTES, b_slices, B_SLICE_BYTES)

__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void matmul_packed_copies(PRODUCT_PARAMETERS, PACKED_PARAMETERS)
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
    LOCATE_SLICES
    __global const uchar *a_slices = SLICES_AT(a_place, a_bytes, first_row / TILE_ROWS, tiles_down, TILE_ROWS, A_SLICE_BYTES) + item * 16;
    __global const uchar *b_slices = SLICES_AT(b_place, b_bytes, first_col / TILE_COLS, tiles_across, TILE_COLS, B_SLICE_BYTES) + item * 16;
    UNIT_COPIES
    float sums[SUMS_DOWN][FRAGMENTS_ACROSS][FRAGMENT_SUMS];
    clear_sums(sums);
    for (int stage = 0; stage < AHEAD; stage++) {
        if (stage < steps) {
            FETCH_SLICES(stage)
        }
        END_COPIES();
    }
    int used = 0;
    int filled = AHEAD;
    for (int step = 0; step < steps; step++) {
        WAIT_COPIES(AHEAD - 1);
        barrier(CLK_LOCAL_MEM_FENCE);
        if (step + AHEAD < steps) {
            FETCH_SLICES(filled)
        }
        END_COPIES();
        multiply_slices(sums, base + used * STAGE_BYTES, warp_row, warp_col, lane UNIT_ARGUMENTS);
        used = used + 1 == STAGES ? 0 : used + 1;
        filled = filled + 1 == STAGES ? 0 : filled + 1;
    }
    WAIT_COPIES(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    LOCATE_SUMS
    /* As int: registers are few, and rows and columns below 2³⁰. */
    finish_tile(sums, memory, warp, lane, warp_row, warp_col, (int)first_row, (int)first_col,
                PRODUCT_ARGUMENTS SUMS_ARGUMENTS SIZES_ARGUMENTS);
}
