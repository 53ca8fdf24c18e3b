/* Cases of SAMPLE. */
#include "conformance/generate.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>

enum { ELEMENTS = 60000, MOST_ROWS = 70 };

static void draw_params(ttm_sample_params *params, conformance_case *made, int64_t vocab)
{
    static const double temperatures[] = {1.0, 0.7, 0.1, 1.5, 1.0, 30.0, 0.0, 1.0};
    static const double top_ps[] = {0.9, 0.5, 0.05, 0.999, 0.75, 1e-9};
    const int64_t top_ks[] = {1, 2, 5, 40, vocab - 1, vocab, vocab + 7, (vocab + 1) / 2};
    params->temperature = temperatures[draw_below(&made->random, 8)];
    params->top_k = case_once_in(made, 2) ? 0 : top_ks[draw_below(&made->random, 8)];
    params->top_k = params->top_k < 0 ? 0 : params->top_k;
    params->top_p = case_once_in(made, 2) ? 1.0 : top_ps[draw_below(&made->random, 6)];
}

/* Logits with ties, also of what is largest, and some that are −∞. */
static void spoil_some(conformance_case *made, double *logits, int64_t count)
{
    const bool coarse = case_once_in(made, 3);
    const bool masked = case_once_in(made, 4);
    for (int64_t i = 0; i < count; i++) {
        logits[i] = coarse ? floor(logits[i] / 2.0) : logits[i];
        logits[i] = masked && case_once_in(made, 3) ? -(double)INFINITY : logits[i];
    }
}

/* One row in eight has no distribution, where the case is a wild one. */
static void spoil_rows(conformance_case *made, double *logits, int64_t rows, int64_t vocab)
{
    for (int64_t row = 0; row < rows; row++) {
        if (made->index < PLAIN_CASES || !case_once_in(made, 8)) {
            continue;
        }
        const int64_t which = draw_below(&made->random, 3);
        const int64_t where = draw_below(&made->random, vocab);
        for (int64_t j = 0; j < vocab && which == 2; j++) {
            logits[row * vocab + j] = -(double)INFINITY;
        }
        if (which < 2) {
            logits[row * vocab + where] = which == 0 ? (double)NAN : (double)INFINITY;
        }
    }
}

/* Words whose u is where one token ends and the next begins, so that errors of sums show: of all
 * tokens, whatever top_k and top_p say. */
static void edge_words(conformance_case *made, double words[2], const double *logits, int64_t vocab)
{
    const double temperature = fmax(made->params.sample.temperature, 1e-3);
    const int64_t edge = draw_below(&made->random, vocab);
    double largest = -INFINITY;
    double before = 0.0;
    double total = 0.0;
    for (int64_t j = 0; j < vocab; j++) {
        largest = fmax(largest, logits[j]);
    }
    for (int64_t j = 0; j < vocab && isfinite(largest); j++) {
        total += exp((logits[j] - largest) / temperature);
        before = j < edge ? total : before;
    }
    const double u = total > 0.0 && before < total ? before / total : 0.0;
    const uint64_t bits = (uint64_t)(u * 0x1p53);
    words[0] = (int32_t)(uint32_t)(bits >> 26 << 5);
    words[1] = (int32_t)(uint32_t)(bits << 6);
}

/* Any 32 bits, u at an edge, and now and then the ends of [0, 1). */
static void draw_words(conformance_case *made, double *words, int64_t rows, int64_t vocab)
{
    const double *logits = made->slots[TTM_SAMPLE_LOGITS].values;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t kind = draw_below(&made->random, 12);
        for (int64_t i = 2 * row; i < 2 * row + 2; i++) {
            const uint32_t drawn = ttm_random_u32(&made->random);
            words[i] = (int32_t)(kind == 0 ? UINT32_MAX : (kind == 1 ? 0 : drawn));
        }
        if (kind > 6 && vocab > 0) {
            edge_words(made, words + 2 * row, logits + row * vocab, vocab);
        }
    }
}

/* What isn't written must not look like the token of a row without distribution. */
static ttm_status prepare_tokens(conformance_case *made, double *values, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        values[row] = 1e9 + (double)row;
    }
    slot_shape(made, TTM_SAMPLE_TOKENS, TTM_I32, LAYOUT_ANY, 1, &rows);
    return slot_fill(made, TTM_SAMPLE_TOKENS, values);
}

ttm_status generate_sample(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const int64_t vocab = case_extent(made, ELEMENTS);
    const int64_t most = vocab > 0 ? ELEMENTS / vocab : 3;
    const int64_t rows = case_extent(made, most < MOST_ROWS ? most : MOST_ROWS);
    const int64_t shape[] = {rows, vocab};
    const double shift = case_once_in(made, 3) ? -40.0 : 0.0;
    double *values = calloc(2 * (size_t)rows + 1, sizeof *values);
    ttm_status status = TTM_OK;
    if (values == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a case");
    }
    draw_params(&made->params.sample, made, vocab);
    TTM_TRY_OUT(
        slot_random(made, TTM_SAMPLE_LOGITS, made->dtype, LAYOUT_ANY, shift, 3.0, 2, shape));
    spoil_some(made, made->slots[TTM_SAMPLE_LOGITS].values, rows * vocab);
    spoil_rows(made, made->slots[TTM_SAMPLE_LOGITS].values, vocab > 0 ? rows : 0, vocab);
    draw_words(made, values, rows, vocab);
    slot_shape(made, TTM_SAMPLE_RANDOM, TTM_I32, LAYOUT_ANY, 2, (const int64_t[]){rows, 2});
    TTM_TRY_OUT(slot_fill(made, TTM_SAMPLE_RANDOM, values));
    status = prepare_tokens(made, values, rows);
out:
    free(values);
    return status;
}
