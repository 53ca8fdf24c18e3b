/* In-order queues, copies between host and device, events; and the kernels of a stream. */
#ifndef TTM_OPENCL_STREAM_H
#define TTM_OPENCL_STREAM_H

#include "opencl/device.h"

/** Small writes go through this many slots of host memory, so that they needn't wait. */
enum { OPENCL_STAGING_SLOTS = 8, OPENCL_STAGING_SLOT_BYTES = 256 * 1024 };

/** One slot: busy until its event has happened. */
typedef struct opencl_staging_slot {
    unsigned char *bytes;
    cl_event event;
} opencl_staging_slot;

/** A kernel object: arguments are set on it, so that each stream has its own. */
typedef struct opencl_stream_kernel opencl_stream_kernel;

/** Host data that a stream keeps on the device from call to call, because they rarely change. */
typedef struct opencl_kept_data {
    cl_mem buffer;
    void *copy; /**< What the buffer holds. */
    size_t bytes;
} opencl_kept_data;

struct ttm_backend_stream {
    ttm_backend_device *device;
    cl_command_queue queue;
    opencl_stream_kernel *kernels;
    cl_mem staging; /**< Pinned host memory of all slots, mapped at staging_bytes. */
    unsigned char *staging_bytes;
    opencl_staging_slot slots[OPENCL_STAGING_SLOTS];
    int next_slot;
    uint32_t unflushed; /**< Kernels queued since the last flush. */
    opencl_kept_data adamw_chunks;
};

ttm_status opencl_stream_create(ttm_backend_stream **stream, ttm_backend_device *device);
void opencl_stream_destroy(ttm_backend_stream *stream);
ttm_status opencl_stream_synchronize(ttm_backend_stream *stream);

ttm_status opencl_memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes);
ttm_status opencl_memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes);
ttm_status opencl_memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                              ttm_memory *source, size_t source_offset, size_t bytes);
ttm_status opencl_memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                              size_t bytes);

ttm_status opencl_event_record(ttm_backend_event **event, ttm_backend_stream *stream);
ttm_status opencl_event_wait(ttm_backend_stream *stream, ttm_backend_event *event);
ttm_status opencl_event_synchronize(ttm_backend_event *event);
ttm_status opencl_event_elapsed_ns(uint64_t *elapsed_ns, ttm_backend_event *start,
                                   ttm_backend_event *end);
void opencl_event_destroy(ttm_backend_event *event);

/** Returns a failed call's status, with the stream's device named. */
ttm_status opencl_stream_fail(const ttm_backend_stream *stream, cl_int error, const char *doing);

/** Copies `bytes` of host data into kept->buffer unless it holds them already. The host data may
 * go away on return. */
ttm_status opencl_stream_keep(opencl_kept_data *kept, ttm_backend_stream *stream, const void *data,
                              size_t bytes);

#endif
