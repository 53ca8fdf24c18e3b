/* Learns the merges of a BPE from counted pieces: again and again, the two neighbouring tokens that
 * occur together most often (of equals, the pair with the lower left and then the lower right
 * token) become a new token. */
#ifndef TTM_TEXT_MERGE_LEARNER_H
#define TTM_TEXT_MERGE_LEARNER_H

#include "text/piece_counts.h"
#include "text/progress.h"
#include "text/vocabulary.h"

/** Learns up to `wanted` merges, each of a pair that occurs at least `min_frequency` times
 * (neighbours may overlap, as in "aaa"). Bytes start as tokens `of_byte`; the merges' results are
 * 256, 257, …. `merges` [*count] is the caller's, to be freed with free(). TTM_ERROR_UNSUPPORTED
 * when the different pieces together have 2^32 − 1 bytes or more. */
TTM_CHECKED ttm_status ttm_merges_learn(ttm_merge **merges, size_t *count,
                                        const ttm_piece_counts *pieces, const int32_t of_byte[256],
                                        size_t wanted, uint64_t min_frequency,
                                        ttm_progress *progress);

#endif
