/* The op members of the plugin's table. */
#ifndef TTM_CPU_OPS_H
#define TTM_CPU_OPS_H

#include <ttm/backend.h>

int ttm_cpu_op_supported(ttm_backend_device *device, const ttm_op *op);
size_t ttm_cpu_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op);
ttm_status ttm_cpu_op_run(ttm_backend_stream *stream, const ttm_op *op);

#endif
