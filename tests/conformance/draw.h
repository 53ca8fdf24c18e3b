/* Random choices of a case. A case is a pure function of (seed, op, index), so that one command
 * repeats it alone. */
#ifndef TTM_CONFORMANCE_DRAW_H
#define TTM_CONFORMANCE_DRAW_H

#include <stdbool.h>
#include <stdint.h>
#include <ttm/random.h>

/** Returns the generator of one case. */
static inline ttm_random draw_start(uint64_t seed, int opcode, uint64_t index)
{
    /* Each case has 2^32 words of the stream of (seed, op) to itself. */
    return (ttm_random){.seed = seed ^ ((uint64_t)(opcode + 1) << 56), .position = index << 32};
}

/** Returns a whole number in [0, count). */
static inline int64_t draw_below(ttm_random *random, int64_t count)
{
    return (int64_t)(ttm_random_uniform(random) * (double)count);
}

/** Returns a whole number in [lowest, highest]. */
static inline int64_t draw_between(ttm_random *random, int64_t lowest, int64_t highest)
{
    return lowest + draw_below(random, highest - lowest + 1);
}

/** Returns true once in `times`. */
static inline bool draw_once_in(ttm_random *random, int64_t times)
{
    return draw_below(random, times) == 0;
}

/** Returns a normal number that isn't close to zero: a term that gets lost shows. */
static inline double draw_value(ttm_random *random)
{
    double value = 0.0;
    do {
        value = ttm_random_normal(random);
    } while (value > -0.02 && value < 0.02);
    return value;
}

/** Returns an extent, at most `largest`, from around the sizes of vectors, tiles and blocks. */
int64_t draw_extent(ttm_random *random, int64_t largest);

#endif
