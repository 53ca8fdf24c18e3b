/* The plugin ABI: all that a backend plugin implements, and all that libttm knows of a device.
 *
 * A plugin is a shared object named libttm-backend-NAME.so that exports one function,
 * ttm_backend_entry. It links nothing of libttm: this header and those that it includes are enough.
 *
 * Required are device enumeration, memory and streams. Every op is optional: what a plugin doesn't
 * support is decomposed by libttm into ops that it does support, and failing that computed on the
 * host with staging copies.
 *
 * Start from examples/plugin of libttm's sources, read docs/plugin-guide.md beside it, and let
 * ttm-conformance tell whether what is said here is kept.
 *
 * Threads. Each member below belongs to one of three kinds:
 * - (one thread) libttm holds a lock: never two such calls at once in a process, but not always
 * from the same thread. Entry, enumeration, opening, closing and tuning.
 * - (any thread) may be called from several threads at once, also while ops run: memory_alloc,
 *   memory_free, memory_map, op_supported, op_workspace_bytes, and those on a finished event.
 * - (stream) calls with one stream never overlap; calls with different streams of one device may.
 *
 * What a plugin may assume: pointers to results are never NULL; handles are its own, of the right
 * device, and not freed yet; offset + bytes lies inside the allocation; nothing is called on a
 * device after device_close. Streams, events and memory are given back before their device is
 * closed.
 *
 * Failures: a function returns a status other than TTM_OK and, before that, may say why through the
 * host's `error`: one line that names the device, the value and what to do. It then has changed
 * nothing: results are untouched, nothing has to be freed. After a failure of its device a plugin
 * goes on answering, if only with failures, so that what is open can be closed. It never calls
 * exit() or abort(), and lets no signal, longjmp or C++ exception out.
 *
 * Versions: a plugin built for another major version is refused. Within a major version members are
 * only added at the end of structs; both sides compare struct_size and treat what isn't there as
 * NULL. docs/plugin-abi.md has the details. */
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
#define TTM_BACKEND_ABI_MINOR 6u

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

/** What a device is. Filled by device_info; strings are NUL-terminated UTF-8, shown to people and
 * searched by --device, so that they should stay the same from run to run. */
typedef struct ttm_device_info {
    size_t struct_size; /**< Set by libttm; the plugin writes no further than this and leaves it as
                           it is. All else is zero before. */
    char name[128];     /**< "NVIDIA H100 80GB HBM3". */
    char vendor[64];    /**< Who made it. */
    char driver[128];   /**< Driver or library versions that matter. */
    ttm_device_kind kind;          /**< auto prefers a GPU, then an accelerator, then cpu. */
    uint32_t capabilities;         /**< TTM_DEVICE_CAN_… bits. */
    uint64_t memory_bytes;         /**< Total memory, 0 when unknown. */
    uint64_t memory_free_bytes;    /**< Free memory now, 0 when unknown. */
    uint64_t max_allocation_bytes; /**< Largest single allocation, 0 when unknown. */
    uint64_t alignment_bytes; /**< Offsets of tensors that libttm plans are multiples of this; a
                                 power of two, ≤ 4096. Views, such as single heads of q, start at
                                 any element all the same. */
    uint32_t compute_units;   /**< Cores, multiprocessors…, 0 when unknown. */
    uint32_t dtype_mask;      /**< Bit (1 << dtype) for each type that some op computes with. TF32
                                 only where matrix products are faster with it. */
    char details[256];        /**< Free text for people: library, kernel set, threads, limits. */
} ttm_device_info;

/** What libttm offers a plugin. Valid until the process ends; callable from any thread, also from
 * threads of the plugin's own. */
typedef struct ttm_backend_host {
    size_t struct_size; /**< sizeof(ttm_backend_host) of this libttm. */
    /** Logs one line (UTF-8, no newline; longer than 1023 bytes gets cut). Required. */
    void (*log)(ttm_log_level level, const char *line);
    /** Sets the calling thread's error message, for the failure that is about to be returned on
     * this thread. The text is copied. Required. */
    void (*error)(const char *message);
} ttm_backend_host;

