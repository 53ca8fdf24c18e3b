/* CROSS_ENTROPY: loss and gradient of a row of logits in one launch.
 *
 * Shapes: logits, dlogits [rows, vocab] (dlogits may be logits), targets, loss [rows].
 * strides = (logits row, col, dlogits row, col, targets, loss, 0, 0).
 * Launch: a group of GROUP a row: global rows·GROUP. The maximum and the sum are found in one pass
 * (the sum is rescaled when the maximum grows), the gradient is written in a second.
 * An item takes EACH elements, `step` apart, before it looks at any: one load in flight a work-item
 * doesn't fill the memory of a GPU, and where logits and gradient are one tensor a compiler may not
 * load ahead of a store.
 * Macros: DATA, VECTOR, GROUP. Bound by memory bandwidth: two reads and a write a logit. */

#if VECTOR == 1
#define EACH 4
#else
#define EACH 1
#endif

ROW_KERNEL void cross_entropy(__global float *loss, long loss_start,
                              __global const data_t *logits, long logits_start,
                              __global const int *targets, long targets_start,
                              __global data_t *dlogits, long dlogits_start, long vocab,
                              long8 strides, float gradient_scale, int has_gradient)
{
    DECLARE_SCRATCH(scratch);
    const long row = get_group_id(0);
    const long begin = (long)get_local_id(0) * VECTOR;
    const long step = (long)GROUP * VECTOR;
    const long target = targets[targets_start + row * strides.s4];
    /* Some compilers run both sides of a branch: the address is always a valid one. */
    const long known = clamp(target, 0L, vocab - 1);
    /* Behind the last column an item looks at its first element again, which only it writes. */
#define LOAD_LOGITS(value, j)                                                                    \
    {                                                                                            \
        const long inside = (j) < vocab ? (j) : first;                                           \
        value = load_data(logits + inside * strides.s1, strides.s1, vocab - inside, -INFINITY);  \
        value = (j) < vocab ? value : (fvec)(-INFINITY);                                         \
    }
    const int counted = known == target;
    logits += logits_start + row * strides.s0;
    dlogits += dlogits_start + row * strides.s2;
    fvec largest = (fvec)(-FLT_MAX);
    fvec sum = (fvec)(0.0f);
    for (long first = begin; first < vocab; first += EACH * step) {
        fvec values[EACH];
        fvec higher = largest;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            LOAD_LOGITS(values[i], first + i * step)
            higher = fmax(higher, values[i]);
        }
        sum *= exp(largest - higher);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            sum += exp(values[i] - higher);
        }
        largest = higher;
    }
    const float own_maximum = VECTOR_MAX(largest);
    const float maximum = group_max(own_maximum, scratch);
    const fvec scaled = sum * exp(largest - maximum);
    const float total = group_sum(VECTOR_SUM(scaled), scratch);
    if (get_local_id(0) == 0) {
        loss[loss_start + row * strides.s5] =
            counted ? log(total) + (maximum - LOAD_DATA(logits, known * strides.s1)) : 0.0f;
    }
    if (has_gradient == 0) {
        return;
    }
    /* Nobody overwrites the target's logit before it has been read. */
    barrier(CLK_GLOBAL_MEM_FENCE);
    const float share = 1.0f / total;
    for (long first = begin; first < vocab; first += EACH * step) {
        fvec values[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            LOAD_LOGITS(values[i], first + i * step)
        }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const long j = first + i * step;
            fvec p = exp(values[i] - maximum) * share;
#if VECTOR == 1
            p -= target == j ? 1.0f : 0.0f;
#else
            if (target >= j && target < j + VECTOR) {
                p -= select((fvec)(0.0f), (fvec)(1.0f), LANE_NUMBERS == (fvec)((float)(target - j)));
            }
#endif
            if (j < vocab) {
                store_data(dlogits + j * strides.s3, strides.s3, vocab - j,
                           counted ? gradient_scale * p : (fvec)(0.0f));
            }
        }
    }
}
