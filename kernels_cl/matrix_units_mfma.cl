/* Matrix units of AMD's CDNA2 and CDNA3 (gfx90a, gfx94x) through v_mfma_f32_16x16x16_bf16_1k: a wave of 64 multiplies 16 x 16 by
 * 16 x 16.
 *
 * Work-item l, with g = l/16, holds of a: of row l mod 16 the elements at depth 4g to 4g + 3, two in a register, the first in the
 * lower half; of b: the same of column l mod 16; of sums: rows 4g to 4g + 3 of column l mod 16. */

#define UNIT_ATTRIBUTES
#define UNIT_LANE(item) ((item) % LANES)
#define UNIT_WARP(item) ((item) / LANES)

#if EMULATED
#define WARP_BARRIER() barrier(CLK_LOCAL_MEM_FENCE)

/* Each work-item shows its parts of a and b to the others. */
INLINE void emulated_mfma(float *sums, const uint *a, const uint *b, __local uint *exchange)
{
    const int item = get_local_id(0);
    const int lane = item % LANES;
    barrier(CLK_LOCAL_MEM_FENCE);
    exchange[item * 4] = a[0];
    exchange[item * 4 + 1] = a[1];
    exchange[item * 4 + 2] = b[0];
    exchange[item * 4 + 3] = b[1];
    barrier(CLK_LOCAL_MEM_FENCE);
    __local const uint *warp = exchange + (item - lane) * 4;
    for (int i = 0; i < 4; i++) {
        const int row = lane / 16 * 4 + i;
        const int col = lane % 16;
        for (int high = 0; high < 2; high++) {
            float products[8];
            for (int k = 0; k < 8; k++) {
                const int group = high * 2 + k / 4;
                const uint a_pair = warp[(group * 16 + row) * 4 + k % 4 / 2];
                const uint b_pair = warp[(group * 16 + col) * 4 + 2 + k % 4 / 2];
                products[k] = bf16_to_float((ushort)(a_pair >> 16 * (k % 2))) *
                              bf16_to_float((ushort)(b_pair >> 16 * (k % 2)));
            }
            sums[i] = add_eight_products(sums[i], products);
        }
    }
}
#define MULTIPLY(d, a, b) emulated_mfma(d, a, b, exchange)
#else
/* A wave runs in step, and what it does to local memory is done in order: only the compiler must keep that order. */
#define WARP_BARRIER()                                 \
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront"); \
    __builtin_amdgcn_wave_barrier();                   \
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront")

INLINE void multiply_fragments(float *sums, const uint *a, const uint *b)
{
    const float4 sum = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(as_short4((uint2)(a[0], a[1])), as_short4((uint2)(b[0], b[1])),
                                                                 (float4)(sums[0], sums[1], sums[2], sums[3]), 0, 0, 0);
    sums[0] = sum.x;
    sums[1] = sum.y;
    sums[2] = sum.z;
    sums[3] = sum.w;
}
#define MULTIPLY(d, a, b) multiply_fragments(d, a, b)
#endif

/* Of 16 lines from `line` on, the work-item's at its depth: neighbours in memory, or one from each of four rows. */
#define LOAD_FRAGMENT(RUNS, r, tile, line, lines, step, lane)                                                          \
    if (RUNS == 0) {                                                                                                   \
        const uint2 pairs = READ_4((tile) + PLACE_ALONG_DEPTH((line) + (lane) % 16, (step)*2 + (lane) / 32) +          \
                                   (lane) / 16 % 2 * 8);                                                               \
        (r)[0] = pairs.x;                                                                                              \
        (r)[1] = pairs.y;                                                                                              \
    } else {                                                                                                           \
        uint elements[4];                                                                                              \
        UNROLL                                                                                                         \
        for (int k = 0; k < 4; k++) {                                                                                  \
            elements[k] = READ_1((tile) +                                                                              \
                                 PLACE_ALONG_LINES((step)*16 + (lane) / 16 * 4 + k, (line) / 8 + (lane) / 8 % 2, lines) + \
                                 (lane) % 8 * 2);                                                                      \
        }                                                                                                              \
        (r)[0] = elements[0] | elements[1] << 16;                                                                      \
        (r)[1] = elements[2] | elements[3] << 16;                                                                      \
    }

/* sums += a·b, as in matrix_units_mma.cl. */
INLINE void multiply_slices(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS], uint tile, int warp_row, int warp_col,
                            int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int step = 0; step < TILE_DEPTH / 16; step++) {
        uint a[FRAGMENTS_DOWN][2];
        uint b[FRAGMENTS_ACROSS][2];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            LOAD_FRAGMENT(A_RUNS, a[i], tile, warp_row + i * 16, TILE_ROWS, step, lane)
        }
        UNROLL
        for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
            LOAD_FRAGMENT(B_RUNS, b[j], tile + A_BYTES, warp_col + j * 16, TILE_COLS, step, lane)
        }
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            UNROLL
            for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
                MULTIPLY(sums[i][j], a[i], b[j]);
            }
        }
    }
}

#define STORE_FRAGMENT(target, from, lane)                                                  \
    UNROLL                                                                                  \
    for (int m = 0; m < 4; m++) {                                                           \
        (target)[((lane) / 16 * 4 + m) * SEGMENT_PITCH + (lane) % 16] = (from)[m];          \
    }
