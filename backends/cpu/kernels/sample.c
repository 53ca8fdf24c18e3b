/* SAMPLE of one row: a token drawn from logits.
 *
 * Weights are computed once; what top_k and top_p keep is found by bisection over the threshold
 * that logits must exceed, 32 sweeps at most over rows that lie in L2. No float is added in an
 * order that depends on the data, so that what lies above a threshold never grows with it and a row
 * gives the same token every time. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/simd.h"

#include <math.h>

/** Elements whose weights are added in f32; sums of blocks are added in double. */
#define BLOCK 512

/** A row, and what it takes to measure it. */
typedef struct sample_row {
    const float *logits;
    float *weights;
    size_t vocab;
} sample_row;

/** What lies above a threshold. */
typedef double (*measure)(const sample_row *row, float threshold);

static int any_lane(vector_int mask)
{
    int64_t parts[VECTOR_BYTES / 8];
    int64_t all = 0;
    memcpy(parts, &mask, sizeof parts);
    for (size_t i = 0; i < VECTOR_BYTES / 8; i++) {
        all |= parts[i];
    }
    return all != 0;
}

/** Returns the largest logit; infinity where one is NaN or +∞. */
static float largest_logit(const float *logits, size_t vocab)
{
    const vector infinite = vector_of(INFINITY);
    vector largest = -infinite;
    vector_int good = largest < infinite;
    float most = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= vocab; i += LANES) {
        const vector x = vector_load(logits + i);
        good &= x < infinite;
        largest = vector_max(x, largest);
    }
    if (any_lane(~good)) {
        return INFINITY;
    }
    most = vector_largest(largest);
    for (; i < vocab; i++) {
        if (!(logits[i] < INFINITY)) {
            return INFINITY;
        }
        most = logits[i] > most ? logits[i] : most;
    }
    return most;
}

/** Returns the first token with this logit, which there is. */
static int32_t first_equal(const float *logits, size_t vocab, float logit)
{
    size_t i = 0;
    while (i + LANES <= vocab && !any_lane(vector_load(logits + i) == vector_of(logit))) {
        i += LANES;
    }
    while (i + 1 < vocab && logits[i] != logit) {
        i++;
    }
    return (int32_t)i;
}

/** weights = e^((logits − largest)·scale). */
static void weigh(const sample_row *row, float largest, float scale)
{
    size_t i = 0;
    for (; i + LANES <= row->vocab; i += LANES) {
        const vector x = vector_load(row->logits + i);
        vector_store(row->weights + i, vector_exp((x - largest) * scale));
    }
    if (i < row->vocab) {
        const size_t rest = row->vocab - i;
        const vector x = vector_load_part(row->logits + i, rest);
        vector_store_part(row->weights + i, vector_exp((x - largest) * scale), rest);
    }
}

/** Returns how many logits of a row lie above a threshold. */
static double count_above(const sample_row *row, float threshold)
{
    vector_int counts[2] = {{0}, {0}};
    int64_t total = 0;
    size_t i = 0;
    for (; i + 2 * LANES <= row->vocab; i += 2 * LANES) {
        for (size_t j = 0; j < 2; j++) {
            counts[j] -= vector_load(row->logits + i + j * LANES) > vector_of(threshold);
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        total += counts[0][lane] + counts[1][lane];
    }
    for (; i < row->vocab; i++) {
        total += row->logits[i] > threshold;
    }
    return (double)total;
}

/** Returns the sum of the weights of a block's logits above a threshold. */
static float block_weight(const sample_row *row, size_t start, size_t end, float threshold)
{
    vector sums[4] = {{0}, {0}, {0}, {0}};
    size_t i = start;
    for (; i + 4 * LANES <= end; i += 4 * LANES) {
        for (size_t j = 0; j < 4; j++) {
            const size_t at = i + j * LANES;
            const vector_int above = vector_load(row->logits + at) > vector_of(threshold);
            sums[j] += (vector)((vector_int)vector_load(row->weights + at) & above);
        }
    }
    float total = vector_sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < end; i++) {
        total += row->logits[i] > threshold ? row->weights[i] : 0.0F;
    }
    return total;
}

static size_t block_end(const sample_row *row, size_t start)
{
    return row->vocab - start < BLOCK ? row->vocab : start + BLOCK;
}

