/* Matrix units through mma.sync (NVIDIA, compute capability 8.0 and later): fragments come from local memory by
 * ldmatrix, and a warp multiplies 16 x 16 by 16 x 8. */

#define UNIT_PREPARE()

/* The 16 x 16 fragment of a from row `row` of the slice at `tile` on, 16·step deep. */
#if A_RUNS == 0
#define LOAD_A(r, tile, row, step, lane) \
    LOAD_MATRICES(r, (tile) + PLACE_ALONG_DEPTH((row) + ((lane)&15), (step) * 2 + ((lane) >> 4)))
#else
#define LOAD_A(r, tile, row, step, lane)                                                        \
    LOAD_MATRICES_TRANSPOSED(                                                                   \
        r, (tile) + PLACE_ALONG_LINES((step) * 16 + ((lane)&7) + ((lane) >> 4) * 8,             \
                                      (row) / 8 + (((lane) >> 3) & 1), TILE_ROWS))
#endif
/* Two fragments of b, 16 x 8 each: registers 0 and 1 from column `col` on, 2 and 3 from column `col` + 8 on. */
#if B_RUNS == 0
#define LOAD_B(r, tile, col, step, lane)                                                   \
    LOAD_MATRICES(r, (tile) + PLACE_ALONG_DEPTH((col) + ((lane)&7) + ((lane) >> 4) * 8, \
                                                (step) * 2 + (((lane) >> 3) & 1)))
#else
#define LOAD_B(r, tile, col, step, lane)                                           \
    LOAD_MATRICES_TRANSPOSED(r, (tile) + PLACE_ALONG_LINES((step) * 16 + ((lane)&15), \
                                                           (col) / 8 + ((lane) >> 4), TILE_COLS))
#endif

/* Whether every 16 of depth come into the sum by an f32 addition that rounds, as results like f32's want it: the units' own sums are cut off,
 * always towards 0. */
#define ADDS_ROUNDED (PARTS == 3 || HALVES)

/* sums += a·b for the warp whose part of the tile begins at (warp_row, warp_col); the slices of a and b begin at
 * `tile`. Of split operands the small products are summed first. */
INLINE void multiply_slices(float (*sums)[FRAGMENTS_ACROSS][4], uint tile, int warp_row, int warp_col,
                            int lane UNIT_PARAMETERS)
{
    UNROLL
    for (int step = 0; step < TILE_DEPTH / 16; step++) {
        uint a[PARTS][FRAGMENTS_DOWN][4];
        uint b[PARTS][FRAGMENTS_ACROSS / 2][4];
        UNROLL
        for (int part = 0; part < PARTS; part++) {
            UNROLL
            for (int i = 0; i < FRAGMENTS_DOWN; i++) {
                LOAD_A(a[part][i], tile + part * A_BYTES, warp_row + i * 16, step, lane);
            }
            UNROLL
            for (int j = 0; j < FRAGMENTS_ACROSS / 2; j++) {
                LOAD_B(b[part][j], tile + PARTS * A_BYTES + part * B_BYTES, warp_col + j * 16, step, lane);
            }
        }
        UNROLL
        for (int i = 0; i < FRAGMENTS_DOWN; i++) {
#if ADDS_ROUNDED
            float more[FRAGMENTS_ACROSS][4];
            UNROLL
            for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
                more[j][0] = more[j][1] = more[j][2] = more[j][3] = 0.0f;
            }
            float(*const target)[4] = more;
#else
            float(*const target)[4] = sums[i];
#endif
            UNROLL
            for (int order = PARTS - 1; order >= 0; order--) {
                UNROLL
                for (int part = 0; part <= order; part++) {
                    UNROLL
                    for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
                        MULTIPLY(target[j], a[part][i], b[order - part][j / 2] + j % 2 * 2);
                    }
                }
            }
#if ADDS_ROUNDED
            UNROLL
            for (int j = 0; j < FRAGMENTS_ACROSS; j++) {
                UNROLL
                for (int s = 0; s < 4; s++) {
                    sums[i][j][s] += more[j][s];
                }
            }
#endif
        }
    }
}

/* Whatever multiply_slices has begun has ended. */
#define UNIT_FINISH(sums)
