/* MATMUL for CPUs: one work-item a block of BLOCK_ROWS × BLOCK_COLS of out, explicit vectors.
 *
 * A slice of b, DEPTH rows of BLOCK_COLS, is packed into local memory (which a CPU keeps in its cache)
 * and used by all rows of the block, ROWS at a time with their sums in registers. a is read in
 * place, a scalar for every 2·VECTOR products.
 * Shapes: product.cl, any strides. Launch: groups of 1; global (⌈M / BLOCK_ROWS⌉, ⌈N / BLOCK_COLS⌉,
 * batches).
 * Macros: DATA, RESULT, VECTOR; ROWS: rows in registers, 8 with 32 vector registers, else 4;
 * BLOCK_ROWS a multiple of ROWS; DEPTH: 64 to 512. BLOCK_COLS is 2·VECTOR.
 * Local memory: (DEPTH + BLOCK_ROWS)·2·VECTOR floats. Bound by multiply-adds for large M; by the
 * packing of b for few rows. */

#define BLOCK_COLS (2 * VECTOR)

/* packed[k, j] = b[start + k, first_col + j], 0 behind the last column. */
inline void pack(__local float *packed, __global const data_t *b, long row_stride, long col_stride,
                 long start, long depth, long first_col, long count)
{
    if (col_stride == 1) {
        for (long k = 0; k < depth; k++) {
            __global const data_t *from = b + (start + k) * row_stride + first_col;
            STORE_VECTOR(load_data(from, 1, count, 0.0f), packed + k * BLOCK_COLS);
            STORE_VECTOR(count > VECTOR ? load_data(from + VECTOR, 1, count - VECTOR, 0.0f)
                                        : (fvec)(0.0f),
                         packed + k * BLOCK_COLS + VECTOR);
        }
        return;
    }
    for (long j = 0; j < BLOCK_COLS; j++) {
        __global const data_t *from = b + start * row_stride + (first_col + j) * col_stride;
        for (long k = 0; k < depth; k++) {
            packed[k * BLOCK_COLS + j] = j < count ? LOAD_DATA(from, k * row_stride) : 0.0f;
        }
    }
}

__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void matmul_cpu(PRODUCT_PARAMETERS)
{
    __local float packed[DEPTH * BLOCK_COLS];
    __local float block[BLOCK_ROWS * BLOCK_COLS];
    const long first_row = (long)get_group_id(0) * BLOCK_ROWS;
    const long first_col = (long)get_group_id(1) * BLOCK_COLS;
    const long block_rows = min((long)BLOCK_ROWS, rows - first_row);
    const long count = min((long)BLOCK_COLS, cols - first_col);
    GO_TO_BATCH((long)get_group_id(2))
    for (long start = 0; start == 0 || start < depth; start += DEPTH) {
        const long part = min((long)DEPTH, depth - start);
        pack(packed, b, strides.s2, strides.s3, start, part, first_col, count);
        for (long i = 0; i < block_rows; i += ROWS) {
            fvec left[ROWS], right[ROWS];
            __global const data_t *a_row[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                __local float *sums = block + (i + r) * BLOCK_COLS;
                left[r] = start == 0 ? (fvec)(0.0f) : LOAD_VECTOR(sums);
                right[r] = start == 0 ? (fvec)(0.0f) : LOAD_VECTOR(sums + VECTOR);
                /* Rows behind the last repeat it; what comes of them isn't written. */
                a_row[r] = a + (first_row + min(i + r, block_rows - 1)) * strides.s0 +
                           start * strides.s1;
            }
            for (long k = 0; k < part; k++) {
                const fvec b_left = LOAD_VECTOR(packed + k * BLOCK_COLS);
                const fvec b_right = LOAD_VECTOR(packed + k * BLOCK_COLS + VECTOR);
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    const fvec factor = (fvec)(LOAD_DATA(a_row[r], k * strides.s1));
                    left[r] = MULTIPLY_ADD(factor, b_left, left[r]);
                    right[r] = MULTIPLY_ADD(factor, b_right, right[r]);
                }
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                __local float *sums = block + (i + r) * BLOCK_COLS;
                STORE_VECTOR(left[r], sums);
                STORE_VECTOR(right[r], sums + VECTOR);
            }
        }
    }
    for (long i = 0; i < block_rows; i++) {
        __local const float *sums = block + i * BLOCK_COLS;
        FINISH(first_row + i, first_col, count, LOAD_VECTOR(sums));
        if (count > VECTOR) {
            FINISH(first_row + i, first_col + VECTOR, count - VECTOR, LOAD_VECTOR(sums + VECTOR));
        }
    }
}
