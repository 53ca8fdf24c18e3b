/* Matrix units of Intel's GPUs through cl_intel_subgroup_matrix_multiply_accumulate, for sub-groups of 8 (Arc, DG2): 8 work-items
 * multiply 8 x 16 by 16 x 8.
 *
 * Work-item l holds of a: of each of the 8 rows the elements at depth 2l and 2l + 1, the first in the lower half of a register; of b:
 * all 16 elements of column l, two in a register; of sums: column l. */

#if EMULATED
#define UNIT_ATTRIBUTES
#define UNIT_LANE(item) ((item) % LANES)
#define UNIT_WARP(item) ((item) / LANES)
#define WARP_BARRIER()  barrier(CLK_LOCAL_MEM_FENCE)

/* Each work-item shows its part of a to the others. */
INLINE void emulated_dpas(float *sums, const uint *a, const uint *b, __local uint *exchange)
{
    const int item = get_local_id(0);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int row = 0; row < 8; row++) {
        exchange[item * 8 + row] = a[row];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    __local const uint *warp = exchange + item / LANES * LANES * 8;
    for (int row = 0; row < 8; row++) {
        for (int high = 0; high < 2; high++) {
            float products[8];
            for (int k = 0; k < 8; k++) {
                const uint a_pair = warp[(high * 4 + k / 2) * 8 + row];
                const uint b_pair = b[high * 4 + k / 2];
                products[k] = bf16_to_float((ushort)(a_pair >> 16 * (k % 2))) *
                              bf16_to_float((ushort)(b_pair >> 16 * (k % 2)));
            }
            sums[row] = add_eight_products(sums[row], products);
        }
    }
}
#define MULTIPLY(d, a, b) emulated_dpas(d, a, b, exchange)
#else
#pragma OPENCL EXTENSION cl_intel_subgroups : enable
#define UNIT_ATTRIBUTES __attribute__((intel_reqd_sub_group_size(8)))
#define UNIT_LANE(item) ((int)get_sub_group_local_id())
#define UNIT_WARP(item) ((int)get_sub_group_id())
#define WARP_BARRIER()  sub_group_barrier(CLK_LOCAL_MEM_FENCE)

/* Compilers declare it where the device's extensions name it; some have it without. */
#ifndef cl_intel_subgroup_matrix_multiply_accumulate
float8 __attribute__((overloadable)) intel_sub_group_bf16_bf16_matrix_mad_k16(int8 a, int8 b, float8 sums);
#endif

#define EIGHT(type, x) ((type)((x)[0], (x)[1], (x)[2], (x)[3], (x)[4], (x)[5], (x)[6], (x)[7]))
INLINE void multiply_fragments(float *sums, const uint *a, const uint *b)
{
    const float8 sum = intel_sub_group_bf16_bf16_matrix_mad_k16(as_int8(EIGHT(uint8, a)), as_int8(EIGHT(uint8, b)),
                                                                EIGHT(float8, sums));
    sums[0] = sum.s0;
    sums[1] = sum.s1;
    sums[2] = sum.s2;
    sums[3] = sum.s3;
    sums[4] = sum.s4;
    sums[5] = sum.s5;
    sums[6] = sum.s6;
    sums[7] = sum.s7;
}
#define MULTIPLY(d, a, b) multiply_fragments(d, a, b)
#endif

/* Rows `row` to row + 7 of a, 16·step deep. Along lines, the 8 rows are neighbours. */
INLINE void load_a(uint *a, uint tile, int row, int step, int lane UNIT_PARAMETERS)
{
#if A_RUNS == 0
    UNROLL
    for (int m = 0; m < 8; m++) {
        a[m] = READ_2(tile + PLACE_ALONG_DEPTH(row + m, step * 2 + lane / 4) + lane % 4 * 4);
    }
#else
    const int k = step * 16 + lane * 2;
    const uint8 low = convert_uint8(READ_8(tile + PLACE_ALONG_LINES(k, row / 8, TILE_ROWS)));
    const uint8 high = convert_uint8(READ_8(tile + PLACE_ALONG_LINES(k + 1, row / 8, TILE_ROWS)));
    const uint8 pairs = low | high << 16;
    vstore8(pairs, 0, a);
#endif
}

/* Columns `col` to col + 7 of b. */
INLINE void load_b(uint *b, uint tile, int col, int step, int lane UNIT_PARAMETERS)
{
#if B_RUNS == 0
    UNROLL
    for (int half_depth = 0; half_depth < 2; half_depth++) {
        const ushort8 chunk = READ_8(tile + PLACE_ALONG_DEPTH(col + lane, step * 2 + half_depth));
        vstore4(as_uint4(chunk), half_depth, b);
    }
#else
    UNROLL
    for (int i = 0; i < 8; i++) {
        const int k = step * 16 + i * 2;
        b[i] = READ_1(tile + PLACE_ALONG_LINES(k, col / 8, TILE_COLS) + lane * 2) |
               READ_1(tile + PLACE_ALONG_LINES(k + 1, col / 8, TILE_COLS) + lane * 2) << 16;
    }
#endif
}

/* sums += a·b, as in matrix_units_mma.cl. A row of fragments of a stays in registers while those of b pass. */
INLINE void multiply_slices(float (*sums)[FRAGMENTS_ACROSS][FRAGMENT_SUMS], uint tile, int warp_row, int warp_col,
                            int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int step = 0; step < TILE_DEPTH / 16; step++) {
        uint a[FRAGMENTS_DOWN][8];
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
            load_a(a[i], tile, warp_row + i * 8, step, lane UNIT_ARGUMENTS);
        }
        UNROLL
        for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
            uint b[8];
            load_b(b, tile + A_BYTES, warp_col + j * 8, step, lane UNIT_ARGUMENTS);
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                MULTIPLY(sums[i][j], a[i], b);
            }
        }
    }
}

#define STORE_FRAGMENT(target, from, lane)            \
    UNROLL                                            \
    for (int m = 0; m < 8; m++) {                     \
        (target)[m * SEGMENT_PITCH + (lane)] = (from)[m]; \
    }
