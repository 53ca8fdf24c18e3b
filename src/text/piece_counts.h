/* How often each distinct piece of text occurs: what a BPE is learnt from. */
#ifndef TTM_TEXT_PIECE_COUNTS_H
#define TTM_TEXT_PIECE_COUNTS_H

#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

typedef struct ttm_piece {
    size_t offset; /**< Of its first byte in `bytes`. */
    uint32_t length;
    uint32_t hash;
    uint64_t count;
} ttm_piece;

/** Zeroed means empty; free with ttm_piece_counts_free. */
typedef struct ttm_piece_counts {
    unsigned char *bytes;
    size_t bytes_used;
    size_t bytes_capacity;
    ttm_piece *pieces; /**< [count], in the order of first occurrence. */
    size_t count;
    size_t capacity;
    uint32_t *slots; /**< Indices into `pieces`, or UINT32_MAX. */
    unsigned slot_bits;
} ttm_piece_counts;

/** Counts `times` more occurrences of `bytes` [length]. */
TTM_CHECKED ttm_status ttm_piece_counts_add(ttm_piece_counts *counts, const void *bytes,
                                            size_t length, uint64_t times);

/** Adds all of `other` to `counts`. */
TTM_CHECKED ttm_status ttm_piece_counts_merge(ttm_piece_counts *counts,
                                              const ttm_piece_counts *other);

void ttm_piece_counts_free(ttm_piece_counts *counts);

#endif
