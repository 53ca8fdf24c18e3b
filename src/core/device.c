/* Opening and closing devices, and what is known of an open one. */
#include <ttm/device.h>

#include "core/array.h"
#include "core/device_choice.h"
#include "core/device_internal.h"
#include "core/error.h"
#include "core/op_table.h"
#include "core/op_validate.h"
#include "core/plugin_host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* *device = entry `number` of the catalogue, opened. Call with the plugin lock held. */
static ttm_status open_entry(ttm_device **device, const ttm_device_catalogue *catalogue,
                             size_t number)
{
    const ttm_device_entry *entry = &catalogue->entries[number];
    const ttm_backend *backend = &catalogue->owners[number]->backend;
    ttm_device *made = NULL;
    ttm_backend_device *handle = NULL;
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a device"));
    ttm_plugin_begin();
    ttm_status status =
        ttm_plugin_end(backend, "device_open", backend->device_open(&handle, entry->index));
    if (status == TTM_OK && handle == NULL) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "its plugin reports success but opened nothing");
    }
    if (status != TTM_OK) {
        free(made);
        return ttm_fail_context(status, "device %s:%d (%s) can't be opened", entry->backend,
                                entry->index, entry->info.name);
    }
    made->backend = backend;
    made->handle = handle;
    made->info = entry->info;
    made->index = entry->index;
    atomic_init(&made->memory_used, 0);
    atomic_init(&made->memory_peak, 0);
    *device = made;
    return TTM_OK;
}

static const char *automatic_reason(const ttm_device_entry *entry)
{
    switch (ttm_device_classify(entry->backend, &entry->info)) {
    case TTM_CLASS_GPU:
        return "it is the best GPU";
    case TTM_CLASS_ACCELERATOR:
        return "no GPU works here, it is the best accelerator";
    case TTM_CLASS_CPU:
        return "no GPU or accelerator works here";
    case TTM_CLASS_FOREIGN_CPU:
    case TTM_CLASS_CHECKING:
        break;
    }
    return "no GPU or accelerator works here, nor the backend cpu";
}

static void log_choice(const ttm_device_entry *entry, const ttm_device_wish *wish, bool ambiguous)
{
    const char *reason = "";
    if (ambiguous) {
        reason = ": the first of several that fit";
    } else if (wish->device != NULL) {
        reason = ": it fits the name or number given";
    }
    if (wish->backend[0] == '\0' && wish->device == NULL) {
        ttm_log(TTM_LOG_INFO, "using %s:%d (%s), %s: %s", entry->backend, entry->index,
                entry->info.name, wish->source, automatic_reason(entry));
    } else {
        ttm_log(TTM_LOG_INFO, "using %s:%d (%s), %s%s", entry->backend, entry->index,
                entry->info.name, wish->source, reason);
    }
}

/* Whoever names a plugin must learn when a file of that name was found earlier and is broken. */
static void warn_of_broken_namesakes(const ttm_device_catalogue *catalogue, const char *taken_path)
{
    for (size_t k = 0; k < catalogue->list.failure_count; k++) {
        const ttm_plugin_failure *failure = &catalogue->failures[k];
        if (strcmp(failure->plugin_path, taken_path) != 0) {
            ttm_log(TTM_LOG_WARNING, "backend plugin '%s' can't be used: %s; using '%s'",
                    failure->plugin_path, failure->message, taken_path);
        }
    }
}

/* Opens the first candidate that can be opened. */
static ttm_status open_first(ttm_device **device, const ttm_device_catalogue *catalogue,
                             const ttm_device_candidates *candidates, const ttm_device_wish *wish)
{
    ttm_status status = TTM_OK;
    for (size_t k = 0; k < candidates->count; k++) {
        const size_t number = candidates->items[k];
        status = open_entry(device, catalogue, number);
        if (status == TTM_OK) {
            if (wish->backend[0] != '\0') {
                warn_of_broken_namesakes(catalogue, catalogue->entries[number].plugin_path);
            }
            log_choice(&catalogue->entries[number], wish, candidates->ambiguous);
            return TTM_OK;
        }
        if (k + 1 < candidates->count) {
            ttm_log(TTM_LOG_WARNING, "%s; trying the next device", ttm_error_message());
        }
    }
    return status;
}

