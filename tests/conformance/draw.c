/* Extents that kernels get wrong: one more and one less than what they are built for. */
#include "conformance/draw.h"

static const int64_t extents[] = {
    1,   2,   3,   4,   5,   7,    8,    9,    12,   15,   16,   17,   24,   31,   32,    33,
    47,  48,  63,  64,  65,  80,   96,   100,  127,  128,  129,  200,  255,  256,  257,   384,
    511, 512, 513, 768, 777, 1000, 1024, 1025, 2047, 2048, 3000, 4095, 4097, 8191, 10000, 50257};

int64_t draw_extent(ttm_random *random, int64_t largest)
{
    int64_t count = 0;
    while (count < (int64_t)(sizeof extents / sizeof extents[0]) && extents[count] <= largest) {
        count++;
    }
    return extents[draw_below(random, count)];
}
