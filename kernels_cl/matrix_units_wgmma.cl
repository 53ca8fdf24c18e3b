/* Matrix units through wgmma (NVIDIA Hopper, sm_90a): four warps multiply 64 rows by all of the tile's columns, both operands in
 * local memory, named by descriptors. WARP_ROWS is 16, WARP_COLS is TILE_COLS.
 *
 * OpenCL C is compiled for sm_90, which lacks these instructions. So each is a comment of the assembly with a mark in front,
 * and backends/opencl/matrix_units_retarget.c makes instructions of them, and sm_90a of the target, in the PTX that comes out.
 * The accumulators are in the instruction's list until finish_multiply: nothing may be done with them before. */

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

/* A descriptor: start, leading and stride offset in units of 16 bytes, and the swizzle of rows of `width` bf16. The stride goes
 * from 8 rows to the next 8; the leading offset from a block of lines to the next, where neighbours differ in the line (RUNS 1), and
 * is 1 where they differ in k: there it has no meaning. */
#define SWIZZLE_CODE(width) ((width) == 64 ? 1ul : (width) == 32 ? 2ul : 3ul)
#define LEADING_BYTES(runs, width) ((runs) == 0 ? 16 : TILE_DEPTH * (width)*2)
#define DESCRIPTOR(start, runs, width)                                                      \
    ((ulong)((start) >> 4) | (ulong)(LEADING_BYTES(runs, width) >> 4) << 16 |      \
     (ulong)(8 * (width)*2 >> 4) << 32 | SWIZZLE_CODE(width) << 62)

/* From one 16 of depth to the next. */
#define STEP_BYTES(runs, width) ((runs) == 0 ? 32 : 16 * (width)*2)

/* The unit's sums: the kernel's, or of operands in three parts those of the 16 of depth that are being multiplied. */
#define UNIT_SUMS(sums) &(sums)[SUMS_APART][0][0]

/* MULTIPLY: d = a·b where `is_first`, else d += a·b. WAIT_MULTIPLY ends all that has begun; what is done with d may not come before. */
#if EMULATED
#define MULTIPLY(d, a, b, is_first) \
    emulated_wide_multiply(d, a, b, is_first, TILE_COLS, A_RUNS, B_RUNS, memory)
#define UNIT_PREPARE()
#define BEGIN_MULTIPLY()
#define END_MULTIPLY()
#define WAIT_MULTIPLY(d)
#else
/* What cp.async and stores wrote becomes visible to the units. */
#define UNIT_PREPARE() asm volatile("fence.proxy.async.shared::cta;" ::: "memory")
#define BEGIN_MULTIPLY() asm volatile("//@ wgmma.fence.sync.aligned;" ::: "memory")
#define END_MULTIPLY() asm volatile("//@ wgmma.commit_group.sync.aligned;" ::: "memory")
#define WAIT_ALL_BUT_ONE_MULTIPLY() asm volatile("//@ wgmma.wait_group.sync.aligned 1;" ::: "memory")
#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D16(i) D4(i), D4(i + 4), D4(i + 8), D4(i + 12)
#define D32(i) D16(i), D16(i + 16)
#define N16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define N32 N16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define N48 N32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define N64                                                                                               \
    N32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, " \
        "%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define N96                                                                                               \
    N64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, %82, " \
        "%83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#if TILE_COLS == 64
#define SUMS_AND_OPERANDS N32 "}, %32, %33"
#define SUMS_LIST D32(0)
#elif TILE_COLS == 96
#define SUMS_AND_OPERANDS N48 "}, %48, %49"
#define SUMS_LIST D32(0), D16(32)
#elif TILE_COLS == 128
#define SUMS_AND_OPERANDS N64 "}, %64, %65"
#define SUMS_LIST D32(0), D32(32)
#elif TILE_COLS == 192
#define SUMS_AND_OPERANDS N96 "}, %96, %97"
#define SUMS_LIST D32(0), D32(32), D32(64)
#else
#error "TILE_COLS isn't 64, 96, 128 or 192"
#endif
#define TEXT_2(x) #x
#define TEXT(x) TEXT_2(x)
/* `compare`: eq for a predicate that is true and adds to d, ne for one that is false. */
#define WGMMA(compare)                                                                                    \
    asm volatile("//@ { .reg .pred p; setp." compare ".b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" TEXT( \
                     TILE_COLS) "k16.f32.bf16.bf16 {" SUMS_AND_OPERANDS ", p, 1, 1, " TEXT(A_RUNS) ", " TEXT(B_RUNS) "; }" \
                 : SUMS_LIST                                                                              \
                 : "l"(a), "l"(b)                                                                         \
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
    asm volatile("//@ wgmma.wait_group.sync.aligned 0;" : SUMS_LIST : : "memory");
}
#define MULTIPLY(d, a, b, is_first) wide_multiply(d, a, b, is_first)
#define WAIT_MULTIPLY(d) wait_multiply(d)
#endif

/* What multiply_slices has begun ends. Of operands in three parts its 16 of depth come into the sums by an f32 addition that rounds, as in
 * matrix_units_mma.cl. */
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

/* Begins sums += a·b, as in matrix_units_mma.cl. Of operands in parts the small products come first; those in three have slices
 * that are 16 deep. */
INLINE void multiply_slices(float (*sums)[FRAGMENTS_ACROSS][4], uint tile, int warp_row, int warp_col,
                            int lane UNIT_PARAMETERS)
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
                         SUMS_APART && order == PARTS - 1 && part == 0);
            }
        }
    }
    END_MULTIPLY();
}

/* Begins to multiply the slices at `tile`; ends all but the `left` (0 or 1) begun last. Sums of 16 of depth are apart until they have ended,
 * so that none is left. IS_CONSUMER: the item's warp multiplies. */
#if EMULATED
/* What is begun is done when a wait demands it. */
#define DECLARE_BEGUN \
    uint begun[2];    \
    int begun_count = 0;
#define BEGIN_SLICES(tile) begun[begun_count++] = tile;
#define WAIT_SLICES(left)                                                                  \
    while (begun_count > (left)) {                                                         \
        if (IS_CONSUMER) {                                                                 \
            multiply_slices(sums, begun[0], warp_row, 0, lane UNIT_ARGUMENTS);             \
            UNIT_FINISH(sums);                                                             \
        }                                                                                  \
        begun[0] = begun[1];                                                               \
        begun_count--;                                                                     \
    }
#else
#define DECLARE_BEGUN
#define BEGIN_SLICES(tile) multiply_slices(sums, tile, warp_row, 0, lane UNIT_ARGUMENTS);
#define WAIT_SLICES(left)                \
    if ((left) == 0) {                   \
        UNIT_FINISH(sums);               \
    } else {                             \
        WAIT_ALL_BUT_ONE_MULTIPLY();     \
    }
#endif
