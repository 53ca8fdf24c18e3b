/* What an op costs by its definition: the floor that a profile compares times with. */
#include "core/op_dispatch.h"
#include "core/op_table.h"

/* Bytes that the op must move: every input read once, every output written once, an inout both. */
static double tensor_bytes(const ttm_op *op)
{
    double bytes = 0.0;
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (!ttm_tensor_present(tensor)) {
            continue;
        }
        double count = 1.0;
        for (int32_t dim = 0; dim < tensor->rank; dim++) {
            count *= tensor->stride[dim] == 0 && tensor->shape[dim] > 1
                         ? 1.0
                         : (double)tensor->shape[dim];
        }
        const double passes = ttm_op_slot_role(op, slot) == TTM_SLOT_INOUT ? 2.0 : 1.0;
        bytes += passes * count * (double)ttm_dtype_bytes(tensor->dtype);
    }
    return bytes;
}

/* Embeddings touch a row a token, not the whole table. */
static double embedding_bytes(const ttm_op *op, const ttm_tensor *rows)
{
    const double row_bytes = (double)ttm_tensor_count(rows) * (double)ttm_dtype_bytes(rows->dtype);
    return row_bytes * (op->opcode == TTM_OP_EMBEDDING ? 2.0 : 3.0) + 4.0 * (double)rows->shape[0];
}

void ttm_build_order_of_cores(ttm_tt_build_order *order, const ttm_tensor *cores)
{
    int64_t in_modes[TTM_TT_MAX_CORES];
    int64_t out_modes[TTM_TT_MAX_CORES];
    int64_t ranks[TTM_TT_MAX_CORES + 1];
    int32_t count = 0;
    while (count < TTM_TT_MAX_CORES && ttm_tensor_present(&cores[count])) {
        ranks[count] = cores[count].shape[1];
        in_modes[count] = cores[count].shape[2];
        out_modes[count] = cores[count].shape[3];
        ranks[count + 1] = cores[count].shape[4];
        count++;
    }
    ttm_tt_build_split(order, count, in_modes, out_modes, ranks);
}

/* Multiply-accumulates of building W from a list of cores, all layers. */
static double build_macs(const ttm_tensor *cores)
{
    ttm_tt_build_order order;
    ttm_build_order_of_cores(&order, cores);
    return order.macs * (double)cores[0].shape[0];
}

static double matmul_operations(const ttm_op *op)
{
    const ttm_tensor *a = &op->tensors[TTM_MATMUL_A];
    return 2.0 * (double)ttm_tensor_count(&op->tensors[TTM_MATMUL_OUT]) *
           (double)a->shape[a->rank - 1];
}

/* Rows are normalised once, by definition. */
static double norm_matmul_operations(const ttm_op *op)
{
    const ttm_tensor *x = &op->tensors[TTM_NORM_MATMUL_X];
    return 8.0 * (double)ttm_tensor_count(x) +
           2.0 * (double)ttm_tensor_count(&op->tensors[TTM_NORM_MATMUL_OUT]) * (double)x->shape[1];
}

/* Causal attention needs about half of all pairs. */
static double attention_operations(const ttm_op *op, const ttm_tensor *q, const ttm_tensor *k,
                                   double products)
{
    const ttm_attention_params *params = op->params;
    const double queries = (double)q->shape[2];
    const double keys = (double)k->shape[2];
    const double pairs =
        params->causal != 0 ? queries * (keys - 0.5 * (queries - 1.0)) : queries * keys;
    return products * 2.0 * (double)(q->shape[0] * q->shape[1]) * pairs * (double)q->shape[3];
}

static double dense_operations(const ttm_tensor *x, const ttm_tensor *y)
{
    return 2.0 * (double)ttm_tensor_count(x) * (double)y->shape[1];
}

void ttm_op_cost(double *operations, double *bytes, const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    const double count = (double)ttm_tensor_count(&tensors[0]);
    *bytes = tensor_bytes(op);
    switch (op->opcode) {
    case TTM_OP_COPY:
    case TTM_OP_FILL:
    case TTM_OP_COUNT:
        *operations = 0.0;
        break;
    case TTM_OP_MATMUL:
        *operations = matmul_operations(op);
        break;
    case TTM_OP_NORM_MATMUL:
        *operations = norm_matmul_operations(op);
        break;
    case TTM_OP_REDUCE_ROWS:
        *operations = (double)ttm_tensor_count(&tensors[TTM_REDUCE_ROWS_X]);
        break;
    case TTM_OP_SUM_OF_SQUARES:
        *operations = 2.0 * (double)ttm_tensor_count(&tensors[TTM_SUM_OF_SQUARES_X]);
        break;
    case TTM_OP_ADD:
    case TTM_OP_DROPOUT:
        *operations = 3.0 * count;
        break;
    case TTM_OP_SOFTMAX:
        *operations = 5.0 * count;
        break;
    case TTM_OP_GELU:
        *operations = 12.0 * count;
        break;
    case TTM_OP_GELU_BACKWARD:
        *operations = 20.0 * count;
        break;
    case TTM_OP_LAYER_NORM:
        *operations = 8.0 * count;
        break;
    case TTM_OP_LAYER_NORM_BACKWARD:
        *operations = 14.0 * count;
        break;
    case TTM_OP_CROSS_ENTROPY:
        *operations = 6.0 * (double)ttm_tensor_count(&tensors[TTM_CROSS_ENTROPY_LOGITS]);
        break;
    case TTM_OP_SAMPLE:
        *operations = 6.0 * (double)ttm_tensor_count(&tensors[TTM_SAMPLE_LOGITS]);
        break;
    case TTM_OP_EMBEDDING:
        *operations = count;
        *bytes = embedding_bytes(op, &tensors[TTM_EMBEDDING_OUT]);
        break;
    case TTM_OP_EMBEDDING_BACKWARD:
        *operations = 2.0 * (double)ttm_tensor_count(&tensors[TTM_EMBEDDING_BACKWARD_DOUT]);
        *bytes = embedding_bytes(op, &tensors[TTM_EMBEDDING_BACKWARD_DOUT]);
        break;
    case TTM_OP_ATTENTION:
        *operations =
            attention_operations(op, &tensors[TTM_ATTENTION_Q], &tensors[TTM_ATTENTION_K], 2.0);
        break;
    case TTM_OP_ATTENTION_BACKWARD:
        *operations = attention_operations(op, &tensors[TTM_ATTENTION_BACKWARD_Q],
                                           &tensors[TTM_ATTENTION_BACKWARD_K], 5.0);
        break;
    case TTM_OP_ADAMW:
        *operations = 16.0 * count;
        break;
    case TTM_OP_TT_BUILD:
        *operations = 2.0 * build_macs(&tensors[TTM_TT_BUILD_CORE]);
        break;
    case TTM_OP_TT_GRADIENT:
        /* The joins again, and two products for the gradients of each join. */
        *operations = 4.0 * build_macs(&tensors[TTM_TT_GRADIENT_CORE]);
        break;
    case TTM_OP_TT_LINEAR:
        *operations = dense_operations(&tensors[TTM_TT_LINEAR_X], &tensors[TTM_TT_LINEAR_Y]);
        break;
    case TTM_OP_TT_LINEAR_BACKWARD:
        *operations = 2.0 * dense_operations(&tensors[TTM_TT_LINEAR_BACKWARD_X],
                                             &tensors[TTM_TT_LINEAR_BACKWARD_DY]);
        break;
    }
}
