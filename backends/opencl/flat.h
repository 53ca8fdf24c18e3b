/* Copying and filling runs of neighbours within a device: what COPY, FILL and the plugin's own
 * copies of bytes share. */
#ifndef TTM_OPENCL_FLAT_H
#define TTM_OPENCL_FLAT_H

#include "opencl/stream.h"

/** Queues target[0 … bytes) = source[0 … bytes), from any offsets in bytes. Both may be one
 * allocation; the ranges don't overlap, and lie within. */
ttm_status opencl_flat_copy(ttm_backend_stream *stream, const ttm_memory *target,
                            size_t target_offset, const ttm_memory *source, size_t source_offset,
                            size_t bytes);

/** Queues target[0 … bytes) = the low element_bytes (1, 2, 4 or 8) of `bits`, again and again. The
 * offset and `bytes` are multiples of element_bytes. */
ttm_status opencl_flat_fill(ttm_backend_stream *stream, const ttm_memory *target, size_t offset,
                            uint64_t bits, size_t element_bytes, size_t bytes);

#endif
