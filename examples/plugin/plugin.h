/* What the files of this plugin share: its allocations, its streams, and how it reports an error.
 */
#ifndef TEMPLATE_PLUGIN_H
#define TEMPLATE_PLUGIN_H

#include <ttm/backend.h>

/** An allocation. On a device of your own this holds its address, handle or buffer object. */
struct ttm_memory {
    unsigned char *bytes;
    size_t size;
};

/** A stream. On a device of your own this holds its queue. */
struct ttm_backend_stream {
    ttm_backend_device *device;
};

/** Reports why (printf format) and returns `status`: `return template_fail(TTM_ERROR_…, "…");` */
ttm_status template_fail(ttm_status status, const char *format, ...) TTM_PRINTF(2, 3);

/** Where the first element of a tensor lies. */
static inline void *template_data(const ttm_tensor *tensor)
{
    return tensor->memory->bytes + tensor->offset;
}

/* with_ops.c */
int template_op_supported(ttm_backend_device *device, const ttm_op *op);
size_t template_op_workspace_bytes(ttm_backend_device *device, const ttm_op *op);
ttm_status template_op_run(ttm_backend_stream *stream, const ttm_op *op);

/* tt_linear.c */
int template_tt_linear_supported(const ttm_op *op);
size_t template_tt_linear_workspace_bytes(const ttm_op *op);
void template_tt_linear(const ttm_op *op);

#endif
