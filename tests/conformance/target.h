/* An open device of a plugin, driven through the plugin table alone. */
#ifndef TTM_CONFORMANCE_TARGET_H
#define TTM_CONFORMANCE_TARGET_H

#include <ttm/device.h>

/** A plugin, one open device of it and a stream. */
struct target {
    const char *path; /**< The plugin's file; belongs to the process. */
    const ttm_backend *backend;
    ttm_backend_device *device;
    ttm_backend_stream *stream;
    ttm_device_info info;
    int32_t index;       /**< The device's number. */
    ttm_stream *through; /**< Where ops run through libttm, or NULL: straight on the plugin. */
};

/** Loads the plugin in file `path` and opens a device of it: `device` is a number or a part of the
 * device's name, or NULL for the first. The caller closes it with target_close. */
TTM_CHECKED ttm_status target_open(struct target *target, const char *path, const char *device);

/** Closes what target_open opened; a zeroed target is allowed. */
void target_close(struct target *target);

/** *path = the file of the plugin called `name`, from where libttm looks for plugins. The caller
 * frees it. */
TTM_CHECKED ttm_status target_find(char **path, const char *name);

/** Ends a call of the plugin's `function`: a failure gets a message that names plugin and function.
 * Start with ttm_plugin_begin of core/plugin_host.h. */
TTM_CHECKED ttm_status target_check(const struct target *target, const char *function,
                                    ttm_status status);

/** Allocates device memory of `bytes` holding `image`, in stream order. The caller frees it with
 * target_free. */
TTM_CHECKED ttm_status target_upload(ttm_memory **memory, const struct target *target,
                                     const void *image, size_t bytes);

/** Reads an allocation back. */
TTM_CHECKED ttm_status target_download(void *image, const struct target *target, ttm_memory *memory,
                                       size_t bytes);

/** Frees an allocation, once the target's stream has done what may use it; NULL is allowed. */
void target_free(const struct target *target, ttm_memory *memory);

/** Returns 1 when the op can be run on the target. */
int target_supports(const struct target *target, const ttm_op *op);

/** Returns 1 when the plugin does the op itself; with `through` set libttm does every op. */
int target_is_native(const struct target *target, const ttm_op *op);

/** Queues an op with this workspace, then overwrites what the plugin was lent, and doesn't wait. */
TTM_CHECKED ttm_status target_queue(const struct target *target, const ttm_op *op,
                                    const ttm_tensor *workspace);

/** Runs an op with the workspace that it asks for, and waits for it. */
TTM_CHECKED ttm_status target_run(const struct target *target, const ttm_op *op);

#endif
