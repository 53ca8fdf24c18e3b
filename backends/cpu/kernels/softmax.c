/* Softmax of a row and softmax cross-entropy of a row. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

#include <math.h>

/** Returns the largest of `count` numbers, −∞ for none. NaNs may be passed over. */
static float row_largest(const element *x, size_t count)
{
    float largest = -INFINITY;
    size_t i = 0;
    if (count >= LANES) {
        vector most[4];
        for (size_t j = 0; j < 4; j++) {
            most[j] = element_load(x);
        }
        for (; i + 4 * LANES <= count; i += 4 * LANES) {
            for (size_t j = 0; j < 4; j++) {
                most[j] = vector_max(element_load(x + i + j * LANES), most[j]);
            }
        }
        for (; i + LANES <= count; i += LANES) {
            most[0] = vector_max(element_load(x + i), most[0]);
        }
        largest =
            vector_largest(vector_max(vector_max(most[0], most[1]), vector_max(most[2], most[3])));
    }
    for (; i < count; i++) {
        largest = element_get(x + i) > largest ? element_get(x + i) : largest;
    }
    return largest;
}

/** out = e^(scale·x − shift), where out isn't NULL; returns the sum. */
ALWAYS_INLINE float exponentials(element *out, const element *x, float scale, float shift,
                                 size_t count)
{
    vector sum[2] = {{0}, {0}};
    size_t i = 0;
    scale *= LOG2_OF_E;
    shift *= LOG2_OF_E;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        for (size_t j = 0; j < 2; j++) {
            const size_t at = i + j * LANES;
            const vector value = vector_exp2(element_load(x + at) * scale - shift);
            sum[j] += value;
            if (out != NULL) {
                element_store(out + at, value);
            }
        }
    }
    float total = vector_sum(sum[0] + sum[1]);
    for (; i < count; i += LANES) {
        const size_t rest = count - i < LANES ? count - i : LANES;
        float lanes[LANES];
        const vector value = vector_exp2(
            (rest < LANES ? element_load_part(x + i, rest) : element_load(x + i)) * scale - shift);
        memcpy(lanes, &value, sizeof lanes);
        for (size_t lane = 0; lane < rest; lane++) {
            total += lanes[lane];
        }
        if (out != NULL) {
            for (size_t lane = 0; lane < rest; lane++) {
                element_put(out + i + lane, lanes[lane]);
            }
        }
    }
    return total;
}

static void multiply(element *out, float factor, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        element_store(out + i, element_load(out + i) * factor);
    }
    for (; i < count; i++) {
        element_put(out + i, element_get(out + i) * factor);
    }
}

void TYPED(softmax)(void *target, const void *source, float scale, size_t seen, size_t cols)
{
    element *out = target;
    const element *x = source;
    if (seen > 0) {
        /* A negative scale would want the smallest element: then the shift is the largest of the
         * products, found among −x. */
        float shift = scale * row_largest(x, seen);
        if (scale < 0.0F) {
            float smallest = element_get(x);
            for (size_t i = 1; i < seen; i++) {
                smallest = element_get(x + i) < smallest ? element_get(x + i) : smallest;
            }
            shift = scale * smallest;
        }
        const float total = exponentials(out, x, scale, shift, seen);
        multiply(out, 1.0F / total, seen);
    }
    memset(out + seen, 0, (cols - seen) * sizeof(element));
}

/** Blocks that a row of logits is cut into at most. */
#define LOGIT_BLOCKS 64
/** Logits in a block at least: short enough for L1, long enough to hide its ends. */
#define LOGIT_BLOCK_LEAST 1024

/* One sweep over memory: each block is exponentiated against its own maximum while it is in L1 and
 * left so; the second sweep, over a row that is then in L2, only multiplies. */
float TYPED(cross_entropy)(void *gradient, const void *source, size_t vocab, size_t target,
                           float gradient_scale)
{
    element *dlogits = gradient;
    const element *logits = source;
    float block_largest[LOGIT_BLOCKS];
    float block_sum[LOGIT_BLOCKS];
    size_t block = (vocab + LOGIT_BLOCKS - 1) / LOGIT_BLOCKS;
    block = block < LOGIT_BLOCK_LEAST ? LOGIT_BLOCK_LEAST : (block + LANES - 1) / LANES * LANES;
    const size_t blocks = (vocab + block - 1) / block;
    const float target_logit = element_get(logits + target);

    float largest = -INFINITY;
    for (size_t i = 0; i < blocks; i++) {
        const size_t start = i * block;
        const size_t count = vocab - start < block ? vocab - start : block;
        const float own = row_largest(logits + start, count);
        block_largest[i] = own == -INFINITY ? 0.0F : own;
        block_sum[i] =
            dlogits == NULL
                ? exponentials(NULL, logits + start, 1.0F, block_largest[i], count)
                : exponentials(dlogits + start, logits + start, 1.0F, block_largest[i], count);
        largest = own > largest ? own : largest;
    }
    double total = 0.0;
    for (size_t i = 0; i < blocks; i++) {
        if (block_sum[i] != 0.0F) {
            total += exp((double)block_largest[i] - (double)largest) * (double)block_sum[i];
        }
    }
    const double log_sum = (double)largest + log(total);
    if (dlogits != NULL) {
        for (size_t i = 0; i < blocks; i++) {
            const size_t start = i * block;
            const size_t count = vocab - start < block ? vocab - start : block;
            const double factor =
                block_sum[i] == 0.0F ? 0.0 : exp((double)block_largest[i] - log_sum);
            multiply(dlogits + start, (float)(factor * (double)gradient_scale), count);
        }
        element_put(dlogits + target, element_get(dlogits + target) - gradient_scale);
    }
    return (float)(log_sum - (double)target_logit);
}
