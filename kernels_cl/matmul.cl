/* MATMUL for GPUs: tiles in local memory, a block of sums in each item's registers.
 *
 * Shapes: product.cl. Any strides; the loads of a tile run along whichever dimension has stride 1.
 * Launch: groups of (ITEMS, ITEMS), one group a tile of out: global (⌈N / TILE⌉·ITEMS,
 * ⌈M / TILE⌉·ITEMS, batches), TILE = ITEMS·EACH.
 * Macros: DATA, RESULT (types.cl), VECTOR 1; ITEMS 8 or 16: items along an edge of a group; EACH 1 to
 * 8: rows and columns of sums an item holds; DEPTH 8, 16 or 32: columns of a in a tile, with
 * TILE·DEPTH a multiple of ITEMS².
 * Local memory: 2·DEPTH·(TILE + 1) floats. Bound by local memory: EACH² products for 2·EACH loads. */

#define TILE  (ITEMS * EACH)
#define ALL   (ITEMS * ITEMS)
#define PITCH (TILE + 1)

__kernel __attribute__((reqd_work_group_size(ITEMS, ITEMS, 1))) void
matmul(PRODUCT_PARAMETERS)
{
    __local float a_tile[DEPTH * PITCH];
    __local float b_tile[DEPTH * PITCH];
    const int col_item = get_local_id(0);
    const int row_item = get_local_id(1);
    const int item = row_item * ITEMS + col_item;
    const long first_row = (long)get_group_id(1) * TILE;
    const long first_col = (long)get_group_id(0) * TILE;
    GO_TO_BATCH((long)get_group_id(2))
    float sums[EACH][EACH];
#pragma unroll
    for (int i = 0; i < EACH; i++) {
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            sums[i][j] = 0.0f;
        }
    }
    for (long start = 0; start < depth; start += DEPTH) {
        for (int place = item; place < TILE * DEPTH; place += ALL) {
            const int k = strides.s1 == 1 ? place % DEPTH : place / TILE;
            const int i = strides.s1 == 1 ? place / DEPTH : place % TILE;
            const int there = first_row + i < rows && start + k < depth;
            a_tile[k * PITCH + i] =
                there ? LOAD_DATA(a, (first_row + i) * strides.s0 + (start + k) * strides.s1)
                      : 0.0f;
        }
        for (int place = item; place < TILE * DEPTH; place += ALL) {
            const int k = strides.s3 == 1 ? place / TILE : place % DEPTH;
            const int j = strides.s3 == 1 ? place % TILE : place / DEPTH;
            const int there = first_col + j < cols && start + k < depth;
            b_tile[k * PITCH + j] =
                there ? LOAD_DATA(b, (start + k) * strides.s2 + (first_col + j) * strides.s3)
                      : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int k = 0; k < DEPTH; k++) {
            float a_part[EACH], b_part[EACH];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                a_part[i] = a_tile[k * PITCH + row_item + i * ITEMS];
                b_part[i] = b_tile[k * PITCH + col_item + i * ITEMS];
            }
#pragma unroll
            for (int i = 0; i < EACH; i++) {
#pragma unroll
                for (int j = 0; j < EACH; j++) {
                    sums[i][j] = MULTIPLY_ADD(a_part[i], b_part[j], sums[i][j]);
                }
            }
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const long row = first_row + row_item + i * ITEMS;
#pragma unroll
        for (int j = 0; j < EACH; j++) {
            const long col = first_col + col_item + j * ITEMS;
            if (row < rows && col < cols) {
                FINISH(row, col, 1, (fvec)(sums[i][j]));
            }
        }
    }
}
