/* The cpu backend: the host's processors at their full speed, and the default.
 *
 * Products are our own or go to a library (op_matmul.c), everything else to our own vector kernels,
 * which are compiled for several instruction sets and chosen when the device is opened (kernels/).
 * One pool of threads does all the work (pool.c). Ops are done when the call that queues them
 * returns. */
#include "common/host_plugin.h"
#include "cpu/blas.h"
#include "cpu/device.h"
#include "cpu/machine.h"
#include "cpu/memory.h"
#include "cpu/onednn.h"
#include "cpu/ops.h"

#include <stdio.h>
#include <stdlib.h>

static ttm_status device_count(int32_t *count)
{
    *count = 1;
    return TTM_OK;
}

static ttm_status check_index(int32_t index)
{
    if (index != 0) {
        return host_fail(TTM_ERROR_NOT_FOUND, "cpu has one device, number 0; asked for %d",
                         (int)index);
    }
    return TTM_OK;
}

/** Writes who multiplies, with which instructions, on how many threads. */
static void describe_products(char *text, size_t bytes, int threads)
{
    char blas[64];
    char library[32] = "";
    const ttm_cpu_kernels *kernels = ttm_cpu_choose_kernels();
    ttm_cpu_blas_describe(blas, sizeof blas);
    if (ttm_cpu_prefers_onednn()) {
        ttm_cpu_onednn_describe(library, sizeof library);
    }
    snprintf(text, bytes, "products: %s, bf16: %s; loops: %s; %d thread%s",
             ttm_cpu_prefers_own_products(kernels) ? "own kernels" : blas,
             library[0] != '\0'          ? library
             : kernels->multiplies_pairs ? "own, by pairs"
                                         : "as fp32",
             kernels->level, threads, threads == 1 ? "" : "s");
}

static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    ttm_device_info cpu = {.capabilities = TTM_DEVICE_CAN_MAP,
                           .dtype_mask = 1u << TTM_F32 | 1u << TTM_BF16 | 1u << TTM_I32};
    const ttm_status status = check_index(index);
    if (status != TTM_OK) {
        return status;
    }
    const int threads = ttm_cpu_thread_count();
    host_describe_machine(&cpu);
    cpu.memory_free_bytes = ttm_cpu_memory_available();
    cpu.compute_units = (uint32_t)threads;
    ttm_cpu_name(cpu.name, sizeof cpu.name);
    ttm_cpu_vendor(cpu.vendor, sizeof cpu.vendor);
    ttm_cpu_blas_describe(cpu.driver, sizeof cpu.driver);
    describe_products(cpu.details, sizeof cpu.details, threads);
    host_copy_info(info, &cpu);
    return TTM_OK;
}

static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    const ttm_status status = check_index(index);
    if (status != TTM_OK) {
        return status;
    }
    ttm_backend_device *opened = calloc(1, sizeof *opened);
    const int threads = ttm_cpu_thread_count();
    if (opened != NULL) {
        opened->pool = ttm_cpu_pool_create(threads, ttm_cpu_pins_threads());
    }
    if (opened == NULL || opened->pool == NULL) {
        free(opened);
        return host_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to open the cpu device");
    }
    opened->kernels = ttm_cpu_choose_kernels();
    opened->threads = threads;
    opened->one_run = ttm_cpu_prefers_one_run();
    opened->own_products = ttm_cpu_prefers_own_products(opened->kernels);
    opened->onednn_products = ttm_cpu_prefers_onednn();
    if (!opened->own_products) {
        ttm_cpu_blas_start();
    }
    *device = opened;
    return TTM_OK;
}

static void device_close(ttm_backend_device *device)
{
    ttm_cpu_pool_destroy(device->pool);
    free(device);
}

static const ttm_backend table = {
    .magic = TTM_BACKEND_MAGIC,
    .abi_major = TTM_BACKEND_ABI_MAJOR,
    .abi_minor = TTM_BACKEND_ABI_MINOR,
    .struct_size = sizeof(ttm_backend),
    .name = "cpu",
    .version = "0.1.0",
    .description = "the host's processors: CBLAS products, vector loops, all threads",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .memory_alloc = ttm_cpu_memory_alloc,
    .memory_free = host_memory_free,
    .memory_write = host_memory_write,
    .memory_read = host_memory_read,
    .memory_copy = ttm_cpu_memory_copy,
    .memory_zero = ttm_cpu_memory_zero,
    .memory_map = host_memory_map,
    .stream_create = host_stream_create,
    .stream_destroy = host_stream_destroy,
    .stream_synchronize = host_stream_synchronize,
    .event_record = host_event_record,
    .event_wait = host_event_wait,
    .event_synchronize = host_event_synchronize,
    .event_elapsed_ns = host_event_elapsed_ns,
    .event_destroy = host_event_destroy,
    .op_supported = ttm_cpu_op_supported,
    .op_workspace_bytes = ttm_cpu_op_workspace_bytes,
    .op_run = ttm_cpu_op_run,
};

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    host_plugin_start(host);
    return &table;
}
