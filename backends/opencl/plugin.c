/* The opencl backend: any device that has an OpenCL 1.2 driver. The table and the entry; everything
 * else is in the files that the names point at. */
#include "opencl/ops.h"
#include "opencl/product_tune.h"

static const ttm_backend table = {
    .magic = TTM_BACKEND_MAGIC,
    .abi_major = TTM_BACKEND_ABI_MAJOR,
    .abi_minor = TTM_BACKEND_ABI_MINOR,
    .struct_size = sizeof(ttm_backend),
    .name = "opencl",
    .version = "0.1.0",
    .description = "OpenCL 1.2 devices of any vendor; CLBlast for large products",
    .device_count = opencl_device_count,
    .device_info = opencl_device_info,
    .device_open = opencl_device_open,
    .device_close = opencl_device_close,
    .memory_alloc = opencl_memory_alloc,
    .memory_free = opencl_memory_free,
    .memory_write = opencl_memory_write,
    .memory_read = opencl_memory_read,
    .memory_copy = opencl_memory_copy,
    .memory_zero = opencl_memory_zero,
    .stream_create = opencl_stream_create,
    .stream_destroy = opencl_stream_destroy,
    .stream_synchronize = opencl_stream_synchronize,
    .event_record = opencl_event_record,
    .event_wait = opencl_event_wait,
    .event_synchronize = opencl_event_synchronize,
    .event_elapsed_ns = opencl_event_elapsed_ns,
    .event_destroy = opencl_event_destroy,
    .op_supported = opencl_op_supported,
    .op_workspace_bytes = opencl_op_workspace_bytes,
    .op_run = opencl_op_run,
    .device_tune = opencl_device_tune,
};

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    opencl_report_start(host);
    return &table;
}
