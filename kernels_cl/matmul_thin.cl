/* MATMUL with few rows, as in generation: out [M, N], M ≤ MOST_ROWS. Reading b once is all it costs.
 *
 * matmul_thin_rows: rows of b are contiguous (b col stride 1). An item owns VECTOR columns and runs
 * down a part of K; the group's (COLS, PARTS) items add their parts through local memory.
 * matmul_thin_cols: columns of b are contiguous (b row stride 1, a transposed table). COLS neighbours
 * share a column's dot products along K; a group has PARTS columns.
 * Shapes: product.cl. Launch: groups of (COLS, PARTS); rows: global (⌈N / (COLS·VECTOR)⌉·COLS, PARTS,
 * batches); cols: global (⌈N / PARTS⌉·COLS, PARTS, batches).
 * Macros: DATA, RESULT, VECTOR; MOST_ROWS 1, 2, 4 or 8; COLS, PARTS: COLS·PARTS items, 1·1 on CPUs.
 * Local memory: COLS·PARTS·VECTOR floats. Bound by memory bandwidth. */

/* Adds the parts of a group's columns; valid in the items of part 0. */
inline fvec add_parts(fvec sum, __local float *scratch)
{
#if PARTS > 1
    const int col_item = get_local_id(0);
    const int part = get_local_id(1);
    barrier(CLK_LOCAL_MEM_FENCE);
    STORE_VECTOR(sum, scratch + (part * COLS + col_item) * VECTOR);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int half_size = PARTS / 2; half_size > 0; half_size /= 2) {
        if (part < half_size) {
            const fvec other = LOAD_VECTOR(scratch + ((part + half_size) * COLS + col_item) * VECTOR);
            sum += other;
            STORE_VECTOR(sum, scratch + (part * COLS + col_item) * VECTOR);
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
#endif
    return sum;
}

#define THIN_KERNEL __kernel __attribute__((reqd_work_group_size(COLS, PARTS, 1)))

THIN_KERNEL void matmul_thin_rows(PRODUCT_PARAMETERS)
{
    __local float scratch[COLS * PARTS * VECTOR];
    const long col = (long)get_global_id(0) * VECTOR;
    const long count = cols - col;
    GO_TO_BATCH((long)get_group_id(2))
    fvec sums[MOST_ROWS];
#pragma unroll
    for (int i = 0; i < MOST_ROWS; i++) {
        sums[i] = (fvec)(0.0f);
    }
    for (long k = get_local_id(1); count > 0 && k < depth; k += PARTS) {
        const fvec b_part = load_data(b + k * strides.s2 + col, 1, count, 0.0f);
#pragma unroll
        for (int i = 0; i < MOST_ROWS; i++) {
            if (i < rows) {
                const fvec factor = (fvec)(LOAD_DATA(a, i * strides.s0 + k * strides.s1));
                sums[i] = MULTIPLY_ADD(factor, b_part, sums[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < MOST_ROWS; i++) {
        const fvec sum = add_parts(sums[i], scratch);
        if (i < rows && count > 0 && get_local_id(1) == 0) {
            FINISH((long)i, col, count, sum);
        }
    }
}

THIN_KERNEL void matmul_thin_cols(PRODUCT_PARAMETERS)
{
    __local float scratch[COLS * PARTS];
    const int along = get_local_id(0);
    const int own = get_local_id(1);
    const long col = (long)get_group_id(0) * PARTS + own;
    GO_TO_BATCH((long)get_group_id(2))
    fvec sums[MOST_ROWS];
#pragma unroll
    for (int i = 0; i < MOST_ROWS; i++) {
        sums[i] = (fvec)(0.0f);
    }
    for (long k = (long)along * VECTOR; col < cols && k < depth; k += COLS * VECTOR) {
        const fvec b_part = load_data(b + col * strides.s3 + k, 1, depth - k, 0.0f);
#pragma unroll
        for (int i = 0; i < MOST_ROWS; i++) {
            if (i < rows) {
                const fvec a_part =
                    load_data(a + i * strides.s0 + k * strides.s1, strides.s1, depth - k, 0.0f);
                sums[i] = MULTIPLY_ADD(a_part, b_part, sums[i]);
            }
        }
    }
#pragma unroll
    for (int i = 0; i < MOST_ROWS; i++) {
        float sum = VECTOR_SUM(sums[i]);
#if COLS > 1
        barrier(CLK_LOCAL_MEM_FENCE);
        scratch[own * COLS + along] = sum;
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int half_size = COLS / 2; half_size > 0; half_size /= 2) {
            if (along < half_size) {
                sum += scratch[own * COLS + along + half_size];
                scratch[own * COLS + along] = sum;
            }
            barrier(CLK_LOCAL_MEM_FENCE);
        }
#endif
        if (i < rows && col < cols && along == 0) {
            FINISH((long)i, col, 1, (fvec)(sum));
        }
    }
}
