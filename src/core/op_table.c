/* The table of ops. Contracts are in ttm/ops.h; this is their machine-readable part. */
#include "core/op_table.h"

#include <ttm/compute.h>

#define REQUIRED(slot_name, pattern, slot_role, slot_type)                    \
    {                                                                         \
        slot_name, pattern, TTM_SLOT_##slot_role, TTM_TYPE_##slot_type, false \
    }
#define OPTIONAL(slot_name, pattern, slot_role, slot_type)                   \
    {                                                                        \
        slot_name, pattern, TTM_SLOT_##slot_role, TTM_TYPE_##slot_type, true \
    }
#define CORES(slot_name, slot_role, slot_type)              \
    OPTIONAL(slot_name "0", "#", slot_role, slot_type),     \
        OPTIONAL(slot_name "1", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "2", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "3", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "4", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "5", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "6", "#", slot_role, slot_type), \
        OPTIONAL(slot_name "7", "#", slot_role, slot_type)

static const ttm_op_info ops[TTM_OP_COUNT] = {
    [TTM_OP_COPY] = {"copy",
                     TTM_COPY_TENSORS,
                     0,
                     {REQUIRED("out", "@", OUT, ANY), REQUIRED("x", "@", IN, ANY)}},
    [TTM_OP_FILL] = {"fill",
                     TTM_FILL_TENSORS,
                     sizeof(ttm_fill_params),
                     {REQUIRED("out", "@", OUT, ANY)}},
    [TTM_OP_ADD] = {"add",
                    TTM_ADD_TENSORS,
                    sizeof(ttm_add_params),
                    {REQUIRED("out", "@", OUT, DATA), REQUIRED("a", "@", IN, DATA),
                     OPTIONAL("b", "@", IN, DATA)}},
    [TTM_OP_MATMUL] = {"matmul",
                       TTM_MATMUL_TENSORS,
                       sizeof(ttm_matmul_params),
                       {REQUIRED("out", ".MN", INOUT, RESULT), REQUIRED("a", ".MK", IN, DATA),
                        REQUIRED("b", ".KN", IN, DATA), OPTIONAL("bias", "N", IN, RESULT),
                        OPTIONAL("residual", ".MN", IN, RESULT),
                        OPTIONAL("pre", ".MN", INOUT, RESULT)}},
    [TTM_OP_REDUCE_ROWS] = {"reduce_rows",
                            TTM_REDUCE_ROWS_TENSORS,
                            sizeof(ttm_reduce_rows_params),
                            {REQUIRED("out", "C", INOUT, RESULT), REQUIRED("x", "RC", IN, DATA)}},
    [TTM_OP_SUM_OF_SQUARES] = {"sum_of_squares",
                               TTM_SUM_OF_SQUARES_TENSORS,
                               sizeof(ttm_sum_of_squares_params),
                               {REQUIRED("out", "1", INOUT, ACCUMULATE),
                                REQUIRED("x", "N", IN, DATA)}},
    [TTM_OP_GELU] = {"gelu",
                     TTM_GELU_TENSORS,
                     0,
                     {REQUIRED("out", "@", OUT, DATA), REQUIRED("x", "@", IN, DATA)}},
    [TTM_OP_GELU_BACKWARD] = {"gelu_backward",
                              TTM_GELU_BACKWARD_TENSORS,
                              0,
                              {REQUIRED("dx", "@", OUT, DATA), REQUIRED("dy", "@", IN, DATA),
                               REQUIRED("x", "@", IN, DATA)}},
    [TTM_OP_DROPOUT] = {"dropout",
                        TTM_DROPOUT_TENSORS,
                        sizeof(ttm_dropout_params),
                        {REQUIRED("out", "@", OUT, DATA), REQUIRED("x", "@", IN, DATA),
                         OPTIONAL("residual", "@", IN, DATA)}},
    [TTM_OP_SOFTMAX] = {"softmax",
                        TTM_SOFTMAX_TENSORS,
                        sizeof(ttm_softmax_params),
                        {REQUIRED("out", ".RC", OUT, DATA), REQUIRED("x", ".RC", IN, DATA)}},
    [TTM_OP_LAYER_NORM] = {"layer_norm",
                           TTM_LAYER_NORM_TENSORS,
                           sizeof(ttm_layer_norm_params),
                           {REQUIRED("out", "RC", OUT, DATA), REQUIRED("x", "RC", IN, DATA),
                            REQUIRED("gamma", "C", IN, DATA), REQUIRED("beta", "C", IN, DATA),
                            OPTIONAL("mean", "R", OUT, ACCUMULATE),
                            OPTIONAL("rstd", "R", OUT, ACCUMULATE),
                            OPTIONAL("residual", "RC", IN, DATA),
                            OPTIONAL("sum", "RC", OUT, DATA)}},
    [TTM_OP_LAYER_NORM_BACKWARD] =
        {"layer_norm_backward",
         TTM_LAYER_NORM_BACKWARD_TENSORS,
         sizeof(ttm_layer_norm_backward_params),
         {REQUIRED("dx", "RC", INOUT, DATA), REQUIRED("dy", "RC", IN, DATA),
          REQUIRED("x", "RC", IN, DATA), REQUIRED("gamma", "C", IN, DATA),
          REQUIRED("mean", "R", IN, ACCUMULATE), REQUIRED("rstd", "R", IN, ACCUMULATE),
          REQUIRED("dgamma", "C", INOUT, RESULT), REQUIRED("dbeta", "C", INOUT, RESULT)}},
    [TTM_OP_ATTENTION] = {"attention",
                          TTM_ATTENTION_TENSORS,
                          sizeof(ttm_attention_params),
                          {REQUIRED("out", "BHQD", OUT, DATA), REQUIRED("q", "BHQD", IN, DATA),
                           REQUIRED("k", "BHTD", IN, DATA), REQUIRED("v", "BHTD", IN, DATA),
                           OPTIONAL("lse", "BHQ", OUT, ACCUMULATE)}},
    [TTM_OP_ATTENTION_BACKWARD] =
        {"attention_backward",
         TTM_ATTENTION_BACKWARD_TENSORS,
         sizeof(ttm_attention_params),
         {REQUIRED("dq", "BHQD", OUT, DATA), REQUIRED("dk", "BHTD", OUT, DATA),
          REQUIRED("dv", "BHTD", OUT, DATA), REQUIRED("dout", "BHQD", IN, DATA),
          REQUIRED("q", "BHQD", IN, DATA), REQUIRED("k", "BHTD", IN, DATA),
          REQUIRED("v", "BHTD", IN, DATA), REQUIRED("out", "BHQD", IN, DATA),
          REQUIRED("lse", "BHQ", IN, ACCUMULATE)}},
    [TTM_OP_CROSS_ENTROPY] = {"cross_entropy",
                              TTM_CROSS_ENTROPY_TENSORS,
                              sizeof(ttm_cross_entropy_params),
                              {REQUIRED("loss", "R", OUT, ACCUMULATE),
                               REQUIRED("logits", "RV", IN, DATA),
                               REQUIRED("targets", "R", IN, INDEX),
                               OPTIONAL("dlogits", "RV", OUT, DATA)}},
    [TTM_OP_EMBEDDING] = {"embedding",
                          TTM_EMBEDDING_TENSORS,
                          sizeof(ttm_embedding_params),
                          {REQUIRED("out", "RC", OUT, DATA), REQUIRED("tokens", "R", IN, INDEX),
                           REQUIRED("table", "VC", IN, DATA),
                           OPTIONAL("positions", "TC", IN, DATA)}},
    [TTM_OP_EMBEDDING_BACKWARD] = {"embedding_backward",
                                   TTM_EMBEDDING_BACKWARD_TENSORS,
                                   sizeof(ttm_embedding_params),
                                   {REQUIRED("dtable", "VC", INOUT, RESULT),
                                    OPTIONAL("dpositions", "TC", INOUT, RESULT),
                                    REQUIRED("dout", "RC", IN, DATA),
                                    REQUIRED("tokens", "R", IN, INDEX)}},
    [TTM_OP_ADAMW] = {"adamw",
                      TTM_ADAMW_TENSORS,
                      sizeof(ttm_adamw_params),
                      {REQUIRED("parameters", "N", INOUT, DATA),
                       REQUIRED("gradients", "N", IN, FLOAT),
                       REQUIRED("first_moment", "N", INOUT, STORED),
                       REQUIRED("second_moment", "N", INOUT, STORED),
                       OPTIONAL("norm_squared", "1", IN, ACCUMULATE),
                       OPTIONAL("working", "N", OUT, FLOAT)}},
    [TTM_OP_TT_BUILD] = {"tt_build",
                         TTM_TT_BUILD_TENSORS,
                         0,
                         {REQUIRED("w", "LIO", OUT, STORED), CORES("core", IN, DATA)}},
    [TTM_OP_TT_GRADIENT] = {"tt_gradient",
                            TTM_TT_GRADIENT_TENSORS,
                            sizeof(ttm_tt_gradient_params),
                            {REQUIRED("dw", "LIO", IN, DATA), CORES("core", IN, DATA),
                             CORES("dcore", INOUT, RESULT)}},
    [TTM_OP_TT_LINEAR] = {"tt_linear",
                          TTM_TT_LINEAR_TENSORS,
                          0,
                          {REQUIRED("y", "RO", OUT, DATA), REQUIRED("x", "RI", IN, DATA),
                           OPTIONAL("bias", "O", IN, DATA), CORES("core", IN, DATA)}},
    [TTM_OP_TT_LINEAR_BACKWARD] = {"tt_linear_backward",
                                   TTM_TT_LINEAR_BACKWARD_TENSORS,
                                   0,
                                   {OPTIONAL("dx", "RI", OUT, DATA), REQUIRED("dy", "RO", IN, DATA),
                                    REQUIRED("x", "RI", IN, DATA),
                                    OPTIONAL("dbias", "O", INOUT, RESULT), CORES("core", IN, DATA),
                                    CORES("dcore", INOUT, RESULT)}},
    [TTM_OP_SAMPLE] = {"sample",
                       TTM_SAMPLE_TENSORS,
                       sizeof(ttm_sample_params),
                       {REQUIRED("tokens", "R", OUT, INDEX), REQUIRED("logits", "RV", IN, DATA),
                        REQUIRED("random", "R2", IN, INDEX)}},
    [TTM_OP_NORM_MATMUL] = {"norm_matmul",
                            TTM_NORM_MATMUL_TENSORS,
                            sizeof(ttm_norm_matmul_params),
                            {REQUIRED("out", "MN", OUT, RESULT), REQUIRED("x", "MK", IN, DATA),
                             REQUIRED("gamma", "K", IN, DATA), REQUIRED("beta", "K", IN, DATA),
                             REQUIRED("b", "KN", IN, DATA), OPTIONAL("bias", "N", IN, RESULT)}},
};

