/* The table of ops, and how one is run. */
#include "cpu/ops.h"

#include "cpu/op.h"

#include <pthread.h>

static const ttm_cpu_op *const ops[TTM_OP_COUNT] = {
    [TTM_OP_COPY] = &ttm_cpu_op_copy,
    [TTM_OP_FILL] = &ttm_cpu_op_fill,
    [TTM_OP_ADD] = &ttm_cpu_op_add,
    [TTM_OP_MATMUL] = &ttm_cpu_op_matmul,
    [TTM_OP_REDUCE_ROWS] = &ttm_cpu_op_reduce_rows,
    [TTM_OP_SUM_OF_SQUARES] = &ttm_cpu_op_sum_of_squares,
    [TTM_OP_GELU] = &ttm_cpu_op_gelu,
    [TTM_OP_GELU_BACKWARD] = &ttm_cpu_op_gelu_backward,
    [TTM_OP_DROPOUT] = &ttm_cpu_op_dropout,
    [TTM_OP_SOFTMAX] = &ttm_cpu_op_softmax,
    [TTM_OP_LAYER_NORM] = &ttm_cpu_op_layer_norm,
    [TTM_OP_LAYER_NORM_BACKWARD] = &ttm_cpu_op_layer_norm_backward,
    [TTM_OP_ATTENTION] = &ttm_cpu_op_attention,
    [TTM_OP_ATTENTION_BACKWARD] = &ttm_cpu_op_attention_backward,
    [TTM_OP_CROSS_ENTROPY] = &ttm_cpu_op_cross_entropy,
    [TTM_OP_EMBEDDING] = &ttm_cpu_op_embedding,
    [TTM_OP_EMBEDDING_BACKWARD] = &ttm_cpu_op_embedding_backward,
    [TTM_OP_ADAMW] = &ttm_cpu_op_adamw,
    [TTM_OP_TT_BUILD] = &ttm_cpu_op_tt_build,
    [TTM_OP_TT_GRADIENT] = &ttm_cpu_op_tt_gradient,
    [TTM_OP_SAMPLE] = &ttm_cpu_op_sample,
    [TTM_OP_NORM_MATMUL] = &ttm_cpu_op_norm_matmul,
};

/* Every op uses all the threads there are: two at once would only get in each other's way. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static const ttm_cpu_op *find_op(const ttm_op *op)
{
    return (unsigned)op->opcode < TTM_OP_COUNT ? ops[op->opcode] : NULL;
}

int ttm_cpu_op_supported(ttm_backend_device *device, const ttm_op *op)
{
    const ttm_cpu_op *entry = find_op(op);
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        const ttm_tensor *tensor = &op->tensors[i];
        if (tensor->layout != TTM_LAYOUT_STRIDED ||
            (ttm_tensor_present(tensor) && ttm_dtype_bytes(tensor->dtype) == 0)) {
            return 0; /* a layout or type of a newer libttm */
        }
    }
    return entry != NULL && entry->supported(device, op);
}

size_t ttm_cpu_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op)
{
    const ttm_cpu_op *entry = find_op(op);
    return entry != NULL && entry->workspace_bytes != NULL ? entry->workspace_bytes(device, op) : 0;
}

ttm_status ttm_cpu_op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    if (!ttm_cpu_op_supported(stream->device, op)) {
        return host_fail(TTM_ERROR_UNSUPPORTED,
                         "the cpu backend doesn't support op %d with these types and strides",
                         (int)op->opcode);
    }
    const size_t wanted = ttm_cpu_op_workspace_bytes(stream->device, op);
    if (wanted > 0 && (op->workspace.memory == NULL ||
                       op->workspace.memory_bytes - op->workspace.offset < wanted)) {
        return host_fail(TTM_ERROR_ARGUMENT,
                         "op %d wants %zu bytes of workspace and got fewer: ask "
                         "op_workspace_bytes first",
                         (int)op->opcode, wanted);
    }
    pthread_mutex_lock(&one_at_a_time);
    find_op(op)->run(stream->device, op);
    pthread_mutex_unlock(&one_at_a_time);
    return TTM_OK;
}
