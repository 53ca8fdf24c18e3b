/* What is behind a ttm_dataset: a range of a shared store. */
#ifndef TTM_TEXT_DATASET_H
#define TTM_TEXT_DATASET_H

#include "text/fingerprint.h"
#include "text/token_store.h"
#include <pthread.h>
#include <ttm/dataset.h>

/* What is computed when it is first asked for, behind a pointer because datasets are constant to
 * their users. */
typedef struct ttm_dataset_cache {
    pthread_mutex_t lock;
    char hash[TTM_FINGERPRINT_TEXT_BYTES]; /* "" at first */
} ttm_dataset_cache;

struct ttm_dataset {
    ttm_token_store *store; /* one reference is ours */
    uint64_t begin;
    uint64_t count;
    ttm_dataset_cache *cache;
};

/** Makes a dataset of tokens [begin, begin + count) of a store, which it takes another reference
 * to. */
TTM_CHECKED ttm_status ttm_dataset_new(ttm_dataset **out, ttm_token_store *store, uint64_t begin,
                                       uint64_t count);

/** Returns the limit that tokens are checked against, for the `vocab_size` and tokenizer of
 * ttm_dataset_open. */
size_t ttm_dataset_vocab_limit(const ttm_tokenizer *tokenizer, size_t vocab_size);

#endif
