/* The part of a plugin that is the same for every device that computes in the host's own memory:
 * allocations, copies, synchronous streams, events with a time stamp, and error messages.
 *
 * The functions have the types of the members of ttm_backend, so that a plugin's table points at
 * them. Each plugin links its own hidden copy. */
#ifndef TTM_COMMON_HOST_PLUGIN_H
#define TTM_COMMON_HOST_PLUGIN_H

#include <ttm/backend.h>

/** Every allocation starts on a multiple of this many bytes. */
#define HOST_ALIGNMENT_BYTES 64u

/** An allocation in host memory. */
struct ttm_memory {
    unsigned char *bytes; /**< Where it starts. */
    size_t size;          /**< How many bytes the caller asked for. */
};

/** A stream that has always finished: each op is done when the call that queues it returns. */
struct ttm_backend_stream {
    ttm_backend_device *device;
};

/** Keeps what libttm offers. Call it first in ttm_backend_entry. */
void host_plugin_start(const ttm_backend_host *host);

/** Reports an error message (printf format) to libttm and returns `status`. */
ttm_status host_fail(ttm_status status, const char *format, ...) TTM_PRINTF(2, 3);

/** Logs one line (printf format) through libttm. */
void host_log(ttm_log_level level, const char *format, ...) TTM_PRINTF(2, 3);

/** Fills the members of `info` that follow from the host: memory, alignment, processors, kind. */
void host_describe_machine(ttm_device_info *info);

/** Copies as much of `source` as the caller of device_info has room for; struct_size stays. */
void host_copy_info(ttm_device_info *target, const ttm_device_info *source);

/** Where element (0, …, 0) of a tensor lies; NULL for a tensor without memory. */
static inline void *host_tensor_data(const ttm_tensor *tensor)
{
    return tensor->memory == NULL ? NULL : tensor->memory->bytes + tensor->offset;
}

ttm_status host_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
void host_memory_free(ttm_backend_device *device, ttm_memory *memory);
ttm_status host_memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                             const void *source, size_t bytes);
ttm_status host_memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                            size_t offset, size_t bytes);
ttm_status host_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                            ttm_memory *source, size_t source_offset, size_t bytes);
ttm_status host_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                            size_t bytes);
void *host_memory_map(ttm_backend_device *device, ttm_memory *memory);

ttm_status host_stream_create(ttm_backend_stream **stream, ttm_backend_device *device);
void host_stream_destroy(ttm_backend_stream *stream);
ttm_status host_stream_synchronize(ttm_backend_stream *stream);

ttm_status host_event_record(ttm_backend_event **event, ttm_backend_stream *stream);
ttm_status host_event_wait(ttm_backend_stream *stream, ttm_backend_event *event);
ttm_status host_event_synchronize(ttm_backend_event *event);
ttm_status host_event_elapsed_ns(uint64_t *elapsed_ns, ttm_backend_event *start,
                                 ttm_backend_event *end);
void host_event_destroy(ttm_backend_event *event);

#endif
