/* MATMUL on Hopper's matrix units with operands that pack.cl has packed: a warp of its own, the producer, brings each slice by one
 * cp.async.bulk, and the others, the consumers, only wait and multiply.
 *
 * Shapes: product.cl; a and b themselves aren't read, but scratch, where their slices lie: a's from byte a_place on, a_bytes from
 * matrix to matrix (0 for one that all share), b's likewise. Launch: groups of ITEMS + LANES; global (tiles·items, pieces, batches),
 * tiles numbered as in matmul_tiles.cl. With PIECES the sums go to scratch too, from byte sums_place on, as
 * matmul_matrix_units.cl says.
 * Macros: matrix_units.cl with PACKED, UNIT 2. Local memory: BARRIERS_PLACE + 16·STAGES bytes, at most 48 KiB. Bound by the units for a
 * depth of some thousand, by writing out for less.
 *
 * Each stage has two mbarriers. `full` ends a phase when the producer has arrived and all bytes that it announced are there; `empty`
 * when every consumer warp has arrived, which says that it no longer reads the stage. The use of a stage number n (0, 1, …) waits for
 * phase n of `full`, and for the end of phase n − 1 of `empty`, which for n = 0 counts as ended. */

#define GROUP_ITEMS (ITEMS + LANES)
#define A_SLICE_BYTES (PARTS * A_BYTES)
#define B_SLICE_BYTES (PARTS * B_BYTES)
#define BARRIERS_PLACE LARGER(STAGES *STAGE_BYTES, WARPS *SEGMENT_BYTES)
#define FULL(stage) (base + BARRIERS_PLACE + (stage)*8)
#define EMPTY(stage) (base + BARRIERS_PLACE + (STAGES + (stage)) * 8)

/* Where a producer or a consumer is: it turns to the next stage with each step, and the parity changes with each round. */
typedef struct ring_position {
    int step;
    int stage;
    uint parity;
} ring_position;

INLINE void move_on(ring_position *at)
{
    at->step++;
    at->stage++;
    if (at->stage == STAGES) {
        at->stage = 0;
        at->parity ^= 1;
    }
}

#if EMULATED
/* All items play all roles in turns, and act where the role is theirs; who can't pass an mbarrier tries again in the next turn. The
 * producer goes ahead as far as it may. In every other group copies arrive at once, which shows who overwrites what is still in use; in
 * the others one by one and only when nobody can go on, which shows who doesn't wait. A multiplication is done when a wait demands it.
 * Where nobody can go on for good, what isn't there is missing in the sums. */
#define IS_PRODUCER (item == ITEMS)
#define IS_CONSUMER (item < ITEMS)
#define RING_PARAMETERS , int item, pending_bulk *pending, int at_once, __local uchar *memory
#define RING_ARGUMENTS , item, &pending, at_once, memory
#define PASSES(place, parity) emulated_passes(place, parity, memory)
#define START_BARRIER(place, arrivals) emulated_barrier_start(place, arrivals, memory)
#define FENCE_BARRIERS()
#define EXPECT_BYTES(place, bytes) emulated_arrive(place, bytes, memory)
#define ARRIVE(place) emulated_arrive(place, 0, memory)
#define END_TURN() emulated_turn(BARRIERS_PLACE, 2 * STAGES, memory)
#define COPY_SLICE(target, source, bytes, place) emulated_bulk_copy(pending, at_once, target, source, bytes, place, memory)
#else
#define IS_PRODUCER (lane == 0)
#define IS_CONSUMER 1
#define RING_PARAMETERS
#define RING_ARGUMENTS
/* Waits, acquiring what was released by arrivals and what the copies have written. */
#define PASSES(place, parity) wait_for_phase(place, parity)
INLINE int wait_for_phase(uint place, uint parity)
{
    uint ended;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(ended)
                     : "r"(place), "r"(parity)
                     : "memory");
    } while (ended == 0);
    return 1;
}
#define START_BARRIER(place, arrivals) \
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(place), "r"(arrivals) : "memory")
/* The mbarriers are seen by copies, which are of another proxy; so are the packed operands, which another kernel wrote. */
#define FENCE_BARRIERS()                                                    \
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");      \
    asm volatile("fence.proxy.async;" ::: "memory")
#define EXPECT_BYTES(place, bytes) \
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(place), "r"(bytes) : "memory")
#define ARRIVE(place) asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(place) : "memory")
#define COPY_SLICE(target, source, bytes, place)                                                            \
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(target), \
                 "l"(source), "r"(bytes), "r"(place)                                                        \
                 : "memory")
#define MEET_CONSUMERS() asm volatile("bar.sync 1, %0;" ::"n"(ITEMS) : "memory")
#endif

