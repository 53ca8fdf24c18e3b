/* Cases: generation, the op they make, and what the oracle says of them. */
#include "conformance/case.h"

#include "conformance/generate.h"
#include "core/error.h"
#include "core/op_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

static ttm_status (*const generators[TTM_OP_COUNT])(conformance_case *, const struct target *) = {
    [TTM_OP_COPY] = generate_copy,
    [TTM_OP_FILL] = generate_fill,
    [TTM_OP_ADD] = generate_add,
    [TTM_OP_MATMUL] = generate_matmul,
    [TTM_OP_REDUCE_ROWS] = generate_reduce_rows,
    [TTM_OP_SUM_OF_SQUARES] = generate_sum_of_squares,
    [TTM_OP_GELU] = generate_gelu,
    [TTM_OP_GELU_BACKWARD] = generate_gelu_backward,
    [TTM_OP_DROPOUT] = generate_dropout,
    [TTM_OP_SOFTMAX] = generate_softmax,
    [TTM_OP_LAYER_NORM] = generate_layer_norm,
    [TTM_OP_LAYER_NORM_BACKWARD] = generate_layer_norm_backward,
    [TTM_OP_ATTENTION] = generate_attention,
    [TTM_OP_ATTENTION_BACKWARD] = generate_attention_backward,
    [TTM_OP_CROSS_ENTROPY] = generate_cross_entropy,
    [TTM_OP_EMBEDDING] = generate_embedding,
    [TTM_OP_EMBEDDING_BACKWARD] = generate_embedding_backward,
    [TTM_OP_ADAMW] = generate_adamw,
    [TTM_OP_TT_BUILD] = generate_tt_build,
    [TTM_OP_TT_GRADIENT] = generate_tt_gradient,
    [TTM_OP_TT_LINEAR] = generate_tt_linear,
    [TTM_OP_TT_LINEAR_BACKWARD] = generate_tt_linear_backward,
    [TTM_OP_SAMPLE] = generate_sample,
    [TTM_OP_NORM_MATMUL] = generate_norm_matmul,
};

/* Every type in the plain cases, f32 most often. */
static const ttm_dtype types[PLAIN_CASES] = {TTM_F32, TTM_BF16, TTM_F16, TTM_F64,
                                             TTM_F32, TTM_BF16, TTM_F32, TTM_F32};

/* TF32 is for products and attention: one case in 16 of theirs, and with other ops f32 where it is
 * asked for. */
static ttm_dtype data_type(ttm_opcode opcode, uint64_t index, ttm_dtype asked)
{
    if (ttm_op_tf32_slots(opcode) == 0) {
        asked = asked == TTM_TF32 ? TTM_F32 : asked;
    } else if (asked == TTM_DTYPE_NONE && index % 16 == 6) {
        asked = TTM_TF32;
    }
    return asked != TTM_DTYPE_NONE ? asked : types[index % PLAIN_CASES];
}

ttm_status case_generate(conformance_case *made, ttm_opcode opcode, uint64_t index, uint64_t seed,
                         ttm_dtype dtype, const struct target *oracle)
{
    memset(made, 0, sizeof *made);
    made->opcode = opcode;
    made->index = index;
    made->seed = seed;
    made->random = draw_start(seed, (int)opcode, index);
    made->dtype = data_type(opcode, index, dtype);
    made->style = index < PLAIN_CASES ? STYLE_PLAIN : (layout_style)draw_below(&made->random, 3);
    for (int32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        made->same_as[slot] = slot;
    }
    return generators[opcode](made, oracle);
}

void case_free(conformance_case *made)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        operand_free(&made->slots[slot]);
    }
}

ttm_op case_op(const conformance_case *made, const ttm_tensor *tensors)
{
    const ttm_op_info *info = ttm_op_get_info(made->opcode);
    return (ttm_op){.struct_size = sizeof(ttm_op),
                    .opcode = made->opcode,
                    .tensor_count = info->slot_count,
                    .tensors = tensors,
                    .params = info->params_bytes > 0 ? &made->params : NULL,
                    .params_bytes = info->params_bytes,
                    .label = "conformance"};
}

static ttm_slot_role role(const conformance_case *made, uint32_t slot)
{
    const ttm_op op = case_op(made, NULL);
    return ttm_op_slot_role(&op, slot);
}

bool case_writes(const conformance_case *made, uint32_t slot)
{
    return made->slots[slot].dtype != TTM_DTYPE_NONE && role(made, slot) != TTM_SLOT_IN;
}

bool case_reads(const conformance_case *made, uint32_t slot)
{
    return made->slots[slot].dtype != TTM_DTYPE_NONE && role(made, slot) != TTM_SLOT_OUT;
}

/* The same tensor for the oracle: contiguous, in f64, of the values themselves or what is asked
 * for. */
