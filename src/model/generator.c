/* Generation with a key-value cache.
 *
 * The cache is a tensor [2, batch, heads, window, head_size] for each layer, keys and values: one
 * copy a layer puts both there, since a launch costs a GPU more than the copy of a token. Products
 * run over all sequences at once; what depends on a sequence's length (positions, attention) runs
 * over spans of neighbouring sequences of equal length.
 *
 * Logits stay on the device, where tokens are drawn (generator_sample.c), and the next step reads
 * these there: of a step only tokens come down. */
#include "model/generator.h"

#include "core/array.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "model/forward.h"
#include "model/product.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Which sequences a pass is over: `count` from `first` on, each with `length` tokens in the cache
 * already. */
typedef struct span {
    int64_t first;
    int64_t count;
    int64_t length;
} span;

static ttm_status allocate_cache(ttm_generator *generator, ttm_dtype dtype, const int64_t shape[5])
{
    ttm_device *device = generator->model->device;
    const size_t count = (size_t)generator->model->config.layers;
    const ttm_tensor described = ttm_tensor_describe(dtype, 5, shape);
    TTM_TRY(ttm_device_allocation_check(
        device, (uint64_t)ttm_tensor_count(&described) * ttm_dtype_bytes(dtype),
        "the keys and values of a layer", "use fewer sequences or a shorter window"));
    TTM_TRY(ttm_array_new(&generator->cache, count, sizeof *generator->cache, "a generator"));
    for (size_t index = 0; index < count; index++) {
        TTM_TRY(ttm_tensor_alloc(&generator->cache[index], device, dtype, 5, shape));
    }
    return TTM_OK;
}

/* Logits, and what tokens are drawn with. */
static ttm_status allocate_sampling(ttm_generator *generator)
{
    const ttm_model *model = generator->model;
    const size_t batch = (size_t)generator->batch;
    const int64_t logits_shape[2] = {generator->batch, model->config.vocab_size};
    const int64_t random_shape[2] = {generator->batch, 2};
    TTM_TRY(
        ttm_tensor_alloc(&generator->logits, model->device, model->master_dtype, 2, logits_shape));
    TTM_TRY(ttm_tensor_alloc(&generator->random, model->device, TTM_I32, 2, random_shape));
    TTM_TRY(ttm_tensor_alloc(&generator->drawn, model->device, TTM_I32, 1, &generator->batch));
    TTM_TRY(ttm_array_new(&generator->logits_are_known, batch, sizeof(bool), "a generator"));
    TTM_TRY(ttm_array_new(&generator->random_words, 2 * batch, sizeof(int32_t), "a generator"));
    return ttm_array_new(&generator->drawn_tokens, batch, sizeof(int32_t), "a generator");
}

static ttm_status allocate(ttm_generator *generator)
{
    const ttm_gpt2_config *config = &generator->model->config;
    const size_t batch = (size_t)generator->batch;
    const ttm_dtype dtype = generator->model->options.dtype;
    const int64_t shape[5] = {2, generator->batch, config->heads, generator->window,
                              config->width / config->heads};
    int64_t token_count = 0;
    if (__builtin_mul_overflow(generator->batch, generator->window, &token_count) ||
        token_count > INT32_MAX) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%" PRId64 " sequences with a window of %" PRId64 " tokens are too many",
                        generator->batch, generator->window);
    }
    TTM_TRY(allocate_cache(generator, dtype, shape));
    TTM_TRY(
        ttm_tensor_alloc(&generator->tokens, generator->model->device, TTM_I32, 1, &token_count));
    TTM_TRY(ttm_array_new(&generator->lengths, batch, sizeof(int64_t), "a generator"));
    TTM_TRY(
        ttm_array_new(&generator->history, (size_t)token_count, sizeof(int32_t), "a generator"));
    TTM_TRY(ttm_array_new(&generator->next, batch, sizeof(int32_t), "a generator"));
    return allocate_sampling(generator);
}

ttm_status ttm_generator_create(ttm_generator **generator, ttm_model *model, ttm_stream *stream,
                                const ttm_generator_options *options)
{
    const ttm_generator_options defaults = TTM_GENERATOR_OPTIONS_INIT;
    const int64_t context = model->config.context;
    ttm_generator *made = NULL;
    *generator = NULL;
    options = options != NULL ? options : &defaults;
    const int64_t window = options->window > 0 ? options->window : context;
    if (options->batch < 1) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a generator needs at least 1 sequence, not %" PRId64,
                        options->batch);
    }
    if (window < 2 || window > context) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a generator's window must be from 2 to the model's context of %" PRId64
                        " tokens, not %" PRId64,
                        context, window);
    }
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a generator"));
    made->model = model;
    made->stream = stream;
    made->batch = options->batch;
    made->window = window;
    const ttm_status status = allocate(made);
    if (status != TTM_OK) {
        ttm_generator_destroy(made);
        return ttm_fail_context(status, "a generator");
    }
    *generator = made;
    return TTM_OK;
}

