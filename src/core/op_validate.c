/* Validation of an op's tensors, driven by the op table: first each tensor by itself, then types,
 * then shapes by pattern, then aliasing. Parameters are checked in op_validate_params.c. */
#include "core/op_validate.h"

#include "core/error.h"
#include "core/op_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>

enum { LETTERS = 128 };

/* What the pattern letters of one op stand for so far; -1 while unknown. */
typedef struct bindings {
    int64_t extent[LETTERS];
    int32_t batch_rank;
    int64_t batch[2];
    const ttm_tensor *whole;
} bindings;

size_t ttm_tensor_extent_bytes(const ttm_tensor *tensor)
{
    int64_t last = 0;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->shape[dim] == 0) {
            return 0;
        }
        last += (tensor->shape[dim] - 1) * tensor->stride[dim];
    }
    return (size_t)(last + 1) * ttm_dtype_bytes(tensor->dtype);
}

static ttm_status fail_slot(ttm_status status, const ttm_op *op, uint32_t slot, const char *what)
{
    const ttm_op_info *info = ttm_op_get_info(op->opcode);
    char text[160];
    return ttm_fail(status, "%s: %s is %s: %s", info->name, info->slots[slot].name,
                    ttm_tensor_print(text, sizeof text, &op->tensors[slot]), what);
}

/* Strides and extents that can be added up without overflow, and elements that lie inside the
 * allocation. */
static ttm_status check_bounds(const ttm_op *op, uint32_t slot, bool planning)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    int64_t last = 0;
    int64_t count = 1;
    bool empty = false;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        int64_t reach = 0;
        if (tensor->shape[dim] < 0 || tensor->stride[dim] < 0) {
            return fail_slot(TTM_ERROR_SHAPE, op, slot, "extents and strides can't be negative");
        }
        empty = empty || tensor->shape[dim] == 0;
        if (__builtin_mul_overflow(count, tensor->shape[dim], &count) ||
            __builtin_mul_overflow(tensor->shape[dim] > 0 ? tensor->shape[dim] - 1 : 0,
                                   tensor->stride[dim], &reach) ||
            __builtin_add_overflow(last, reach, &last) || last > INT64_MAX / 16) {
            return fail_slot(TTM_ERROR_SHAPE, op, slot, "its size overflows");
        }
    }
    if (planning || empty) {
        return TTM_OK;
    }
    if (tensor->memory == NULL) {
        return fail_slot(TTM_ERROR_ARGUMENT, op, slot, "it has no memory");
    }
    size_t extent = ttm_tensor_extent_bytes(tensor);
    if (tensor->offset % ttm_dtype_bytes(tensor->dtype) != 0) {
        return fail_slot(TTM_ERROR_SHAPE, op, slot,
                         "its offset isn't a multiple of the element size");
    }
    if (tensor->offset > tensor->memory_bytes || extent > tensor->memory_bytes - tensor->offset) {
        return fail_slot(TTM_ERROR_SHAPE, op, slot, "it reaches beyond its allocation");
    }
    return TTM_OK;
}

/* Elements of an output must not share a place: sorted by stride, each dimension must step over all
 * smaller ones. */
static bool strides_overlap(const ttm_tensor *tensor)
{
    bool used[TTM_MAX_RANK] = {false};
    int64_t reach = 0;
    for (int32_t round = 0; round < tensor->rank; round++) {
        int32_t next = -1;
        for (int32_t dim = 0; dim < tensor->rank; dim++) {
            if (!used[dim] && (next < 0 || tensor->stride[dim] < tensor->stride[next])) {
                next = dim;
            }
        }
        used[next] = true;
        if (tensor->shape[next] <= 1) {
            continue;
        }
        if (tensor->stride[next] <= reach) {
            return true;
        }
        reach += (tensor->shape[next] - 1) * tensor->stride[next];
    }
    return false;
}

