/* Draws a token from logits in host memory, as SAMPLE does on a device. */
#include "model/generator.h"

#include "core/array.h"
#include "core/error.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <ttm/random.h>
#include <ttm/sample_row.h>

ttm_status ttm_sampling_check(const ttm_sampling *sampling, int64_t vocab)
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

/* Says why logits have no token to draw. */
static ttm_status refuse(const float *logits, int64_t vocab)
{
    for (int64_t token = 0; token < vocab; token++) {
        if (isnan(logits[token]) || logits[token] == INFINITY) {
            return ttm_fail(TTM_ERROR_NUMERIC, "the logit of token %" PRId64 " is %s", token,
                            isnan(logits[token]) ? "NaN" : "infinite");
        }
    }
    return ttm_fail(TTM_ERROR_NUMERIC, "all logits are minus infinity");
}

ttm_status ttm_sample(int32_t *token, const float *logits, int64_t vocab,
                      const ttm_sampling *sampling, uint64_t draw)
{
    const ttm_sample_params params = {sampling->temperature, sampling->top_p, sampling->top_k};
    const uint32_t random[2] = {ttm_philox_u32(sampling->seed, 2 * draw),
                                ttm_philox_u32(sampling->seed, 2 * draw + 1)};
    ttm_candidate *candidates = NULL;
    double *wide = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_sampling_check(sampling, vocab));
    TTM_TRY_OUT(ttm_array_new(&candidates, (size_t)vocab, sizeof *candidates, "sampling"));
    TTM_TRY_OUT(ttm_array_new(&wide, (size_t)vocab, sizeof *wide, "sampling"));
    for (int64_t index = 0; index < vocab; index++) {
        wide[index] = (double)logits[index];
    }
    const int32_t drawn = ttm_sample_row(candidates, wide, vocab, &params, random);
    if (drawn < 0) {
        status = refuse(logits, vocab);
        goto out;
    }
    *token = drawn;
out:
    free(wide);
    free(candidates);
    return status;
}
