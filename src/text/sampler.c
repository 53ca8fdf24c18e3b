/* Deals out batches. Sequence s of a run is a function of s, the seed and the size of the dataset,
 * so a sampler has no state to save. */
#include "core/array.h"
#include "core/checked.h"
#include "core/error.h"
#include "text/dataset.h"
#include "text/options.h"
#include "text/permutation.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct ttm_sampler {
    ttm_dataset *dataset;
    size_t batch;
    size_t seq;
    uint64_t seed;
    bool shuffle;
    uint64_t windows; /* in an epoch */
    uint64_t offsets; /* the first window of an epoch begins at one of so many tokens */
};

/** Sets how an epoch is cut. Shuffled, the number of windows must be the same for every offset, or
 * sequence numbers couldn't be told apart into epochs: one window is given up so that offsets can
 * go through a whole window. */
static void cut_epoch(ttm_sampler *sampler)
{
    uint64_t tokens = ttm_dataset_token_count(sampler->dataset);
    uint64_t all = (tokens - 1) / sampler->seq;
    uint64_t movable =
        tokens >= 2 * (uint64_t)sampler->seq ? (tokens - sampler->seq) / sampler->seq : all;
    sampler->windows = sampler->shuffle ? movable : all;
    uint64_t slack = tokens - 1 - sampler->windows * sampler->seq;
    sampler->offsets = !sampler->shuffle ? 1 : slack < sampler->seq ? slack + 1 : sampler->seq;
}

ttm_status ttm_sampler_open(ttm_sampler **out, const ttm_dataset *dataset,
                            const ttm_sampler_options *options)
{
    *out = NULL;
    if (options == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a sampler needs options: batch and seq");
    }
    TTM_TRY(ttm_options_check(&options->struct_size, sizeof *options, "TTM_SAMPLER_OPTIONS_INIT"));
    size_t elements = 0;
    if (options->batch == 0 || options->seq == 0 ||
        !ttm_checked_mul(&elements, options->batch, options->seq) || options->seq > SIZE_MAX / 4) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "batches of %zu sequences of %zu tokens are impossible: both must be at "
                        "least 1, and fit in memory",
                        options->batch, options->seq);
    }
    uint64_t tokens = ttm_dataset_token_count(dataset);
    if (tokens < (uint64_t)options->seq + 1) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the data has %" PRIu64 " tokens, too few for one sequence of %zu and its "
                        "next token; use more data or shorter sequences",
                        tokens, options->seq);
    }
    ttm_sampler *sampler = NULL;
    TTM_TRY(ttm_array_new(&sampler, 1, sizeof *sampler, "a sampler"));
    *sampler = (ttm_sampler){.batch = options->batch,
                             .seq = options->seq,
                             .seed = options->seed,
                             .shuffle = options->shuffle};
    ttm_status status =
        ttm_dataset_new(&sampler->dataset, dataset->store, dataset->begin, dataset->count);
    if (status != TTM_OK) {
        free(sampler);
        return status;
    }
    cut_epoch(sampler);
    *out = sampler;
    return TTM_OK;
}

void ttm_sampler_close(ttm_sampler *sampler)
{
    if (sampler != NULL) {
        ttm_dataset_close(sampler->dataset);
        free(sampler);
    }
}

uint64_t ttm_sampler_windows(const ttm_sampler *sampler)
{
    return sampler->windows;
}

/** Returns the position in the dataset of sequence number `sequence` of the run. */
static uint64_t sequence_position(const ttm_sampler *sampler, uint64_t sequence)
{
    uint64_t epoch = sequence / sampler->windows;
    uint64_t place = sequence % sampler->windows;
    if (!sampler->shuffle) {
        return place * sampler->seq;
    }
    uint64_t key = ttm_scramble(ttm_scramble(sampler->seed) ^ epoch);
    uint64_t offset = ttm_scramble(~key) % sampler->offsets;
    return offset + ttm_permute(place, sampler->windows, key) * sampler->seq;
}

ttm_status ttm_sampler_batch(int32_t *inputs, int32_t *targets, const ttm_sampler *sampler,
                             uint64_t index)
{
    uint64_t first = 0;
    if (__builtin_mul_overflow(index, (uint64_t)sampler->batch, &first) ||
        first > UINT64_MAX - sampler->batch) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "there is no batch number %" PRIu64 " of %zu sequences: sequences are "
                        "numbered with 64 bits",
                        index, sampler->batch);
    }
    size_t seq = sampler->seq;
    for (size_t row = 0; row < sampler->batch; row++) {
        uint64_t position = sequence_position(sampler, first + row);
        int32_t *row_inputs = inputs + row * seq;
        int32_t *row_targets = targets + row * seq;
        TTM_TRY(ttm_dataset_read(row_inputs, sampler->dataset, position, seq));
        memcpy(row_targets, row_inputs + 1, (seq - 1) * sizeof *row_targets);
        TTM_TRY(ttm_dataset_read(row_targets + seq - 1, sampler->dataset, position + seq, 1));
    }
    return TTM_OK;
}
