/* The plugin ABI: all that a backend plugin implements, and all that libttm knows of a device.
 *
 * A plugin is a shared object named libttm-backend-NAME.so that exports one function,
 * ttm_backend_entry. It links nothing of libttm: this header and those that it includes are enough.
 * Start from backends/reference.
 *
 * Required are device enumeration, memory and streams. Every op is optional: what a plugin doesn't
 * support is decomposed by libttm into ops that it does support, and failing that computed on the
 * host with staging copies.
 *
 * Threads: libttm calls enumeration and open/close from one thread at a time. Calls on one stream
 * come from one thread at a time; calls on different streams of a device may come from different
 * threads at once, and memory calls from any thread.
 *
 * Failures: a function returns a status other than TTM_OK and, before that, may say why through the
 * host's `error`. The text should name the device, the value and what to do. A plugin never calls
 * exit() or abort() and lets no signal or exception out.
 *
 * Versions: a plugin built for another major version is refused. Within a major version members are
 * only added at the end of structs; both sides compare struct_size and treat what isn't there as
 * NULL. */
#ifndef TTM_BACKEND_H
#define TTM_BACKEND_H

#include <ttm/log.h>
#include <ttm/ops.h>
#include <ttm/status.h>
#include <ttm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TTM_BACKEND_MAGIC     0x424d5454u /* "TTMB", little-endian */
#define TTM_BACKEND_ABI_MAJOR 1u
#define TTM_BACKEND_ABI_MINOR 0u

/** The name of the function that a plugin exports. */
#define TTM_BACKEND_ENTRY_NAME "ttm_backend_entry"

/** An open device of a plugin. Opaque to libttm. */
typedef struct ttm_backend_device ttm_backend_device;
/** An in-order queue of a device. Opaque to libttm. */
typedef struct ttm_backend_stream ttm_backend_stream;
/** A point in a stream. Opaque to libttm. */
typedef struct ttm_backend_event ttm_backend_event;

/** What kind of thing a device is. */
typedef enum ttm_device_kind {
    TTM_DEVICE_CPU = 0,        /**< The host's processor. */
    TTM_DEVICE_GPU = 1,        /**< A graphics processor. */
    TTM_DEVICE_ACCELERATOR = 2 /**< Anything else. */
} ttm_device_kind;

/** Capability bits of a device. */
enum {
    TTM_DEVICE_CAN_MAP = 1u << 0, /**< memory_map works: host and device share the memory. */
    TTM_DEVICE_CHECKING_ONLY =
        1u << 1 /**< Right but slow: never chosen automatically (reference). */
};

/** What a device is. Filled by device_info; strings are NUL-terminated UTF-8. */
typedef struct ttm_device_info {
    size_t struct_size; /**< Set by the caller. The plugin writes no further than this. */
    char name[128];     /**< "NVIDIA H100 80GB HBM3". */
    char vendor[64];    /**< Who made it. */
    char driver[128];   /**< Driver or library versions that matter. */
    ttm_device_kind kind;
    uint32_t capabilities;         /**< TTM_DEVICE_CAN_… bits. */
    uint64_t memory_bytes;         /**< Total memory, 0 when unknown. */
    uint64_t memory_free_bytes;    /**< Free memory now, 0 when unknown. */
    uint64_t max_allocation_bytes; /**< Largest single allocation, 0 when unknown. */
    uint64_t alignment_bytes; /**< Offsets of tensors that libttm plans are multiples of this; a
                                 power of two, ≤ 4096. */
    uint32_t compute_units;   /**< Cores, multiprocessors…, 0 when unknown. */
    uint32_t dtype_mask;      /**< Bit (1 << dtype) for each type that some op computes with. */
    char details[256];        /**< Free text for people: library, kernel set, threads, limits. */
} ttm_device_info;

/** What libttm offers a plugin. Valid as long as the plugin is loaded; callable from any thread. */
typedef struct ttm_backend_host {
    size_t struct_size;
    /** Logs one line (UTF-8, no newline). */
    void (*log)(ttm_log_level level, const char *line);
    /** Sets the calling thread's error message, for the failure that is about to be returned. */
    void (*error)(const char *message);
} ttm_backend_host;

/** The plugin's table. Constant and valid until the process ends. Members marked optional may be
 * NULL. */
