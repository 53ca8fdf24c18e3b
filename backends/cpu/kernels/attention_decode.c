/* Attention of single queries: generation with a cache of keys and values. Bound by reading k and v
 * once; a block of keys is scored, weighed and summed while it is in L1.
 *
 * Scratch: output [size]. */
#include "cpu/kernels/attention_block.h"

#include <math.h>

static float dot(const element *a, const element *b, int64_t size)
{
    vector lanes[2] = {{0}, {0}};
    int64_t j = 0;
    for (; j + 2 * LANES <= size; j += 2 * LANES) {
        lanes[0] += element_load(a + j) * element_load(b + j);
        lanes[1] += element_load(a + j + LANES) * element_load(b + j + LANES);
    }
    float sum = vector_sum(lanes[0] + lanes[1]);
    for (; j < size; j++) {
        sum += element_get(a + j) * element_get(b + j);
    }
    return sum;
}

static void add_scaled(float *out, const element *x, float factor, int64_t size)
{
    int64_t j = 0;
    for (; j + LANES <= size; j += LANES) {
        vector_store(out + j, vector_load(out + j) + element_load(x + j) * factor);
    }
    for (; j < size; j++) {
        out[j] += element_get(x + j) * factor;
    }
}

/** The scores of up to KEYS keys against one query; returns the largest. */
static float score_keys(float *scores, const ttm_cpu_attention *job, const element *q, int64_t key,
                        int64_t keys)
{
    float largest = -INFINITY;
    for (int64_t j = 0; j < keys; j++) {
        scores[j] =
            job->scale * dot(q, (const element *)job->k + (key + j) * job->k_row, job->size);
        largest = scores[j] > largest ? scores[j] : largest;
    }
    for (int64_t j = keys; j % LANES != 0; j++) {
        scores[j] = -INFINITY;
    }
    return largest;
}

void TYPED(attention_decode)(const ttm_cpu_attention *job, int64_t query)
{
    const element *q = (const element *)job->q + query * job->q_row;
    float *out = job->scratch;
    const int64_t seen = seen_keys(job, query);
    float largest = -INFINITY;
    float total = 0.0F;
    memset(out, 0, (size_t)job->size * sizeof(float));
    for (int64_t key = 0; key < seen; key += KEYS) {
        float scores[KEYS];
        float keep[KEEP_COUNT];
        const int64_t keys = smaller(KEYS, seen - key);
        const float own = score_keys(scores, job, q, key, keys);
        if (own > largest) {
            const float fade = expf(largest - own);
            for (int64_t j = 0; j < job->size; j++) {
                out[j] *= fade;
            }
            total *= fade;
            largest = own;
        }
        const float shift = largest == -INFINITY ? 0.0F : largest;
        vector sum = {0};
        for (int64_t j = 0; j < keys; j += LANES) {
            const vector weight = vector_exp(vector_load(scores + j) - shift);
            vector_store(scores + j, weight);
            sum += weight;
        }
        total += vector_sum(sum);
        if (job->dropout.threshold != 0) {
            score_dropout(keep, job, query, key, keys);
            for (int64_t j = 0; j < keys; j++) {
                scores[j] *= keep[j];
            }
        }
        for (int64_t j = 0; j < keys; j++) {
            add_scaled(out, (const element *)job->v + (key + j) * job->v_row, scores[j], job->size);
        }
    }
    for (int64_t j = 0; j < job->size; j++) {
        element_put((element *)job->out + query * job->out_row + j, out[j] / total);
    }
    if (job->lse != NULL) {
        job->lse[query * job->lse_row] = largest + logf(total);
    }
}
