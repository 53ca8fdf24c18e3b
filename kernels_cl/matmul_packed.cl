/* MATMUL on Hopper's matrix units with operands that pack.cl has packed, or that have tensor maps: a warp of its own, the producer, brings
 * each slice by one bulk copy or a few, and the others, the consumers, only wait and multiply.
 *
 * Shapes: product.cl; a and b themselves aren't read, but scratch, where their slices lie: a's from byte a_place on, a_bytes from
 * matrix to matrix (0 for one that all share), b's likewise (packed_operands.cl). MAPPED: there lie their maps. Launch: groups of ITEMS + LANES;
 * global (tiles·items, pieces, batches), tiles numbered as in matmul_tiles.cl. With PIECES the sums go to scratch too, from byte sums_place on,
 * as matmul_matrix_units.cl says.
 * Macros: matrix_units.cl with PACKED, UNIT 2. Local memory: BARRIERS_PLACE + 16·STAGES bytes, at most 48 KiB. Bound by the units for a
 * depth of some thousand, by writing out for less.
 *
 * Stages, mbarriers and clusters of groups: slice_ring.cl. */

#define GROUP_ITEMS (ITEMS + LANES)

/* Begins to fetch the producer's next slices, unless their stage isn't empty yet. Returns whether it did. */
INLINE int produce(ring_position *at, uint base, const slice_source *a, const slice_source *b, int lane, int rank RING_PARAMETERS)
{
    if (!PASSES(EMPTY(base, at->stage), at->parity ^ 1)) {
        return 0;
    }
    if (IS_PRODUCER) {
        const uint target = base + at->stage * STAGE_BYTES;
        EXPECT_BYTES(FULL(at->stage), STAGE_BYTES);
        FETCH(target, a, A_SLICE_BYTES, A_RUNS, TILE_ROWS, COL_IN_CLUSTER, CLUSTER_COLS, SHARERS_OF_A, FULL(at->stage));
        FETCH(target + A_SLICE_BYTES, b, B_SLICE_BYTES, B_RUNS, TILE_COLS, ROW_IN_CLUSTER, CLUSTER_ROWS, SHARERS_OF_B, FULL(at->stage));
    }
    move_on(at);
    return 1;
}

/* Slices whose multiplication still goes on when the next one begins. Sums that are apart must be added to the others first; then the
 * units have the other warps' slices. */
#define LEFT_BEHIND (SUMS_APART ? 0 : 1)
#define STAGE_BEFORE(count) ((count) == 0 ? used.stage : used.stage == 0 ? STAGES - 1 : used.stage - 1)

/* Multiplies the slices of the consumers' next stage, once they are there, the `number`-th of those whose sums are apart together; with the
 * last of them leaves the stages that are done with. */
#define CONSUME(number)                                                                     \
    if (PASSES(FULL(used.stage), used.parity)) {                                            \
        BEGIN_SLICES(base + used.stage * STAGE_BYTES, number)                               \
        if ((number) == SLICES_APART - 1) {                                                 \
            WAIT_SLICES(LEFT_BEHIND)                                                        \
            if (IS_CONSUMER && lane < SHARERS && (LEFT_BEHIND == 0 || used.step > 0)) {     \
                UNROLL                                                                      \
                for (int left = 0; left < SLICES_APART; left++) {                           \
                    ARRIVE(EMPTY(sharer_base, STAGE_BEFORE(LEFT_BEHIND + left)));           \
                }                                                                           \
            }                                                                               \
        }                                                                                   \
        move_on(&used);                                                                     \
    }

/* Where the tile is, for the epilogue: sums apart leave no registers to keep it in. */
#if SUMS_APART
#define DECLARE_TILE __local int tile[2];
#define KEEP_TILE()            \
    tile[0] = (int)first_row; \
    tile[1] = (int)first_col
#define TILE_ROW tile[0]
#define TILE_COL tile[1]
#else
#define DECLARE_TILE
#define KEEP_TILE()
#define TILE_ROW first_row
#define TILE_COL first_col
#endif