/** Returns the sum of the weights of logits above a threshold. */
static double weight_above(const sample_row *row, float threshold)
{
    double total = 0.0;
    for (size_t start = 0; start < row->vocab; start += BLOCK) {
        total += (double)block_weight(row, start, block_end(row, start), threshold);
    }
    return total;
}

/** Numbers floats in ascending order, without gaps. */
static uint32_t order_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

static float float_of(uint32_t order)
{
    const uint32_t bits = (order & 0x80000000U) != 0 ? order & 0x7fffffffU : ~order;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/** Returns the least float above which a row measures less than `limit`, and *above = what. Above
 * −∞ it measures at least that, above the largest logit nothing. */
static float find_threshold(double *above, const sample_row *row, measure measured, double limit,
                            float largest)
{
    uint32_t low = order_of(-INFINITY);
    uint32_t high = order_of(largest);
    *above = 0.0;
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        const double here = measured(row, float_of(middle));
        if (here < limit) {
            high = middle;
            *above = here;
        } else {
            low = middle;
        }
    }
    return float_of(high);
}

/** Keeps the weights of logits above a threshold and of the first `ties` that are equal to it. */
static void keep(const sample_row *row, float threshold, int64_t ties)
{
    const vector edge = vector_of(threshold);
    size_t i = 0;
    for (; i + LANES <= row->vocab; i += LANES) {
        const vector x = vector_load(row->logits + i);
        vector_int kept = x > edge;
        if (any_lane(x == edge)) {
            for (size_t lane = 0; lane < LANES; lane++) {
                kept[lane] = x[lane] == threshold && ties-- > 0 ? -1 : kept[lane];
            }
        }
        const vector weight = vector_load(row->weights + i);
        vector_store(row->weights + i, (vector)((vector_int)weight & kept));
    }
    for (; i < row->vocab; i++) {
        if (row->logits[i] < threshold || (row->logits[i] == threshold && ties-- <= 0)) {
            row->weights[i] = 0.0F;
        }
    }
}

static void keep_most_probable(const sample_row *row, int64_t top_k, float largest)
{
    double above = 0.0;
    if (count_above(row, -INFINITY) > (double)top_k) {
        const float threshold = find_threshold(&above, row, count_above, (double)top_k, largest);
        keep(row, threshold, top_k - (int64_t)above);
    }
}

static void keep_nucleus(const sample_row *row, double top_p, float largest, float scale)
{
    const double limit = top_p * weight_above(row, -INFINITY);
    double above = 0.0;
    const float threshold = find_threshold(&above, row, weight_above, limit, largest);
    const vector exponent = vector_of((threshold - largest) * scale);
    const double each = fmax((double)vector_exp(exponent)[0], 1e-38);
    keep(row, threshold, (int64_t)ceil((limit - above) / each));
}

/** Returns the first token at which the running sum of weights exceeds `left`, or where rounding
 * lets none do so the last with a weight. */
static int32_t draw(const sample_row *row, double left)
{
    size_t first = 0; /* of the block that has it */
    size_t drawn = 0;
    double left_there = 0.0;
    for (size_t start = 0; start < row->vocab; start += BLOCK) {
        const double block = (double)block_weight(row, start, block_end(row, start), -INFINITY);
        if (block > 0.0) {
            first = start;
            left_there = left;
        }
        if (left < block) {
            break;
        }
        left -= block;
    }
    for (size_t i = first; i < block_end(row, first) && left_there >= 0.0; i++) {
        drawn = row->weights[i] > 0.0F ? i : drawn;
        left_there -= (double)row->weights[i];
    }
    return (int32_t)drawn;
}

int32_t KERNEL(sample)(float *weights, const float *logits, size_t vocab,
                       const ttm_cpu_sample *rule, double uniform)
{
    const sample_row row = {.logits = logits, .weights = weights, .vocab = vocab};
    const float largest = largest_logit(logits, vocab);
    if (!(fabsf(largest) < INFINITY)) {
        return -1;
    }
    if (rule->takes_first) {
        return first_equal(logits, vocab, largest);
    }
    weigh(&row, largest, rule->scale);
    if (rule->top_k > 0 && (size_t)rule->top_k < vocab) {
        keep_most_probable(&row, rule->top_k, largest);
    }
    if (rule->top_p < 1.0) {
        keep_nucleus(&row, rule->top_p, largest, rule->scale);
    }
    return draw(&row, uniform * weight_above(&row, -INFINITY));
}
