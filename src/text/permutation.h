/* A pseudo-random order of the numbers below n that needs no memory: place i is computed from i and
 * a key alone. */
#ifndef TTM_TEXT_PERMUTATION_H
#define TTM_TEXT_PERMUTATION_H

#include <stdint.h>

/** Scrambles a number so that every bit of the result depends on every bit of it; one-to-one. */
uint64_t ttm_scramble(uint64_t number);

/** Returns the number at place `index` < `count` in the order that `key` picks: for a fixed count
 * and key, every number below `count` has exactly one place. */
uint64_t ttm_permute(uint64_t index, uint64_t count, uint64_t key);

#endif
