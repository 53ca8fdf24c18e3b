/* Temporary arrays with checked sizes. */
#include "reference/scratch.h"

#include <stdlib.h>

#include "common/host_plugin.h"

double *scratch_take(struct scratch *scratch, int64_t rows, int64_t cols)
{
    size_t count = 0;
    if (scratch->failed || scratch->count == SCRATCH_ARRAYS || rows < 0 || cols < 0 ||
        __builtin_mul_overflow(rows, cols, &count)) {
        scratch->failed = true;
        return NULL;
    }
    double *array = calloc(count > 0 ? count : 1, sizeof *array); /* checks count·size itself */
    if (array == NULL) {
        scratch->failed = true;
        return NULL;
    }
    scratch->arrays[scratch->count++] = array;
    return array;
}

ttm_status scratch_end(struct scratch *scratch)
{
    for (int i = 0; i < scratch->count; i++) {
        free(scratch->arrays[i]);
    }
    scratch->count = 0;
    if (scratch->failed) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY,
                         "the reference backend has no memory for an op's temporary doubles; use a "
                         "smaller batch or another backend");
    }
    return TTM_OK;
}