void ttm_generator_destroy(ttm_generator *generator)
{
    if (generator == NULL) {
        return;
    }
    /* A device may be at a prompt that nobody asked for a token of. */
    ttm_stream_drain(generator->stream);
    const size_t cached = (size_t)generator->model->config.layers;
    for (size_t index = 0; generator->cache != NULL && index < cached; index++) {
        ttm_tensor_free(&generator->cache[index], generator->model->device);
    }
    free(generator->cache);
    ttm_tensor_free(&generator->tokens, generator->model->device);
    ttm_tensor_free(&generator->logits, generator->model->device);
    ttm_tensor_free(&generator->random, generator->model->device);
    ttm_tensor_free(&generator->drawn, generator->model->device);
    free(generator->lengths);
    free(generator->history);
    free(generator->next);
    free(generator->logits_on_host);
    free(generator->logits_are_known);
    free(generator->random_words);
    free(generator->drawn_tokens);
    free(generator);
}

/* Returns the places of the next `count` positions in a layer's cache:
 * [2, sequences, heads, count, head_size]. */
static ttm_tensor next_places(const ttm_generator *generator, int64_t layer, span which,
                              int64_t count)
{
    const ttm_tensor view = ttm_tensor_slice(&generator->cache[layer], 1, which.first, which.count);
    return ttm_tensor_slice(&view, 3, which.length, count);
}

/* Returns all that a layer's cache holds of a span, keys (part 0) or values (part 1):
 * [sequences, heads, count, head_size]. */
static ttm_tensor cached_part(const ttm_generator *generator, int64_t layer, int64_t part,
                              span which, int64_t count)
{
    const ttm_tensor *cache = &generator->cache[layer];
    const int64_t start = part * (ttm_tensor_count(cache) / 2);
    const ttm_tensor whole = ttm_tensor_view(cache, start, cache->dtype, 4, cache->shape + 1);
    const ttm_tensor view = ttm_tensor_slice(&whole, 0, which.first, which.count);
    return ttm_tensor_slice(&view, 2, 0, count);
}

/* Returns keys and values of a pass: [2, batch, heads, seq, head_size]. */
static ttm_tensor new_keys_and_values(const ttm_pass *pass, const ttm_tensor *qkv)
{
    const ttm_gpt2_config *config = &pass->model->config;
    const int64_t shape[3] = {pass->batch, pass->seq, qkv->shape[1]};
    ttm_tensor view = ttm_tensor_reshape(qkv, 3, shape);
    view = ttm_tensor_slice(&view, 2, config->width, 2 * config->width);
    view = ttm_tensor_split(&view, 2, 2, config->width);
    view = ttm_tensor_split(&view, 3, config->heads, config->width / config->heads);
    view = ttm_tensor_transpose(&view, 0, 2); /* [2, seq, batch, heads, head_size] */
    view = ttm_tensor_transpose(&view, 1, 2);
    return ttm_tensor_transpose(&view, 2, 3);
}

/* Puts the new keys and values of a span into the cache and lets its queries look at all that is
 * cached. `row` is the first sequence's row in the pass. */
static ttm_status attend(const ttm_generator *generator, const ttm_pass *pass, int64_t layer,
                         span which, int64_t row)
{
    const ttm_layer_activations *buffers = &pass->layers[layer];
    const ttm_attention_params params = ttm_pass_attention(pass, layer);
    const ttm_tensor queries = ttm_pass_heads(pass, &buffers->qkv, 0);
    const ttm_tensor outputs = ttm_pass_heads(pass, &buffers->attention, 0);
    const ttm_tensor query = ttm_tensor_slice(&queries, 0, row, which.count);
    const ttm_tensor output = ttm_tensor_slice(&outputs, 0, row, which.count);
    const ttm_tensor new_ones = new_keys_and_values(pass, &buffers->qkv);
    const ttm_tensor source = ttm_tensor_slice(&new_ones, 1, row, which.count);
    const ttm_tensor places = next_places(generator, layer, which, pass->seq);
    TTM_TRY(ttm_copy(pass->stream, &places, &source));
    const int64_t length = which.length + pass->seq;
    const ttm_tensor keys = cached_part(generator, layer, 0, which, length);
    const ttm_tensor values = cached_part(generator, layer, 1, which, length);
    return ttm_pass_attend(pass, &output, NULL, &query, &keys, &values, &params);
}

