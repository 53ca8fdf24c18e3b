/* REDUCE_ROWS and SUM_OF_SQUARES, in two stages each and by fixed orders: no atomics, the same bits
 * every time.
 *
 * column_parts: x [rows, cols] → parts [chunks, cols], the sum of `chunk` rows each; an item takes
 *   VECTOR columns of one chunk. Launch: global (⌈cols / VECTOR⌉, chunks).
 * column_totals: out [cols] = beta·out + alpha·Σ parts. Launch: groups of (COL_ITEMS, PART_ITEMS), global
 *   (⌈cols / VECTOR⌉, PART_ITEMS); see group_reduce.cl.
 * square_parts: x [count] → parts [groups], chunk elements each, by groups of GROUP.
 *   Launch: global groups·GROUP.
 * square_total: out = beta·out + Σ parts, one group of GROUP.
 * Macros: DATA, RESULT, VECTOR, GROUP (types.cl). Bound by memory bandwidth. */

__kernel void column_parts(__global float *parts, long parts_start, __global const data_t *x,
                           long x_start, long rows, long cols, long row_stride, long col_stride,
                           long chunk)
{
    const long col = (long)get_global_id(0) * VECTOR;
    const long part = get_global_id(1);
    const long first = part * chunk;
    const long end = min(first + chunk, rows);
    if (col >= cols || first >= rows) {
        return;
    }
    fvec sum = (fvec)(0.0f);
    x += x_start + col * col_stride;
    for (long row = first; row < end; row++) {
        sum += load_data(x + row * row_stride, col_stride, cols - col, 0.0f);
    }
    store_f32(parts + parts_start + part * cols + col, 1, cols - col, sum);
}

#ifdef PART_ITEMS
COLUMN_KERNEL void column_totals(__global result_t *out, long out_start,
                                 __global const float *parts, long parts_start, long chunks,
                                 long cols, long out_stride, float alpha, float beta)
{
    DECLARE_COLUMN_SCRATCH(scratch);
    const long col = (long)get_global_id(0) * VECTOR;
    fvec sum = (fvec)(0.0f);
    for (long part = get_local_id(1); col < cols && part < chunks; part += PART_ITEMS) {
        sum += load_f32(parts + parts_start + part * cols + col, 1, cols - col, 0.0f);
    }
    sum = column_total(sum, scratch);
    if (col >= cols || get_local_id(1) > 0) {
        return;
    }
    sum *= alpha;
    __global result_t *target = out + out_start + col * out_stride;
    if (beta != 0.0f) {
        sum += beta * load_result(target, out_stride, cols - col, 0.0f);
    }
    store_result(target, out_stride, cols - col, sum);
}
#endif

/* Sums of at most this many squares are added to a running sum, which therefore has few terms. */
#define RUN 32

ROW_KERNEL void square_parts(__global float *parts, long parts_start, __global const data_t *x,
                             long x_start, long count, long chunk)
{
    DECLARE_SCRATCH(scratch);
    const long first = (long)get_group_id(0) * chunk;
    const long end = min(first + chunk, count);
    const long step = (long)GROUP * VECTOR;
    fvec sum = (fvec)(0.0f);
    x += x_start;
    for (long start = first + (long)get_local_id(0) * VECTOR; start < end; start += RUN * step) {
        fvec run = (fvec)(0.0f);
#pragma unroll 4
        for (long i = start; i < end && i < start + RUN * step; i += step) {
            const fvec value = load_data(x + i, 1, end - i, 0.0f);
            run = MULTIPLY_ADD(value, value, run);
        }
        sum += run;
    }
    const float total = group_sum(VECTOR_SUM(sum), scratch);
    if (get_local_id(0) == 0) {
        parts[parts_start + get_group_id(0)] = total;
    }
}

ROW_KERNEL void square_total(__global float *out, long out_start, __global const float *parts,
                             long parts_start, long count, float beta)
{
    DECLARE_SCRATCH(scratch);
    fvec sum = (fvec)(0.0f);
    for (long i = (long)get_local_id(0) * VECTOR; i < count; i += (long)GROUP * VECTOR) {
        sum += load_f32(parts + parts_start + i, 1, count - i, 0.0f);
    }
    const float total = group_sum(VECTOR_SUM(sum), scratch);
    if (get_local_id(0) == 0) {
        out[out_start] = beta != 0.0f ? beta * out[out_start] + total : total;
    }
}
