/* Tensors and workspace of a case on the device; running it without waiting. */
#include "conformance/loaded_case.h"

#include "core/error.h"
#include "core/op_table.h"
#include "core/plugin_host.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

static bool owns_memory(const conformance_case *made, uint32_t slot)
{
    return made->slots[slot].dtype != TTM_DTYPE_NONE && made->same_as[slot] == (int32_t)slot;
}

static ttm_status no_memory(size_t bytes)
{
    return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an image of %zu bytes", bytes);
}

/* *image = what the slot's allocation holds before the op. The caller frees it. */
static ttm_status make_image(unsigned char **image, const conformance_case *made, uint32_t slot)
{
    const struct operand *operand = &made->slots[slot];
    *image = malloc(operand_bytes(operand));
    if (*image == NULL) {
        return no_memory(operand_bytes(operand));
    }
    operand_write_image(*image, operand, operand->values != NULL);
    return TTM_OK;
}

static ttm_status make_workspace(loaded_case *loaded)
{
    const struct target *target = loaded->target;
    const size_t bytes = target->backend->op_workspace_bytes != NULL
                             ? target->backend->op_workspace_bytes(target->device, &loaded->op)
                             : 0;
    const int64_t elements = (int64_t)((bytes + sizeof(float) - 1) / sizeof(float));
    if (elements == 0) {
        return TTM_OK;
    }
    float *nothing = malloc((size_t)elements * sizeof(float));
    if (nothing == NULL) {
        return no_memory(bytes);
    }
    memset(nothing, GUARD_BYTE, (size_t)elements * sizeof(float));
    const ttm_status status =
        target_upload(&loaded->workspace, target, nothing, (size_t)elements * sizeof(float));
    free(nothing);
    loaded->op.workspace = (ttm_tensor){.memory = loaded->workspace,
                                        .memory_bytes = (size_t)elements * sizeof(float),
                                        .dtype = TTM_F32,
                                        .rank = 1,
                                        .shape = {elements},
                                        .stride = {1}};
    return status;
}

ttm_status loaded_case_new(loaded_case *loaded, const conformance_case *made,
                           const struct target *target)
{
    memset(loaded, 0, sizeof *loaded);
    loaded->made = made;
    loaded->target = target;
    loaded->op = case_op(made, loaded->tensors);
    for (uint32_t slot = 0; slot < loaded->op.tensor_count; slot++) {
        if (owns_memory(made, slot)) {
            unsigned char *image = NULL;
            TTM_TRY(make_image(&image, made, slot));
            const ttm_status status = target_upload(&loaded->memory[slot], target, image,
                                                    operand_bytes(&made->slots[slot]));
            free(image);
            TTM_TRY(status);
        }
    }
    for (uint32_t slot = 0; slot < loaded->op.tensor_count; slot++) {
        if (made->slots[slot].dtype != TTM_DTYPE_NONE) {
            loaded->tensors[slot] =
                operand_tensor(&made->slots[slot], loaded->memory[made->same_as[slot]]);
        }
    }
    return make_workspace(loaded);
}

ttm_status loaded_case_write(const loaded_case *loaded)
{
    const struct target *target = loaded->target;
    for (uint32_t slot = 0; slot < loaded->op.tensor_count; slot++) {
        if (loaded->memory[slot] != NULL) {
            unsigned char *image = NULL;
            TTM_TRY(make_image(&image, loaded->made, slot));
            ttm_plugin_begin();
            const ttm_status status = target_check(
                target, "memory_write",
                target->backend->memory_write(target->stream, loaded->memory[slot], 0, image,
                                              operand_bytes(&loaded->made->slots[slot])));
            free(image);
            TTM_TRY(status);
        }
    }
    return TTM_OK;
}

ttm_status loaded_case_queue(const loaded_case *loaded)
{
    return target_queue(loaded->target, &loaded->op, &loaded->op.workspace);
}

static ttm_status compare_slot(const loaded_case *loaded, const loaded_case *other, uint32_t slot,
                               const char *what)
{
    const size_t bytes = operand_bytes(&loaded->made->slots[slot]);
    unsigned char *first = malloc(bytes);
    unsigned char *second = malloc(bytes);
    ttm_status status = TTM_OK;
    if (first == NULL || second == NULL) {
        status = no_memory(bytes);
        goto out;
    }
    TTM_TRY_OUT(target_download(first, loaded->target, loaded->memory[slot], bytes));
    TTM_TRY_OUT(target_download(second, other->target, other->memory[slot], bytes));
    if (memcmp(first, second, bytes) != 0) {
        const ttm_op_info *info = ttm_op_get_info(loaded->made->opcode);
        status = ttm_fail(TTM_ERROR_PLUGIN, "%s: %s differs %s", info->name, info->slots[slot].name,
                          what);
    }
out:
    free(second);
    free(first);
    return status;
}

ttm_status loaded_case_compare(const loaded_case *loaded, const loaded_case *other,
                               const char *what)
{
    for (uint32_t slot = 0; slot < loaded->op.tensor_count; slot++) {
        if (loaded->memory[slot] != NULL) {
            TTM_TRY(compare_slot(loaded, other, slot, what));
        }
    }
    return TTM_OK;
}

void loaded_case_free(loaded_case *loaded)
{
    for (uint32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        target_free(loaded->target, loaded->memory[slot]);
        loaded->memory[slot] = NULL;
    }
    target_free(loaded->target, loaded->workspace);
    loaded->workspace = NULL;
}
