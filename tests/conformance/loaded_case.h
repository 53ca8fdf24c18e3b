/* A case whose tensors lie on the device, to be run more than once. */
#ifndef TTM_CONFORMANCE_LOADED_CASE_H
#define TTM_CONFORMANCE_LOADED_CASE_H

#include "conformance/case.h"

/** A case on a device. It points into the case, which outlives it. */
typedef struct loaded_case {
    const conformance_case *made;
    const struct target *target;
    ttm_memory
        *memory[TTM_OP_MAX_TENSORS]; /**< Of the slots that have an allocation of their own. */
    ttm_memory *workspace;           /**< NULL where the op wants none. */
    ttm_tensor tensors[TTM_OP_MAX_TENSORS];
    ttm_op op;
} loaded_case;

/** Allocates a case's tensors and its workspace, and writes the inputs; all else is NaN. The caller
 * frees it with loaded_case_free, after a failure too. */
TTM_CHECKED ttm_status loaded_case_new(loaded_case *loaded, const conformance_case *made,
                                       const struct target *target);

/** Writes all tensors anew, in stream order, as the case's values are now. */
TTM_CHECKED ttm_status loaded_case_write(const loaded_case *loaded);

/** Queues the op and doesn't wait. */
TTM_CHECKED ttm_status loaded_case_queue(const loaded_case *loaded);

/** Fails, naming the tensor, where two copies of a case don't have the same bits after `what`. */
TTM_CHECKED ttm_status loaded_case_compare(const loaded_case *loaded, const loaded_case *other,
                                           const char *what);

/** Frees what is on the device. */
void loaded_case_free(loaded_case *loaded);

#endif
