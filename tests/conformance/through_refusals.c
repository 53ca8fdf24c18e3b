/* Descriptors that nobody may accept: a valid op with one thing spoilt. */
#include "conformance/through.h"

#include "core/error.h"
#include "core/op_table.h"
#include "core/op_validate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* A valid op with memory of its own, and copies of all that may be spoilt. */
typedef struct valid_op {
    const conformance_case *made;
    const struct target *target;
    ttm_memory *memory[TTM_OP_MAX_TENSORS];
    unsigned char *images[TTM_OP_MAX_TENSORS];
    ttm_tensor tensors[TTM_OP_MAX_TENSORS + 1]; /* one more for a slot too many */
    unsigned char params[sizeof(case_params) + 64];
    ttm_op op;
} valid_op;

static ttm_status prepare(valid_op *valid, const conformance_case *made,
                          const struct target *target)
{
    memset(valid, 0, sizeof *valid);
    valid->made = made;
    valid->target = target;
    const ttm_op_info *info = ttm_op_get_info(made->opcode);
    for (uint32_t slot = 0; slot < info->slot_count; slot++) {
        const struct operand *operand = &made->slots[slot];
        const uint32_t owner = (uint32_t)made->same_as[slot];
        if (operand->dtype == TTM_DTYPE_NONE || owner != slot) {
            continue;
        }
        valid->images[slot] = malloc(operand_bytes(operand));
        if (valid->images[slot] == NULL) {
            return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a tensor's image");
        }
        operand_write_image(valid->images[slot], operand, operand->values != NULL);
        TTM_TRY(target_upload(&valid->memory[slot], target, valid->images[slot],
                              operand_bytes(operand)));
    }
    return TTM_OK;
}

/* Makes the op valid again. */
static void restore(valid_op *valid)
{
    const conformance_case *made = valid->made;
    valid->op = case_op(made, valid->tensors);
    memset(valid->tensors, 0, sizeof valid->tensors);
    for (uint32_t slot = 0; slot < valid->op.tensor_count; slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            valid->tensors[slot] =
                operand_tensor(&made->slots[slot], valid->memory[made->same_as[slot]]);
        }
    }
    memcpy(valid->params, &made->params, sizeof made->params);
    if (valid->op.params != NULL) {
        valid->op.params = valid->params;
    }
}

static void release(valid_op *valid)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        target_free(valid->target, valid->memory[slot]);
        free(valid->images[slot]);
    }
}

/* Runs the op as it now is, which must be refused. */
static ttm_status expect_refusal(const valid_op *valid, const char *what, uint32_t slot)
{
    if (ttm_op_run(valid->target->through, &valid->op) != TTM_OK) {
        return TTM_OK;
    }
    const ttm_op_info *info = ttm_op_get_info(valid->made->opcode);
    return ttm_fail(TTM_ERROR_PLUGIN, "%s%s%s is accepted", what,
                    slot < info->slot_count ? " of " : "",
                    slot < info->slot_count ? info->slots[slot].name : "");
}

/* ---- The descriptor itself ---- */

static ttm_status spoil_descriptor(valid_op *valid)
{
    static const int opcodes[] = {TTM_OP_COUNT, -1, 12345};
    const uint32_t no_slot = UINT32_MAX;
    for (size_t k = 0; k < sizeof opcodes / sizeof opcodes[0]; k++) {
        restore(valid);
        memcpy(&valid->op.opcode, &opcodes[k], sizeof opcodes[k]);
        TTM_TRY(expect_refusal(valid, "an opcode that doesn't exist", no_slot));
    }
    restore(valid);
    valid->op.tensor_count++;
    TTM_TRY(expect_refusal(valid, "one slot too many", no_slot));
    restore(valid);
    valid->op.tensor_count--;
    TTM_TRY(expect_refusal(valid, "one slot too few", no_slot));
    restore(valid);
    valid->op.tensors = NULL;
    TTM_TRY(expect_refusal(valid, "a missing list of tensors", no_slot));
    restore(valid);
    if (valid->op.params == NULL) {
        return TTM_OK;
    }
    valid->op.params = NULL;
    TTM_TRY(expect_refusal(valid, "missing parameters", no_slot));
    restore(valid);
    valid->op.params_bytes -= 4;
    return expect_refusal(valid, "a parameter struct that is too short", no_slot);
}

/* ---- One tensor ---- */

/* A way to spoil a tensor. Returns false where it would still be valid. */
typedef struct tensor_fault {
    const char *what;
    bool (*spoil)(ttm_tensor *tensor);
} tensor_fault;

