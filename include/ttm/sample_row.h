/* SAMPLE for one row of logits on a host, in double: the op's contract (ttm/ops.h) as code.
 *
 * This header stands alone (C11, C++17, libm only), as ttm/random.h does: libttm, the reference
 * backend and plugins for host devices, which link nothing of libttm, share one definition. */
#ifndef TTM_SAMPLE_ROW_H
#define TTM_SAMPLE_ROW_H

#include <math.h>
#include <stdint.h>
#include <ttm/ops.h>
#include <ttm/random.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A token that may be drawn. */
typedef struct ttm_candidate {
    double logit;
    double weight;
    int32_t token;
} ttm_candidate;

/** Returns whether `a` comes before `b`: higher logit first, of equals the lower token. */
static inline int ttm_candidate_precedes(const ttm_candidate *a, const ttm_candidate *b)
{
    return a->logit != b->logit ? a->logit > b->logit : a->token < b->token;
}

/* Moves what precedes candidate `pivot` before it, the others behind it; returns where it is. */
static inline int64_t ttm_candidates_part(ttm_candidate *candidates, int64_t low, int64_t high,
                                          int64_t pivot)
{
    const ttm_candidate middle = candidates[pivot];
    int64_t place = low;
    candidates[pivot] = candidates[high];
    for (int64_t i = low; i < high; i++) {
        if (ttm_candidate_precedes(&candidates[i], &middle)) {
            const ttm_candidate moved = candidates[i];
            candidates[i] = candidates[place];
            candidates[place++] = moved;
        }
    }
    candidates[high] = candidates[place];
    candidates[place] = middle;
    return place;
}

/** Returns how many of the first candidates[count], in order, have a measure of at least `limit`
 * together, and moves these to the front, unordered. The measure is a candidate's weight, or 1
 * where `counted`. All, where they don't reach the limit. Takes about as long as looking at all of
 * them twice. */
static inline int64_t ttm_candidates_keep(ttm_candidate *candidates, int64_t count, double limit,
                                          int counted)
{
    double before = 0.0;
    int64_t low = 0;
    int64_t high = count - 1;
    while (low < high) {
        const int64_t place = ttm_candidates_part(candidates, low, high, low + (high - low) / 2);
        double left = 0.0;
        for (int64_t i = low; i < place; i++) {
            left += counted ? 1.0 : candidates[i].weight;
        }
        const double with_pivot = before + left + (counted ? 1.0 : candidates[place].weight);
        if (before + left >= limit) {
            high = place - 1;
        } else if (with_pivot >= limit) {
            return place + 1;
        } else {
            before = with_pivot;
            low = place + 1;
        }
    }
    return high + 1;
}

/** Returns the last of candidates[count] in order; count ≥ 1. */
static inline ttm_candidate ttm_candidates_last(const ttm_candidate *candidates, int64_t count)
{
    ttm_candidate last = candidates[0];
    for (int64_t i = 1; i < count; i++) {
        if (ttm_candidate_precedes(&last, &candidates[i])) {
            last = candidates[i];
        }
    }
    return last;
}

/** candidates[j] = token j of logits [vocab] with its weight, 0 for what comes behind `last` in
 * order; returns the sum of the weights. */
static inline double ttm_candidates_weigh(ttm_candidate *candidates, const double *logits,
                                          int64_t vocab, double largest, double temperature,
                                          const ttm_candidate *last)
{
    double total = 0.0;
    for (int64_t j = 0; j < vocab; j++) {
        candidates[j].logit = logits[j];
        candidates[j].token = (int32_t)j;
        candidates[j].weight = ttm_candidate_precedes(last, &candidates[j])
                                   ? 0.0
                                   : exp((logits[j] - largest) / temperature);
        total += candidates[j].weight;
    }
    return total;
}

/** Returns the first of candidates[count] at which the sum of weights exceeds `left`. */
static inline int32_t ttm_candidates_draw(const ttm_candidate *candidates, int64_t count,
                                          double left)
{
    int32_t drawn = -1;
    for (int64_t i = 0; i < count; i++) {
        if (candidates[i].weight > 0.0) {
            drawn = candidates[i].token;
            left -= candidates[i].weight;
            if (left < 0.0) {
                break;
            }
        }
    }
    return drawn;
}

/** Returns the token of the largest of logits [vocab]; −1 where one is NaN or +∞, or all are −∞. */
static inline int32_t ttm_largest_logit(const double *logits, int64_t vocab)
{
    int64_t best = -1;
    for (int64_t j = 0; j < vocab; j++) {
        if (!(logits[j] < (double)INFINITY)) {
            return -1;
        }
        if (logits[j] > -(double)INFINITY && (best < 0 || logits[j] > logits[best])) {
            best = j;
        }
    }
    return (int32_t)best;
}

/** Returns the token that SAMPLE draws from logits [vocab] with two random words, or −1.
 * candidates [vocab] is scratch. */
static inline int32_t ttm_sample_row(ttm_candidate *candidates, const double *logits, int64_t vocab,
                                     const ttm_sample_params *params, const uint32_t random[2])
{
    const ttm_candidate none = {-(double)INFINITY, 0.0, INT32_MAX};
    const int32_t best = ttm_largest_logit(logits, vocab);
    if (best < 0 || params->temperature == 0.0 || params->top_k == 1) {
        return best;
    }
    const double largest = logits[best];
    double total =
        ttm_candidates_weigh(candidates, logits, vocab, largest, params->temperature, &none);
    int64_t kept = vocab;
    if (params->top_k > 0 && params->top_k < vocab) {
        kept = ttm_candidates_keep(candidates, vocab, (double)params->top_k, 1);
    }
    if (params->top_p < 1.0) {
        double sum = 0.0;
        for (int64_t i = 0; i < kept; i++) {
            sum += candidates[i].weight;
        }
        kept = ttm_candidates_keep(candidates, kept, params->top_p * sum, 0);
    }
    if (kept < vocab || params->top_p < 1.0) { /* Keeping has left them in an order of its own. */
        const ttm_candidate last = ttm_candidates_last(candidates, kept);
        total =
            ttm_candidates_weigh(candidates, logits, vocab, largest, params->temperature, &last);
    }
    return ttm_candidates_draw(candidates, vocab, ttm_uniform_f64(random[0], random[1]) * total);
}

#ifdef __cplusplus
}
#endif

#endif
