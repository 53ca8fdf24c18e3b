/* libFuzzer target: any bytes as text. A vocabulary is learnt from the first half; the encoding of
 * the whole must decode back, be the one that merging by definition gives wherever pieces are long
 * or short, and not depend on how a dataset cuts the text. */
#include "text/encoder.h"
#include "text/text_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/log.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static ttm_tokenizer *learn(const uint8_t *data, size_t bytes)
{
    char path[] = "/tmp/ttm-fuzz-XXXXXX";
    const char *name = path;
    int descriptor = mkstemp(path);
    if (descriptor < 0 || write(descriptor, data, bytes) != (ssize_t)bytes) {
        abort();
    }
    close(descriptor);
    ttm_tokenizer_train_options options = TTM_TOKENIZER_TRAIN_OPTIONS_INIT;
    options.vocab_size = 300;
    options.threads = 1;
    ttm_tokenizer *tokenizer = NULL;
    if (ttm_tokenizer_train(&tokenizer, &name, 1, &options) != TTM_OK) {
        tokenizer = NULL;
    }
    unlink(path);
    return tokenizer;
}

/** Aborts when the tokens still hold a pair that could have been merged within a piece of `bytes`
 * as one. */
static void check_piece(const ttm_tokenizer *tokenizer, const uint8_t *data, size_t bytes)
{
    ttm_merge_space space = {0};
    ttm_token_buffer tokens = {0};
    if (ttm_merge_bytes(&tokens, &tokenizer->vocabulary, &space, data, bytes) != TTM_OK) {
        abort();
    }
    for (size_t i = 0; i + 1 < tokens.count; i++) {
        uint64_t key = ttm_pair_key(tokens.tokens[i], tokens.tokens[i + 1]);
        if (ttm_pair_map_find(&tokenizer->vocabulary.ranks, key) != TTM_PAIR_ABSENT) {
            abort();
        }
    }
    free(tokens.tokens);
    ttm_merge_space_free(&space);
}

/** Aborts when encoding in small chunks gives other tokens. Only valid text promises that. */
static void check_chunks(const ttm_tokenizer *tokenizer, const char *text, size_t bytes,
                         const int32_t *expected, size_t expected_count)
{
    ttm_encoder encoder;
    ttm_token_buffer tokens = {0};
    if (ttm_encoder_begin(&encoder, tokenizer) != TTM_OK) {
        abort();
    }
    for (size_t start = 0; start < bytes;) {
        size_t chunk = ttm_text_chunk(text + start, bytes - start, 1 + start % 7);
        if (ttm_encoder_text(&tokens, &encoder, text + start, chunk) != TTM_OK) {
            abort();
        }
        start += chunk;
    }
    if (tokens.count != expected_count ||
        (expected_count > 0 &&
         memcmp(tokens.tokens, expected, expected_count * sizeof *expected) != 0)) {
        abort();
    }
    free(tokens.tokens);
    ttm_encoder_end(&encoder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    ttm_log_set_level(TTM_LOG_ERROR);
    ttm_tokenizer *tokenizer = learn(data, bytes / 2);
    if (tokenizer == NULL) {
        return 0;
    }
    int32_t *tokens = NULL;
    size_t count = 0;
    char *text = NULL;
    size_t text_bytes = 0;
    if (ttm_tokenizer_encode(&tokens, &count, tokenizer, (const char *)data, bytes, NULL) !=
            TTM_OK ||
        ttm_tokenizer_decode(&text, &text_bytes, tokenizer, tokens, count) != TTM_OK ||
        text_bytes != bytes || memcmp(text, data, bytes) != 0) {
        abort();
    }
    check_piece(tokenizer, data, bytes);
    if (ttm_text_valid_bytes(text, bytes) == bytes) {
        check_chunks(tokenizer, text, bytes, tokens, count);
    }
    free(tokens);
    free(text);
    ttm_tokenizer_close(tokenizer);
    return 0;
}