static ttm_status check_tensor(const ttm_op *op, uint32_t slot, bool planning)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    if (ttm_dtype_bytes(tensor->dtype) == 0) {
        return fail_slot(TTM_ERROR_DTYPE, op, slot, "its type is unknown");
    }
    if (tensor->rank < 0 || tensor->rank > TTM_MAX_RANK) {
        return ttm_fail(TTM_ERROR_SHAPE, "%s: %s has rank %d, not 0 to %d", ttm_op_name(op->opcode),
                        ttm_op_get_info(op->opcode)->slots[slot].name, (int)tensor->rank,
                        TTM_MAX_RANK);
    }
    if (tensor->layout != TTM_LAYOUT_STRIDED) {
        return fail_slot(TTM_ERROR_UNSUPPORTED, op, slot,
                         "no backend gives out layouts of its own");
    }
    TTM_TRY(check_bounds(op, slot, planning));
    if (ttm_op_slot_role(op, slot) != TTM_SLOT_IN && ttm_tensor_count(tensor) > 0 &&
        strides_overlap(tensor)) {
        return fail_slot(TTM_ERROR_SHAPE, op, slot, "an output's elements overlap");
    }
    return TTM_OK;
}

static bool is_float(ttm_dtype dtype)
{
    return dtype == TTM_F32 || dtype == TTM_F64 || dtype == TTM_BF16 || dtype == TTM_F16;
}

/* The type that the slots of one kind share: that of the first one present. */
static ttm_dtype first_type(const ttm_op *op, ttm_slot_type type)
{
    const ttm_op_info *info = ttm_op_get_info(op->opcode);
    for (uint32_t slot = 0; slot < info->slot_count; slot++) {
        if (info->slots[slot].type == type && ttm_tensor_present(&op->tensors[slot])) {
            return op->tensors[slot].dtype;
        }
    }
    return TTM_DTYPE_NONE;
}

/* Whether a slot may be TF32, which then counts as f32: an operand of a product beside the others.
 */
static bool may_be_tf32(const ttm_op *op, uint32_t slot)
{
    return (ttm_op_tf32_slots(op->opcode) >> slot & 1U) != 0 && ttm_op_has_tf32(op);
}

static ttm_status check_types(const ttm_op *op)
{
    const ttm_op_info *info = ttm_op_get_info(op->opcode);
    const ttm_dtype first = first_type(op, TTM_TYPE_DATA);
    const ttm_dtype data = first == TTM_TF32 ? TTM_F32 : first;
    const ttm_dtype result = first_type(op, TTM_TYPE_RESULT);
    const ttm_dtype stored = first_type(op, TTM_TYPE_STORED);
    const ttm_dtype accumulate = data == TTM_F64 ? TTM_F64 : TTM_F32;
    for (uint32_t slot = 0; slot < info->slot_count; slot++) {
        if (!ttm_tensor_present(&op->tensors[slot])) {
            continue;
        }
        ttm_dtype dtype = op->tensors[slot].dtype;
        bool fits = true;
        if (dtype == TTM_TF32 && may_be_tf32(op, slot)) {
            dtype = TTM_F32;
        }
        switch (info->slots[slot].type) {
        case TTM_TYPE_DATA:
            fits = is_float(dtype) && dtype == data;
            break;
        case TTM_TYPE_RESULT:
            fits = dtype == result && (dtype == data || (dtype == TTM_F32 && data != TTM_F64));
            break;
        case TTM_TYPE_STORED:
            fits = dtype == stored && (dtype == data || (dtype == TTM_BF16 && data == TTM_F32));
            break;
        case TTM_TYPE_ACCUMULATE:
            fits = dtype == accumulate;
            break;
        case TTM_TYPE_INDEX:
            fits = dtype == TTM_I32;
            break;
        case TTM_TYPE_FLOAT:
            fits = is_float(dtype);
            break;
        case TTM_TYPE_ANY:
            fits = dtype != TTM_TF32;
            break;
        }
        if (!fits) {
            return fail_slot(TTM_ERROR_DTYPE, op, slot,
                             "its type doesn't go with the other tensors");
        }
    }
    return TTM_OK;
}

static ttm_status bind_extent(bindings *bound, const ttm_op *op, uint32_t slot, char letter,
                              int64_t extent)
{
    int64_t *known = &bound->extent[(unsigned char)letter];
    if (letter >= '0' && letter <= '9') {
        *known = letter - '0';
    }
    if (*known < 0) {
        *known = extent;
    }
    if (*known != extent) {
        char what[128];
        snprintf(what, sizeof what, "dimension %c must be %" PRId64 " as in the other tensors",
                 letter, *known);
        return fail_slot(TTM_ERROR_SHAPE, op, slot, what);
    }
    return TTM_OK;
}

