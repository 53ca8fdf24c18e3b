/* What the tests of split operands share: an end at the first error, and numbers in ±1, the same in
 * every run. */
#ifndef TTM_TESTS_OPENCL_SPLIT_ERROR_H
#define TTM_TESTS_OPENCL_SPLIT_ERROR_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ttm/device.h>

static void check(ttm_status status)
{
    if (status != TTM_OK) {
        fprintf(stderr, "FAILED: %s\n", ttm_error_message());
        exit(1);
    }
}

static double uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(state >> 32) / 2147483648.0;
}

#endif
