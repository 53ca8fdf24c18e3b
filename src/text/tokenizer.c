/* The tokenizer object: its parts, its fingerprint, and decoding. Encoding is in encoder.c. */
#include "text/tokenizer.h"

#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include <stdlib.h>
#include <string.h>

/** Hashes what encoding and decoding depend on, in an order that no file format has a say in. */
static void take_fingerprint(ttm_tokenizer *tokenizer)
{
    const ttm_vocabulary *vocabulary = &tokenizer->vocabulary;
    ttm_fingerprint fingerprint;
    ttm_fingerprint_begin(&fingerprint);
    const char *split = vocabulary->merge_count > 0 ? "gpt2" : "none";
    ttm_fingerprint_add(&fingerprint, split, strlen(split));
    ttm_fingerprint_add_number(&fingerprint, vocabulary->size);
    for (size_t id = 0; id < vocabulary->size; id++) {
        const ttm_token_entry *entry = &vocabulary->entries[id];
        ttm_fingerprint_add_number(&fingerprint, (uint64_t)entry->kind);
        ttm_fingerprint_add_number(&fingerprint, entry->length);
        ttm_fingerprint_add(&fingerprint, vocabulary->bytes + entry->offset, entry->length);
    }
    ttm_fingerprint_add_number(&fingerprint, vocabulary->merge_count);
    for (size_t rank = 0; rank < vocabulary->merge_count; rank++) {
        ttm_fingerprint_add_number(&fingerprint, (uint64_t)vocabulary->merges[rank].left);
        ttm_fingerprint_add_number(&fingerprint, (uint64_t)vocabulary->merges[rank].right);
    }
    ttm_fingerprint_text(&fingerprint, tokenizer->hash);
}

ttm_status ttm_tokenizer_from_vocabulary(ttm_tokenizer **out, ttm_vocabulary *vocabulary)
{
    *out = NULL;
    ttm_tokenizer *tokenizer = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&tokenizer, 1, sizeof *tokenizer, "a tokenizer"));
    tokenizer->vocabulary = *vocabulary;
    ttm_vocabulary_begin(vocabulary);
    TTM_TRY_OUT(ttm_vocabulary_finish(&tokenizer->vocabulary));
    if (tokenizer->vocabulary.merge_count > 0) {
        TTM_TRY_OUT(ttm_splitter_new(&tokenizer->splitter));
    }
    take_fingerprint(tokenizer);
    *out = tokenizer;
    tokenizer = NULL;
out:
    ttm_tokenizer_close(tokenizer);
    ttm_vocabulary_free(vocabulary);
    return status;
}

void ttm_tokenizer_close(ttm_tokenizer *tokenizer)
{
    if (tokenizer != NULL) {
        ttm_splitter_free(tokenizer->splitter);
        ttm_vocabulary_free(&tokenizer->vocabulary);
        free(tokenizer);
    }
}

size_t ttm_tokenizer_vocab_size(const ttm_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.size;
}

int32_t ttm_tokenizer_end_of_text(const ttm_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.end_of_text;
}

size_t ttm_tokenizer_merge_count(const ttm_tokenizer *tokenizer)
{
    return tokenizer->vocabulary.merge_count;
}

const char *ttm_tokenizer_hash(const ttm_tokenizer *tokenizer)
{
    return tokenizer->hash;
}

ttm_status ttm_tokenizer_token_bytes(const char **bytes, size_t *byte_count,
                                     const ttm_tokenizer *tokenizer, int32_t token)
{
    const ttm_vocabulary *vocabulary = &tokenizer->vocabulary;
    *bytes = NULL;
    *byte_count = 0;
    if (token < 0 || (size_t)token >= vocabulary->size ||
        vocabulary->entries[token].kind == TTM_TOKEN_NONE) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "token %d is not in the vocabulary, whose tokens go from 0 to %zu", token,
                        vocabulary->size - 1);
    }
    *bytes = (const char *)ttm_vocabulary_bytes(vocabulary, token);
    *byte_count = vocabulary->entries[token].length;
    return TTM_OK;
}

/** *bytes = the length of the text that the tokens stand for, all of which are checked. */
static ttm_status decoded_bytes(size_t *bytes, const ttm_tokenizer *tokenizer,
                                const int32_t *tokens, size_t token_count)
{
    *bytes = 0;
    for (size_t i = 0; i < token_count; i++) {
        const char *unused = NULL;
        size_t length = 0;
        ttm_status status = ttm_tokenizer_token_bytes(&unused, &length, tokenizer, tokens[i]);
        if (status != TTM_OK) {
            return ttm_fail_context(status, "cannot decode position %zu", i);
        }
        if (!ttm_checked_add(bytes, *bytes, length)) {
            return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the text of %zu tokens",
                            token_count);
        }
    }
    return TTM_OK;
}

ttm_status ttm_tokenizer_decode(char **text, size_t *text_bytes, const ttm_tokenizer *tokenizer,
                                const int32_t *tokens, size_t token_count)
{
    *text = NULL;
    *text_bytes = 0;
    size_t bytes = 0;
    TTM_TRY(decoded_bytes(&bytes, tokenizer, tokens, token_count));
    size_t with_nul = 0;
    if (!ttm_checked_add(&with_nul, bytes, 1)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the text of %zu tokens",
                        token_count);
    }
    char *decoded = NULL;
    TTM_TRY(ttm_array_new(&decoded, with_nul, 1, "decoded text"));
    size_t used = 0;
    for (size_t i = 0; i < token_count; i++) {
        const ttm_token_entry *entry = &tokenizer->vocabulary.entries[tokens[i]];
        memcpy(decoded + used, tokenizer->vocabulary.bytes + entry->offset, entry->length);
        used += entry->length;
    }
    *text = decoded;
    *text_bytes = bytes;
    return TTM_OK;
}