static int32_t widest(const ttm_tensor *tensor)
{
    int32_t found = -1;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->shape[dim] > 1 && (found < 0 || tensor->shape[dim] > tensor->shape[found])) {
            found = dim;
        }
    }
    return found;
}

static bool strange_type(ttm_tensor *tensor)
{
    static const int strange = 99;
    memcpy(&tensor->dtype, &strange, sizeof strange);
    return true;
}

static bool negative_rank(ttm_tensor *tensor)
{
    tensor->rank = -1;
    return true;
}

static bool great_rank(ttm_tensor *tensor)
{
    tensor->rank = TTM_MAX_RANK + 1;
    return true;
}

static bool negative_extent(ttm_tensor *tensor)
{
    tensor->shape[0] = -3;
    return tensor->rank > 0;
}

static bool huge_extent(ttm_tensor *tensor)
{
    tensor->shape[0] = INT64_MAX / 2;
    return tensor->rank > 0;
}

static bool negative_stride(ttm_tensor *tensor)
{
    const int32_t dim = widest(tensor);
    if (dim >= 0) {
        tensor->stride[dim] = -1;
    }
    return dim >= 0;
}

static bool huge_stride(ttm_tensor *tensor)
{
    const int32_t dim = widest(tensor);
    if (dim >= 0) {
        tensor->stride[dim] = INT64_MAX / 2;
    }
    return dim >= 0;
}

static bool reach_beyond(ttm_tensor *tensor)
{
    const size_t extent = ttm_tensor_extent_bytes(tensor);
    if (extent > 0) {
        tensor->memory_bytes = tensor->offset + extent - 1;
    }
    return extent > 0;
}

static bool offset_beyond(ttm_tensor *tensor)
{
    tensor->offset = SIZE_MAX / 16 * 8;
    return ttm_tensor_extent_bytes(tensor) > 0;
}

static bool odd_offset(ttm_tensor *tensor)
{
    tensor->offset += 1;
    return ttm_tensor_extent_bytes(tensor) > 0;
}

static bool no_memory(ttm_tensor *tensor)
{
    tensor->memory = NULL;
    return ttm_tensor_extent_bytes(tensor) > 0;
}

static bool strange_layout(ttm_tensor *tensor)
{
    tensor->layout = 0x7fff0001;
    return ttm_tensor_extent_bytes(tensor) > 0;
}

static const tensor_fault tensor_faults[] = {
    {"a type that doesn't exist", strange_type},
    {"a negative rank", negative_rank},
    {"a rank of 9", great_rank},
    {"a negative extent", negative_extent},
    {"an extent that no memory has", huge_extent},
    {"a negative stride", negative_stride},
    {"a stride that overflows", huge_stride},
    {"a last element beyond its memory", reach_beyond},
    {"an offset beyond its memory", offset_beyond},
    {"an offset between two elements", odd_offset},
    {"a missing allocation", no_memory},
    {"a layout that nobody gave out", strange_layout},
};

static ttm_status spoil_tensor(valid_op *valid, uint32_t slot)
{
    const ttm_op_info *info = ttm_op_get_info(valid->made->opcode);
    for (size_t k = 0; k < sizeof tensor_faults / sizeof tensor_faults[0]; k++) {
        restore(valid);
        if (tensor_faults[k].spoil(&valid->tensors[slot])) {
            TTM_TRY(expect_refusal(valid, tensor_faults[k].what, slot));
        }
    }
    restore(valid);
    const int32_t dim = widest(&valid->tensors[slot]);
    if (ttm_op_slot_role(&valid->op, slot) != TTM_SLOT_IN && dim >= 0) {
        valid->tensors[slot].stride[dim] = 0;
        TTM_TRY(expect_refusal(valid, "a repeated element in an output", slot));
    }
    restore(valid);
    if (!info->slots[slot].optional) {
        memset(&valid->tensors[slot], 0, sizeof valid->tensors[slot]);
        TTM_TRY(expect_refusal(valid, "the absence", slot));
    }
    return TTM_OK;
}

/* ---- Parameters ---- */