static ttm_status embed(const ttm_generator *generator, const ttm_pass *pass,
                        const ttm_tensor *all_tokens, span which, int64_t row)
{
    const ttm_model *model = generator->model;
    const int64_t count = which.count * pass->seq;
    const ttm_tensor tokens = ttm_tensor_at1(all_tokens, row * pass->seq, count);
    const ttm_tensor out = ttm_tensor_slice(&pass->first_input, 0, row * pass->seq, count);
    return ttm_embedding(pass->stream, &out, &tokens, &model->token_embedding,
                         &model->position_embedding, pass->seq, which.length);
}

/* Runs the model over the tokens of spans[count], one behind the other in the rows of the pass, up
 * to normed. */
static ttm_status run_layers(const ttm_generator *generator, const ttm_pass *pass,
                             const ttm_tensor *tokens, const span *spans, int64_t count)
{
    ttm_stream_set_label(pass->stream, "embedding");
    for (int64_t index = 0, row = 0; index < count; row += spans[index++].count) {
        TTM_TRY(embed(generator, pass, tokens, spans[index], row));
    }
    for (int64_t layer = 0; layer < generator->model->config.layers; layer++) {
        ttm_stream_set_layer(pass->stream, layer);
        TTM_TRY(ttm_forward_qkv(pass, layer));
        ttm_stream_set_label(pass->stream, "attention");
        for (int64_t index = 0, row = 0; index < count; row += spans[index++].count) {
            TTM_TRY(attend(generator, pass, layer, spans[index], row));
        }
        TTM_TRY(ttm_forward_attention_branch(pass, layer));
        TTM_TRY(ttm_forward_mlp(pass, layer));
    }
    ttm_stream_set_layer(pass->stream, -1);
    return ttm_forward_final_norm(pass);
}

/* Computes the logits of the last rows of a pass, which are those of sequences first … first + rows
 * − 1, in their place. */
static ttm_status compute_logits(ttm_generator *generator, const ttm_pass *pass, int64_t first,
                                 int64_t rows)
{
    const ttm_tensor hidden = ttm_tensor_slice(&pass->normed, 0, pass->rows - rows, rows);
    const ttm_tensor logits = ttm_tensor_slice(&generator->logits, 0, first, rows);
    memset(generator->logits_are_known + first, 0, (size_t)rows * sizeof(bool));
    TTM_TRY(ttm_forward_logits(pass, &logits, &hidden));
    ttm_stream_set_label(pass->stream, NULL);
    return TTM_OK;
}

/* The same for spans of sequences with others between them: one product, and copies. */
static ttm_status compute_scattered_logits(ttm_generator *generator, const ttm_pass *pass,
                                           const span *spans, int64_t span_count)
{
    const ttm_tensor logits = ttm_tensor_slice(&pass->logits, 0, 0, pass->rows);
    TTM_TRY(ttm_forward_logits(pass, &logits, &pass->normed));
    for (int64_t index = 0, row = 0; index < span_count; row += spans[index++].count) {
        const span *to = &spans[index];
        const ttm_tensor place = ttm_tensor_slice(&generator->logits, 0, to->first, to->count);
        const ttm_tensor made = ttm_tensor_slice(&logits, 0, row, to->count);
        memset(generator->logits_are_known + to->first, 0, (size_t)to->count * sizeof(bool));
        TTM_TRY(ttm_copy(pass->stream, &place, &made));
    }
    ttm_stream_set_label(pass->stream, NULL);
    return TTM_OK;
}

static ttm_status check_sequence(const ttm_generator *generator, int64_t sequence)
{
    if (sequence < 0 || sequence >= generator->batch) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "there is no sequence %" PRId64 ": the generator has %" PRId64, sequence,
                        generator->batch);
    }
    return TTM_OK;
}

static ttm_status check_token(const ttm_generator *generator, int32_t token)
{
    const int64_t vocab = generator->model->config.vocab_size;
    if (token < 0 || token >= vocab) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "token %" PRId32 " is beyond the model's vocabulary of %" PRId64
                        " tokens: does the tokenizer belong to the model?",
                        token, vocab);
    }
    return TTM_OK;
}

/* Computes keys, values and logits of a sequence's history from the start. */
static ttm_status refill(ttm_generator *generator, int64_t sequence, int64_t length)
{
    const span whole = {.first = sequence, .count = 1, .length = 0};
    const ttm_tensor tokens = ttm_tensor_at1(&generator->tokens, 0, length);
    ttm_pass pass;
    generator->lengths[sequence] = 0;
    TTM_TRY(ttm_tensor_write(generator->stream, &tokens,
                             generator->history + sequence * generator->window));
    TTM_TRY(ttm_pass_begin(&pass, generator->model, generator->stream, false, 1, length, 1));
    TTM_TRY(run_layers(generator, &pass, &tokens, &whole, 1));
    TTM_TRY(compute_logits(generator, &pass, sequence, 1));
    generator->lengths[sequence] = length;
    return TTM_OK;
}

