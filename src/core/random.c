/* Bulk drawing: both halves of every Box–Muller pair are used, which a single draw can't do without
 * hidden state. */
#include "core/random.h"

void ttm_random_fill_normal(double *values, size_t count, double standard_deviation,
                            ttm_random *random)
{
    for (size_t i = 0; i < count; i += 2) {
        uint32_t block[4];
        double normals[2];
        ttm_philox_block(block, random->seed, ttm_random_take_block(random));
        ttm_normal_pair(normals, block);
        values[i] = standard_deviation * normals[0];
        if (i + 1 < count) {
            values[i + 1] = standard_deviation * normals[1];
        }
    }
}

void ttm_random_fill_normal_f32(float *values, size_t count, double standard_deviation,
                                ttm_random *random)
{
    for (size_t i = 0; i < count; i += 2) {
        double pair[2];
        ttm_random_fill_normal(pair, 2, standard_deviation, random);
        values[i] = (float)pair[0];
        if (i + 1 < count) {
            values[i + 1] = (float)pair[1];
        }
    }
}
