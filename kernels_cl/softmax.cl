/* SOFTMAX: out[i, j] = exp(scale·x[i, j] − m_i) / Σ_j over the columns that row i sees.
 *
 * Shapes: x, out [outer, inner, rows, cols]; strides = (x outer, inner, row, col, out outer, inner,
 * row, col). Launch: a group of GROUP a row: global rows·batches·GROUP.
 * Macros: DATA, VECTOR, GROUP. Three passes over the row, of which the cache serves two: bound by
 * memory bandwidth and exp. */

ROW_KERNEL void softmax(__global data_t *out, long out_start, __global const data_t *x,
                        long x_start, long inner_batches, long rows, long cols, long8 strides,
                        float scale, int causal)
{
    DECLARE_SCRATCH(scratch);
    const long number = get_group_id(0);
    const long batch = number / rows;
    const long row = number - batch * rows;
    const long outer = batch / inner_batches;
    const long inner = batch - outer * inner_batches;
    const long visible = causal != 0 ? clamp(row + (cols - rows) + 1, 0L, cols) : cols;
    const long begin = (long)get_local_id(0) * VECTOR;
    const long step = (long)GROUP * VECTOR;
    x += x_start + outer * strides.s0 + inner * strides.s1 + row * strides.s2;
    out += out_start + outer * strides.s4 + inner * strides.s5 + row * strides.s6;
    fvec largest = (fvec)(-INFINITY);
    for (long j = begin; j < visible; j += step) {
        const fvec value = load_data(x + j * strides.s3, strides.s3, visible - j, -INFINITY);
        largest = fmax(largest, scale * value);
    }
    const float maximum = group_max(VECTOR_MAX(largest), scratch);
    fvec sum = (fvec)(0.0f);
    for (long j = begin; j < visible; j += step) {
        const fvec value = load_data(x + j * strides.s3, strides.s3, visible - j, -INFINITY);
        sum += exp(scale * value - maximum);
    }
    const float total = group_sum(VECTOR_SUM(sum), scratch);
    for (long j = begin; j < cols; j += step) {
        fvec p = (fvec)(0.0f);
        if (j < visible) {
            const fvec value = load_data(x + j * strides.s3, strides.s3, visible - j, -INFINITY);
            p = exp(scale * value - maximum) / total;
        }
        store_data(out + j * strides.s7, strides.s7, cols - j, p);
    }
}
