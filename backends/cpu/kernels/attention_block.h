/* What the forward and the backward pass of the attention share: packing blocks of keys, which
 * queries see which keys, scores of a block. */
#ifndef TTM_CPU_KERNELS_ATTENTION_BLOCK_H
#define TTM_CPU_KERNELS_ATTENTION_BLOCK_H

#include "cpu/kernels/level.h"
#include "cpu/kernels/pack.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/simd.h"
#include "cpu/kernels/transpose.h"

#define KEYS    TTM_CPU_ATTENTION_KEYS
#define QUERIES TTM_CPU_ATTENTION_QUERIES
/** Queries that share one number of visible keys in the blocks that the diagonal cuts: little is
 * computed to be masked. */
#define STEP 24

static inline int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/** Returns `count` rounded up to whole vectors. */
static inline int64_t whole_vectors(int64_t count)
{
    return (count + LANES - 1) / LANES * LANES;
}

/** Returns how many keys query `query` sees. */
static inline int64_t seen_keys(const ttm_cpu_attention *job, int64_t query)
{
    return job->causal ? query + job->keys - job->queries + 1 : job->keys;
}

/** Returns how many of the `count` keys from `first_key` on query `query` sees. */
static inline int64_t seen_in_block(const ttm_cpu_attention *job, int64_t query, int64_t first_key,
                                    int64_t count)
{
    const int64_t seen = seen_keys(job, query) - first_key;
    return seen < 0 ? 0 : smaller(seen, count);
}

/** target[w, i] = word w of row i, for up to KEYS rows; target's rows are KEYS long. */
static inline void pack_transposed(float *target, const element *source, ptrdiff_t source_row,
                                   int64_t rows, int64_t size)
{
    transpose(target, KEYS, source, source_row, (size_t)rows, (size_t)size);
}

/** Returns value in the first `count` lanes (all of them, or none, where that is out of range) and
 * `other` in the rest. */
ALWAYS_INLINE vector first_lanes(vector value, int64_t count, float other)
{
    static const int32_t numbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    vector_int lane;
    memcpy(&lane, numbers, sizeof lane);
    const int32_t limit = (int32_t)(count < 0 ? 0 : smaller(count, LANES));
    return vector_select(lane < limit, value, vector_of(other));
}

/** A run of queries of which each sees at most `keys` keys of a block. */
typedef struct query_run {
    int64_t first;
    int64_t count;
    int64_t keys;
} query_run;

/** Finds the run of queries from `first` on (below `last`) for the block of `count` keys from
 * `first_key` on: all the queries that see the whole block, else STEP of them. */
static inline query_run next_run(const ttm_cpu_attention *job, int64_t first, int64_t last,
                                 int64_t first_key, int64_t count)
{
    query_run run = {first, last - first, count};
    if (seen_in_block(job, first, first_key, count) < count) {
        run.count = smaller(STEP, last - first);
        run.keys = seen_in_block(job, first + run.count - 1, first_key, count);
    }
    return run;
}

/** Returns the first query at or after `first` that sees key `key`. */
static inline int64_t first_query_seeing(const ttm_cpu_attention *job, int64_t first, int64_t key)
{
    const int64_t query = job->causal ? key - (job->keys - job->queries) : 0;
    return query > first ? query : first;
}

/** keep[0 … count) = dropout factors of the scores of `query` from `first_key` on. */
static inline void score_dropout(float *keep, const ttm_cpu_attention *job, int64_t query,
                                 int64_t first_key, int64_t count)
{
    const uint64_t number = job->dropout.start + (uint64_t)query * (uint64_t)job->keys;
    dropout_keep(keep, &job->dropout, number + (uint64_t)first_key, (size_t)count);
}

#endif
