/* Bulk drawing of random numbers on the host; single numbers come from ttm/random.h. */
#ifndef TTM_CORE_RANDOM_H
#define TTM_CORE_RANDOM_H

#include <stddef.h>
#include <ttm/random.h>

/** values[0 … count − 1] = mean 0 normal numbers with the given deviation. Starts at the next whole
 * block and takes one block for two numbers, so that the position afterwards depends on `count`
 * alone. */
void ttm_random_fill_normal(double *values, size_t count, double standard_deviation,
                            ttm_random *random);

/** The same numbers as ttm_random_fill_normal, rounded to f32. */
void ttm_random_fill_normal_f32(float *values, size_t count, double standard_deviation,
                                ttm_random *random);

#endif