typedef struct ttm_backend {
    uint32_t magic;          /**< TTM_BACKEND_MAGIC. */
    uint16_t abi_major;      /**< TTM_BACKEND_ABI_MAJOR. */
    uint16_t abi_minor;      /**< TTM_BACKEND_ABI_MINOR. */
    size_t struct_size;      /**< sizeof(ttm_backend) when the plugin was built. */
    const char *name;        /**< Lower-case, as in the file name. */
    const char *version;     /**< The plugin's own version. */
    const char *description; /**< One line for ttm-devices. */

    /* ---- Devices ---- */

    /** Required. *count = number of devices, 0 when there is none (that isn't a failure). */
    ttm_status (*device_count)(int32_t *count);
    /** Required. Describes device `index`, 0 ≤ index < count. Must be cheap: it opens nothing that
     * takes long. */
    ttm_status (*device_info)(int32_t index, ttm_device_info *info);
    /** Required. Opens device `index`. A device may be opened several times. On failure *device is
     * untouched. */
    ttm_status (*device_open)(ttm_backend_device **device, int32_t index);
    /** Required. Closes a device whose streams, events and memory have all been given back. */
    void (*device_close)(ttm_backend_device *device);

    /* ---- Memory ---- */

    /** Required. Allocates `bytes` > 0, aligned for every type and to the device's alignment_bytes;
     * content undefined. TTM_ERROR_OUT_OF_MEMORY when there isn't that much: say what was asked and
     * what is free. */
    ttm_status (*memory_alloc)(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
    /** Required. Frees an allocation that no unfinished op uses. */
    void (*memory_free)(ttm_backend_device *device, ttm_memory *memory);
    /** Required. Copies host bytes to `memory` at `offset`, in stream order. The host bytes may be
     * reused on return. */
    ttm_status (*memory_write)(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes);
    /** Required. Copies bytes of `memory` at `offset` to the host, in stream order, and waits until
     * they are there. */
    ttm_status (*memory_read)(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes);
    /** Optional, and then copies go through the host. Copies between allocations of one device;
     * ranges don't overlap. */
    ttm_status (*memory_copy)(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                              ttm_memory *source, size_t source_offset, size_t bytes);
    /** Optional, and then zeros are written from the host. Sets bytes to 0. */
    ttm_status (*memory_zero)(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                              size_t bytes);
    /** Optional; required with TTM_DEVICE_CAN_MAP. Returns the host address of an allocation, valid
     * until it is freed. libttm synchronises the streams concerned before it looks. */
    void *(*memory_map)(ttm_backend_device *device, ttm_memory *memory);

    /* ---- Streams and events ---- */

    /** Required. Makes an in-order stream. */
    ttm_status (*stream_create)(ttm_backend_stream **stream, ttm_backend_device *device);
    /** Required. Waits for the stream's work, then frees it. */
    void (*stream_destroy)(ttm_backend_stream *stream);
    /** Required. Waits until everything queued has finished, and reports the first failure among
     * it. */
    ttm_status (*stream_synchronize)(ttm_backend_stream *stream);
    /** Optional (all five event members or none), and then libttm synchronises streams instead.
     * Records a new event after what is queued. */
    ttm_status (*event_record)(ttm_backend_event **event, ttm_backend_stream *stream);
    /** Makes what is queued on `stream` from now on wait for `event`, which may be of another
     * stream of the device. */
    ttm_status (*event_wait)(ttm_backend_stream *stream, ttm_backend_event *event);
    /** Blocks the host until the event has happened. */
    ttm_status (*event_synchronize)(ttm_backend_event *event);
    /** *elapsed_ns = device time from `start` to `end`, both of which have happened. */
    ttm_status (*event_elapsed_ns)(uint64_t *elapsed_ns, ttm_backend_event *start,
                                   ttm_backend_event *end);
    /** Frees an event. */
    void (*event_destroy)(ttm_backend_event *event);

    /* ---- Ops ---- */

    /** Optional, and then no op is supported. Returns 1 when op_run would take this op: same
     * opcode, shapes, strides, types and parameters. Must be fast and must not look at memory,
     * which may be NULL here. */
    int (*op_supported)(ttm_backend_device *device, const ttm_op *op);
    /** Optional, and then 0. Returns the bytes of scratch that op_run wants in op->workspace.
     * Memory may be NULL here. */
    size_t (*op_workspace_bytes)(ttm_backend_device *device, const ttm_op *op);
    /** Optional, with op_supported. Queues an op that is supported. Returns as soon as it can; a
     * failure that shows later is reported by stream_synchronize. */
    ttm_status (*op_run)(ttm_backend_stream *stream, const ttm_op *op);
} ttm_backend;

/** The type of ttm_backend_entry. Returns the plugin's table, or NULL when the plugin can't work on
 * this machine at all (after host->error said why). Called once per process and plugin, before
 * anything else. */
typedef const ttm_backend *(*ttm_backend_entry_function)(const ttm_backend_host *host);

#ifdef __cplusplus
}
#endif

#endif
