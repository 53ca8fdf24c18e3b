/* Attention, backward, for one (batch, head). The weights are computed again from lse:
 *   p = exp(scale·q·kᵀ − lse), dp = dout·vᵀ, ds = p·(dp − Σ_d dout·out)·scale,
 *   dv = pᵀ·dout, dk = dsᵀ·q, dq = ds·k   (p in dv and dp with dropout's factors).
 * Blocks of keys are the outer loop, so dk and dv of a block stay in L1; dq is summed over them in
 * scratch, in ascending order.
 *
 * Operands of the products are packed into words (simd.h): floats, or with TTM_CPU_PAIRS pairs of
 * bf16 elements, to which p and ds are then rounded. Pairs are of neighbours along the depth: q and
 * dout are needed both along their rows and across them, and so is ds. With floats that is the
 * same.
 *
 * Scratch: dq [queries, size], q and dout along [queries, words of size] and across [words of
 * queries, size], keys and values transposed [words of size, KEYS], keys across [words of KEYS,
 * size], dk and dv [KEYS, size], p and ds [QUERIES, KEYS], ds across [words of QUERIES, KEYS],
 * Σ dout·out [queries]. */
#include "cpu/kernels/attention_block.h"

#include <math.h>

typedef struct backward {
    const ttm_cpu_attention *job;
    float *dq;
    float *q;
    float *dout;
    float *q_across;
    float *dout_across;
    float *k_transposed;
    float *v_transposed;
    float *k_across;
    float *dk;
    float *dv;
    float *weights; /**< p, and then words of p across the rows, in place. */
    float *slopes;  /**< ds, and then words of ds along the rows, in place. */
    float *slopes_across;
    float *dot; /**< Σ_d dout·out of each query. */
} backward;

static backward lay_out(const ttm_cpu_attention *job)
{
    const int64_t along = job->queries * words_of(job->size);
    const int64_t transposed = words_of(job->size) * KEYS;
    backward state = {.job = job, .dq = job->scratch};
    state.q = state.dq + job->queries * job->size;
    state.dout = state.q + along;
    state.q_across = state.q;
    state.dout_across = state.dout;
    float *next = state.dout + along;
    if (WORD_ELEMENTS > 1) {
        const int64_t across = words_of(job->queries) * job->size;
        state.q_across = next;
        state.dout_across = next + across;
        next += 2 * across;
    }
    state.k_transposed = next;
    state.v_transposed = state.k_transposed + transposed;
    state.k_across = state.v_transposed + transposed;
    state.dk = state.k_across + KEYS * job->size;
    state.dv = state.dk + KEYS * job->size;
    state.weights = state.dv + KEYS * job->size;
    state.slopes = state.weights + QUERIES * KEYS;
    state.slopes_across = state.slopes;
    state.dot = state.slopes + QUERIES * KEYS;
    if (WORD_ELEMENTS > 1) {
        state.slopes_across = state.dot;
        state.dot += QUERIES / WORD_ELEMENTS * KEYS;
    }
    return state;
}

static float dot_of_row(const element *a, const element *b, int64_t size)
{
    vector lanes = {0};
    int64_t j = 0;
    for (; j + LANES <= size; j += LANES) {
        lanes += element_load(a + j) * element_load(b + j);
    }
    float sum = vector_sum(lanes);
    for (; j < size; j++) {
        sum += element_get(a + j) * element_get(b + j);
    }
    return sum;
}

static void pack_queries(const backward *state)
{
    const ttm_cpu_attention *job = state->job;
    pack_along(state->q, job->q, job->q_row, job->queries, job->size);
    pack_along(state->dout, job->dout, job->dout_row, job->queries, job->size);
    if (WORD_ELEMENTS > 1) {
        pack_across(state->q_across, job->q, job->q_row, job->queries, job->size);
        pack_across(state->dout_across, job->dout, job->dout_row, job->queries, job->size);
    }
    memset(state->dq, 0, (size_t)(job->queries * job->size) * sizeof(float));
    for (int64_t i = 0; i < job->queries; i++) {
        state->dot[i] = dot_of_row((const element *)job->out + i * job->out_row,
                                   (const element *)job->dout + i * job->dout_row, job->size);
    }
}

/** What turns the scores and dp of one query into p and ds. */
typedef struct query_slopes {
    float factor; /**< Of scores, log2 e in it. */
    float lse;    /**< Times log2 e. */
    float dot;
    int64_t seen;
    float keep[KEEP_COUNT];
} query_slopes;

static void start_query(query_slopes *at, const backward *state, int64_t query, int64_t first_key,
                        int64_t keys, int64_t padded)
{
    const ttm_cpu_attention *job = state->job;
    at->factor = job->scale * LOG2_OF_E;
    at->lse = job->lse[query * job->lse_row] * LOG2_OF_E;
    at->dot = state->dot[query];
    at->seen = seen_in_block(job, query, first_key, keys);
    if (job->dropout.threshold != 0) {
        score_dropout(at->keep, job, query, first_key, padded);
    }
}

/** Scores to weights p, and dp to ds, in the vector of keys from `key` of the block on. */
ALWAYS_INLINE void find_slopes(vector *p, vector *ds, const query_slopes *at,
                               const ttm_cpu_attention *job, int64_t key, int is_cut)
{
    const int drops = job->dropout.threshold != 0;
    const vector factor = drops ? vector_load(at->keep + key) : vector_of(1.0F);
    const vector kept = vector_exp2(*p * at->factor - at->lse);
    const vector dp = drops ? *ds * factor : *ds;
    *p = drops ? kept * factor : kept;
    *ds = kept * job->scale * (dp - at->dot);
    if (is_cut) {
        *p = first_lanes(*p, at->seen - key, 0.0F);
        *ds = first_lanes(*ds, at->seen - key, 0.0F);
    }
}

