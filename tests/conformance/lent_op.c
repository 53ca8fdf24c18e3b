/* op_run may keep no pointer to its op, the tensors' descriptions or the parameters. Whoever runs
 * an op right away gets away with it; a plugin with a queue reads what was overwritten. */
#include "conformance/lent_op.h"

#include "core/error.h"

#include <stdlib.h>
#include <string.h>

enum { SPOILT_BYTE = 0xa5 };

/* Parameters of any op, or as raw bytes. */
typedef union lent_params {
    ttm_adamw_params adamw;
    max_align_t alignment;
    unsigned char bytes[256];
} lent_params;

struct lent_op {
    size_t bytes; /**< Of this struct with its segments. */
    ttm_op op;
    ttm_tensor tensors[TTM_OP_MAX_TENSORS];
    lent_params params;
    ttm_adamw_segment segments[];
};

ttm_status lent_op_new(lent_op **lent, const ttm_op *op, const ttm_tensor *workspace)
{
    const ttm_adamw_params *adamw = op->opcode == TTM_OP_ADAMW ? op->params : NULL;
    const size_t segments = adamw != NULL ? (size_t)adamw->segment_count : 0;
    const size_t bytes = sizeof(lent_op) + segments * sizeof(ttm_adamw_segment);
    if (op->tensor_count > TTM_OP_MAX_TENSORS || op->params_bytes > sizeof(lent_params)) {
        return ttm_fail(TTM_ERROR_INTERNAL, "op %d is larger than the suite expects",
                        (int)op->opcode);
    }
    lent_op *made = calloc(1, bytes);
    if (made == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an op");
    }
    made->bytes = bytes;
    made->op = *op;
    made->op.workspace = *workspace;
    made->op.tensors = made->tensors;
    memcpy(made->tensors, op->tensors, op->tensor_count * sizeof *op->tensors);
    if (op->params != NULL && op->params_bytes > 0) {
        memcpy(&made->params, op->params, op->params_bytes);
        made->op.params = &made->params;
    }
    if (segments > 0) {
        memcpy(made->segments, adamw->segments, segments * sizeof *adamw->segments);
        made->params.adamw.segments = made->segments;
    }
    *lent = made;
    return TTM_OK;
}

const ttm_op *lent_op_get(const lent_op *lent)
{
    return &lent->op;
}

void lent_op_spoil(lent_op *lent)
{
    memset(lent, SPOILT_BYTE, lent->bytes);
}
