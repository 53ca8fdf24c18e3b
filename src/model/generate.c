/* The loop that continues a prompt. */
#include "model/generator.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>

ttm_status ttm_generate(ttm_generator *generator, int64_t *generated, const int32_t *prompt,
                        size_t count, int64_t max_tokens, int32_t stop,
                        const ttm_sampling *sampling, ttm_generate_sink sink, void *user)
{
    int32_t *tokens = NULL; /* one a sequence: only the first moves on */
    uint64_t *draws = NULL;
    int64_t made = 0;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&tokens, (size_t)generator->batch, sizeof *tokens, "generation"));
    TTM_TRY_OUT(ttm_array_new(&draws, (size_t)generator->batch, sizeof *draws, "generation"));
    for (int64_t sequence = 1; sequence < generator->batch; sequence++) {
        tokens[sequence] = -1;
    }
    TTM_TRY_OUT(ttm_generator_prefill(generator, 0, prompt, count));
    while (made < max_tokens) {
        draws[0] = (uint64_t)made;
        TTM_TRY_OUT(ttm_generator_sample(generator, tokens, sampling, draws));
        if (stop >= 0 && tokens[0] == stop) {
            break;
        }
        made++;
        if (!sink(user, tokens[0]) || made == max_tokens) {
            break;
        }
        TTM_TRY_OUT(ttm_generator_step(generator, tokens));
    }
out:
    if (generated != NULL) {
        *generated = made;
    }
    free(draws);
    free(tokens);
    return status;
}
