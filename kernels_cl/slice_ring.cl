/* The ring of stages in which slices come to a group by bulk copies, of packed operands or by tensor maps, and groups that share slices in a
 * cluster.
 *
 * Each stage has two mbarriers. `full` ends a phase when the producer has arrived and all bytes that it announced are there; `empty`
 * when every consumer warp has arrived, which says that it no longer reads the stage. The use of a stage number n (0, 1, …) waits for
 * phase n of `full`, and for the end of phase n − 1 of `empty`, which for n = 0 counts as ended.
 *
 * In a cluster the CLUSTER_COLS groups beside each other read the same slices of a, and the CLUSTER_ROWS below each other the same of b.
 * Each fetches a share of every one for all of them, by copies that arrive in the memory of all. So who fetches waits for the consumers of
 * all SHARERS groups with which it shares a or b, itself among them, and a consumer tells all of them. A slice is read from L2 once a cluster,
 * not once a group.
 * Macros: matrix_units.cl with PACKED, UNIT 2. */

#define BARRIERS_PLACE LARGER(STAGES *STAGE_BYTES, WARPS *SEGMENT_BYTES)
#define FULL(stage) (base + BARRIERS_PLACE + (stage)*8)
#define EMPTY(base, stage) ((base) + BARRIERS_PLACE + (STAGES + (stage)) * 8)

#define SHARERS (CLUSTER_ROWS + CLUSTER_COLS - 1)
#define ROW_IN_CLUSTER (rank % CLUSTER_ROWS)
#define COL_IN_CLUSTER (rank / CLUSTER_ROWS)
/* Sets of groups, a bit each: those of a row of the cluster, of a column. */
#define SHARERS_OF_A (((1 << CLUSTER) - 1) / ((1 << CLUSTER_ROWS) - 1) << ROW_IN_CLUSTER)
#define SHARERS_OF_B (((1 << CLUSTER_ROWS) - 1) << CLUSTER_ROWS * COL_IN_CLUSTER)
/* The number of sharer i: those of the column, then the others of the row. */
#define SHARER(i)                                          \
    ((i) < CLUSTER_ROWS ? (i) + CLUSTER_ROWS * COL_IN_CLUSTER \
                        : ROW_IN_CLUSTER + CLUSTER_ROWS * ((COL_IN_CLUSTER + 1 + (i)-CLUSTER_ROWS) % CLUSTER_COLS))
#if CLUSTER > 1 && !MAPPED
/* A group without a tile fetches its share for the others all the same. */
#define TILE_NUMBER(first, size, count) min((first) / (size), (long)(count)-1)
#else
#define TILE_NUMBER(first, size, count) ((first) / (size))
#endif

/* Where an operand comes from: its first slice of the tile; or its map, and what the tile's first slice begins with. */
typedef struct slice_source {
    __global const uchar *start;
    int line;
    int k;
} slice_source;

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
#define RING_PASSED , item, pending, at_once, memory
#define PASSES(place, parity) emulated_passes(place, parity, memory)
#define START_BARRIER(place, arrivals) emulated_barrier_start(place, arrivals, memory)
#define FENCE_BARRIERS()
#define EXPECT_BYTES(place, bytes) emulated_arrive(place, bytes, memory)
#define ARRIVE(place) emulated_arrive(place, 0, memory)
#define END_TURN() emulated_turn(BARRIERS_PLACE, 2 * STAGES, memory)
#define COPY_BYTES(target, source, bytes, sharers, place) \
    emulated_bulk_copy(pending, at_once, target, source, bytes, place, memory)
#define COPY_BOX(target, map, x, y, bytes, sharers, place) emulated_box_copy(pending, at_once, target, map, x, y, bytes, place, memory)
#define FENCE_MAP(map)
#else
#define IS_PRODUCER (lane == 0)
#define IS_CONSUMER 1
#define RING_PARAMETERS
#define RING_ARGUMENTS
#define RING_PASSED
#if CLUSTER > 1
#define ACQUIRE ".acquire.cluster.shared::cta"
#else
#define ACQUIRE ".shared"
#endif
/* Waits, acquiring what was released by arrivals and what the copies have written. */
#define PASSES(place, parity) wait_for_phase(place, parity)
INLINE int wait_for_phase(uint place, uint parity)
{
    uint ended;
    do {
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity" ACQUIRE ".b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
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
/* What another kernel wrote of a map is seen by copies. */
#define FENCE_MAP(map) asm volatile("fence.proxy.tensormap::generic.acquire.gpu [%0], 128;" ::"l"(map) : "memory")
#if CLUSTER > 1
#define COPY_BOX(target, map, x, y, bytes, sharers, place)                                                                                  \
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "                          \
                 "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(target),                                                                           \
                 "l"(map), "r"(x), "r"(y), "r"(place), "h"((ushort)(sharers))                                                               \
                 : "memory")
#define ARRIVE(place) asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(place) : "memory")
#define COPY_BYTES(target, source, bytes, sharers, place)                                                                                   \
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(    \
                     target),                                                                                                               \
                 "l"(source), "r"(bytes), "r"(place), "h"((ushort)(sharers))                                                                \
                 : "memory")