__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void matmul_packed(PRODUCT_PARAMETERS,
                                                                                     PACKED_PARAMETERS)
{
#if EMULATED
    __local uchar memory[LARGER(BARRIERS_PLACE + 16 * STAGES, (WARPS + 1) * SEGMENT_BYTES)] __attribute__((aligned(1024)));
    __local uint exchange[1]; /* of no use to wgmma, whose operands lie in local memory */
#else
    __local uchar memory[BARRIERS_PLACE + 16 * STAGES] __attribute__((aligned(1024)));
#endif
    DECLARE_TILE
    const int item = get_local_id(0);
    const int lane = UNIT_LANE(item);
    const int warp = UNIT_WARP(item);
    const int warp_row = warp * WARP_ROWS;
    const uint base = LOCAL_ADDRESS(memory);
    LOCATE_TILE
    if (!IS_CLUSTER) {
        return;
    }
    const uint sharer_base = BASE_IN(lane < SHARERS ? SHARER(lane) : rank);
    LOCATE_SLICES
#if MAPPED
    const slice_source a_slices = {OPERAND_AT(a_place, a_bytes), (int)first_row, (int)(first_slice * TILE_DEPTH)};
    const slice_source b_slices = {OPERAND_AT(b_place, b_bytes), (int)first_col, (int)(first_slice * TILE_DEPTH)};
#else
    const slice_source a_slices = {
        SLICES_AT(a_place, a_bytes, TILE_NUMBER(first_row, TILE_ROWS, tiles_down), tiles_down, TILE_ROWS, A_SLICE_BYTES)};
    const slice_source b_slices = {
        SLICES_AT(b_place, b_bytes, TILE_NUMBER(first_col, TILE_COLS, tiles_across), tiles_across, TILE_COLS, B_SLICE_BYTES)};
#endif
    if (item == ITEMS) {
        for (int stage = 0; stage < STAGES; stage++) {
            START_BARRIER(FULL(stage), 1);
            START_BARRIER(EMPTY(base, stage), WARPS * SHARERS);
        }
        FENCE_BARRIERS();
        KEEP_TILE();
#if MAPPED
        FENCE_MAP(a_slices.start);
        FENCE_MAP(b_slices.start);
#endif
    }
    MEET_CLUSTER();
    float sums[SUMS_DOWN][FRAGMENTS_ACROSS][FRAGMENT_SUMS];
    clear_sums(sums);
    ring_position filled = {0, 0, 0};
    ring_position used = {0, 0, 0};
    DECLARE_BEGUN
#if EMULATED
    pending_bulk pending = {.count = 0};
    int idle = 0;
    const int at_once = (get_group_id(0) + get_group_id(1) + get_group_id(2)) % 2;
    while (used.step < steps && idle < 2 * MOST_PENDING_BULK) {
        const int before = filled.step + used.step;
        END_TURN();
        while (filled.step < steps && produce(&filled, base, &a_slices, &b_slices, lane, rank RING_ARGUMENTS)) {
            END_TURN();
        }
        CONSUME(used.step % SLICES_APART)
        END_TURN();
        idle = filled.step + used.step > before ? 0 : idle + 1;
        if (idle > 0 && IS_PRODUCER) {
            emulated_bulk_arrives(&pending, memory);
        }
    }
    WAIT_SLICES(0)
    barrier(CLK_LOCAL_MEM_FENCE);
#else
    if (warp == WARPS) {
        while (IS_PRODUCER && filled.step < steps) {
            produce(&filled, base, &a_slices, &b_slices, lane, rank RING_ARGUMENTS);
        }
        return;
    }
    for (int left = steps; left > 0; left -= SLICES_APART) {
        UNROLL
        for (int number = 0; number < SLICES_APART; number++) {
            CONSUME(number)
        }
    }
    /* The epilogue's stores go where slices were: all warps must have read theirs, and then all copies have arrived. */
    if (LEFT_BEHIND > 0) {
        WAIT_SLICES(0)
    }
    MEET_CONSUMERS();
#endif
    LOCATE_SUMS
    /* No group ends while others may still arrive on its mbarriers; who has left needn't. */
    ARRIVE_AT_CLUSTER();
    finish_tile(sums, memory, warp, lane, warp_row, 0, IS_CONSUMER ? TILE_ROW : rows, TILE_COL,
                PRODUCT_ARGUMENTS SUMS_ARGUMENTS SIZES_ARGUMENTS);
    WAIT_FOR_CLUSTER();
}
