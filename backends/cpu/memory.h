/* Memory of the cpu device: host memory, refused in time and filled by all threads. */
#ifndef TTM_CPU_MEMORY_H
#define TTM_CPU_MEMORY_H

#include <ttm/backend.h>

ttm_status ttm_cpu_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
ttm_status ttm_cpu_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                               ttm_memory *source, size_t source_offset, size_t bytes);
ttm_status ttm_cpu_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               size_t bytes);

#endif
