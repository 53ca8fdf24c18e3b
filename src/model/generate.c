/* The loop that continues a prompt. */
#include "model/generator.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>

ttm_status ttm_generate(ttm_generator *generator, int64_t *generated, const int32_t *prompt,
                        size_t count, int64_t max_tokens, int32_t stop,
                        const ttm_sampling *sampling, ttm_generate_sink sink, void *user)
{
    const ttm_sampling defaults = TTM_SAMPLING_INIT;
    const int64_t vocab = generator->model->config.vocab_size;
    int32_t *tokens = NULL; /* one a sequence: only the first moves on */
    int64_t made = 0;
    ttm_status status = TTM_OK;
    sampling = sampling != NULL ? sampling : &defaults;
    TTM_TRY_OUT(ttm_array_new(&tokens, (size_t)generator->batch, sizeof *tokens, "generation"));
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        tokens[sequence] = -1;
    }
    TTM_TRY_OUT(ttm_generator_prefill(generator, 0, prompt, count));
    while (made < max_tokens) {
        TTM_TRY_OUT(ttm_sample(&tokens[0], ttm_generator_logits(generator, 0), vocab, sampling,
                               (uint64_t)made));
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
    free(tokens);
    return status;
}