const ttm_op_info *ttm_op_get_info(ttm_opcode opcode)
{
    if ((int)opcode < 0 || opcode >= TTM_OP_COUNT) {
        return NULL;
    }
    return &ops[opcode];
}

const char *ttm_op_name(ttm_opcode opcode)
{
    const ttm_op_info *info = ttm_op_get_info(opcode);
    return info != NULL ? info->name : "unknown";
}

bool ttm_op_has_tf32(const ttm_op *op)
{
    const uint32_t slots = ttm_op_tf32_slots(op->opcode);
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        if ((slots >> slot & 1U) != 0 && op->tensors[slot].dtype != TTM_TF32) {
            return false;
        }
    }
    return slots != 0;
}

uint16_t ttm_op_since_minor(const ttm_op *op)
{
    switch (op->opcode) {
    case TTM_OP_MATMUL:
        return ttm_op_has_tf32(op) ? 5 : 0;
    case TTM_OP_ATTENTION:
    case TTM_OP_ATTENTION_BACKWARD:
        return ttm_op_has_tf32(op) ? 6 : 0;
    case TTM_OP_ADAMW:
        return op->tensors[TTM_ADAMW_FIRST_MOMENT].dtype != op->tensors[TTM_ADAMW_PARAMETERS].dtype;
    case TTM_OP_TT_BUILD:
        return op->tensors[TTM_TT_BUILD_W].dtype != op->tensors[TTM_TT_BUILD_CORE].dtype;
    case TTM_OP_SAMPLE:
        return 3;
    case TTM_OP_NORM_MATMUL:
        return 4;
    default:
        return 0;
    }
}

