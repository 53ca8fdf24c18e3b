/* ADD, GELU, GELU_BACKWARD, DROPOUT: out = f(a, b) element by element, any strides.
 *
 * Shapes: rows of `inner` elements, see strided.cl.
 * Launch: global (⌈inner / VECTOR⌉, at most rows): an item takes VECTOR neighbours of a row, and rows
 * by stride.
 * Macros: DATA, VECTOR (types.cl); HAS_B 0 or 1: whether the second input is there.
 * Bound by memory bandwidth. */

/* Begins a loop over the work-item's rows; at_out, at_a and at_b are where its elements lie. */
#define FOR_EACH_ROW                                                                        \
    const long first_col = (long)get_global_id(0) * VECTOR;                                 \
    const long count = inner - first_col;                                                   \
    for (long row = get_global_id(1); count > 0 && row < rows; row += get_global_size(1)) { \
        long out_row = out_start + first_col * out_stride;                                  \
        long a_row = a_start + first_col * a_stride;                                        \
        long b_row = b_start + first_col * b_stride;                                        \
        LOCATE_ROW(row, out_row, a_row, b_row, out_strides, a_strides, b_strides)           \
        __global data_t *const at_out = out + out_row;                                      \
        __global const data_t *const at_a = a + a_row;                                      \
        __global const data_t *const at_b = b + b_row;

#define TENSORS                                                                         \
    __global data_t *out, long out_start, __global const data_t *a, long a_start,       \
        __global const data_t *b, long b_start, ROWS_PARAMETERS, long8 out_strides,     \
        long8 a_strides, long8 b_strides, long out_stride, long a_stride, long b_stride

/* out = alpha·a + beta·b */
__kernel void add(TENSORS, float alpha, float beta)
{
    FOR_EACH_ROW
        fvec sum = alpha * load_data(at_a, a_stride, count, 0.0f);
#if HAS_B
        sum += beta * load_data(at_b, b_stride, count, 0.0f);
#endif
        store_data(at_out, out_stride, count, sum);
    }
}

/* out = gelu(a) */
__kernel void gelu_forward(TENSORS)
{
    FOR_EACH_ROW
        store_data(at_out, out_stride, count, gelu(load_data(at_a, a_stride, count, 0.0f)));
    }
}

/* out = a·gelu'(b) */
__kernel void gelu_backward(TENSORS)
{
    FOR_EACH_ROW
        const fvec dy = load_data(at_a, a_stride, count, 0.0f);
        const fvec slope = gelu_slope(load_data(at_b, b_stride, count, 0.0f));
        store_data(at_out, out_stride, count, dy * slope);
    }
}

/* out = b + a·keep/(1 − probability); elements are numbered from `start` in row-major order. */
__kernel void dropout(TENSORS, ulong seed, ulong start, uint threshold, float keep_scale)
{
    FOR_EACH_ROW
        const ulong number = start + (ulong)(row * inner + first_col);
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
    }
}
