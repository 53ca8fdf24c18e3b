/* In-order queues, copies between host and device, events; and the kernels of a stream. */
#ifndef TTM_OPENCL_STREAM_H
#define TTM_OPENCL_STREAM_H

#include "opencl/device.h"

/** Pinned host memory that copies go through: 4 MiB a stream. */
enum { OPENCL_STAGING_SLOTS = 8, OPENCL_STAGING_SLOT_BYTES = 512 * 1024 };

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
    int knows_marks;    /**< Whether `mark` has been settled. */
    cl_mem mark;        /**< Filled to mark a time where markers carry none, else NULL. */
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

/** Waits until a command has ended; returns its failure. */
cl_int opencl_wait_for_command(cl_event event);

/** The same for a command that was queued just now, if `queued` says that it could be; gives the
 * event back. */
cl_int opencl_finish_command(cl_int queued, cl_event event);

/** Queues a copy of host bytes, which may go away on return, to a buffer. */
cl_int opencl_upload(ttm_backend_stream *stream, cl_mem buffer, size_t offset, const void *source,
                     size_t bytes);

/** Returns a failed call's status, with the stream's device named. */
ttm_status opencl_stream_fail(const ttm_backend_stream *stream, cl_int error, const char *doing);

/** Copies `bytes` of host data into kept->buffer unless it holds them already. The host data may
 * go away on return. */
ttm_status opencl_stream_keep(opencl_kept_data *kept, ttm_backend_stream *stream, const void *data,
                              size_t bytes);

#endif