/* The beta of an op whose INOUT slots are only written when it is 0; 1 for all others. */
static double beta_of(const ttm_op *op)
{
    switch (op->opcode) {
    case TTM_OP_MATMUL:
        return ((const ttm_matmul_params *)op->params)->beta;
    case TTM_OP_REDUCE_ROWS:
        return ((const ttm_reduce_rows_params *)op->params)->beta;
    case TTM_OP_SUM_OF_SQUARES:
        return ((const ttm_sum_of_squares_params *)op->params)->beta;
    case TTM_OP_TT_GRADIENT:
        return ((const ttm_tt_gradient_params *)op->params)->beta;
    default:
        return 1.0;
    }
}

ttm_slot_role ttm_op_slot_role(const ttm_op *op, uint32_t slot)
{
    const ttm_slot_role role = ops[op->opcode].slots[slot].role;
    if (op->opcode == TTM_OP_MATMUL && slot == TTM_MATMUL_PRE) {
        const ttm_matmul_params *params = op->params;
        return params->activation == TTM_ACTIVATION_GELU ? TTM_SLOT_OUT : TTM_SLOT_IN;
    }
    if (op->opcode == TTM_OP_LAYER_NORM_BACKWARD && slot == TTM_LAYER_NORM_BACKWARD_DX) {
        const ttm_layer_norm_backward_params *params = op->params;
        return params->dx_beta == 0.0 ? TTM_SLOT_OUT : TTM_SLOT_INOUT;
    }
    return role == TTM_SLOT_INOUT && beta_of(op) == 0.0 ? TTM_SLOT_OUT : role;
}
