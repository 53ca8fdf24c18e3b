/* Draws a token from logits. */
#include <ttm/generate.h>

#include "core/array.h"
#include "core/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <ttm/random.h>

/* A token that may be drawn. */
typedef struct candidate {
    int32_t token;
    float logit;
    double probability; /* not normalised */
} candidate;

/* More probable first; of equals the lower token. */
static int compare_candidates(const void *left, const void *right)
{
    const candidate *a = left;
    const candidate *b = right;
    if (a->logit != b->logit) {
        return a->logit > b->logit ? -1 : 1;
    }
    return (a->token > b->token) - (a->token < b->token);
}

static ttm_status check(const ttm_sampling *sampling, int64_t vocab)
{
    if (vocab < 1 || vocab > INT32_MAX) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a vocabulary of %" PRId64 " tokens isn't possible",
                        vocab);
    }
    if (!(sampling->temperature >= 0.0) || !isfinite(sampling->temperature)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the temperature must be 0 or positive, not %g",
                        sampling->temperature);
    }
    if (sampling->top_k < 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "top_k must be 0 (all) or positive, not %" PRId64,
                        sampling->top_k);
    }
    if (!(sampling->top_p > 0.0 && sampling->top_p <= 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "top_p must be greater than 0 and at most 1, not %g",
                        sampling->top_p);
    }
    return TTM_OK;
}

/* *best = the token of the largest logit. */
static ttm_status find_best(int32_t *best, const float *logits, int64_t vocab)
{
    *best = -1;
    for (int64_t token = 0; token < vocab; token++) {
        if (isnan(logits[token]) || logits[token] == INFINITY) {
            return ttm_fail(TTM_ERROR_NUMERIC, "the logit of token %" PRId64 " is %s", token,
                            isnan(logits[token]) ? "NaN" : "infinite");
        }
        if (logits[token] != -INFINITY && (*best < 0 || logits[token] > logits[*best])) {
            *best = (int32_t)token;
        }
    }
    return *best >= 0 ? TTM_OK : ttm_fail(TTM_ERROR_NUMERIC, "all logits are minus infinity");
}

/* Moves the `wanted` first of candidates[count] (by compare_candidates) to the front, unordered. */
static void select_first(candidate *candidates, int64_t count, int64_t wanted)
{
    int64_t low = 0;
    int64_t high = count - 1;
    while (low < high) {
        const candidate pivot = candidates[low + (high - low) / 2];
        int64_t left = low;
        int64_t right = high;
        while (left <= right) {
            while (compare_candidates(&candidates[left], &pivot) < 0) {
                left++;
            }
            while (compare_candidates(&candidates[right], &pivot) > 0) {
                right--;
            }
            if (left <= right) {
                const candidate moved = candidates[left];
                candidates[left++] = candidates[right];
                candidates[right--] = moved;
            }
        }
        if (wanted - 1 <= right) {
            high = right;
        } else if (wanted - 1 >= left) {
            low = left;
        } else {
            return;
        }
    }
}

/* Returns how many of candidates[count] top_p keeps, with the most probable ones in front. */
static int64_t keep_nucleus(candidate *candidates, int64_t count, double top_p)
{
    double sum = 0.0;
    for (int64_t index = 0; index < count; index++) {
        sum += candidates[index].probability;
    }
    /* All candidates below this one together have less than what may be left out, so that only the
     * others need sorting. */
    const double cutoff = (1.0 - top_p) * sum / (double)count;
    int64_t kept = 0;
    for (int64_t index = 0; index < count; index++) {
        if (candidates[index].probability >= cutoff) {
            candidates[kept++] = candidates[index];
        }
    }
    qsort(candidates, (size_t)kept, sizeof *candidates, compare_candidates);
    double reached = 0.0;
    for (int64_t index = 0; index < kept; index++) {
        reached += candidates[index].probability;
        if (reached >= top_p * sum) {
            return index + 1;
        }
    }
    return kept;
}

static int32_t draw_one(const candidate *candidates, int64_t count, uint64_t seed, uint64_t draw)
{
    double sum = 0.0;
    for (int64_t index = 0; index < count; index++) {
        sum += candidates[index].probability;
    }
    const double uniform =
        ttm_uniform_f64(ttm_philox_u32(seed, 2 * draw), ttm_philox_u32(seed, 2 * draw + 1));
    double left = uniform * sum;
    int64_t last = 0;
    for (int64_t index = 0; index < count; index++) {
        if (candidates[index].probability > 0.0) {
            last = index;
            left -= candidates[index].probability;
            if (left < 0.0) {
                break;
            }
        }
    }
    return candidates[last].token;
}

ttm_status ttm_sample(int32_t *token, const float *logits, int64_t vocab,
                      const ttm_sampling *sampling, uint64_t draw)
{
    candidate *candidates = NULL;
    int32_t best = 0;
    TTM_TRY(check(sampling, vocab));
    TTM_TRY(find_best(&best, logits, vocab));
    if (sampling->temperature == 0.0 || sampling->top_k == 1) {
        *token = best;
        return TTM_OK;
    }
    TTM_TRY(ttm_array_new(&candidates, (size_t)vocab, sizeof *candidates, "sampling"));
    for (int64_t index = 0; index < vocab; index++) {
        const double distance = (double)logits[index] - (double)logits[best];
        candidates[index].token = (int32_t)index;
        candidates[index].logit = logits[index];
        candidates[index].probability = exp(distance / sampling->temperature);
    }
    int64_t count = vocab;
    if (sampling->top_k > 0 && sampling->top_k < count) {
        select_first(candidates, count, sampling->top_k);
        count = sampling->top_k;
        /* The order must not depend on how the selection went. */
        qsort(candidates, (size_t)count, sizeof *candidates, compare_candidates);
    }
    if (sampling->top_p < 1.0) {
        count = keep_nucleus(candidates, count, sampling->top_p);
    }
    *token = draw_one(candidates, count, sampling->seed, draw);
    free(candidates);
    return TTM_OK;
}
