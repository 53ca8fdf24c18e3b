/* Attention, forward: softmax(scale·q·kᵀ)·v for blocks of queries against blocks of keys, with the
 * maximum and the sum of each row carried along (Milakov and Gimelshein, arXiv 1805.02867; Dao et
 * al., arXiv 2205.14135). Nothing larger than a block of scores exists.
 *
 * Scratch: scaled queries [QUERIES, size], output [QUERIES, size], keys transposed [size, KEYS],
 * values [KEYS, size], scores [QUERIES, KEYS], and for each row its maximum and the lanes of its
 * sum. */
#include "cpu/kernels/attention_block.h"

#include <math.h>

typedef struct forward {
    const ttm_cpu_attention *job;
    float *q;
    float *out;
    float *k_transposed;
    float *v;
    float *scores;
    float *largest;
    float *total; /**< [QUERIES, LANES], added up at the end. */
} forward;

static forward lay_out(const ttm_cpu_attention *job)
{
    forward state = {.job = job, .q = job->scratch};
    state.out = state.q + QUERIES * job->size;
    state.k_transposed = state.out + QUERIES * job->size;
    state.v = state.k_transposed + KEYS * job->size;
    state.scores = state.v + KEYS * job->size;
    state.largest = state.scores + QUERIES * KEYS;
    state.total = state.largest + QUERIES;
    return state;
}

/** Turns the scores of one row into weights and carries its sums along. `keys` scores lie there, of
 * which the row sees `seen`. */
static void weigh_row(const forward *state, int64_t row, int64_t seen, int64_t keys)
{
    float *score = state->scores + row * KEYS;
    float *total = state->total + row * LANES;
    const int64_t padded = (keys + LANES - 1) / LANES * LANES;
    for (int64_t j = seen; j < padded; j++) {
        score[j] = -INFINITY;
    }
    vector most = vector_load(score);
    for (int64_t j = LANES; j < padded; j += LANES) {
        most = vector_max(vector_load(score + j), most);
    }
    float largest = vector_largest(most);
    if (!(largest > state->largest[row])) {
        largest = state->largest[row];
    }
    const float shift = largest == -INFINITY ? 0.0F : largest;
    vector sum = {0};
    for (int64_t j = 0; j < padded; j += LANES) {
        const vector weight = vector_exp(vector_load(score + j) - shift);
        vector_store(score + j, weight);
        sum += weight;
    }
    if (largest != state->largest[row]) {
        const float fade = expf(state->largest[row] - shift);
        float *out = state->out + row * state->job->size;
        for (int64_t j = 0; j < state->job->size; j++) {
            out[j] *= fade;
        }
        sum += vector_load(total) * fade;
        state->largest[row] = largest;
    } else {
        sum += vector_load(total);
    }
    vector_store(total, sum);
}

static void drop_row(const forward *state, int64_t row, int64_t query, int64_t first_key,
                     int64_t keys)
{
    float keep[KEEP_COUNT];
    float *score = state->scores + row * KEYS;
    score_dropout(keep, state->job, query, first_key, keys);
    for (int64_t j = 0; j < keys; j++) {
        score[j] *= keep[j];
    }
}

/** Queries [first, last) against the packed block of keys. */
static void attend_block(const forward *state, int64_t first, int64_t last, int64_t first_key,
                         int64_t keys)
{
    const ttm_cpu_attention *job = state->job;
    int64_t query = first_query_seeing(job, first, first_key);
    while (query < last) {
        const query_run run = next_run(job, query, last, first_key, keys);
        const int64_t row = query - first;
        const ttm_cpu_tile scores = {
            .c = state->scores + row * KEYS,
            .c_row = KEYS,
            .a = state->q + row * job->size,
            .a_row = job->size,
            .a_col = 1,
            .b = state->k_transposed,
            .b_row = KEYS,
            .rows = run.count,
            .cols = run.keys,
            .depth = job->size,
        };
        KERNEL(tile)(&scores);
        for (int64_t i = 0; i < run.count; i++) {
            weigh_row(state, row + i, seen_in_block(job, query + i, first_key, keys), run.keys);
            if (job->dropout.threshold != 0) {
                drop_row(state, row + i, query + i, first_key, run.keys);
            }
        }
        const ttm_cpu_tile values = {
            .c = state->out + row * job->size,
            .c_row = job->size,
            .a = state->scores + row * KEYS,
            .a_row = KEYS,
            .a_col = 1,
            .b = state->v,
            .b_row = job->size,
            .rows = run.count,
            .cols = job->size,
            .depth = run.keys,
            .accumulate = 1,
        };
        KERNEL(tile)(&values);
        query += run.count;
    }
}

static void finish_rows(const forward *state, int64_t first, int64_t last)
{
    const ttm_cpu_attention *job = state->job;
    for (int64_t query = first; query < last; query++) {
        const int64_t row = query - first;
        const float total = vector_sum(vector_load(state->total + row * LANES));
        const float factor = 1.0F / total;
        element *out = (element *)job->out + query * job->out_row;
        const float *sums = state->out + row * job->size;
        int64_t j = 0;
        for (; j + LANES <= job->size; j += LANES) {
            element_store(out + j, vector_load(sums + j) * factor);
        }
        for (; j < job->size; j++) {
            element_put(out + j, sums[j] * factor);
        }
        if (job->lse != NULL) {
            job->lse[query * job->lse_row] = state->largest[row] + logf(total);
        }
    }
}

void TYPED(attention)(const ttm_cpu_attention *job, int64_t first_query, int64_t last_query)
{
    const forward state = lay_out(job);
    for (int64_t first = first_query; first < last_query; first += QUERIES) {
        const int64_t last = smaller(first + QUERIES, last_query);
        pack_rows(state.q, (const element *)job->q + first * job->q_row, job->q_row, last - first,
                  job->size, job->scale);
        memset(state.out, 0, (size_t)((last - first) * job->size) * sizeof(float));
        for (int64_t row = 0; row < last - first; row++) {
            state.largest[row] = -INFINITY;
            vector_store(state.total + row * LANES, (vector){0});
        }
        const int64_t seen = seen_keys(job, last - 1);
        for (int64_t key = 0; key < seen; key += KEYS) {
            const int64_t keys = smaller(KEYS, seen - key);
            pack_transposed(state.k_transposed, (const element *)job->k + key * job->k_row,
                            job->k_row, keys, job->size);
            pack_rows(state.v, (const element *)job->v + key * job->v_row, job->v_row, keys,
                      job->size, 1.0F);
            attend_block(&state, first, last, key, keys);
        }
        finish_rows(&state, first, last);
    }
}
