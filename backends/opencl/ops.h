/* The ops of the plugin by number. */
#ifndef TTM_OPENCL_OPS_H
#define TTM_OPENCL_OPS_H

#include "opencl/stream.h"

int opencl_op_supported(ttm_backend_device *device, const ttm_op *op);
size_t opencl_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op);
ttm_status opencl_op_run(ttm_backend_stream *stream, const ttm_op *op);

#endif
