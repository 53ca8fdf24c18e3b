/* CROSS_ENTROPY: loss and gradient of a row of logits in one launch.
 *
 * Shapes: logits, dlogits [rows, vocab] (dlogits may be logits), targets, loss [rows].
 * strides = (logits row, col, dlogits row, col, targets, loss, 0, 0).
 * Launch: a group of GROUP a row: global rows·GROUP. The maximum and the sum are found in one pass
 * (the sum is rescaled when the maximum grows), the gradient is written in a second.
 * An item takes EACH elements, `step` apart, before it looks at any: one load in flight a work-item
 * doesn't fill the memory of a GPU, and where logits and gradient are one tensor a compiler may not
 * load ahead of a store.
 * Macros: DATA, VECTOR, GROUP, WHOLE_ROWS (types.cl): of the vectors that are whole; the other
 * elements behind them are an item's each. Bound by memory bandwidth: two reads and a
 * write a logit; a GPU has some 25 instructions for one in that time, hence whole vectors and, for 16-bit
 * types, the hardware's exponential. */

#if GROUP == 1
#define EACH 1
typedef fvec running; /* Each lane has a maximum and a sum of its own. */
#define RUNNING_MAX(v) (v)
#define RUNNING_SUM(v) (v)
#define LANES_MAX(v) VECTOR_MAX(v)
#define LANES_SUM(v) VECTOR_SUM(v)
#else
#define EACH (VECTOR == 1 ? 4 : 2)
typedef float running;
#define RUNNING_MAX(v) VECTOR_MAX(v)
#define RUNNING_SUM(v) VECTOR_SUM(v)
#define LANES_MAX(v) (v)
#define LANES_SUM(v) (v)
#endif
#if GROUP == 1 || DATA == 1
#define EXP(x) exp(x)
#else
#define EXP(x) native_exp2((x)*1.44269504f)
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
#if WHOLE_ROWS
    const long end = vocab / VECTOR * VECTOR;
    const long rest = end + get_local_id(0);
#else
    const long end = vocab;
#endif
    const long target = targets[targets_start + row * strides.s4];
    /* Some compilers run both sides of a branch: the address is always a valid one. */
    const long known = clamp(target, 0L, vocab - 1);
    /* Behind the last column an item looks at its first element again, which only it writes. */
#define LOAD_LOGITS(value, j)                                                                    \
    {                                                                                            \
        const long inside = (j) < end ? (j) : first;                                             \
        value = load_data(logits + inside * strides.s1, strides.s1, end - inside, -INFINITY);    \
        value = (j) < end ? value : (fvec)(-INFINITY);                                           \
    }
    const int counted = known == target;
    logits += logits_start + row * strides.s0;
    dlogits += dlogits_start + row * strides.s2;
    running largest = (running)(-FLT_MAX);
    running sum = (running)(0.0f);
    for (long first = begin; first < end; first += EACH * step) {
        fvec values[EACH];
        running higher = largest;
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            LOAD_LOGITS(values[i], first + i * step)
            higher = fmax(higher, RUNNING_MAX(values[i]));
        }
        sum *= EXP(largest - higher);
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            sum += RUNNING_SUM(EXP(values[i] - higher));
        }
        largest = higher;
    }
#if WHOLE_ROWS
    if (rest < vocab) {
        const float value = LOAD_DATA(logits, rest);
        const float higher = fmax(largest, value);
        sum = sum * EXP(largest - higher) + EXP(value - higher);
        largest = higher;
    }
#endif
    const float own_maximum = LANES_MAX(largest);
    const float maximum = group_max(own_maximum, scratch);
    const running scaled = sum * EXP(largest - maximum);
    const float total = group_sum(LANES_SUM(scaled), scratch);
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
    for (long first = begin; first < end; first += EACH * step) {
        fvec values[EACH];
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            LOAD_LOGITS(values[i], first + i * step)
        }
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            const long j = first + i * step;
            fvec p = EXP(values[i] - maximum) * share;
#if VECTOR == 1
            p -= target == j ? 1.0f : 0.0f;
#else
            if (target >= j && target < j + VECTOR) {
                p -= select((fvec)(0.0f), (fvec)(1.0f), LANE_NUMBERS == (fvec)((float)(target - j)));
            }
#endif
            if (j < end) {
                store_data(dlogits + j * strides.s3, strides.s3, end - j,
                           counted ? gradient_scale * p : (fvec)(0.0f));
            }
        }
    }
#if WHOLE_ROWS
    if (rest < vocab) {
        const float p = EXP(LOAD_DATA(logits, rest) - maximum) * share - (target == rest ? 1.0f : 0.0f);
        STORE_DATA(dlogits, rest, counted ? gradient_scale * p : 0.0f);
    }
#endif
}