static ttm_status bind_whole(bindings *bound, const ttm_op *op, uint32_t slot)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    if (bound->whole == NULL) {
        bound->whole = tensor;
    }
    if (tensor->rank != bound->whole->rank ||
        memcmp(tensor->shape, bound->whole->shape,
               (size_t)tensor->rank * sizeof tensor->shape[0]) != 0) {
        char text[160];
        char what[224];
        snprintf(what, sizeof what, "it must have the shape of %s",
                 ttm_tensor_print(text, sizeof text, bound->whole));
        return fail_slot(TTM_ERROR_SHAPE, op, slot, what);
    }
    return TTM_OK;
}

static ttm_status bind_batch(bindings *bound, const ttm_op *op, uint32_t slot, int32_t batch_rank)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    if (bound->batch_rank < 0) {
        bound->batch_rank = batch_rank;
        for (int32_t dim = 0; dim < batch_rank && dim < 2; dim++) {
            bound->batch[dim] = tensor->shape[dim];
        }
    }
    if (batch_rank < 0 || batch_rank > 2 || batch_rank != bound->batch_rank) {
        return fail_slot(TTM_ERROR_SHAPE, op, slot,
                         "it must have 0 to 2 batch dimensions, as many as the others");
    }
    for (int32_t dim = 0; dim < batch_rank; dim++) {
        if (tensor->shape[dim] != bound->batch[dim]) {
            return fail_slot(TTM_ERROR_SHAPE, op, slot,
                             "its batch dimensions differ from the others'");
        }
    }
    return TTM_OK;
}

static ttm_status check_shape(bindings *bound, const ttm_op *op, uint32_t slot)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    const char *pattern = ttm_op_get_info(op->opcode)->slots[slot].shape;
    if (pattern[0] == '#') {
        return TTM_OK;
    }
    if (pattern[0] == '@') {
        return bind_whole(bound, op, slot);
    }
    int32_t batch_rank = 0;
    if (pattern[0] == '.') {
        pattern++;
        batch_rank = tensor->rank - (int32_t)strlen(pattern);
        TTM_TRY(bind_batch(bound, op, slot, batch_rank));
    }
    if (tensor->rank != batch_rank + (int32_t)strlen(pattern)) {
        char what[96];
        snprintf(what, sizeof what, "it must have %zu dimensions [%s]", strlen(pattern), pattern);
        return fail_slot(TTM_ERROR_SHAPE, op, slot, what);
    }
    for (int32_t dim = 0; pattern[dim] != '\0'; dim++) {
        TTM_TRY(bind_extent(bound, op, slot, pattern[dim], tensor->shape[batch_rank + dim]));
    }
    return TTM_OK;
}

/* Whether the contract wants a slot's last dimension without gaps. */
static bool has_dense_rows(ttm_opcode opcode, uint32_t slot)
{
    switch (opcode) {
    case TTM_OP_ATTENTION:
        return slot != TTM_ATTENTION_LSE;
    case TTM_OP_ATTENTION_BACKWARD:
        return slot != TTM_ATTENTION_BACKWARD_LSE;
    case TTM_OP_TT_BUILD:
        return slot == TTM_TT_BUILD_W;
    case TTM_OP_TT_GRADIENT:
        return slot == TTM_TT_GRADIENT_DW;
    default:
        return false;
    }
}

static ttm_status check_rows(const ttm_op *op, uint32_t slot)
{
    const ttm_tensor *tensor = &op->tensors[slot];
    const int32_t last = tensor->rank - 1;
    if (has_dense_rows(op->opcode, slot) && tensor->shape[last] > 1 && tensor->stride[last] != 1) {
        return fail_slot(TTM_ERROR_SHAPE, op, slot, "its last stride must be 1");
    }
    return TTM_OK;
}

/* The first slots of core and gradient lists, or -1. */
static int32_t first_core_slot(ttm_opcode opcode, bool gradient)
{
    switch (opcode) {
    case TTM_OP_TT_BUILD:
        return gradient ? -1 : TTM_TT_BUILD_CORE;
    case TTM_OP_TT_GRADIENT:
        return gradient ? TTM_TT_GRADIENT_DCORE : TTM_TT_GRADIENT_CORE;
    case TTM_OP_TT_LINEAR:
        return gradient ? -1 : TTM_TT_LINEAR_CORE;
    case TTM_OP_TT_LINEAR_BACKWARD:
        return gradient ? TTM_TT_LINEAR_BACKWARD_DCORE : TTM_TT_LINEAR_BACKWARD_CORE;
    default:
        return -1;
    }
}

