/* What comes out of a generator: tokens, drawn where the logits are, and logits for those who ask.
 */
#include "model/generator.h"

#include "core/array.h"
#include "core/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <ttm/compute.h>
#include <ttm/random.h>

/* Reads the logits of a sequence into logits_on_host. */
static ttm_status read_logits(ttm_generator *generator, int64_t sequence)
{
    const int64_t vocab = generator->model->config.vocab_size;
    const ttm_tensor logits = ttm_tensor_slice(&generator->logits, 0, sequence, 1);
    double *wide = NULL;
    ttm_status status = TTM_OK;
    if (generator->logits_on_host == NULL) {
        TTM_TRY(ttm_array_new(&generator->logits_on_host, (size_t)generator->batch * (size_t)vocab,
                              sizeof(float), "logits"));
    }
    float *kept = generator->logits_on_host + sequence * vocab;
    if (logits.dtype == TTM_F32) {
        return ttm_tensor_read(generator->stream, kept, &logits);
    }
    TTM_TRY(ttm_array_new(&wide, (size_t)vocab, sizeof *wide, "logits"));
    TTM_TRY_OUT(ttm_tensor_read(generator->stream, wide, &logits));
    for (int64_t token = 0; token < vocab; token++) {
        kept[token] = (float)wide[token];
    }
out:
    free(wide);
    return status;
}

const float *ttm_generator_logits(ttm_generator *generator, int64_t sequence)
{
    if (sequence < 0 || sequence >= generator->batch || generator->lengths[sequence] == 0) {
        return NULL;
    }
    if (!generator->logits_are_known[sequence]) {
        if (read_logits(generator, sequence) != TTM_OK) {
            return NULL;
        }
        generator->logits_are_known[sequence] = true;
    }
    return generator->logits_on_host + sequence * generator->model->config.vocab_size;
}

/* Says why a sequence has no token: the host looks at its logits. */
static ttm_status refuse(ttm_generator *generator, int64_t sequence, const ttm_sampling *sampling)
{
    const float *logits = ttm_generator_logits(generator, sequence);
    int32_t token = 0;
    if (logits == NULL) {
        return ttm_fail_context(TTM_ERROR_NUMERIC,
                                "reading logits that no token can be drawn from");
    }
    TTM_TRY(ttm_sample(&token, logits, generator->model->config.vocab_size, sampling, 0));
    return ttm_fail(TTM_ERROR_INTERNAL,
                    "no token was drawn for sequence %" PRId64 ", though its logits are finite",
                    sequence);
}

/* The random words of the sequences that want a token, one behind the other; returns how many. */
static int64_t draw_words(ttm_generator *generator, const int32_t *tokens, uint64_t seed,
                          const uint64_t *draws)
{
    int64_t rows = 0;
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] >= 0) {
            int32_t *words = generator->random_words + 2 * rows++;
            words[0] = (int32_t)ttm_philox_u32(seed, 2 * draws[sequence]);
            words[1] = (int32_t)ttm_philox_u32(seed, 2 * draws[sequence] + 1);
        }
    }
    return rows;
}

/* Draws for each run of neighbouring sequences that want a token. */
static ttm_status draw_tokens(ttm_generator *generator, const int32_t *tokens,
                              const ttm_sample_params *params)
{
    int64_t first = 0;
    int64_t row = 0;
    while (first < generator->batch) {
        int64_t end = first;
        while (end < generator->batch && tokens[end] >= 0) {
            end++;
        }
        if (end > first) {
            const int64_t count = end - first;
            const ttm_tensor drawn = ttm_tensor_at1(&generator->drawn, row, count);
            const ttm_tensor logits = ttm_tensor_slice(&generator->logits, 0, first, count);
            const ttm_tensor random = ttm_tensor_slice(&generator->random, 0, row, count);
            TTM_TRY(ttm_sample_rows(generator->stream, &drawn, &logits, &random, params));
            row += count;
        }
        first = end + 1; /* The sequence at `end` wants none. */
    }
    return TTM_OK;
}

/* Hands the tokens drawn to their sequences, if all have one. */
static ttm_status hand_out(ttm_generator *generator, int32_t *tokens, const ttm_sampling *sampling)
{
    for (int64_t sequence = 0, row = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] >= 0 && generator->drawn_tokens[row++] < 0) {
            return refuse(generator, sequence, sampling);
        }
    }
    for (int64_t sequence = 0, row = 0; sequence < generator->batch; sequence++) {
        tokens[sequence] =
            tokens[sequence] >= 0 ? generator->drawn_tokens[row++] : tokens[sequence];
    }
    return TTM_OK;
}

ttm_status ttm_generator_sample(ttm_generator *generator, int32_t *tokens,
                                const ttm_sampling *sampling, const uint64_t *draws)
{
    const ttm_sampling defaults = TTM_SAMPLING_INIT;
    sampling = sampling != NULL ? sampling : &defaults;
    const ttm_sample_params params = {sampling->temperature, sampling->top_p, sampling->top_k};
    TTM_TRY(ttm_sampling_check(sampling, generator->model->config.vocab_size));
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] >= 0 && generator->lengths[sequence] == 0) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "sequence %" PRId64 " hasn't begun: give it a prompt first", sequence);
        }
    }
    const int64_t rows = draw_words(generator, tokens, sampling->seed, draws);
    if (rows == 0) {
        return TTM_OK;
    }
    const ttm_tensor random = ttm_tensor_slice(&generator->random, 0, 0, rows);
    const ttm_tensor drawn = ttm_tensor_at1(&generator->drawn, 0, rows);
    generator->drawn_count = 0;
    ttm_stream_set_label(generator->stream, "sample");
    TTM_TRY(ttm_tensor_write(generator->stream, &random, generator->random_words));
    TTM_TRY(draw_tokens(generator, tokens, &params));
    ttm_stream_set_label(generator->stream, NULL);
    TTM_TRY(ttm_tensor_read(generator->stream, generator->drawn_tokens, &drawn));
    generator->drawn_count = rows;
    return hand_out(generator, tokens, sampling);
}
