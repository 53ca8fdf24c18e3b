/* Devices, streams and events: finding a backend plugin, opening one of its devices, and queueing
 * work on it.
 *
 * Plugins are looked for in the folders of TTM_BACKEND_PATH (colon-separated, absolute), in the
 * folder of libttm itself and its subfolder ttm, then in the installed plugin folder; never in the
 * current directory. A set-uid or set-gid program ignores the environment, and trusts only files
 * and folders that belong to root or its effective user and that not everyone may write. */
#ifndef TTM_DEVICE_H
#define TTM_DEVICE_H

#include <ttm/backend.h>
#include <ttm/export.h>
#include <ttm/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/** An open device. */
typedef struct ttm_device ttm_device;

/** An in-order queue of work on a device. */
typedef struct ttm_stream ttm_stream;

/** A point in a stream. */
typedef struct ttm_event ttm_event;

/** One device that some plugin offers. */
typedef struct ttm_device_entry {
    const char *backend;     /**< Name of the plugin. */
    const char *plugin_path; /**< File it was loaded from. */
    int32_t index;           /**< Number of the device within the plugin. */
    ttm_device_info info;    /**< What it is. */
} ttm_device_entry;

/** A plugin that couldn't be used. */
typedef struct ttm_plugin_failure {
    const char *plugin_path; /**< Its file. */
    const char *message;     /**< Why, in one line. */
} ttm_plugin_failure;

/** Every device of every plugin found, best choice first, and the plugins that failed. */
typedef struct ttm_device_list {
    size_t device_count;
    const ttm_device_entry *devices;
    size_t failure_count;
    const ttm_plugin_failure *failures;
} ttm_device_list;

/** Lists all devices. The caller frees the list with ttm_device_list_free; its strings live as long
 * as it does. A plugin that fails is listed as a failure and isn't an error. Thread-safe. */
TTM_API TTM_CHECKED ttm_status ttm_device_list_new(ttm_device_list **list);

/** Frees a list; NULL is allowed. */
TTM_API void ttm_device_list_free(ttm_device_list *list);

/** Opens a device.
 *
 * `backend` names a plugin ("cpu"), optionally with a device ("opencl:1", "opencl:H100"), or is
 * "auto", or NULL for the environment's TTM_BACKEND, else "auto". `device` is an index or a part of
 * the device's name (letter case ignored), or NULL for the best device; it overrides the part after
 * the colon. "auto" takes the best GPU or accelerator, then cpu, and passes over what fails to
 * open; a CPU behind another backend is never preferred to `cpu`, and a checking-only device is
 * never taken. The choice and its reason are logged at level info. A plugin or device that was
 * named and can't be used is an error that lists what there is. The caller closes the device with
 * ttm_device_close. Thread-safe. */
TTM_API TTM_CHECKED ttm_status ttm_device_open(ttm_device **device, const char *backend,
                                               const char *device_name);

/** Closes a device after everything made on it has been freed. NULL is allowed. */
TTM_API void ttm_device_close(ttm_device *device);

/** Returns what the device is; belongs to it. */
TTM_API const ttm_device_info *ttm_device_get_info(const ttm_device *device);

/** Returns the name of the device's plugin; belongs to it. */
TTM_API const char *ttm_device_backend_name(const ttm_device *device);

/** Returns the device's number within its plugin, as in a ttm_device_entry. */
TTM_API int32_t ttm_device_index(const ttm_device *device);

/** Returns the bytes that are allocated on the device now through libttm. Thread-safe. */
TTM_API size_t ttm_device_memory_used(const ttm_device *device);

/** Returns the largest value that ttm_device_memory_used ever had. Thread-safe. */
TTM_API size_t ttm_device_memory_peak(const ttm_device *device);

/** Lets the device's plugin measure, for about `seconds`, which of its own settings make `ops`
 * fastest, and keep them for whoever opens the device from then on. Tensors of the ops need no
 * memory. Nothing else may run on the device meanwhile. *has_settings = whether the plugin has any
 * for this device (asked alone with op_count 0); if not, nothing is done. Results may differ by
 * rounding afterwards. Errors: those of ttm_op_run for an op that isn't valid; TTM_ERROR_ARGUMENT
 * for a time that isn't positive; TTM_ERROR_IO and TTM_ERROR_NOT_FOUND when what was found can't be
 * kept. */