ttm_status ttm_device_open(ttm_device **device, const char *backend, const char *device_name)
{
    ttm_device_wish wish;
    ttm_device_catalogue catalogue = {0};
    ttm_device_candidates candidates = {0};
    const char *environment = ttm_program_is_privileged() ? NULL : getenv("TTM_BACKEND");
    TTM_TRY(ttm_device_wish_make(&wish, backend, device_name, environment));
    ttm_plugins_lock();
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(
        ttm_device_catalogue_make(&catalogue, wish.backend[0] != '\0' ? wish.backend : NULL));
    TTM_TRY_OUT(ttm_device_candidates_find(&candidates, &catalogue, &wish));
    status = open_first(device, &catalogue, &candidates, &wish);
out:
    ttm_plugins_unlock();
    free(candidates.items);
    ttm_device_catalogue_free(&catalogue);
    return status;
}

void ttm_device_close(ttm_device *device)
{
    if (device == NULL) {
        return;
    }
    const size_t used = atomic_load(&device->memory_used);
    if (used > 0) {
        ttm_log(TTM_LOG_WARNING, "device %s (%s) is closed while %zu bytes are still allocated",
                device->backend->name, device->info.name, used);
    }
    ttm_plugins_lock();
    device->backend->device_close(device->handle);
    ttm_plugins_unlock();
    free(device);
}

const ttm_device_info *ttm_device_get_info(const ttm_device *device)
{
    return &device->info;
}

const char *ttm_device_backend_name(const ttm_device *device)
{
    return device->backend->name;
}

int32_t ttm_device_index(const ttm_device *device)
{
    return device->index;
}

size_t ttm_device_memory_used(const ttm_device *device)
{
    return atomic_load(&device->memory_used);
}

size_t ttm_device_memory_peak(const ttm_device *device)
{
    return atomic_load(&device->memory_peak);
}

/* *known [*count] = the ops as a plugin gets them, without those that its version of the ABI
 * doesn't have. The caller frees. */
static ttm_status list_known_ops(ttm_op **known, size_t *count, const ttm_device *device,
                                 const ttm_op *ops, size_t op_count)
{
    TTM_TRY(ttm_array_new(known, op_count, sizeof **known, "the ops to tune"));
    *count = 0;
    for (size_t k = 0; k < op_count; k++) {
        if (ttm_op_since_minor(&ops[k]) <= device->backend->abi_minor) {
            (*known)[*count] = ops[k];
            (*known)[*count].struct_size = sizeof ops[k];
            (*known)[(*count)++].workspace = (ttm_tensor){0};
        }
    }
    return TTM_OK;
}

ttm_status ttm_device_tune(int *has_settings, ttm_device *device, const ttm_op *ops,
                           size_t op_count, double seconds)
{
    *has_settings = 0;
    if (!(seconds > 0.0 && isfinite(seconds))) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "tuning for %g seconds isn't possible", seconds);
    }
    for (size_t k = 0; k < op_count; k++) {
        TTM_TRY(ttm_op_validate(&ops[k], true));
    }
    if (device->backend->device_tune == NULL) {
        return TTM_OK;
    }
    ttm_op *known = NULL;
    size_t count = 0;
    TTM_TRY(list_known_ops(&known, &count, device, ops, op_count));
    ttm_plugins_lock();
    const ttm_status status =
        TTM_PLUGIN_CALL(device->backend, device_tune, device->handle, known, count, seconds);
    ttm_plugins_unlock();
    free(known);
    *has_settings = status != TTM_ERROR_UNSUPPORTED;
    return *has_settings ? status : TTM_OK;
}
