/* Generating text: a key-value cache over a model, and sampling.
 *
 * A generator holds `batch` sequences, each with its own length, and moves all of them on by one
 * token a step. When a sequence has filled the window, its last half becomes the beginning of a
 * new window (keys and values are computed again, because positions are absolute), so generation
 * never ends by itself.
 *
 * A generator is used by one thread at a time and isn't kept over changes of the model's
 * parameters. Logits stay on the device and tokens are drawn there: a step reads back a token a
 * sequence, unless somebody asks for logits. */
#ifndef TTM_GENERATE_H
#define TTM_GENERATE_H

#include <ttm/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Sequences in progress, with the keys and values of their tokens. */
typedef struct ttm_generator ttm_generator;

/** How a generator works. Initialise with TTM_GENERATOR_OPTIONS_INIT. */
typedef struct ttm_generator_options {
    size_t struct_size;
    int64_t batch;  /**< Sequences. Default 1. */
    int64_t window; /**< Most tokens that a sequence looks back on, itself included; at least 2. 0
                       (default): the model's context. */
} ttm_generator_options;

#define TTM_GENERATOR_OPTIONS_INIT                                            \
    {                                                                         \
        .struct_size = sizeof(ttm_generator_options), .batch = 1, .window = 0 \
    }

/** *generator = empty sequences over `model`, whose work is queued on `stream`; both must outlive
 * it. Products with TT-matrices run as the model's options say (`execution`). The caller frees it
 * with ttm_generator_destroy; on failure it is NULL. TTM_ERROR_ARGUMENT, _OUT_OF_MEMORY. */
TTM_API TTM_CHECKED ttm_status ttm_generator_create(ttm_generator **generator, ttm_model *model,
                                                    ttm_stream *stream,
                                                    const ttm_generator_options *options);

/** Waits for the generator's stream and frees the generator; NULL is allowed. */
TTM_API void ttm_generator_destroy(ttm_generator *generator);

/** Begins a sequence with a prompt of `count` ≥ 1 tokens (of a prompt longer than the window only
 * the end is kept: the window less one token). Its logits are then there. TTM_ERROR_ARGUMENT for a
 * token beyond the vocabulary or a sequence that isn't there. */
TTM_API TTM_CHECKED ttm_status ttm_generator_prefill(ttm_generator *generator, int64_t sequence,
                                                     const int32_t *tokens, size_t count);

/** Appends tokens [batch], one to each sequence that was begun, and computes the logits that follow
 * them; a negative token leaves its sequence as it is, together with its logits. Errors as
 * ttm_generator_prefill. */
TTM_API TTM_CHECKED ttm_status ttm_generator_step(ttm_generator *generator, const int32_t *tokens);

/** Returns the logits [vocab] that follow a sequence's last token, in host memory, valid until the
 * next prefill or step; NULL for a sequence that hasn't begun, and where they can't be read
 * (ttm_error_message says why). The first to ask waits for the device and for the copy. */
TTM_API const float *ttm_generator_logits(ttm_generator *generator, int64_t sequence);

/** Returns how many tokens of a sequence are in the window now. */
TTM_API int64_t ttm_generator_length(const ttm_generator *generator, int64_t sequence);

/** How a token is drawn. Initialise with TTM_SAMPLING_INIT. */
typedef struct ttm_sampling {
    size_t struct_size;
    double
        temperature; /**< Logits are divided by it; 0 takes the most probable token. Default 1. */
    int64_t top_k;   /**< Only the k most probable tokens; 0 (default): all. */
    double top_p;  /**< Only the most probable tokens that together reach this probability; default
                      1: all. Applied after top_k. */
    uint64_t seed; /**< Default 0. */
} ttm_sampling;

#define TTM_SAMPLING_INIT                                                                  \
    {                                                                                      \
        .struct_size = sizeof(ttm_sampling), .temperature = 1.0, .top_k = 0, .top_p = 1.0, \
        .seed = 0                                                                          \
    }

/** *token = a token drawn from logits [vocab] with random number `draw` of the seed's stream:
 * the same arguments always give the same token. Of tokens with equal logits the lower one counts
 * as more probable. TTM_ERROR_ARGUMENT for settings out of range, TTM_ERROR_NUMERIC when the logits
 * aren't finite (−∞ is allowed, but not for all), TTM_ERROR_OUT_OF_MEMORY. Thread-safe. */
TTM_API TTM_CHECKED ttm_status ttm_sample(int32_t *token, const float *logits, int64_t vocab,
                                          const ttm_sampling *sampling, uint64_t draw);

/** tokens[i] = a token drawn on the device from the logits that follow sequence i, as ttm_sample
 * draws with random number draws[i], for each i in [0, batch) whose tokens[i] isn't negative; the
 * others stay as they are. So tokens [batch], zeros at first, go from here to ttm_generator_step
 * and back, and a sequence that has ended is set to −1. A token depends on its sequence's logits
 * and draws[i] alone, not on what else is in the batch; sequences with different draws are
 * independent, such as i·2^32 + 0, 1, 2, …. The device's weights are of its own precision: where
 * two tokens meet within rounding it may draw another one than ttm_sample. sampling NULL: its
 * defaults. Errors: those of ttm_sample, and TTM_ERROR_ARGUMENT for a sequence that hasn't begun;
 * tokens are then unchanged. */
TTM_API TTM_CHECKED ttm_status ttm_generator_sample(ttm_generator *generator, int32_t *tokens,
                                                    const ttm_sampling *sampling,
                                                    const uint64_t *draws);

/** Receives each token as it is made; returns false to stop. */
typedef bool (*ttm_generate_sink)(void *user, int32_t token);

/** Continues a prompt (`count` ≥ 1 tokens) in sequence 0 by up to `max_tokens` tokens, each handed
 * to `sink(user, …)`; ends early when the sink returns false or after token `stop` (negative: none)
 * was drawn, which isn't handed over. *generated (may be NULL) = tokens handed over. Draw i uses
 * random number i. Errors: those of ttm_generator_prefill and ttm_sample. */
TTM_API TTM_CHECKED ttm_status ttm_generate(ttm_generator *generator, int64_t *generated,
                                            const int32_t *prompt, size_t count, int64_t max_tokens,
                                            int32_t stop, const ttm_sampling *sampling,
                                            ttm_generate_sink sink, void *user);

#ifdef __cplusplus
}
#endif

#endif
