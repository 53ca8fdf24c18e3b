/* An op as a plugin gets it: lent until op_run returns. */
#ifndef TTM_CONFORMANCE_LENT_OP_H
#define TTM_CONFORMANCE_LENT_OP_H

#include <ttm/backend.h>

/** A copy of an op and of all that it points to on the host. */
typedef struct lent_op lent_op;

/** *lent = a copy of `op` with this workspace. The caller frees it with free. */
TTM_CHECKED ttm_status lent_op_new(lent_op **lent, const ttm_op *op, const ttm_tensor *workspace);

/** Returns the op, for op_run. */
const ttm_op *lent_op_get(const lent_op *lent);

/** Overwrites the copy, so that a plugin which still looks at it is found out. */
void lent_op_spoil(lent_op *lent);

#endif
