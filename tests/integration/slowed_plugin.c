/* A plugin for tests of measuring and of memory: another plugin with one op made slower, with ops
 * missing, with products and attention in tf32, or with small allocations only.
 *
 *     TTM_TEST_WRAPPED   file of the plugin that does the work
 *     TTM_TEST_SLOW_OP   opcode (a number) that takes TTM_TEST_SLOW_FACTOR times as long; none: −1
 *     TTM_TEST_LACKS     opcodes that it says it lacks, such as "6 12"
 *     TTM_TEST_TF32      products and attention take operands of TF32, in this many times the time
 *                        of f32 ones
 *     TTM_TEST_ALLOCATION   bytes that a single allocation may have
 *     TTM_TEST_STEADY    1: ops compute nothing but take a time that depends on their size only, so
 *                        that a busy machine measures the same twice */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ttm/backend.h>

#define EXPORTED __attribute__((visibility("default")))

EXPORTED const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

static ttm_backend table;
static ttm_status (*wrapped_run)(ttm_backend_stream *stream, const ttm_op *op);
static int slow_opcode = -1;
static double slow_factor = 1.0;
static double tf32_factor; /* 0: TF32 isn't taken. */
static int steady;
static uint64_t lacking;            /* Bit (1 << opcode). */
static uint64_t largest_allocation; /* 0: whatever the plugin allows. */
static ttm_status (*wrapped_info)(int32_t index, ttm_device_info *info);
static ttm_status (*wrapped_alloc)(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
static int (*wrapped_supported)(ttm_backend_device *device, const ttm_op *op);
static size_t (*wrapped_workspace)(ttm_backend_device *device, const ttm_op *op);

/* The op that the wrapped plugin gets, which knows no TF32; `slots` are its tensors where it had
 * any and that is taken. */
static ttm_op wrapped_op(ttm_tensor slots[TTM_OP_MAX_TENSORS], const ttm_op *op)
{
    ttm_op plain;
    (void)ttm_op_without_tf32(&plain, slots, op);
    return tf32_factor > 0.0 ? plain : *op;
}

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void spin_until(double end_ns)
{
    while (now_ns() < end_ns) {
    }
}

static double steady_ns(const ttm_op *op)
{
    double elements = 0.0;
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        double count = op->tensors[slot].dtype != TTM_DTYPE_NONE ? 1.0 : 0.0;
        for (int dim = 0; dim < op->tensors[slot].rank; dim++) {
            count *= (double)op->tensors[slot].shape[dim];
        }
        elements += count;
    }
    return 20e3 + (elements < 1e5 ? elements : 1e5) * 0.2;
}

static ttm_status run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op passed = wrapped_op(slots, op);
    const double factor = ((int)op->opcode == slow_opcode ? slow_factor : 1.0) *
                          (passed.tensors == slots ? tf32_factor : 1.0);
    const double began = now_ns();
    if (steady) {
        spin_until(began + steady_ns(op) * factor);
        return TTM_OK;
    }
    const ttm_status status = wrapped_run(stream, &passed);
    const double took = now_ns() - began;
    spin_until(began + took * factor);
    return status;
}

static int supported(ttm_backend_device *device, const ttm_op *op)
{
    const bool lacks = op->opcode < 64 && (lacking >> op->opcode & 1) != 0;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op passed = wrapped_op(slots, op);
    return lacks ? 0 : wrapped_supported(device, &passed);
}

static size_t workspace(ttm_backend_device *device, const ttm_op *op)
{
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const ttm_op passed = wrapped_op(slots, op);
    return wrapped_workspace(device, &passed);
}

static ttm_status describe(int32_t index, ttm_device_info *info)
{
    const ttm_status status = wrapped_info(index, info);
    if (status == TTM_OK && largest_allocation > 0) {
        info->max_allocation_bytes = largest_allocation;
    }
    if (status == TTM_OK && tf32_factor > 0.0) {
        info->dtype_mask |= 1U << TTM_TF32;
    }
    return status;
}

static ttm_status allocate(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    return largest_allocation > 0 && bytes > largest_allocation
               ? TTM_ERROR_OUT_OF_MEMORY
               : wrapped_alloc(memory, device, bytes);
}

static uint64_t read_opcodes(const char *text)
{
    uint64_t bits = 0;
    for (char *end = NULL; text != NULL && *text != '\0'; text = end) {
        const unsigned long opcode = strtoul(text, &end, 10);
        if (end == text || opcode > 63) {
            break;
        }
        bits |= UINT64_C(1) << opcode;
    }
    return bits;
}

const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    const char *path = getenv("TTM_TEST_WRAPPED");
    const char *op = getenv("TTM_TEST_SLOW_OP");
    const char *factor = getenv("TTM_TEST_SLOW_FACTOR");
    const char *tf32 = getenv("TTM_TEST_TF32");
    const char *allocation = getenv("TTM_TEST_ALLOCATION");
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    ttm_backend_entry_function entry = NULL;
    if (library != NULL) {
        *(void **)&entry = dlsym(library, TTM_BACKEND_ENTRY_NAME);
    }
    const ttm_backend *wrapped = entry != NULL ? entry(host) : NULL;
    if (wrapped == NULL) {
        host->error("slowed: TTM_TEST_WRAPPED names no plugin that works");
        return NULL;
    }
    memcpy(&table, wrapped,
           wrapped->struct_size < sizeof table ? wrapped->struct_size : sizeof table);
    table.struct_size = sizeof table;
    table.name = "slowed";
    table.description = "another plugin with one op slowed, for tests";
    wrapped_run = wrapped->op_run;
    table.op_run = run;
    wrapped_supported = wrapped->op_supported;
    table.op_supported = supported;
    wrapped_workspace = wrapped->op_workspace_bytes;
    table.op_workspace_bytes = wrapped_workspace != NULL ? workspace : NULL;
    wrapped_info = wrapped->device_info;
    table.device_info = describe;
    wrapped_alloc = wrapped->memory_alloc;
    table.memory_alloc = allocate;
    largest_allocation = allocation != NULL ? strtoull(allocation, NULL, 10) : 0;
    lacking = read_opcodes(getenv("TTM_TEST_LACKS"));
    slow_opcode = op != NULL ? atoi(op) : -1;
    slow_factor = factor != NULL ? atof(factor) : 1.0;
    tf32_factor = tf32 != NULL ? atof(tf32) : 0.0;
    steady = getenv("TTM_TEST_STEADY") != NULL;
    return &table;
}
