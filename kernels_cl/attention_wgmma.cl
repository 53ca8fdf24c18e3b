/* Products of attention through wgmma: the left operand is in registers, the walked rows are read where they lie, once for the 64 rows of a
 * warpgroup. Products are begun, and ended where their results are wanted; until then nobody may touch sums, weights or walked rows.
 *
 * A row of 128 bytes of a block is a swizzled row of a descriptor: for scores its 64 numbers are a column of b, for sums one of the depth. */

#if UNIT == 2

/* The walked rows at `place` as columns of b: eight rows further is a block further, 16 of the head are 32 bytes. */
#define ROWS_AS_COLUMNS(place) WGMMA_DESCRIPTOR(place, 16, 8 * ROW_BYTES, 64)
#define HEAD_STEP_BYTES(step) ((step) / 4 * (8 * LINE_BYTES) + (step) % 4 * 32)
/* As depth: the next 64 of the head are 8 lines further. */
#define ROWS_AS_DEPTH(place) WGMMA_DESCRIPTOR(place, 8 * LINE_BYTES, 8 * ROW_BYTES, 64)

#if EMULATED
#define MULTIPLY_SCORES(d, a, b, is_first) emulated_kept_multiply(d, a, b, is_first, SLICE, 0, memory, exchange)
#define MULTIPLY_SUMS(d, a, b) emulated_kept_multiply(d, a, b, 0, HEAD_SIZE, 1, memory, exchange)
#define HOLD_FLOAT(number)
#define HOLD_WORD(word)
#define FINISH_SCORES(scores, left)
#define FINISH_SUMS(sums)
#else
/* What is computed before a fence must not come behind it: a volatile nothing that reads it and changes it stays where it is. */
#define HOLD_FLOAT(number) asm volatile("" : "+f"(number))
#define HOLD_WORD(word) asm volatile("" : "+r"(word))
/* `across`: 0 where b's neighbours differ in k, 1 where they differ in the column. */
#define WGMMA_KEPT(compare, cols, across)                                             \
    asm volatile(WGMMA_TEXT(compare, cols) KEPT_BEHIND(cols) ", p, 1, 1, " across "; }" \
                 : SUMS_OF(cols)                                                      \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)                 \
                 : "memory")
INLINE void multiply_scores(float *d, uint *a, ulong b, int is_first)
{
    if (is_first) {
        WGMMA_KEPT("ne", SLICE, "0");
    } else {
        WGMMA_KEPT("eq", SLICE, "0");
    }
}
INLINE void multiply_sums(float *d, uint *a, ulong b)
{
    WGMMA_KEPT("eq", HEAD_SIZE, "1");
}
#define MULTIPLY_SCORES(d, a, b, is_first) multiply_scores(d, a, b, is_first)
#define MULTIPLY_SUMS(d, a, b) multiply_sums(d, a, b)

INLINE void finish_scores(float *d, int left)
{
    if (left == 0) {
        asm volatile("//@ wgmma.wait_group.sync.aligned 0;" : SUMS_OF(SLICE) : : "memory");
    } else {
        asm volatile("//@ wgmma.wait_group.sync.aligned 1;" : SUMS_OF(SLICE) : : "memory");
    }
}
INLINE void finish_sums(float *d)
{
    asm volatile("//@ wgmma.wait_group.sync.aligned 0;" : SUMS_OF(HEAD_SIZE) : : "memory");
}
/* All products but the `left` (0 or 1) begun last have ended, those of `scores` among them; all have, and those of `sums`. */
#define FINISH_SCORES(scores, left) finish_scores(&(scores)[0][0][0], left);
#define FINISH_SUMS(sums) finish_sums(&(sums)[0][0][0]);
#endif

/* Begins scores = owned rows, which are `kept`, · walked rows from `col` on, over the head. Of split operands the small products come
 * first. */
INLINE void multiply_rows(float (*scores)[SLICE / 8][4], int is_kept, uint (*kept)[STEPS][PARTS][4], uint owned, int row, uint walked,
                          int col, int lane UNIT_PARAMETERS)
{
    const ulong columns = ROWS_AS_COLUMNS(walked + col * ROW_BYTES);
    BEGIN_MULTIPLY();
    UNROLL
    for (int step = 0; step < STEPS; step++) {
        UNROLL
        for (int order = PARTS - 1; order >= 0; order--) {
            UNROLL
            for (int part = 0; part <= order; part++) {
                MULTIPLY_SCORES(&scores[0][0][0], kept[0][step][part],
                                columns + (ulong)((HEAD_STEP_BYTES(step) + (order - part) * WALKED_BYTES) / 16),
                                step == 0 && order == PARTS - 1 && part == 0);
            }
        }
    }
    END_MULTIPLY();
}

/* Begins sums += weights · walked rows from `col` on. */
INLINE void add_weighted_rows(float (*sums)[HEAD_SIZE / 8][4], float (*weights)[SLICE / 8][4], uint walked, int col,
                              int lane UNIT_PARAMETERS)
{
    uint left[SLICE / 16][PARTS][4];
    UNROLL
    for (int k = 0; k < SLICE / 16; k++) {
        UNROLL
        for (int quarter = 0; quarter < 4; quarter++) {
            const float *pair = weights[0][2 * k + quarter / 2] + quarter % 2 * 2;
            SPLIT_PAIR(left[k], quarter, pair[0], pair[1]);
            UNROLL
            for (int part = 0; part < PARTS; part++) {
                HOLD_WORD(left[k][part][quarter]);
            }
        }
    }
    UNROLL
    for (int j = 0; j < HEAD_SIZE / 8; j++) {
        UNROLL
        for (int e = 0; e < 4; e++) {
            HOLD_FLOAT(sums[0][j][e]);
        }
    }
    const ulong depth = ROWS_AS_DEPTH(walked + col * ROW_BYTES);
    BEGIN_MULTIPLY();
    UNROLL
    for (int k = 0; k < SLICE / 16; k++) {
        UNROLL
        for (int order = PARTS - 1; order >= 0; order--) {
            UNROLL
            for (int part = 0; part <= order; part++) {
                MULTIPLY_SUMS(&sums[0][0][0], left[k][part],
                              depth + (ulong)((k * 16 * ROW_BYTES + (order - part) * WALKED_BYTES) / 16));
            }
        }
    }
    END_MULTIPLY();
}

/* Both products of a slice are begun before either is waited for. */
#define MULTIPLY_EARLY(...) multiply_rows(__VA_ARGS__)
#define MULTIPLY_LATE(...)

#endif