ttm_status ttm_generator_prefill(ttm_generator *generator, int64_t sequence, const int32_t *tokens,
                                 size_t count)
{
    const size_t most = (size_t)generator->window - 1;
    TTM_TRY(check_sequence(generator, sequence));
    if (count == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a prompt needs at least one token");
    }
    for (size_t index = 0; index < count; index++) {
        TTM_TRY(check_token(generator, tokens[index]));
    }
    const size_t kept = count < most ? count : most;
    memcpy(generator->history + sequence * generator->window, tokens + (count - kept),
           kept * sizeof *tokens);
    return refill(generator, sequence, (int64_t)kept);
}

/* Makes room in a full window by keeping its last half. */
static ttm_status slide(ttm_generator *generator, int64_t sequence)
{
    int32_t *history = generator->history + sequence * generator->window;
    const int64_t kept = generator->window / 2;
    memmove(history, history + generator->window - kept, (size_t)kept * sizeof *history);
    return refill(generator, sequence, kept);
}

/* Gathers the sequences that move on: their tokens in generator->next, neighbours of one length in
 * one span. Returns how many there are. */
static int64_t gather(ttm_generator *generator, span *spans, int64_t *span_count,
                      const int32_t *tokens)
{
    int64_t rows = 0;
    *span_count = 0;
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        const int64_t length = generator->lengths[sequence];
        span *last = *span_count > 0 ? &spans[*span_count - 1] : NULL;
        if (tokens[sequence] < 0) {
            continue;
        }
        generator->next[rows++] = tokens[sequence];
        if (last != NULL && last->length == length && last->first + last->count == sequence) {
            last->count++;
        } else {
            const span begun = {.first = sequence, .count = 1, .length = length};
            spans[(*span_count)++] = begun;
        }
    }
    return rows;
}

/* *tokens = generator->next[rows] on the device: what was drawn there last, if it is that. */
static ttm_status place_tokens(ttm_tensor *tokens, ttm_generator *generator, int64_t rows)
{
    const size_t bytes = (size_t)rows * sizeof(int32_t);
    if (rows == generator->drawn_count &&
        memcmp(generator->next, generator->drawn_tokens, bytes) == 0) {
        *tokens = ttm_tensor_at1(&generator->drawn, 0, rows);
        return TTM_OK;
    }
    *tokens = ttm_tensor_at1(&generator->tokens, 0, rows);
    return ttm_tensor_write(generator->stream, tokens, generator->next);
}

static ttm_status step_gathered(ttm_generator *generator, const span *spans, int64_t span_count,
                                int64_t rows)
{
    const span *last = &spans[span_count - 1];
    const bool neighbours = last->first + last->count - spans[0].first == rows;
    ttm_tensor tokens;
    ttm_pass pass;
    TTM_TRY(place_tokens(&tokens, generator, rows));
    TTM_TRY(ttm_pass_begin(&pass, generator->model, generator->stream, false, rows, 1,
                           neighbours ? 1 : rows));
    TTM_TRY(run_layers(generator, &pass, &tokens, spans, span_count));
    return neighbours ? compute_logits(generator, &pass, spans[0].first, rows)
                      : compute_scattered_logits(generator, &pass, spans, span_count);
}

static ttm_status check_step(const ttm_generator *generator, const int32_t *tokens)
{
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] < 0) {
            continue;
        }
        TTM_TRY(check_token(generator, tokens[sequence]));
        if (generator->lengths[sequence] == 0) {
            return ttm_fail(TTM_ERROR_ARGUMENT,
                            "sequence %" PRId64 " hasn't begun: give it a prompt first", sequence);
        }
    }
    return TTM_OK;
}

ttm_status ttm_generator_step(ttm_generator *generator, const int32_t *tokens)
{
    span *spans = NULL;
    int64_t span_count = 0;
    ttm_status status = TTM_OK;
    TTM_TRY(check_step(generator, tokens));
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] >= 0 && generator->lengths[sequence] == generator->window) {
            TTM_TRY(slide(generator, sequence));
        }
    }
    TTM_TRY(ttm_array_new(&spans, (size_t)generator->batch, sizeof *spans, "a generator's step"));
    const int64_t rows = gather(generator, spans, &span_count, tokens);
    if (rows > 0) {
        TTM_TRY_OUT(step_gathered(generator, spans, span_count, rows));
    }
    for (int64_t sequence = 0; sequence < generator->batch; sequence++) {
        if (tokens[sequence] >= 0) {
            int64_t *length = &generator->lengths[sequence];
            generator->history[sequence * generator->window + *length] = tokens[sequence];
            (*length)++;
        }
    }
out:
    free(spans);
    return status;
}

int64_t ttm_generator_length(const ttm_generator *generator, int64_t sequence)
{
    return sequence < 0 || sequence >= generator->batch ? 0 : generator->lengths[sequence];
}