#if defined(TTM_CPU_PAIRS)
/** Two rows of the two blocks: words of p across the rows go to `p_words`, those of ds to
 * `ds_words` and, along the rows, to their places. The second row is NULL where there is none. */
ALWAYS_INLINE void slope_two_rows(const ttm_cpu_attention *job, const query_slopes at[2],
                                  float *weight, float *slope, int is_alone, int is_cut,
                                  float *p_words, float *ds_words, int64_t padded)
{
    for (int64_t j = 0; j < padded; j += LANES) {
        vector p[2] = {vector_load(weight + j)};
        vector ds[2] = {vector_load(slope + j)};
        find_slopes(&p[0], &ds[0], &at[0], job, j, is_cut);
        words_store_along(slope + j / WORD_ELEMENTS, ds[0]);
        if (!is_alone) {
            p[1] = vector_load(weight + KEYS + j);
            ds[1] = vector_load(slope + KEYS + j);
            find_slopes(&p[1], &ds[1], &at[1], job, j, is_cut);
            words_store_along(slope + KEYS + j / WORD_ELEMENTS, ds[1]);
        }
        vector_store(p_words + j, words_of_rows(p[0], p[1]));
        vector_store(ds_words + j, words_of_rows(ds[0], ds[1]));
    }
}
#endif

/** Scores to p and dp to ds in a run of the two blocks, as words: p across the rows, ds both along
 * and across them. */
static void find_run_slopes(const backward *state, query_run run, int64_t first_key, int64_t keys)
{
    const ttm_cpu_attention *job = state->job;
    const int64_t padded = whole_vectors(run.keys);
    query_slopes at[WORD_ELEMENTS];
    for (int64_t i = 0; i < run.count; i += WORD_ELEMENTS) {
        float *weight = state->weights + i * KEYS;
        float *slope = state->slopes + i * KEYS;
        const int64_t rows = smaller(WORD_ELEMENTS, run.count - i);
        int is_cut = 0;
        int64_t row = 0;
        do { /* there is at least one */
            start_query(&at[row], state, run.first + i + row, first_key, keys, padded);
            is_cut |= at[row].seen < padded;
        } while (++row < rows);
#if defined(TTM_CPU_PAIRS)
        float *p_words = state->weights + i / WORD_ELEMENTS * KEYS;
        float *ds_words = state->slopes_across + i / WORD_ELEMENTS * KEYS;
        if (rows == 2 && !is_cut) {
            slope_two_rows(job, at, weight, slope, 0, 0, p_words, ds_words, padded);
        } else {
            slope_two_rows(job, at, weight, slope, rows < 2, 1, p_words, ds_words, padded);
        }
#else
        for (int64_t j = 0; j < padded; j += LANES) {
            vector p = vector_load(weight + j);
            vector ds = vector_load(slope + j);
            find_slopes(&p, &ds, &at[0], job, j, is_cut);
            vector_store(weight + j, p);
            vector_store(slope + j, ds);
        }
#endif
    }
}

/** c (+)= a·b, a [rows, depth] with strides, everything packed; the depth counts words. */
static void multiply(float *c, ptrdiff_t c_row, const float *a, ptrdiff_t a_row, ptrdiff_t a_col,
                     const float *b, ptrdiff_t b_row, int64_t rows, int64_t cols, int64_t depth,
                     int accumulate)
{
    const ttm_cpu_tile tile = {c, c_row, a, a_row, a_col, b, b_row, rows, cols, depth, accumulate};
    TILE(&tile);
}

static void run_queries(const backward *state, query_run run, int64_t first_key, int64_t keys)
{
    const ttm_cpu_attention *job = state->job;
    const int64_t size = job->size;
    const int64_t words = words_of(size);
    const int64_t rows = words_of(run.count);
    const float *q_across = state->q_across + run.first / WORD_ELEMENTS * size;
    const float *dout_across = state->dout_across + run.first / WORD_ELEMENTS * size;
    multiply(state->weights, KEYS, state->q + run.first * words, words, 1, state->k_transposed,
             KEYS, run.count, run.keys, words, 0);
    multiply(state->slopes, KEYS, state->dout + run.first * words, words, 1, state->v_transposed,
             KEYS, run.count, run.keys, words, 0);
    find_run_slopes(state, run, first_key, keys);
    multiply(state->dv, size, state->weights, 1, KEYS, dout_across, size, run.keys, size, rows, 1);
    multiply(state->dk, size, state->slopes_across, 1, KEYS, q_across, size, run.keys, size, rows,
             1);
    multiply(state->dq + run.first * size, size, state->slopes, KEYS, 1, state->k_across, size,
             run.count, size, words_of(run.keys), 1);
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

void PRODUCT(attention_backward)(const ttm_cpu_attention *job)
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
        pack_across(state.k_across, (const element *)job->k + key * job->k_row, job->k_row, keys,
                    size);
        memset(state.dk, 0, (size_t)(2 * KEYS * size) * sizeof(float)); /* and dv behind it */
        /* A word's rows go together, even where only the second of them sees the block. */
        int64_t query = first_query_seeing(job, 0, key) / WORD_ELEMENTS * WORD_ELEMENTS;
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