#define ARRIVE_AT_CLUSTER() asm volatile("barrier.cluster.arrive.release;" ::: "memory")
#define WAIT_FOR_CLUSTER() asm volatile("barrier.cluster.wait.acquire;" ::: "memory")
INLINE void meet_cluster(void)
{
    ARRIVE_AT_CLUSTER();
    WAIT_FOR_CLUSTER();
}
#define MEET_CLUSTER() meet_cluster()
/* Whether the driver has heeded the directive that groups run in clusters: without, others' memory isn't there. */
#define IS_CLUSTER is_cluster()
INLINE int is_cluster(void)
{
    uint groups;
    asm volatile("//@entry .explicitcluster .reqnctapercluster %0, 1, 1 ;" ::"n"(CLUSTER));
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(groups));
    return groups == CLUSTER;
}
#define BASE_IN(group) base_in(base, group)
/* Where `base` is in another group of the cluster. */
INLINE uint base_in(uint base, int group)
{
    uint there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(base), "r"(group));
    return there;
}
#else
#define COPY_BOX(target, map, x, y, bytes, sharers, place)                                                                                  \
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(target),   \
                 "l"(map), "r"(x), "r"(y), "r"(place)                                                                                       \
                 : "memory")
#define ARRIVE(place) asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(place) : "memory")
#define COPY_BYTES(target, source, bytes, sharers, place)                                                                 \
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(target), \
                 "l"(source), "r"(bytes), "r"(place)                                                                      \
                 : "memory")
#endif
#define MEET_CONSUMERS() asm volatile("bar.sync 1, %0;" ::"n"(ITEMS) : "memory")
#endif

#if EMULATED || CLUSTER == 1
#define IS_CLUSTER 1
#define BASE_IN(group) base
#define MEET_CLUSTER() barrier(CLK_LOCAL_MEM_FENCE)
#define ARRIVE_AT_CLUSTER()
#define WAIT_FOR_CLUSTER()
#endif

#if MAPPED
/* Begins to bring some lines of a slice: a box of lines of the slice's depth, or, of an operand whose neighbours are lines, boxes of `block`
 * neighbours for each k. */
INLINE void fetch_boxes(uint target, __global const uchar *map, int line, int k, int along_lines, int lines, int block, int sharers,
                        uint place RING_PARAMETERS)
{
    if (along_lines) {
        UNROLL
        for (int done = 0; done < lines; done += block) {
            COPY_BOX(target + done * TILE_DEPTH * 2, map, line + done, k, block * TILE_DEPTH * 2, sharers, place);
        }
    } else {
        COPY_BOX(target, map, k, line, lines * TILE_DEPTH * 2, sharers, place);
    }
}
#endif

/* The share of a slice that the group fetches. Emulated, no group sees another's local memory: each fetches all, and its own consumers arrive
 * for all sharers. */
#if EMULATED
#define EACH_SHARE(shares) for (int one = 0; one < (shares); one++)
#define SHARE_NUMBER(share) one
#else
#define EACH_SHARE(shares)
#define SHARE_NUMBER(share) (share)
#endif
#if MAPPED
#define FETCH_FROM(target, source, slice_bytes, runs, tile_lines, share, shares, sharers, place)                                            \
    fetch_boxes(target, (source)->start, (source)->line + (share) * ((tile_lines) / (shares)), (source)->k + at->step * TILE_DEPTH, runs,   \
                (tile_lines) / (shares), BLOCK_LINES(tile_lines), sharers, place RING_PASSED)
#else
#define FETCH_FROM(target, source, slice_bytes, runs, tile_lines, share, shares, sharers, place)                                            \
    COPY_BYTES(target, (source)->start + (long)at->step * (slice_bytes) + (share) * ((slice_bytes) / (shares)), (slice_bytes) / (shares),   \
               sharers, place)
#endif
/* Begins to bring it. */
#define FETCH(target, source, slice_bytes, runs, tile_lines, share, shares, sharers, place)                                                 \
    EACH_SHARE(shares)                                                                                                                      \
    {                                                                                                                                       \
        FETCH_FROM((target) + SHARE_NUMBER(share) * ((slice_bytes) / (shares)), source, slice_bytes, runs, tile_lines, SHARE_NUMBER(share), \
                   shares, sharers, place);                                                                                                 \
    }
