/* What kernels of matrix products share: arguments, batches and the epilogue.
 *
 *     value = alpha·Σ_k a[m, k]·b[k, n] + beta·out[m, n] + bias[n]
 *     activation 0: out = value + residual
 *     activation 1: out = gelu(value) + residual, pre = value
 *     activation 2: out = value·gelu'(pre) + residual
 *
 * a [M, K], b [K, N], out, residual, pre [M, N], bias [N], any strides; up to two batch dimensions.
 * a and b are of type DATA, the others of type RESULT. What is there is said by `flags`. */

#define FLAG_BETA     1
#define FLAG_BIAS     2
#define FLAG_RESIDUAL 4
#define FLAG_PRE      8

/* strides = (a row, a col, b row, b col, out row, out col, bias, batches of the inner dimension);
 * more_strides = (residual row, col, pre row, col, 0…); outer, inner = batch strides of (out, a, b,
 * residual, pre). */
#define PRODUCT_PARAMETERS                                                                       \
    __global result_t *out, long out_start, __global const data_t *a, long a_start,              \
        __global const data_t *b, long b_start, __global const result_t *bias, long bias_start,  \
        __global const result_t *residual, long residual_start, __global result_t *pre,          \
        long pre_start, long rows, long cols, long depth, long8 strides, long8 more_strides,      \
        long8 outer, long8 inner, float alpha, int flags, int activation

/* Moves the pointers of what is read, of what is finished, and of both to batch `number`. */
#define FIND_BATCH(number)                                                      \
    const uint batch_outer = (uint)(number) / (uint)strides.s7;                 \
    const uint batch_inner = (uint)(number) - batch_outer * (uint)strides.s7;
#define GO_TO_OPERANDS(number)                                                  \
    {                                                                           \
        FIND_BATCH(number)                                                      \
        a += a_start + batch_outer * outer.s1 + batch_inner * inner.s1;         \
        b += b_start + batch_outer * outer.s2 + batch_inner * inner.s2;         \
    }
#define GO_TO_RESULTS(number)                                                   \
    {                                                                           \
        FIND_BATCH(number)                                                      \
        out += out_start + batch_outer * outer.s0 + batch_inner * inner.s0;     \
        residual += residual_start + batch_outer * outer.s3 + batch_inner * inner.s3; \
        pre += pre_start + batch_outer * outer.s4 + batch_inner * inner.s4;     \
        bias += bias_start;                                                     \
    }
#define GO_TO_BATCH(number) \
    GO_TO_OPERANDS(number)  \
    GO_TO_RESULTS(number)

/* Writes VECTOR neighbours (`count` of them exist) of row m from column n on. */
#define FINISH(m, n, count, sum)                                                                  \
    finish(out + (m) * strides.s4 + (n) * strides.s5, strides.s5, bias + (n) * strides.s6,        \
           strides.s6, residual + (m) * more_strides.s0 + (n) * more_strides.s1, more_strides.s1, \
           pre + (m) * more_strides.s2 + (n) * more_strides.s3, more_strides.s3, count, sum,      \
           alpha, flags, activation)

inline void finish(__global result_t *out, long out_stride, __global const result_t *bias,
                   long bias_stride, __global const result_t *residual, long residual_stride,
                   __global result_t *pre, long pre_stride, long count, fvec sum, float alpha,
                   int flags, int activation)
{
    fvec value = alpha * sum;
    if ((flags & FLAG_BETA) != 0) {
        value += load_result(out, out_stride, count, 0.0f);
    }
    if ((flags & FLAG_BIAS) != 0) {
        value += load_result(bias, bias_stride, count, 0.0f);
    }
    if (activation == 1) {
        if ((flags & FLAG_PRE) != 0) {
            store_result(pre, pre_stride, count, value);
        }
        value = gelu(value);
    } else if (activation == 2) {
        value *= gelu_slope(load_result(pre, pre_stride, count, 0.0f));
    }
    if ((flags & FLAG_RESIDUAL) != 0) {
        value += load_result(residual, residual_stride, count, 0.0f);
    }
    store_result(out, out_stride, count, value);
}