static bool core_is_dense(const ttm_tensor *core)
{
    ttm_tensor inner = *core;
    inner.shape[0] = 1;
    return ttm_tensor_is_contiguous(&inner) != 0;
}

/* One list of cores: a chain of ranks from 1 to 1 whose modes multiply to [in, out], all with the
 * same number of layers. */
static ttm_status check_core_list(const ttm_op *op, uint32_t first, const bindings *bound)
{
    const int64_t layers = bound->extent['L'] >= 0 ? bound->extent['L'] : 1;
    int64_t rank = 1;
    int64_t in = 1;
    int64_t out = 1;
    uint32_t count = 0;
    while (count < TTM_OP_MAX_CORES && ttm_tensor_present(&op->tensors[first + count])) {
        const uint32_t slot = first + count++;
        const ttm_tensor *core = &op->tensors[slot];
        if (core->rank != 5 || core->shape[0] != layers || core->shape[1] != rank ||
            !core_is_dense(core)) {
            return fail_slot(TTM_ERROR_SHAPE, op, slot,
                             "a core must be [layers, rank of the one before, n, m, rank], its "
                             "last four dimensions contiguous");
        }
        rank = core->shape[4];
        if (__builtin_mul_overflow(in, core->shape[2], &in) ||
            __builtin_mul_overflow(out, core->shape[3], &out)) {
            return fail_slot(TTM_ERROR_SHAPE, op, slot, "the product of the modes overflows");
        }
    }
    for (uint32_t later = count; later < TTM_OP_MAX_CORES; later++) {
        if (ttm_tensor_present(&op->tensors[first + later])) {
            return fail_slot(TTM_ERROR_ARGUMENT, op, first + later,
                             "cores must be given without gaps");
        }
    }
    if (count == 0 || rank != 1 || in != bound->extent['I'] || out != bound->extent['O']) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "%s: %" PRIu32 " cores of last rank %" PRId64 " make a matrix [%" PRId64
                        ", %" PRId64 "], not [%" PRId64 ", %" PRId64 "]",
                        ttm_op_name(op->opcode), count, rank, in, out, bound->extent['I'],
                        bound->extent['O']);
    }
    return TTM_OK;
}

static ttm_status check_cores(const ttm_op *op, const bindings *bound)
{
    const int32_t cores = first_core_slot(op->opcode, false);
    const int32_t gradients = first_core_slot(op->opcode, true);
    if (cores >= 0) {
        TTM_TRY(check_core_list(op, (uint32_t)cores, bound));
    }
    if (gradients < 0) {
        return TTM_OK;
    }
    TTM_TRY(check_core_list(op, (uint32_t)gradients, bound));
    for (int32_t k = 0; k < TTM_OP_MAX_CORES; k++) {
        const ttm_tensor *core = &op->tensors[cores + k];
        const ttm_tensor *gradient = &op->tensors[gradients + k];
        if (ttm_tensor_present(core) != ttm_tensor_present(gradient) ||
            (ttm_tensor_present(core) &&
             memcmp(core->shape, gradient->shape, 5 * sizeof core->shape[0]) != 0)) {
            return fail_slot(TTM_ERROR_SHAPE, op, (uint32_t)(gradients + k),
                             "it must have the shape of its core");
        }
    }
    return TTM_OK;
}

static bool same_view(const ttm_tensor *a, const ttm_tensor *b)
{
    return a->memory == b->memory && a->offset == b->offset && a->dtype == b->dtype &&
           a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0 &&
           memcmp(a->stride, b->stride, (size_t)a->rank * sizeof a->stride[0]) == 0;
}