/* Begins to fetch the producer's next slices, unless their stage isn't empty yet. Returns whether it did. */
INLINE int produce(ring_position *at, uint base, __global const uchar *a, __global const uchar *b, int lane RING_PARAMETERS)
{
    if (!PASSES(EMPTY(at->stage), at->parity ^ 1)) {
        return 0;
    }
    if (IS_PRODUCER) {
        const uint target = base + at->stage * STAGE_BYTES;
        EXPECT_BYTES(FULL(at->stage), STAGE_BYTES);
        COPY_SLICE(target, a + (long)at->step * A_SLICE_BYTES, A_SLICE_BYTES, FULL(at->stage));
        COPY_SLICE(target + A_SLICE_BYTES, b + (long)at->step * B_SLICE_BYTES, B_SLICE_BYTES, FULL(at->stage));
    }
    move_on(at);
    return 1;
}

/* Slices whose multiplication still goes on when the next one begins. Sums of 16 of depth must be added to the others first; then the
 * units have the other warps' slices. */
#define LEFT_BEHIND (SUMS_APART ? 0 : 1)
#define LEFT_STAGE (LEFT_BEHIND == 0 ? used.stage : used.stage == 0 ? STAGES - 1 : used.stage - 1)

/* Multiplies the slices of the consumers' next stage, once they are there, and leaves the last stage that is done with. */
#define CONSUME                                                                          \
    if (PASSES(FULL(used.stage), used.parity)) {                                         \
        BEGIN_SLICES(base + used.stage * STAGE_BYTES)                                    \
        WAIT_SLICES(LEFT_BEHIND)                                                         \
        if (IS_CONSUMER && lane == 0 && used.step >= LEFT_BEHIND) {                      \
            ARRIVE(EMPTY(LEFT_STAGE));                                                   \
        }                                                                                \
        move_on(&used);                                                                  \
    }

__kernel __attribute__((reqd_work_group_size(GROUP_ITEMS, 1, 1))) void matmul_packed(PRODUCT_PARAMETERS, __global float *scratch,
                                                                                     long scratch_start, long a_place, long a_bytes,
                                                                                     long b_place, long b_bytes, long sums_place,
                                                                                     long piece_depth)
{
#if EMULATED
    __local uchar memory[LARGER(BARRIERS_PLACE + 16 * STAGES, (WARPS + 1) * SEGMENT_BYTES)] __attribute__((aligned(1024)));
    __local uint exchange[1]; /* of no use to wgmma, whose operands lie in local memory */
#else
    __local uchar memory[BARRIERS_PLACE + 16 * STAGES] __attribute__((aligned(1024)));
#endif
    const int item = get_local_id(0);
    const int lane = UNIT_LANE(item);
    const int warp = UNIT_WARP(item);
    const int warp_row = warp * WARP_ROWS;
    const uint base = LOCAL_ADDRESS(memory);
    LOCATE_TILE
    const long first_slice = (long)get_group_id(1) * (piece_depth / TILE_DEPTH);
    const long slices = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const int steps = (int)min(slices - first_slice, piece_depth / TILE_DEPTH);
    __global const uchar *packed = (__global const uchar *)(scratch + scratch_start);
    __global const uchar *a_slices = packed + a_place + get_group_id(2) * a_bytes + (first_row / TILE_ROWS * slices + first_slice) * A_SLICE_BYTES;
    __global const uchar *b_slices = packed + b_place + get_group_id(2) * b_bytes + (first_col / TILE_COLS * slices + first_slice) * B_SLICE_BYTES;
#if PIECES
    const long pitch = (cols + 3) / 4 * 4;
    __global float *partial = (__global float *)(packed + sums_place) +
                              ((long)get_group_id(2) * get_num_groups(1) + get_group_id(1)) * rows * pitch;
#endif
    if (item == ITEMS) {
        for (int stage = 0; stage < STAGES; stage++) {
            START_BARRIER(FULL(stage), 1);
            START_BARRIER(EMPTY(stage), WARPS);
        }
        FENCE_BARRIERS();
    }
    barrier(CLK_LOCAL_MEM_FENCE);
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
        while (filled.step < steps && produce(&filled, base, a_slices, b_slices, lane RING_ARGUMENTS)) {
            END_TURN();
        }
        CONSUME
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
            produce(&filled, base, a_slices, b_slices, lane RING_ARGUMENTS);
        }
        return;
    }
    while (used.step < steps) {
        CONSUME
    }
    /* The epilogue's stores go where slices were: all warps must have read theirs, and then all copies have arrived. */
    if (LEFT_BEHIND > 0) {
        WAIT_SLICES(0)
    }
    MEET_CONSUMERS();
#endif
    finish_tile(sums, memory, warp, lane, warp_row, 0, IS_CONSUMER ? first_row : rows, first_col, PRODUCT_ARGUMENTS SUMS_ARGUMENTS);
}
