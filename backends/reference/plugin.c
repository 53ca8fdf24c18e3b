/* The reference backend: the smallest complete plugin, and the oracle that others are tested
 * against. One device, the host's memory, plain loops with double accumulators, every op on every
 * element type and stride.
 *
 * To write a plugin, start here: a table of functions, and one function that returns it. Memory and
 * streams (required) come from common/host_plugin.c; ops (optional, one by one) are in the other
 * files of this folder, one formula a function. */
#include <stdio.h>

#include "common/host_plugin.h"
#include "reference/run.h"

/* The device has no state. */
struct ttm_backend_device {
    int unused;
};

static ttm_backend_device the_device;

static ttm_status (*const run_functions[TTM_OP_COUNT])(const ttm_op *op) = {
    [TTM_OP_COPY] = run_copy,
    [TTM_OP_FILL] = run_fill,
    [TTM_OP_ADD] = run_add,
    [TTM_OP_MATMUL] = run_matmul,
    [TTM_OP_REDUCE_ROWS] = run_reduce_rows,
    [TTM_OP_SUM_OF_SQUARES] = run_sum_of_squares,
    [TTM_OP_GELU] = run_gelu,
    [TTM_OP_GELU_BACKWARD] = run_gelu_backward,
    [TTM_OP_DROPOUT] = run_dropout,
    [TTM_OP_SOFTMAX] = run_softmax,
    [TTM_OP_LAYER_NORM] = run_layer_norm,
    [TTM_OP_LAYER_NORM_BACKWARD] = run_layer_norm_backward,
    [TTM_OP_ATTENTION] = run_attention,
    [TTM_OP_ATTENTION_BACKWARD] = run_attention_backward,
    [TTM_OP_CROSS_ENTROPY] = run_cross_entropy,
    [TTM_OP_EMBEDDING] = run_embedding,
    [TTM_OP_EMBEDDING_BACKWARD] = run_embedding_backward,
    [TTM_OP_ADAMW] = run_adamw,
    [TTM_OP_TT_BUILD] = run_tt_build,
    [TTM_OP_TT_GRADIENT] = run_tt_gradient,
    [TTM_OP_TT_LINEAR] = run_tt_linear,
    [TTM_OP_TT_LINEAR_BACKWARD] = run_tt_linear_backward,
    [TTM_OP_SAMPLE] = run_sample,
    [TTM_OP_NORM_MATMUL] = run_norm_matmul,
};

static ttm_status device_count(int32_t *count)
{
    *count = 1;
    return TTM_OK;
}

static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    if (index != 0) {
        return host_fail(TTM_ERROR_NOT_FOUND, "reference has one device, number 0; asked for %d",
                         (int)index);
    }
    ttm_device_info reference = {.capabilities = TTM_DEVICE_CAN_MAP | TTM_DEVICE_CHECKING_ONLY,
                                 .dtype_mask = 1u << TTM_F64 | 1u << TTM_F32 | 1u << TTM_BF16 |
                                               1u << TTM_F16 | 1u << TTM_I32};
    snprintf(reference.name, sizeof reference.name, "reference");
    snprintf(reference.vendor, sizeof reference.vendor, "libttm");
    snprintf(reference.driver, sizeof reference.driver, "plain C");
    snprintf(reference.details, sizeof reference.details,
             "plain loops on one thread, sums in f64; for checking, not for speed");
    host_describe_machine(&reference);
    reference.compute_units = 1;
    host_copy_info(info, &reference);
    return TTM_OK;
}

static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    if (index != 0) {
        return host_fail(TTM_ERROR_NOT_FOUND, "reference has one device, number 0; asked for %d",
                         (int)index);
    }
    *device = &the_device;
    return TTM_OK;
}

static void device_close(ttm_backend_device *device)
{
    (void)device;
}

/* Every valid op on strided tensors is supported. */
static int op_supported(ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    if ((uint32_t)op->opcode >= TTM_OP_COUNT) {
        return 0; /* an op of a newer minor version */
    }
    for (uint32_t i = 0; i < op->tensor_count; i++) {
        if (ttm_tensor_present(&op->tensors[i]) &&
            (op->tensors[i].layout != TTM_LAYOUT_STRIDED ||
             ttm_dtype_bytes(op->tensors[i].dtype) == 0 || op->tensors[i].dtype == TTM_TF32)) {
            return 0;
        }
    }
    return 1;
}

static ttm_status op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    if (!op_supported(stream->device, op)) {
        return host_fail(TTM_ERROR_UNSUPPORTED, "reference has no op number %d on such tensors",
                         (int)op->opcode);
    }
    return run_functions[op->opcode](op);
}

static const ttm_backend table = {
    .magic = TTM_BACKEND_MAGIC,
    .abi_major = TTM_BACKEND_ABI_MAJOR,
    .abi_minor = TTM_BACKEND_ABI_MINOR,
    .struct_size = sizeof(ttm_backend),
    .name = "reference",
    .version = "0.1.0",
    .description = "plain loops in double precision, for checking other backends",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .memory_alloc = host_memory_alloc,
    .memory_free = host_memory_free,
    .memory_write = host_memory_write,
    .memory_read = host_memory_read,
    .memory_copy = host_memory_copy,
    .memory_zero = host_memory_zero,
    .memory_map = host_memory_map,
    .stream_create = host_stream_create,
    .stream_destroy = host_stream_destroy,
    .stream_synchronize = host_stream_synchronize,
    .event_record = host_event_record,
    .event_wait = host_event_wait,
    .event_synchronize = host_event_synchronize,
    .event_elapsed_ns = host_event_elapsed_ns,
    .event_destroy = host_event_destroy,
    .op_supported = op_supported,
    .op_run = op_run,
};

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    host_plugin_start(host);
    return &table;
}
