/* Attention, backward, for one (batch, head). The weights are computed again from lse:
 *   p = exp(scale·q·kᵀ − lse), dp = dout·vᵀ, ds = p·(dp − Σ_d dout·out)·scale,
 *   dv = pᵀ·dout, dk = dsᵀ·q, dq = ds·k   (p in dv and dp with dropout's factors).
 * Blocks of keys are the outer loop, so dk and dv of a block stay in L1; dq is summed over them in
 * scratch, in ascending order.
 *
 * Scratch: q, dout, dq [queries, size] packed, keys and values transposed [size, KEYS], keys, dk
 * and dv [KEYS, size], two blocks of scores [QUERIES, KEYS], Σ dout·out [queries]. */
#include "cpu/kernels/attention_block.h"

#include <math.h>

typedef struct backward {
    const ttm_cpu_attention *job;
    float *q;
    float *dout;
    float *dq;
    float *k_transposed;
    float *v_transposed;
    float *k;
    float *dk;
    float *dv;
    float *weights;
    float *slopes;
    float *dot; /**< Σ_d dout·out of each query. */
} backward;

static backward lay_out(const ttm_cpu_attention *job)
{
    const int64_t all = job->queries * job->size;
    const int64_t block = KEYS * job->size;
    backward state = {.job = job, .q = job->scratch};
    state.dout = state.q + all;
    state.dq = state.dout + all;
    state.k_transposed = state.dq + all;
    state.v_transposed = state.k_transposed + block;
    state.k = state.v_transposed + block;
    state.dk = state.k + block;
    state.dv = state.dk + block;
    state.weights = state.dv + block;
    state.slopes = state.weights + QUERIES * KEYS;
    state.dot = state.slopes + QUERIES * KEYS;
    return state;
}

static void pack_queries(const backward *state)
{
    const ttm_cpu_attention *job = state->job;
    pack_rows(state->q, job->q, job->q_row, job->queries, job->size, 1.0F);
    pack_rows(state->dout, job->dout, job->dout_row, job->queries, job->size, 1.0F);
    memset(state->dq, 0, (size_t)(job->queries * job->size) * sizeof(float));
    for (int64_t i = 0; i < job->queries; i++) {
        const element *out = (const element *)job->out + i * job->out_row;
        const float *dout = state->dout + i * job->size;
        vector lanes = {0};
        int64_t j = 0;
        for (; j + LANES <= job->size; j += LANES) {
            lanes += element_load(out + j) * vector_load(dout + j);
        }
        float sum = vector_sum(lanes);
        for (; j < job->size; j++) {
            sum += element_get(out + j) * dout[j];
        }
        state->dot[i] = sum;
    }
}

/** Scores to weights p, and dp to ds, in one row of the two blocks. */
static void slope_row(const backward *state, int64_t row, int64_t query, int64_t first_key,
                      int64_t seen, int64_t keys)
{
    const ttm_cpu_attention *job = state->job;
    float *weight = state->weights + row * KEYS;
    float *slope = state->slopes + row * KEYS;
    const int64_t padded = (keys + LANES - 1) / LANES * LANES;
    const float lse = job->lse[query * job->lse_row];
    const float dot = state->dot[query];
    float keep[KEEP_COUNT];

    if (job->dropout.threshold == 0) {
        for (int64_t j = 0; j < padded; j += LANES) {
            const vector p = vector_exp(vector_load(weight + j) * job->scale - lse);
            vector_store(weight + j, p);
            vector_store(slope + j, p * (vector_load(slope + j) - dot) * job->scale);
        }
    } else {
        score_dropout(keep, job, query, first_key, padded);
        for (int64_t j = 0; j < padded; j += LANES) {
            const vector p = vector_exp(vector_load(weight + j) * job->scale - lse);
            const vector factor = vector_load(keep + j);
            vector_store(weight + j, p * factor);
            vector_store(slope + j, p * (vector_load(slope + j) * factor - dot) * job->scale);
        }
    }
    for (int64_t j = seen; j < padded; j++) {
        weight[j] = 0.0F;
        slope[j] = 0.0F;
    }
}

/** c (+)= a·b, a [rows, depth] with strides, everything packed. */
static void multiply(float *c, ptrdiff_t c_row, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                     const float *b, ptrdiff_t b_row, int64_t rows, int64_t cols, int64_t depth,
                     int accumulate)
{
    const ttm_cpu_tile tile = {c, c_row, a, a_row, a_col, b, b_row, rows, cols, depth, accumulate};
    KERNEL(tile)(&tile);
}

static void run_queries(const backward *state, query_run run, int64_t first_key, int64_t keys)
{
    const ttm_cpu_attention *job = state->job;
    const int64_t size = job->size;
    const float *q = state->q + run.first * size;
    const float *dout = state->dout + run.first * size;
    multiply(state->weights, KEYS, q, size, 1, state->k_transposed, KEYS, run.count, run.keys, size,
             0);
    multiply(state->slopes, KEYS, dout, size, 1, state->v_transposed, KEYS, run.count, run.keys,
             size, 0);
    for (int64_t i = 0; i < run.count; i++) {
        const int64_t query = run.first + i;
        slope_row(state, i, query, first_key, seen_in_block(job, query, first_key, keys), run.keys);
    }
    multiply(state->dv, size, state->weights, 1, KEYS, dout, size, run.keys, size, run.count, 1);
    multiply(state->dk, size, state->slopes, 1, KEYS, q, size, run.keys, size, run.count, 1);
    multiply(state->dq + run.first * size, size, state->slopes, KEYS, 1, state->k, size, run.count,
             size, run.keys, 1);
}

static void unpack_rows(element *target, ptrdiff_t target_row, const float *source, int64_t rows,
                        int64_t size)
{
    for (int64_t i = 0; i < rows; i++) {
        element *to = target + i * target_row;
        const float *from = source + i * size;
        int64_t j = 0;
        for (; j + LANES <= size; j += LANES) {
            element_store(to + j, vector_load(from + j));
        }
        for (; j < size; j++) {
            element_put(to + j, from[j]);
        }
    }
}

void TYPED(attention_backward)(const ttm_cpu_attention *job)
{
    const backward state = lay_out(job);
    const int64_t size = job->size;
    pack_queries(&state);
    for (int64_t key = 0; key < job->keys; key += KEYS) {
        const int64_t keys = smaller(KEYS, job->keys - key);
        pack_transposed(state.k_transposed, (const element *)job->k + key * job->k_row, job->k_row,
                        keys, size);
        pack_transposed(state.v_transposed, (const element *)job->v + key * job->v_row, job->v_row,
                        keys, size);
        pack_rows(state.k, (const element *)job->k + key * job->k_row, job->k_row, keys, size,
                  1.0F);
        memset(state.dk, 0, (size_t)(2 * KEYS * size) * sizeof(float)); /* and dv behind it */
        int64_t query = first_query_seeing(job, 0, key);
        while (query < job->queries) {
            const int64_t last = smaller(query + QUERIES, job->queries);
            const query_run run = next_run(job, query, last, key, keys);
            run_queries(&state, run, key, keys);
            query += run.count;
        }
        unpack_rows((element *)job->dk + key * job->dk_row, job->dk_row, state.dk, keys, size);
        unpack_rows((element *)job->dv + key * job->dv_row, job->dv_row, state.dv, keys, size);
    }
    unpack_rows(job->dq, job->dq_row, state.dq, job->queries, size);
}
