/* Samples during training: what the model would write now. They leave the training state alone. */
#include "core/array.h"
#include "core/error.h"
#include "train/run.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/generate.h>

/* Tokens of a sample as they come in. Those that only pad the model's vocabulary stand for no text
 * and are left out. */
typedef struct token_list {
    size_t vocab_size;
    int32_t *tokens;
    size_t count;
    size_t capacity;
} token_list;

static bool keep_token(void *user, int32_t token)
{
    token_list *list = user;
    if ((size_t)token < list->vocab_size) {
        list->tokens[list->count++] = token;
    }
    return list->count < list->capacity;
}

/* *tokens [*count] = the prompt: the given text, else the end-of-text token, which begins every
 * document, else a newline. */
static ttm_status encode_prompt(int32_t **tokens, size_t *count, const ttm_trainer *trainer)
{
    const ttm_tokenizer *tokenizer = trainer->setup.tokenizer;
    const char *prompt = trainer->options.sample_prompt;
    const int32_t end_of_text = ttm_tokenizer_end_of_text(tokenizer);
    if (prompt[0] == '\0' && end_of_text >= 0) {
        TTM_TRY(ttm_array_new(tokens, 1, sizeof **tokens, "the sample's prompt"));
        (*tokens)[0] = end_of_text;
        *count = 1;
        return TTM_OK;
    }
    prompt = prompt[0] == '\0' ? "\n" : prompt;
    return ttm_tokenizer_encode(tokens, count, tokenizer, prompt, strlen(prompt), NULL);
}

static ttm_status generate(token_list *list, ttm_trainer *trainer, const int32_t *prompt,
                           size_t prompt_count)
{
    ttm_status status = TTM_OK;
    ttm_generator *generator = NULL;
    const ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    sampling.temperature = trainer->options.sample_temperature;
    sampling.seed = trainer->options.seed + (uint64_t)trainer->state.step;
    TTM_TRY_OUT(ttm_generator_create(&generator, trainer->model, trainer->stream, &options));
    status = ttm_generate(generator, NULL, prompt, prompt_count, trainer->options.sample_tokens,
                          ttm_tokenizer_end_of_text(trainer->setup.tokenizer), &sampling,
                          keep_token, list);
out:
    ttm_generator_destroy(generator);
    return status;
}

ttm_status ttm_trainer_make_sample(ttm_trainer *trainer)
{
    ttm_status status = TTM_OK;
    const ttm_trainer_events *events = &trainer->setup.events;
    int32_t *prompt = NULL;
    size_t prompt_count = 0;
    token_list list = {.capacity = (size_t)trainer->options.sample_tokens};
    char *text = NULL;
    size_t text_bytes = 0;
    if (events->sample == NULL || trainer->setup.tokenizer == NULL) {
        return TTM_OK;
    }
    list.vocab_size = ttm_tokenizer_vocab_size(trainer->setup.tokenizer);
    TTM_TRY_OUT(encode_prompt(&prompt, &prompt_count, trainer));
    TTM_TRY_OUT(ttm_array_new(&list.tokens, list.capacity, sizeof *list.tokens, "a sample"));
    TTM_TRY_OUT(generate(&list, trainer, prompt, prompt_count));
    TTM_TRY_OUT(ttm_tokenizer_decode(&text, &text_bytes, trainer->setup.tokenizer, list.tokens,
                                     list.count));
    events->sample(events->user, trainer->state.step, text, text_bytes);
out:
    free(text);
    free(list.tokens);
    free(prompt);
    return status;
}
