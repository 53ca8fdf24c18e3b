/* Ranges of tokens: reading, counting bytes, splitting, fingerprints. Opening is in dataset_open.c.
 */
#include "text/dataset.h"

#include "core/array.h"
#include "core/error.h"
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_TOKENS = 4096 };

ttm_status ttm_dataset_new(ttm_dataset **out, ttm_token_store *store, uint64_t begin,
                           uint64_t count)
{
    *out = NULL;
    ttm_dataset *dataset = NULL;
    ttm_dataset_cache *cache = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_array_new(&dataset, 1, sizeof *dataset, "a dataset"));
    TTM_TRY_OUT(ttm_array_new(&cache, 1, sizeof *cache, "a dataset"));
    if (pthread_mutex_init(&cache->lock, NULL) != 0) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a dataset");
        goto out;
    }
    dataset->cache = cache;
    cache = NULL;
    dataset->store = ttm_token_store_retain(store);
    dataset->begin = begin;
    dataset->count = count;
    *out = dataset;
    dataset = NULL;
out:
    free(cache);
    free(dataset);
    return status;
}

void ttm_dataset_close(ttm_dataset *dataset)
{
    if (dataset != NULL) {
        pthread_mutex_destroy(&dataset->cache->lock);
        free(dataset->cache);
        ttm_token_store_release(dataset->store);
        free(dataset);
    }
}

size_t ttm_dataset_vocab_limit(const ttm_tokenizer *tokenizer, size_t vocab_size)
{
    return vocab_size == 0 && tokenizer != NULL ? ttm_tokenizer_vocab_size(tokenizer) : vocab_size;
}

ttm_status ttm_dataset_from_tokens(ttm_dataset **out, const int32_t *tokens, size_t token_count,
                                   const ttm_tokenizer *tokenizer, size_t vocab_size)
{
    *out = NULL;
    if (token_count == 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a dataset must have at least one token");
    }
    ttm_token_store *store = NULL;
    uint32_t *copy = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_token_store_new(&store, tokenizer));
    TTM_TRY_OUT(ttm_array_new(&copy, token_count, sizeof *copy, "tokens"));
    for (size_t i = 0; i < token_count; i++) {
        copy[i] = htole32((uint32_t)tokens[i]);
    }
    ttm_token_segment segment = {.tokens = copy,
                                 .count = token_count,
                                 .width = sizeof *copy,
                                 .owned = copy,
                                 .file.descriptor = -1};
    copy = NULL;
    TTM_TRY_OUT(ttm_token_store_append(
        store, &segment, ttm_dataset_vocab_limit(tokenizer, vocab_size), "tokens in memory"));
    TTM_TRY_OUT(ttm_dataset_new(out, store, 0, store->token_count));
out:
    free(copy);
    ttm_token_store_release(store);
    return status;
}

ttm_status ttm_dataset_split(ttm_dataset **train, ttm_dataset **validation,
                             const ttm_dataset *dataset, double validation_fraction)
{
    *train = NULL;
    *validation = NULL;
    if (!(validation_fraction > 0.0 && validation_fraction < 1.0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a validation fraction of %g is impossible: it must be greater than 0 and "
                        "less than 1",
                        validation_fraction);
    }
    if (dataset->count < 2) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a dataset of %" PRIu64 " tokens can't be split in two",
                        dataset->count);
    }
    double wanted = round((double)dataset->count * validation_fraction);
    uint64_t held_out = wanted < 1.0 ? 1 : (uint64_t)wanted;
    held_out = held_out < dataset->count ? held_out : dataset->count - 1;
    uint64_t kept = dataset->count - held_out;
    TTM_TRY(ttm_dataset_new(train, dataset->store, dataset->begin, kept));
    ttm_status status =
        ttm_dataset_new(validation, dataset->store, dataset->begin + kept, held_out);
    if (status != TTM_OK) {
        ttm_dataset_close(*train);
        *train = NULL;
    }
    return status;
}

uint64_t ttm_dataset_token_count(const ttm_dataset *dataset)
{
    return dataset->count;
}

size_t ttm_dataset_vocab_used(const ttm_dataset *dataset)
{
    return dataset->store->vocab_used;
}

static void take_fingerprint(const ttm_dataset *dataset, char *text)
{
    ttm_fingerprint fingerprint;
    ttm_fingerprint_begin(&fingerprint);
    for (uint64_t position = 0; position < dataset->count; position += BLOCK_TOKENS) {
        int32_t tokens[BLOCK_TOKENS];
        uint64_t left = dataset->count - position;
        size_t count = left < BLOCK_TOKENS ? (size_t)left : BLOCK_TOKENS;
        ttm_token_store_read(tokens, dataset->store, dataset->begin + position, count);
        for (size_t i = 0; i < count; i++) {
            tokens[i] = (int32_t)htole32((uint32_t)tokens[i]);
        }
        ttm_fingerprint_add(&fingerprint, tokens, count * sizeof *tokens);
    }
    ttm_fingerprint_text(&fingerprint, text);
}

const char *ttm_dataset_hash(const ttm_dataset *dataset)
{
    ttm_dataset_cache *cache = dataset->cache;
    pthread_mutex_lock(&cache->lock);
    if (cache->hash[0] == '\0') {
        take_fingerprint(dataset, cache->hash);
    }
    pthread_mutex_unlock(&cache->lock);
    return cache->hash;
}

/** Checks that tokens [position, position + count) are there. */
static ttm_status check_range(const ttm_dataset *dataset, uint64_t position, uint64_t count)
{
    if (position > dataset->count || count > dataset->count - position) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%" PRIu64 " tokens at position %" PRIu64
                        " aren't all there: the dataset has %" PRIu64,
                        count, position, dataset->count);
    }
    return TTM_OK;
}

ttm_status ttm_dataset_read(int32_t *tokens, const ttm_dataset *dataset, uint64_t position,
                            size_t count)
{
    TTM_TRY(check_range(dataset, position, count));
    if (count > 0) {
        ttm_token_store_read(tokens, dataset->store, dataset->begin + position, count);
    }
    return TTM_OK;
}

ttm_status ttm_dataset_text_bytes(uint64_t *bytes, const ttm_dataset *dataset, uint64_t position,
                                  uint64_t count)
{
    *bytes = 0;
    TTM_TRY(check_range(dataset, position, count));
    const ttm_token_store *store = dataset->store;
    if (store->token_lengths == NULL) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED,
                        "bytes of text can't be counted without the tokenizer that made the "
                        "tokens: name it when opening the data");
    }
    uint64_t sum = 0;
    while (count > 0) {
        int32_t tokens[BLOCK_TOKENS];
        size_t block = count < BLOCK_TOKENS ? (size_t)count : BLOCK_TOKENS;
        ttm_token_store_read(tokens, store, dataset->begin + position, block);
        for (size_t i = 0; i < block; i++) {
            sum += (size_t)tokens[i] < store->length_count ? store->token_lengths[tokens[i]] : 0;
        }
        position += block;
        count -= block;
    }
    *bytes = sum;
    return TTM_OK;
}
