/* Temporary arrays of doubles for one op: take as many as needed, look once whether that worked,
 * end once.
 *
 *     struct scratch scratch = {0};
 *     double *x = scratch_take(&scratch, rows, cols);
 *     double *y = scratch_take(&scratch, 1, cols);
 *     if (!scratch.failed) {
 *         … use x and y …
 *     }
 *     return scratch_end(&scratch);
 */
#ifndef TTM_REFERENCE_SCRATCH_H
#define TTM_REFERENCE_SCRATCH_H

#include <stdbool.h>
#include <ttm/backend.h>

/** The most arrays that one op takes. */
enum { SCRATCH_ARRAYS = 4 * TTM_OP_MAX_CORES + 8 };

struct scratch {
    double *arrays[SCRATCH_ARRAYS];
    int count;
    bool failed; /**< Some array couldn't be allocated. */
};

/** Returns rows·cols zeroed doubles that live until scratch_end; NULL, and `failed` is set, when
 * there isn't that much memory, or a size is negative: too large to be counted. */
double *scratch_take(struct scratch *scratch, int64_t rows, int64_t cols);

/** Frees the arrays. Returns TTM_OK, or TTM_ERROR_OUT_OF_MEMORY with a message if one failed. */
ttm_status scratch_end(struct scratch *scratch);

#endif