/* Every double becomes a NaN in turn, in ops whose first parameters are doubles. */
static ttm_status spoil_parameters(valid_op *valid)
{
    const double nan = NAN;
    restore(valid);
    switch (valid->made->opcode) {
    case TTM_OP_FILL: /* any value */
    case TTM_OP_COPY:
    case TTM_OP_EMBEDDING:
    case TTM_OP_EMBEDDING_BACKWARD:
        break;
    default:
        if (valid->op.params != NULL) {
            memcpy(valid->params, &nan, sizeof nan);
            TTM_TRY(expect_refusal(valid, "a first parameter that is NaN", UINT32_MAX));
        }
    }
    restore(valid);
    ttm_embedding_params embedding = valid->made->params.embedding;
    ttm_adamw_params adamw = valid->made->params.adamw;
    ttm_matmul_params matmul = valid->made->params.matmul;
    ttm_sample_params sample = valid->made->params.sample;
    ttm_norm_matmul_params norm_matmul = valid->made->params.norm_matmul;
    switch (valid->made->opcode) {
    case TTM_OP_EMBEDDING:
    case TTM_OP_EMBEDDING_BACKWARD:
        embedding.sequence_length = 0;
        memcpy(valid->params, &embedding, sizeof embedding);
        return expect_refusal(valid, "a sequence length of 0", UINT32_MAX);
    case TTM_OP_ADAMW:
        adamw.step = 0;
        memcpy(valid->params, &adamw, sizeof adamw);
        return expect_refusal(valid, "step 0", UINT32_MAX);
    case TTM_OP_MATMUL:
        matmul.beta = 0.5;
        memcpy(valid->params, &matmul, sizeof matmul);
        return expect_refusal(valid, "a beta of 0.5", UINT32_MAX);
    case TTM_OP_NORM_MATMUL:
        norm_matmul.activation = TTM_ACTIVATION_GELU_BACKWARD;
        memcpy(valid->params, &norm_matmul, sizeof norm_matmul);
        TTM_TRY(expect_refusal(valid, "the activation gelu_backward", UINT32_MAX));
        norm_matmul = valid->made->params.norm_matmul;
        norm_matmul.epsilon = 0.0;
        memcpy(valid->params, &norm_matmul, sizeof norm_matmul);
        return expect_refusal(valid, "an epsilon of 0", UINT32_MAX);
    case TTM_OP_SAMPLE:
        sample.top_p = 1.5;
        memcpy(valid->params, &sample, sizeof sample);
        TTM_TRY(expect_refusal(valid, "a top_p of 1.5", UINT32_MAX));
        sample.top_p = 0.0;
        memcpy(valid->params, &sample, sizeof sample);
        TTM_TRY(expect_refusal(valid, "a top_p of 0", UINT32_MAX));
        sample.top_p = 1.0;
        sample.top_k = -1;
        memcpy(valid->params, &sample, sizeof sample);
        TTM_TRY(expect_refusal(valid, "a top_k of -1", UINT32_MAX));
        sample.top_k = 0;
        sample.temperature = -1.0;
        memcpy(valid->params, &sample, sizeof sample);
        return expect_refusal(valid, "a temperature of -1", UINT32_MAX);
    default:
        return TTM_OK;
    }
}

static ttm_status expect_untouched(const valid_op *valid)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        if (valid->memory[slot] == NULL || valid->images[slot] == NULL) {
            continue;
        }
        const size_t bytes = operand_bytes(&valid->made->slots[slot]);
        unsigned char *after = malloc(bytes);
        if (after == NULL) {
            return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an image");
        }
        ttm_status status = target_download(after, valid->target, valid->memory[slot], bytes);
        if (status == TTM_OK && memcmp(after, valid->images[slot], bytes) != 0) {
            status = ttm_fail(TTM_ERROR_PLUGIN, "a refused op has written to %s",
                              ttm_op_get_info(valid->made->opcode)->slots[slot].name);
        }
        free(after);
        TTM_TRY(status);
    }
    return TTM_OK;
}

void through_check_refusals(check_verdict *verdict, const conformance_case *made,
                            const through_libttm *through)
{
    valid_op valid;
    ttm_status status = prepare(&valid, made, &through->target);
    *verdict = (check_verdict){.outcome = CHECK_PASSED};
    if (status == TTM_OK) {
        status = spoil_descriptor(&valid);
    }
    for (uint32_t slot = 0; slot < ttm_op_get_info(made->opcode)->slot_count && status == TTM_OK;
         slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            status = spoil_tensor(&valid, slot);
        }
    }
    if (status == TTM_OK) {
        status = spoil_parameters(&valid);
    }
    if (status == TTM_OK) {
        status = ttm_stream_synchronize(through->stream);
    }
    if (status == TTM_OK) {
        status = expect_untouched(&valid);
    }
    if (status != TTM_OK) {
        verdict->outcome = CHECK_FAILED;
        snprintf(verdict->message, sizeof verdict->message, "%s", ttm_error_message());
    }
    release(&valid);
}
