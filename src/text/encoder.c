/* From text to tokens: split into pieces, look each one up, merge those that are no token. */
#include "text/encoder.h"

#include "text/options.h"
#include "text/text_scan.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

ttm_status ttm_encoder_begin(ttm_encoder *encoder, const ttm_tokenizer *tokenizer)
{
    *encoder = (ttm_encoder){.vocabulary = &tokenizer->vocabulary};
    return tokenizer->splitter == NULL ? TTM_OK
                                       : ttm_split_begin(&encoder->split, tokenizer->splitter);
}

void ttm_encoder_end(ttm_encoder *encoder)
{
    if (encoder->split.match != NULL) {
        ttm_split_end(&encoder->split);
    }
    ttm_merge_space_free(&encoder->space);
}

static ttm_status encode_bytes(ttm_token_buffer *out, const ttm_vocabulary *vocabulary,
                               const char *text, size_t bytes)
{
    TTM_TRY(ttm_token_buffer_reserve(out, bytes));
    for (size_t i = 0; i < bytes; i++) {
        out->tokens[out->count + i] = vocabulary->of_byte[(unsigned char)text[i]];
    }
    out->count += bytes;
    return TTM_OK;
}

static ttm_status encode_piece(ttm_token_buffer *out, ttm_encoder *encoder, const char *piece,
                               size_t bytes)
{
    int32_t whole = ttm_vocabulary_find(encoder->vocabulary, piece, bytes);
    if (whole >= 0) {
        return ttm_token_buffer_add(out, whole);
    }
    return ttm_merge_bytes(out, encoder->vocabulary, &encoder->space, (const unsigned char *)piece,
                           bytes);
}

/** Returns whether a token consists of spaces, tabs and line feeds. */
static bool is_blank(const ttm_vocabulary *vocabulary, int32_t token)
{
    const unsigned char *bytes = ttm_vocabulary_bytes(vocabulary, token);
    for (size_t i = 0; i < vocabulary->entries[token].length; i++) {
        if (bytes[i] != ' ' && bytes[i] != '\n' && bytes[i] != '\t') {
            return false;
        }
    }
    return true;
}

/** Encodes text that is valid UTF-8 only up to `valid`, as tiktoken does: the last piece of the
 * valid part (where that begins with a blank token, with all blank tokens before it) and everything
 * after it are one piece. `first` is the number of tokens before this text, `last_piece` the number
 * before its last piece. */
static ttm_status encode_broken_end(ttm_token_buffer *out, ttm_encoder *encoder, const char *text,
                                    size_t bytes, size_t valid, size_t first, size_t last_piece)
{
    size_t kept = last_piece;
    if (kept < out->count && is_blank(encoder->vocabulary, out->tokens[kept])) {
        while (kept > first && is_blank(encoder->vocabulary, out->tokens[kept - 1])) {
            kept--;
        }
    }
    size_t start = valid;
    while (out->count > kept) {
        start -= encoder->vocabulary->entries[out->tokens[--out->count]].length;
    }
    return encode_piece(out, encoder, text + start, bytes - start);
}

/** Encodes text in which nothing is special. */
static ttm_status encode_ordinary(ttm_token_buffer *out, ttm_encoder *encoder, const char *text,
                                  size_t bytes)
{
    if (encoder->split.match == NULL) {
        return encode_bytes(out, encoder->vocabulary, text, bytes);
    }
    size_t valid = ttm_text_valid_bytes(text, bytes);
    size_t first = out->count;
    size_t last_piece = out->count;
    size_t end = 0;
    for (size_t start = 0; start < valid; start = end) {
        TTM_TRY(ttm_split_next(&end, &encoder->split, text, valid, start));
        last_piece = out->count;
        TTM_TRY(encode_piece(out, encoder, text + start, end - start));
    }
    return valid == bytes ? TTM_OK
                          : encode_broken_end(out, encoder, text, bytes, valid, first, last_piece);
}

ttm_status ttm_encoder_text(ttm_token_buffer *out, ttm_encoder *encoder, const char *text,
                            size_t bytes)
{
    const size_t mark_bytes = strlen(TTM_END_OF_TEXT);
    int32_t end_of_text = encoder->vocabulary->end_of_text;
    while (encoder->special_tokens && end_of_text >= 0 && bytes > 0) {
        const char *mark = memmem(text, bytes, TTM_END_OF_TEXT, mark_bytes);
        if (mark == NULL) {
            break;
        }
        size_t before = (size_t)(mark - text);
        TTM_TRY(encode_ordinary(out, encoder, text, before));
        TTM_TRY(ttm_token_buffer_add(out, end_of_text));
        text = mark + mark_bytes;
        bytes -= before + mark_bytes;
    }
    return encode_ordinary(out, encoder, text, bytes);
}

ttm_status ttm_tokenizer_encode(int32_t **tokens, size_t *token_count,
                                const ttm_tokenizer *tokenizer, const char *text, size_t text_bytes,
                                const ttm_encode_options *options)
{
    *tokens = NULL;
    *token_count = 0;
    TTM_TRY(ttm_options_check(options == NULL ? NULL : &options->struct_size, sizeof *options,
                              "TTM_ENCODE_OPTIONS_INIT"));
    ttm_encoder encoder;
    ttm_token_buffer buffer = {0};
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_encoder_begin(&encoder, tokenizer));
    /* English takes a token for some four bytes; growing covers the rest. */
    TTM_TRY_OUT(ttm_token_buffer_reserve(&buffer, text_bytes / 4 + 1));
    encoder.special_tokens = options != NULL && options->special_tokens;
    TTM_TRY_OUT(ttm_encoder_text(&buffer, &encoder, text, text_bytes));
    *tokens = buffer.tokens;
    *token_count = buffer.count;
    buffer.tokens = NULL;
out:
    free(buffer.tokens);
    ttm_encoder_end(&encoder);
    return status;
}
