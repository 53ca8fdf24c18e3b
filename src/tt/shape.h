/* What the files about shapes share. */
#ifndef TTM_TT_SHAPE_H
#define TTM_TT_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

/** *product = a·b; false when that doesn't fit. */
bool ttm_tt_multiply(int64_t *product, int64_t a, int64_t b);

#endif
