/* Matrix units through wgmma (NVIDIA Hopper, sm_90a): four warps multiply 64 rows by all of the tile's columns, both operands in
 * local memory, named by descriptors. WARP_ROWS is 16, WARP_COLS is TILE_COLS.
 *
 * OpenCL C is compiled for sm_90, which lacks these instructions. So each is a comment of the assembly with a mark in front,
 * and backends/opencl/matrix_units_retarget.c makes instructions of them, and sm_90a of the target, in the PTX that comes out.
 * The accumulators are in the instruction's list until UNIT_FINISH: nothing may be done with them before. */

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

#if EMULATED
#define UNIT_PREPARE()
#define MULTIPLY(d, a, b) emulated_wide_multiply(d, a, b, TILE_COLS, A_RUNS, B_RUNS, memory)
#define BEGIN_MULTIPLY()
#define END_MULTIPLY()
#define WAIT_MULTIPLY()
#else
/* What cp.async and stores wrote becomes visible to the units; and the slice that comes next into the place of the last
 * may only do so when that has been read. */
#define WAIT_MULTIPLY() asm volatile("//@ wgmma.wait_group.sync.aligned 0;" ::: "memory")
#define WAIT_ALL_BUT_ONE_MULTIPLY() asm volatile("//@ wgmma.wait_group.sync.aligned 1;" ::: "memory")
#define UNIT_PREPARE()                                               \
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");     \
    WAIT_MULTIPLY()
#define BEGIN_MULTIPLY() asm volatile("//@ wgmma.fence.sync.aligned;" ::: "memory")
#define END_MULTIPLY() asm volatile("//@ wgmma.commit_group.sync.aligned;" ::: "memory")
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
#define TEXT_2(x) #x
#define TEXT(x) TEXT_2(x)
#define WGMMA(cols, list, a_place, b_place, ...)                                                          \
    asm volatile("//@ { .reg .pred p; setp.eq.b32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n" #cols       \
                 "k16.f32.bf16.bf16 {" list "}, %" #a_place ", %" #b_place ", p, 1, 1, " TEXT(A_RUNS) ", " \
                 TEXT(B_RUNS) "; }"                                                                       \
                 : __VA_ARGS__                                                                            \
                 : "l"(a), "l"(b)                                                                         \
                 : "memory")
INLINE void wide_multiply(float *d, ulong a, ulong b)
{
#if TILE_COLS == 64
    WGMMA(64, N32, 32, 33, D32(0));
#elif TILE_COLS == 96
    WGMMA(96, N48, 48, 49, D32(0), D16(32));
#elif TILE_COLS == 128
    WGMMA(128, N64, 64, 65, D32(0), D32(32));
#elif TILE_COLS == 192
    WGMMA(192, N96, 96, 97, D32(0), D32(32), D32(64));
#else
#error "TILE_COLS isn't 64, 96, 128 or 192"
#endif
}
#define MULTIPLY(d, a, b) wide_multiply(d, a, b)
#endif

/* sums += a·b, as in matrix_units_mma.cl. Of split operands the small products come first in each 16 of depth. */
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
                MULTIPLY(&sums[0][0][0],
                         a + (ulong)((step * STEP_BYTES(A_RUNS, A_WIDTH) + part * A_BYTES) / 16),
                         b + (ulong)((step * STEP_BYTES(B_RUNS, B_WIDTH) + (order - part) * B_BYTES) / 16));
            }
        }
    }
    END_MULTIPLY();
}

#define UNIT_FINISH(sums) WAIT_MULTIPLY()
