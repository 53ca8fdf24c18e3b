/* Which tensors of an op are of a model's type: activations, their gradients, and the working copy
 * of parameters. Gradients of parameters, statistics, losses and TT cores are f32 in every model,
 * and in one of tf32 all but what MATMUL and attention multiply. */
#include "bench/cases.h"

/* Every op that has tensors of the model's type, with these slots. */
static const struct {
    ttm_opcode opcode;
    uint32_t slots;
} typed[] = {
    {TTM_OP_COPY, 1U << TTM_COPY_OUT | 1U << TTM_COPY_X},
    {TTM_OP_FILL, 1U << TTM_FILL_OUT},
    {TTM_OP_ADD, 1U << TTM_ADD_OUT | 1U << TTM_ADD_A | 1U << TTM_ADD_B},
    {TTM_OP_MATMUL, 1U << TTM_MATMUL_OUT | 1U << TTM_MATMUL_A | 1U << TTM_MATMUL_B |
                        1U << TTM_MATMUL_BIAS | 1U << TTM_MATMUL_RESIDUAL | 1U << TTM_MATMUL_PRE},
    {TTM_OP_REDUCE_ROWS, 1U << TTM_REDUCE_ROWS_X},
    {TTM_OP_GELU, 1U << TTM_GELU_OUT | 1U << TTM_GELU_X},
    {TTM_OP_GELU_BACKWARD,
     1U << TTM_GELU_BACKWARD_DX | 1U << TTM_GELU_BACKWARD_DY | 1U << TTM_GELU_BACKWARD_X},
    {TTM_OP_DROPOUT, 1U << TTM_DROPOUT_OUT | 1U << TTM_DROPOUT_X | 1U << TTM_DROPOUT_RESIDUAL},
    {TTM_OP_SOFTMAX, 1U << TTM_SOFTMAX_OUT | 1U << TTM_SOFTMAX_X},
    {TTM_OP_LAYER_NORM, 1U << TTM_LAYER_NORM_OUT | 1U << TTM_LAYER_NORM_X |
                            1U << TTM_LAYER_NORM_GAMMA | 1U << TTM_LAYER_NORM_BETA |
                            1U << TTM_LAYER_NORM_RESIDUAL | 1U << TTM_LAYER_NORM_SUM},
    {TTM_OP_LAYER_NORM_BACKWARD,
     1U << TTM_LAYER_NORM_BACKWARD_DX | 1U << TTM_LAYER_NORM_BACKWARD_DY |
         1U << TTM_LAYER_NORM_BACKWARD_X | 1U << TTM_LAYER_NORM_BACKWARD_GAMMA},
    {TTM_OP_ATTENTION, 1U << TTM_ATTENTION_OUT | 1U << TTM_ATTENTION_Q | 1U << TTM_ATTENTION_K |
                           1U << TTM_ATTENTION_V},
    {TTM_OP_ATTENTION_BACKWARD,
     1U << TTM_ATTENTION_BACKWARD_DQ | 1U << TTM_ATTENTION_BACKWARD_DK |
         1U << TTM_ATTENTION_BACKWARD_DV | 1U << TTM_ATTENTION_BACKWARD_DOUT |
         1U << TTM_ATTENTION_BACKWARD_Q | 1U << TTM_ATTENTION_BACKWARD_K |
         1U << TTM_ATTENTION_BACKWARD_V | 1U << TTM_ATTENTION_BACKWARD_OUT},
    {TTM_OP_CROSS_ENTROPY, 1U << TTM_CROSS_ENTROPY_LOGITS | 1U << TTM_CROSS_ENTROPY_DLOGITS},
    {TTM_OP_EMBEDDING,
     1U << TTM_EMBEDDING_OUT | 1U << TTM_EMBEDDING_TABLE | 1U << TTM_EMBEDDING_POSITIONS},
    {TTM_OP_EMBEDDING_BACKWARD, 1U << TTM_EMBEDDING_BACKWARD_DOUT},
    {TTM_OP_TT_BUILD, 1U << TTM_TT_BUILD_W},
    {TTM_OP_NORM_MATMUL, 1U << TTM_NORM_MATMUL_OUT | 1U << TTM_NORM_MATMUL_X |
                             1U << TTM_NORM_MATMUL_GAMMA | 1U << TTM_NORM_MATMUL_BETA |
                             1U << TTM_NORM_MATMUL_B | 1U << TTM_NORM_MATMUL_BIAS},
};

/* A weight's gradient is the one product that reads a transposed and adds to what is there. */
static bool is_weight_gradient(const bench_case *item)
{
    return item->opcode == TTM_OP_MATMUL && item->transposed[TTM_MATMUL_A] &&
           item->params.matmul.beta > 0.0;
}

void bench_case_set_dtype(bench_case *item, ttm_dtype dtype)
{
    uint32_t slots = 0;
    for (size_t k = 0; k < sizeof typed / sizeof *typed; k++) {
        slots = typed[k].opcode == item->opcode ? typed[k].slots : slots;
    }
    if (dtype == TTM_TF32 || is_weight_gradient(item)) {
        slots = ttm_op_tf32_slots(item->opcode);
    }
    for (uint32_t slot = 0; slot < item->tensor_count; slot++) {
        if ((slots >> slot & 1U) != 0 && ttm_tensor_present(&item->tensors[slot])) {
            item->tensors[slot].dtype = dtype;
        }
    }
}