/* Whether the contract lets output slot `out` be exactly the tensor of slot `in`. */
static bool may_alias(const ttm_op *op, uint32_t out, uint32_t in)
{
    switch (op->opcode) {
    case TTM_OP_ADD:
    case TTM_OP_GELU:
    case TTM_OP_SOFTMAX:
    case TTM_OP_DROPOUT:
        return out == 0;
    case TTM_OP_GELU_BACKWARD:
        return out == TTM_GELU_BACKWARD_DX && in == TTM_GELU_BACKWARD_DY;
    case TTM_OP_MATMUL:
        return out == TTM_MATMUL_OUT && in == TTM_MATMUL_RESIDUAL &&
               ((const ttm_matmul_params *)op->params)->beta == 0.0;
    case TTM_OP_LAYER_NORM:
        return out == TTM_LAYER_NORM_SUM &&
               (in == TTM_LAYER_NORM_X || in == TTM_LAYER_NORM_RESIDUAL);
    case TTM_OP_LAYER_NORM_BACKWARD:
        return out == TTM_LAYER_NORM_BACKWARD_DX && in == TTM_LAYER_NORM_BACKWARD_DY &&
               ((const ttm_layer_norm_backward_params *)op->params)->dx_beta == 0.0;
    case TTM_OP_CROSS_ENTROPY:
        return out == TTM_CROSS_ENTROPY_DLOGITS && in == TTM_CROSS_ENTROPY_LOGITS;
    default:
        return false;
    }
}

static bool ranges_meet(const ttm_tensor *a, const ttm_tensor *b)
{
    return a->memory == b->memory && a->offset < b->offset + ttm_tensor_extent_bytes(b) &&
           b->offset < a->offset + ttm_tensor_extent_bytes(a);
}

/* Refuses what is certainly wrong: an output that is, or as a gapless block touches, another
 * tensor. Interleaved strided views of one buffer, such as dq, dk and dv, are fine and stay so. */
static ttm_status check_aliasing(const ttm_op *op)
{
    for (uint32_t out = 0; out < op->tensor_count; out++) {
        const ttm_tensor *target = &op->tensors[out];
        if (!ttm_tensor_present(target) || target->memory == NULL ||
            ttm_tensor_count(target) == 0 || ttm_op_slot_role(op, out) == TTM_SLOT_IN) {
            continue;
        }
        for (uint32_t other = 0; other < op->tensor_count; other++) {
            const ttm_tensor *tensor = &op->tensors[other];
            if (other == out || !ttm_tensor_present(tensor) || ttm_tensor_count(tensor) == 0) {
                continue;
            }
            const bool same = same_view(target, tensor);
            const bool allowed = same && (may_alias(op, out, other) || may_alias(op, other, out));
            const bool dense = ttm_tensor_is_contiguous(target) && ttm_tensor_is_contiguous(tensor);
            if (!allowed && (same || (dense && ranges_meet(target, tensor)))) {
                return fail_slot(TTM_ERROR_ARGUMENT, op, out,
                                 "this output overlaps another tensor of the op");
            }
        }
    }
    return TTM_OK;
}

ttm_status ttm_op_validate(const ttm_op *op, bool planning)
{
    const ttm_op_info *info = ttm_op_get_info(op->opcode);
    if (info == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "opcode %d doesn't exist", (int)op->opcode);
    }
    if (op->tensor_count != info->slot_count || op->tensors == NULL ||
        op->params_bytes < info->params_bytes || (info->params_bytes > 0 && op->params == NULL)) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT,
            "%s: %" PRIu32 " tensors and %zu bytes of parameters, not %" PRIu32 " and %zu",
            info->name, op->tensor_count, op->params_bytes, info->slot_count, info->params_bytes);
    }
    bindings bound = {.batch_rank = -1};
    memset(bound.extent, -1, sizeof bound.extent);
    for (uint32_t slot = 0; slot < info->slot_count; slot++) {
        if (ttm_tensor_present(&op->tensors[slot])) {
            TTM_TRY(check_tensor(op, slot, planning));
            TTM_TRY(check_shape(&bound, op, slot));
            TTM_TRY(check_rows(op, slot));
        } else if (!info->slots[slot].optional) {
            return ttm_fail(TTM_ERROR_ARGUMENT, "%s: %s is missing", info->name,
                            info->slots[slot].name);
        }
    }
    TTM_TRY(check_types(op));
    TTM_TRY(check_cores(op, &bound));
    TTM_TRY(ttm_op_validate_params(op));
    return planning ? TTM_OK : check_aliasing(op);
}