static ttm_status oracle_operand(struct operand *copy, const struct operand *original,
                                 case_inputs inputs)
{
    *copy = *original;
    copy->values = NULL;
    copy->dtype = original->dtype == TTM_I32 ? TTM_I32 : TTM_F64;
    copy->offset = 0;
    copy->elements = original->count;
    int64_t step = 1;
    for (int32_t dim = original->rank - 1; dim >= 0; dim--) {
        copy->stride[dim] = step;
        step *= original->shape[dim];
    }
    if (original->values == NULL) {
        return TTM_OK;
    }
    if (!operand_fill(copy, original->values)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the oracle's copy of a tensor");
    }
    for (int64_t i = 0; inputs != CASE_EXACT && copy->dtype == TTM_F64 && i < copy->count; i++) {
        const double value = copy->values[i];
        copy->values[i] = inputs == CASE_SQUARED ? value * value : fabs(value);
    }
    return TTM_OK;
}

static ttm_status upload(ttm_memory **memory, const struct target *oracle,
                         const struct operand *operand)
{
    const size_t bytes = operand_bytes(operand);
    unsigned char *image = malloc(bytes);
    if (image == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an image of %zu bytes", bytes);
    }
    operand_write_image(image, operand, operand->values != NULL);
    const ttm_status status = target_upload(memory, oracle, image, bytes);
    free(image);
    return status;
}

static ttm_status read_result(double **values, const struct target *oracle,
                              const struct operand *operand, ttm_memory *memory)
{
    const size_t bytes = operand_bytes(operand);
    unsigned char *image = malloc(bytes);
    *values = calloc(operand->count > 0 ? (size_t)operand->count : 1, sizeof **values);
    if (image == NULL || *values == NULL) {
        free(image);
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an image of %zu bytes", bytes);
    }
    const ttm_status status = target_download(image, oracle, memory, bytes);
    for (int64_t i = 0; status == TTM_OK && i < operand->count; i++) {
        (*values)[i] = operand_read_image(image, operand, i);
    }
    free(image);
    return status;
}

/* What remains of a case when the sum of absolute values is asked for: no activation, since that is
 * no sum, and no signs. */
static void make_absolute(conformance_case *made)
{
    if (made->opcode == TTM_OP_MATMUL) {
        made->params.matmul.alpha = fabs(made->params.matmul.alpha);
        made->params.matmul.activation = TTM_ACTIVATION_NONE;
        made->slots[TTM_MATMUL_PRE].dtype = TTM_DTYPE_NONE;
        made->slots[TTM_MATMUL_RESIDUAL].dtype = TTM_DTYPE_NONE;
    }
    if (made->opcode == TTM_OP_REDUCE_ROWS) {
        made->params.reduce_rows.alpha = fabs(made->params.reduce_rows.alpha);
    }
}

ttm_status case_oracle(case_results *results, const conformance_case *made,
                       const struct target *oracle, case_inputs inputs)
{
    conformance_case asked = *made; /* borrows the values, frees nothing */
    struct operand copies[TTM_OP_MAX_TENSORS] = {0};
    ttm_tensor tensors[TTM_OP_MAX_TENSORS] = {0};
    ttm_memory *memory[TTM_OP_MAX_TENSORS] = {0};
    ttm_status status = TTM_OK;
    if (inputs == CASE_ABSOLUTE) {
        make_absolute(&asked);
    }
    const ttm_op op = case_op(&asked, tensors);
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (asked.slots[slot].dtype != TTM_DTYPE_NONE) {
            TTM_TRY_OUT(oracle_operand(&copies[slot], &asked.slots[slot], inputs));
            TTM_TRY_OUT(upload(&memory[slot], oracle, &copies[slot]));
            tensors[slot] = operand_tensor(&copies[slot], memory[slot]);
        }
    }
    TTM_TRY_OUT(target_run(oracle, &op));
    for (uint32_t slot = 0; slot < op.tensor_count; slot++) {
        if (case_writes(&asked, slot)) {
            TTM_TRY_OUT(read_result(&results->values[slot], oracle, &copies[slot], memory[slot]));
            for (int64_t i = 0; inputs == CASE_SQUARED && i < copies[slot].count; i++) {
                results->values[slot][i] = sqrt(results->values[slot][i]);
            }
        }
    }
out:
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        target_free(oracle, memory[slot]);
        operand_free(&copies[slot]);
    }
    return status;
}

void case_results_free(case_results *results)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        free(results->values[slot]);
        results->values[slot] = NULL;
    }
}

/* Appends to a text that may be full already. */
static void append(char *text, size_t text_bytes, const char *more)
{
    const size_t used = strlen(text);
    snprintf(text + used, text_bytes - used, "%s", more);
}

void case_describe(char *text, size_t text_bytes, const conformance_case *made)
{
    const ttm_op_info *info = ttm_op_get_info(made->opcode);
    text[0] = '\0';
    for (uint32_t slot = 0; slot < info->slot_count; slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            char tensor_text[160];
            const ttm_tensor tensor = operand_tensor(&made->slots[slot], NULL);
            append(text, text_bytes, slot == 0 ? "" : "  ");
            append(text, text_bytes, info->slots[slot].name);
            append(text, text_bytes, made->same_as[slot] != (int32_t)slot ? " (shared) " : " ");
            append(text, text_bytes, ttm_tensor_print(tensor_text, sizeof tensor_text, &tensor));
        }
    }
}
