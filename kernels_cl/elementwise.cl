/* ADD, GELU, GELU_BACKWARD, DROPOUT: out = f(a, b) element by element, any strides.
 *
 * Shapes: rows of `inner` elements, see strided.cl.
 * Launch: global (⌈inner / (EACH·VECTOR)⌉, at most rows): an item takes EACH·VECTOR neighbours of a row, and
 * rows by stride.
 * Macros: DATA, VECTOR (types.cl); EACH: 1, on CPUs 64 in long rows, where vectors share the arithmetic that
 * finds them; HAS_B 0 or 1: whether the second input is there.
 * Bound by memory bandwidth. */

#ifdef ALWAYS_LONG_STRETCHES /* For tests: few rows are long. Items beyond the last stretch have nothing to do. */
#undef EACH
#define EACH 64
#endif

/* Begins loops over the work-item's rows, and over its vectors of a row; at_out, at_a and at_b are where the
 * vector of column `col` lies, of which `count` elements exist. */
#define FOR_EACH_VECTOR                                                                     \
    const long first_col = (long)get_global_id(0) * (EACH * VECTOR);                        \
    const long end_col = min(first_col + EACH * VECTOR, inner);                             \
    for (long row = get_global_id(1); first_col < end_col && row < rows;                    \
         row += get_global_size(1)) {                                                       \
        long out_row = out_start;                                                           \
        long a_row = a_start;                                                               \
        long b_row = b_start;                                                               \
        LOCATE_ROW(row, out_row, a_row, b_row, out_strides, a_strides, b_strides)           \
        for (long col = first_col; col < end_col; col += VECTOR) {                          \
            const long count = inner - col;                                                 \
            __global data_t *const at_out = out + out_row + col * out_stride;               \
            __global const data_t *const at_a = a + a_row + col * a_stride;                 \
            __global const data_t *const at_b = b + b_row + col * b_stride;
#define END_EACH_VECTOR \
    }                   \
    }

#define TENSORS                                                                         \
    __global data_t *out, long out_start, __global const data_t *a, long a_start,       \
        __global const data_t *b, long b_start, ROWS_PARAMETERS, long8 out_strides,     \
        long8 a_strides, long8 b_strides, long out_stride, long a_stride, long b_stride

/* out = alpha·a + beta·b */
__kernel void add(TENSORS, float alpha, float beta)
{
    FOR_EACH_VECTOR
        fvec sum = alpha * load_data(at_a, a_stride, count, 0.0f);
#if HAS_B
        sum += beta * load_data(at_b, b_stride, count, 0.0f);
#endif
        store_data(at_out, out_stride, count, sum);
    END_EACH_VECTOR
}

/* out = gelu(a) */
__kernel void gelu_forward(TENSORS)
{
    FOR_EACH_VECTOR
        store_data(at_out, out_stride, count, gelu(load_data(at_a, a_stride, count, 0.0f)));
    END_EACH_VECTOR
}

/* out = a·gelu'(b) */
__kernel void gelu_backward(TENSORS)
{
    FOR_EACH_VECTOR
        const fvec dy = load_data(at_a, a_stride, count, 0.0f);
        const fvec slope = gelu_slope(load_data(at_b, b_stride, count, 0.0f));
        store_data(at_out, out_stride, count, dy * slope);
    END_EACH_VECTOR
}

/* out = b + a·keep/(1 − probability); elements are numbered from `start` in row-major order. */
__kernel void dropout(TENSORS, ulong seed, ulong start, uint threshold, float keep_scale)
{
    FOR_EACH_VECTOR
        const ulong number = start + (ulong)(row * inner + col);
        fvec value = load_data(at_a, a_stride, count, 0.0f);
#if VECTOR == 1
        value *= dropout_factor(seed, number, threshold, keep_scale);
#else
        float factors[VECTOR];
        for (int lane = 0; lane < VECTOR; lane++) {
            factors[lane] = dropout_factor(seed, number + lane, threshold, keep_scale);
        }
        value *= LOAD_VECTOR(factors);
#endif
#if HAS_B
        value += load_data(at_b, b_stride, count, 0.0f);
#endif
        store_data(at_out, out_stride, count, value);
    END_EACH_VECTOR
}