TTM_API TTM_CHECKED ttm_status ttm_device_tune(int *has_settings, ttm_device *device,
                                               const ttm_op *ops, size_t op_count, double seconds);

/** Makes an in-order stream on `device`; destroyed with ttm_stream_destroy before the device is
 * closed. A stream is used by one thread at a time. */
TTM_API TTM_CHECKED ttm_status ttm_stream_create(ttm_stream **stream, ttm_device *device);

/** Makes a planning stream: ops run on it are validated and priced, but nothing is executed, and
 * tensors need no memory (their `memory` may be NULL). Afterwards ttm_stream_workspace_bytes and
 * the profile tell what a real run needs. */
TTM_API TTM_CHECKED ttm_status ttm_stream_create_planning(ttm_stream **stream, ttm_device *device);

/** Waits for the stream's work and frees it; NULL is allowed. */
TTM_API void ttm_stream_destroy(ttm_stream *stream);

/** Waits until everything queued on the stream has finished; reports the first failure among it. */
TTM_API TTM_CHECKED ttm_status ttm_stream_synchronize(ttm_stream *stream);

/** Waits likewise, for cleaning up: memory may be freed only when nothing that is queued uses it,
 * also after a failure. What fails here has been told or concerns nobody any more: the thread's
 * error message stays as it is. NULL is allowed. */
TTM_API void ttm_stream_drain(ttm_stream *stream);

/** Returns the device that a stream belongs to. */
TTM_API ttm_device *ttm_stream_device(const ttm_stream *stream);

/** Returns 1 for a planning stream. */
TTM_API int ttm_stream_is_planning(const ttm_stream *stream);

/** Allocates the stream's scratch memory ahead of time, so that no op has to. It also grows by
 * itself. */
TTM_API TTM_CHECKED ttm_status ttm_stream_reserve_workspace(ttm_stream *stream, size_t bytes);

/** Returns the largest scratch that any op so far has needed, in bytes. */
TTM_API size_t ttm_stream_workspace_bytes(const ttm_stream *stream);

/** Records an event after what is queued. The caller destroys it. */
TTM_API TTM_CHECKED ttm_status ttm_event_record(ttm_event **event, ttm_stream *stream);

/** Makes later work on `stream` wait for an event of any stream of the same device. */
TTM_API TTM_CHECKED ttm_status ttm_event_wait(ttm_stream *stream, ttm_event *event);

/** Blocks until the event has happened. */
TTM_API TTM_CHECKED ttm_status ttm_event_synchronize(ttm_event *event);

/** *elapsed_ns = device time between two events, both waited for. */
TTM_API TTM_CHECKED ttm_status ttm_event_elapsed_ns(uint64_t *elapsed_ns, ttm_event *start,
                                                    ttm_event *end);

/** Frees an event; NULL is allowed. */
TTM_API void ttm_event_destroy(ttm_event *event);

/** What has happened to one kind of op on a stream. */
typedef struct ttm_op_statistics {
    uint64_t calls; /**< Times that it ran on the device as one op, decomposed into others, or on
                       the host. */
    uint64_t decomposed_calls; /**< Of these, decomposed into simpler ops (which are counted as
                                  calls of their own too). */
    uint64_t fallback_calls;   /**< Of these, computed on the host with staging copies. */
    uint64_t fallback_bytes;   /**< Bytes staged for them, both ways. */
    uint64_t fallback_ns; /**< Host time spent on them, staging and the wait for what was queued
                             before included. */
    double operations;    /**< Additions and multiplications that the op's definition needs. */
    double bytes;         /**< Bytes that it must at least read and write. */
} ttm_op_statistics;

/** Returns the statistics of one opcode since the stream was made or reset. Counting is always on;
 * times are taken by a ttm_profile (ttm/profile.h). */
TTM_API ttm_op_statistics ttm_stream_statistics(const ttm_stream *stream, ttm_opcode opcode);

/** Sets all statistics of a stream to zero. */
TTM_API void ttm_stream_reset_statistics(ttm_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
