/* Ops by number. What isn't here (TT_LINEAR, TT_LINEAR_BACKWARD) libttm decomposes into what is. */
#include "opencl/ops.h"

#include "opencl/op.h"

static const opencl_op *const ops[TTM_OP_COUNT] = {
    [TTM_OP_COPY] = &opencl_op_copy,
    [TTM_OP_FILL] = &opencl_op_fill,
    [TTM_OP_ADD] = &opencl_op_add,
    [TTM_OP_MATMUL] = &opencl_op_matmul,
    [TTM_OP_REDUCE_ROWS] = &opencl_op_reduce_rows,
    [TTM_OP_SUM_OF_SQUARES] = &opencl_op_sum_of_squares,
    [TTM_OP_GELU] = &opencl_op_gelu,
    [TTM_OP_GELU_BACKWARD] = &opencl_op_gelu_backward,
    [TTM_OP_DROPOUT] = &opencl_op_dropout,
    [TTM_OP_SOFTMAX] = &opencl_op_softmax,
    [TTM_OP_LAYER_NORM] = &opencl_op_layer_norm,
    [TTM_OP_LAYER_NORM_BACKWARD] = &opencl_op_layer_norm_backward,
    [TTM_OP_ATTENTION] = &opencl_op_attention,
    [TTM_OP_ATTENTION_BACKWARD] = &opencl_op_attention_backward,
    [TTM_OP_CROSS_ENTROPY] = &opencl_op_cross_entropy,
    [TTM_OP_EMBEDDING] = &opencl_op_embedding,
    [TTM_OP_EMBEDDING_BACKWARD] = &opencl_op_embedding_backward,
    [TTM_OP_ADAMW] = &opencl_op_adamw,
    [TTM_OP_TT_BUILD] = &opencl_op_tt_build,
    [TTM_OP_TT_GRADIENT] = &opencl_op_tt_gradient,
    [TTM_OP_SAMPLE] = &opencl_op_sample,
    [TTM_OP_NORM_MATMUL] = &opencl_op_norm_matmul,
};

static int has_strided_tensors(const ttm_op *op)
{
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        if (op->tensors[i].layout != TTM_LAYOUT_STRIDED) {
            return 0;
        }
    }
    return 1;
}

int opencl_op_supported(ttm_backend_device *device, const ttm_op *op)
{
    return (uint32_t)op->opcode < TTM_OP_COUNT && ops[op->opcode] != NULL &&
           has_strided_tensors(op) && ops[op->opcode]->supported(device, op);
}

size_t opencl_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op)
{
    if (!opencl_op_supported(device, op) || ops[op->opcode]->workspace_bytes == NULL) {
        return 0;
    }
    return ops[op->opcode]->workspace_bytes(device, op);
}

ttm_status opencl_op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    if (!opencl_op_supported(stream->device, op)) {
        return opencl_fail(TTM_ERROR_UNSUPPORTED, "opencl has no op number %d on such tensors",
                           (int)op->opcode);
    }
    return ops[op->opcode]->run(stream, op);
}
