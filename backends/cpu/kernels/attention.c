/* Attention, forward: softmax(scale·q·kᵀ)·v for blocks of queries against blocks of keys, with the
 * maximum and the sum of each row carried along (Milakov and Gimelshein, arXiv 1805.02867; Dao et
 * al., arXiv 2205.14135). Nothing larger than a block of scores exists.
 *
 * Operands of the products are packed into words (simd.h): floats, or with TTM_CPU_PAIRS pairs of
 * bf16 elements, to which weights are then rounded.
 *
 * Scratch: output [QUERIES, size], queries [QUERIES, words of size], keys transposed [words of
 * size, KEYS], values [words of KEYS, size], scores [QUERIES, KEYS], and for each row its maximum
 * and the lanes of its sum. */
#include "cpu/kernels/attention_block.h"

#include <math.h>

#define LOG_OF_2 0.693147180559945309F

typedef struct forward {
    const ttm_cpu_attention *job;
    float *out;
    float *q;
    float *k_transposed;
    float *v;
    float *scores;  /**< Becomes weights, and words of weights along the rows, in place. */
    float *largest; /**< Of scores times log2 e. */
    float *total;   /**< [QUERIES, LANES], added up at the end. */
} forward;

static forward lay_out(const ttm_cpu_attention *job)
{
    forward state = {.job = job, .out = job->scratch};
    state.q = state.out + QUERIES * job->size;
    state.k_transposed = state.q + QUERIES * job->size;
    state.v = state.k_transposed + KEYS * job->size;
    state.scores = state.v + KEYS * job->size;
    state.largest = state.scores + QUERIES * KEYS;
    state.total = state.largest + QUERIES;
    return state;
}

/** Stores weights as the product with the values wants them: floats, or half as many words. */
ALWAYS_INLINE void store_weights(float *row, int64_t column, vector weights)
{
#if defined(TTM_CPU_PAIRS)
    words_store_along(row + column / WORD_ELEMENTS, weights);
#else
    vector_store(row + column, weights);
#endif
}

/** A row's new maximum: what the row has summed up was relative to the old one. */
static void fade_row(const forward *state, int64_t row, float largest)
{
    const float change = state->largest[row] - largest;
    const float fade = vector_exp2(vector_of(change))[0];
    float *out = state->out + row * state->job->size;
    float *total = state->total + row * LANES;
    for (int64_t j = 0; j < state->job->size; j++) {
        out[j] *= fade;
    }
    vector_store(total, vector_load(total) * fade);
    state->largest[row] = largest;
}

/** Turns the scores of one row into words of weights and carries its sums along. `padded` scores
 * lie there, whole vectors, of which the row sees the first `seen`. `keep` are dropout's factors,
 * or NULL. */
ALWAYS_INLINE void weigh_vectors(const forward *state, int64_t row, int64_t seen, int64_t padded,
                                 const float *keep)
{
    const float factor = state->job->scale * LOG2_OF_E;
    float *score = state->scores + row * KEYS;
    float *total = state->total + row * LANES;
    vector value[KEYS / LANES];
    vector most = vector_of(-INFINITY);
    for (int64_t j = 0; j < padded; j += LANES) {
        value[j / LANES] = vector_load(score + j) * factor;
        if (seen < padded) {
            value[j / LANES] = first_lanes(value[j / LANES], seen - j, -INFINITY);
        }
        most = vector_max(value[j / LANES], most);
    }
    const float largest = vector_largest(most);
    if (largest > state->largest[row]) {
        fade_row(state, row, largest);
    }
    const float shift = state->largest[row] == -INFINITY ? 0.0F : state->largest[row];
    vector sum = vector_load(total);
    for (int64_t j = 0; j < padded; j += LANES) {
        const vector weight = vector_exp2(value[j / LANES] - shift);
        sum += weight;
        store_weights(score, j, keep == NULL ? weight : weight * vector_load(keep + j));
    }
    vector_store(total, sum);
}

static void weigh_row(const forward *state, int64_t row, int64_t query, int64_t first_key,
                      int64_t seen, int64_t keys)
{
    const int64_t padded = whole_vectors(keys);
    if (state->job->dropout.threshold != 0) {
        float keep[KEEP_COUNT];
        score_dropout(keep, state->job, query, first_key, padded);
        weigh_vectors(state, row, seen, padded, keep);
    } else if (padded == KEYS) {
        weigh_vectors(state, row, seen, KEYS, NULL); /* all in registers */
    } else {
        weigh_vectors(state, row, seen, padded, NULL);
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
            .a = state->q + row * words_of(job->size),
            .a_row = words_of(job->size),
            .a_col = 1,
            .b = state->k_transposed,
            .b_row = KEYS,
            .rows = run.count,
            .cols = run.keys,
            .depth = words_of(job->size),
        };
        TILE(&scores);
        for (int64_t i = 0; i < run.count; i++) {
            weigh_row(state, row + i, query + i, first_key,
                      seen_in_block(job, query + i, first_key, keys), run.keys);
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
            .depth = words_of(run.keys),
            .accumulate = 1,
        };
        TILE(&values);
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
            job->lse[query * job->lse_row] = state->largest[row] * LOG_OF_2 + logf(total);
        }
    }
}

void PRODUCT(attention)(const ttm_cpu_attention *job, int64_t first_query, int64_t last_query)
{
    const forward state = lay_out(job);
    for (int64_t first = first_query; first < last_query; first += QUERIES) {
        const int64_t last = smaller(first + QUERIES, last_query);
        pack_along(state.q, (const element *)job->q + first * job->q_row, job->q_row, last - first,
                   job->size);
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
            pack_across(state.v, (const element *)job->v + key * job->v_row, job->v_row, keys,
                        job->size);
            attend_block(&state, first, last, key, keys);
        }
        finish_rows(&state, first, last);
    }
}