/** The plugin's table. Constant and valid until the process ends: a plugin is never unloaded.
 * Members marked optional may be NULL. */
typedef struct ttm_backend {
    uint32_t magic;          /**< TTM_BACKEND_MAGIC. */
    uint16_t abi_major;      /**< TTM_BACKEND_ABI_MAJOR. */
    uint16_t abi_minor;      /**< TTM_BACKEND_ABI_MINOR. */
    size_t struct_size;      /**< sizeof(ttm_backend) when the plugin was built. */
    const char *name;        /**< Lower-case, as in the file name. */
    const char *version;     /**< The plugin's own version. */
    const char *description; /**< One line for ttm-devices. */

    /* ---- Devices ---- */

    /** Required (one thread). *count = number of devices, at most 256; 0 when there is none, which
     * isn't a failure. Called at every start of a program that opens devices, and may be called
     * again. Fails when the driver can't be asked: the plugin is then passed over. */
    ttm_status (*device_count)(int32_t *count);
    /** Required (one thread). Describes device `index`, 0 ≤ index < count. Called for every device
     * at every start, so it opens nothing that takes long. Fails when that device can't be asked:
     * it is then passed over, other devices are not. */
    ttm_status (*device_info)(int32_t index, ttm_device_info *info);
    /** Required (one thread). *device = device `index`, opened. A device may be opened several
     * times; each handle is closed once, and they share nothing that one could break for another.
     * May take long (compiling kernels); says so in a log line. Fails when the device is held by
     * others, or its driver too old: libttm then tries the next device if the choice was its own.
     */
    ttm_status (*device_open)(ttm_backend_device **device, int32_t index);
    /** Required (one thread). Closes a device whose streams, events and memory have all been given
     * back. Leaves nothing behind: opening and closing a thousand times doesn't grow the process.
     */
    void (*device_close)(ttm_backend_device *device);

    /* ---- Memory ---- */

    /** Required (any thread). *memory = `bytes` > 0, aligned for every type and to the device's
     * alignment_bytes; content undefined. TTM_ERROR_OUT_OF_MEMORY when there isn't that much,
     * however much was asked: say what was asked and what is free, and go on working. */
    ttm_status (*memory_alloc)(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
    /** Required (any thread). Frees an allocation that no unfinished op, copy or other call uses.
     * Can't fail. */
    void (*memory_free)(ttm_backend_device *device, ttm_memory *memory);
    /** Required (stream). Copies host bytes to `memory` at `offset`, in stream order: behind what
     * is queued already, before what comes later. The host bytes may be reused on return. `bytes`
     * may be 0, and `offset` any byte. */
    ttm_status (*memory_write)(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes);
    /** Required (stream). Copies bytes of `memory` at `offset` to the host, in stream order, and
     * returns when they are there. Reports a failure of an op queued before. `bytes` may be 0. */
    ttm_status (*memory_read)(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes);
    /** Optional (stream), and then copies go through the host. Copies between allocations of one
     * device, in stream order; both may be one allocation, the ranges don't overlap. */
    ttm_status (*memory_copy)(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                              ttm_memory *source, size_t source_offset, size_t bytes);
    /** Optional (stream), and then zeros are written from the host. Sets bytes to 0, in stream
     * order. */
    ttm_status (*memory_zero)(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                              size_t bytes);
    /** Optional (any thread); required with TTM_DEVICE_CAN_MAP. Returns the host address of byte 0
     * of an allocation, the same each time, valid until it is freed; NULL when that fails. libttm
     * synchronises the streams concerned before it looks or writes. */
    void *(*memory_map)(ttm_backend_device *device, ttm_memory *memory);

    /* ---- Streams and events ---- */

    /** Required (any thread). *stream = a new in-order queue. At least two must be possible at a
     * time; what is queued on one doesn't wait for another but through events. */
    ttm_status (*stream_create)(ttm_backend_stream **stream, ttm_backend_device *device);
    /** Required (stream). Waits for the stream's work, then frees it. Can't fail: a failure of the
     * work is lost. */
    void (*stream_destroy)(ttm_backend_stream *stream);
    /** Required (stream). Waits until everything queued has finished, and returns the first failure
     * among it; after that the stream may be used on. */
    ttm_status (*stream_synchronize)(ttm_backend_stream *stream);
    /** Optional (all five event members or none), and then libttm synchronises streams instead.
     * (stream) *event = a new event that happens when what is queued now has finished. */
    ttm_status (*event_record)(ttm_backend_event **event, ttm_backend_stream *stream);
    /** (stream) Makes what is queued on `stream` from now on wait for `event`, which may be of
     * another stream of the device. The host doesn't wait if that can be helped. */
    ttm_status (*event_wait)(ttm_backend_stream *stream, ttm_backend_event *event);
    /** (any thread) Blocks the host until the event has happened. May report a failure of the work
     * before it. */
    ttm_status (*event_synchronize)(ttm_backend_event *event);
    /** (any thread) *elapsed_ns = device time from `start` to `end`, which have happened in this
     * order on one device; 0 when the device has no finer clock. */
    ttm_status (*event_elapsed_ns)(uint64_t *elapsed_ns, ttm_backend_event *start,
                                   ttm_backend_event *end);
    /** (any thread) Frees an event, whether it has happened or not; what waits for it still does.
     */
    void (*event_destroy)(ttm_backend_event *event);

    /* ---- Ops ---- */

    /** Optional, and then no op is supported (any thread). Returns 1 when op_run would take this
     * op: same opcode, shapes, strides, types and parameters; else 0, also for opcodes that it
     * doesn't know. Called before every op: it must be fast, always answer the same, and not look
     * at memory, which may be NULL here. The op is valid by ttm/ops.h; that has been checked. */
    int (*op_supported)(ttm_backend_device *device, const ttm_op *op);
    /** Optional, and then 0 (any thread). Returns the bytes of scratch that op_run wants in
     * op->workspace for an op that it supports. The same op always wants the same. Memory may be
     * NULL here. */
    size_t (*op_workspace_bytes)(ttm_backend_device *device, const ttm_op *op);
    /** Optional, with op_supported (stream). Queues an op that op_supported accepted, with at least
     * the scratch asked for (content undefined, contiguous, aligned to alignment_bytes). Returns as
     * soon as it can. Fails at once when the op can't be queued; a failure that shows later is
     * returned by stream_synchronize or memory_read. It reads and writes no byte but those of its
     * tensors, and keeps no pointer to `op`, its tensors' descriptions or its params. */
    ttm_status (*op_run)(ttm_backend_stream *stream, const ttm_op *op);

    /* ---- Since minor version 2 ---- */

    /** Optional, and then there is nothing to tune (one thread, nothing else runs on the device).
     * Measures for about `seconds` which of the plugin's own settings make these ops fastest, and
     * keeps them: this handle and devices opened later, in other processes too, use them. The ops
     * are valid, their tensors have no memory (the plugin takes its own) and no two of them need be
     * different. Says what it found in log lines. The settings change how a result is computed, so
     * it may differ by rounding, never what is computed. Having found nothing better is no failure;
     * not being able to keep what was found is TTM_ERROR_IO or TTM_ERROR_NOT_FOUND. At once, and
     * also without ops, TTM_ERROR_UNSUPPORTED where this device has no such settings. */
    ttm_status (*device_tune)(ttm_backend_device *device, const ttm_op *ops, size_t op_count,
                              double seconds);
} ttm_backend;

/** The type of ttm_backend_entry (one thread). Returns the plugin's table, or NULL when the plugin
 * can't work on this machine at all (after host->error said why). libttm calls it once, before
 * anything else; a plugin that wraps this one may call it again and gets the same table. */
typedef const ttm_backend *(*ttm_backend_entry_function)(const ttm_backend_host *host);

#ifdef __cplusplus
}
#endif

#endif
