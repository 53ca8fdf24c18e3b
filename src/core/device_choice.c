/* Matching wishes with devices. The catalogue is sorted best first, so that "the first that fits"
 * is the best that fits. */
#include "core/device_choice.h"

#include "core/array.h"
#include "core/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A text of bounded length that grows by appending; what doesn't fit is left out. */
typedef struct bounded_text {
    char text[640];
    size_t used;
} bounded_text;

static void TTM_PRINTF(2, 3) add_text(bounded_text *target, const char *format, ...)
{
    const size_t room = sizeof target->text - target->used;
    va_list arguments;
    va_start(arguments, format);
    const int wanted = vsnprintf(target->text + target->used, room, format, arguments);
    va_end(arguments);
    if (wanted > 0) {
        target->used += (size_t)wanted < room ? (size_t)wanted : room - 1;
    }
}

ttm_status ttm_device_wish_make(ttm_device_wish *wish, const char *backend, const char *device,
                                const char *environment)
{
    *wish = (ttm_device_wish){.source = "as asked for"};
    const char *text = backend;
    if (text == NULL && environment != NULL && environment[0] != '\0') {
        text = environment;
        wish->source = "named by TTM_BACKEND";
    }
    if (text == NULL) {
        text = "auto";
    }
    const size_t length = strcspn(text, ":");
    const bool is_auto = length == strlen("auto") && strncmp(text, "auto", length) == 0;
    if (length == 0 || length >= sizeof wish->backend) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "'%.80s' names no backend: use auto, a backend's name, or name:device "
                        "such as opencl:0",
                        text);
    }
    if (text[length] == ':' && text[length + 1] != '\0') {
        wish->device = text + length + 1;
    }
    if (device != NULL && device[0] != '\0') {
        wish->device = device;
    }
    if (is_auto) {
        wish->source = "chosen automatically";
    } else {
        memcpy(wish->backend, text, length);
    }
    return TTM_OK;
}

/* The value of a text of digits, -1 for any other. */
static int32_t parse_index(const char *text)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0])) {
        return -1;
    }
    const long value = strtol(text, &end, 10);
    return *end == '\0' && value <= INT32_MAX ? (int32_t)value : -1;
}

static bool may_take(const ttm_device_catalogue *catalogue, size_t number,
                     const ttm_device_wish *wish)
{
    const ttm_device_entry *entry = &catalogue->entries[number];
    return wish->backend[0] != '\0' ||
           ttm_device_classify(entry->backend, &entry->info) != TTM_CLASS_CHECKING;
}

/* An index counts within one backend: the one that was named, else the best device's. */
static void find_by_index(ttm_device_candidates *candidates, const ttm_device_catalogue *catalogue,
                          const ttm_device_wish *wish, int32_t index)
{
    const char *backend = NULL;
    for (size_t k = 0; k < catalogue->list.device_count; k++) {
        if (!may_take(catalogue, k, wish)) {
            continue;
        }
        const ttm_device_entry *entry = &catalogue->entries[k];
        if (backend == NULL) {
            backend = entry->backend;
        }
        if (entry->index == index && strcmp(entry->backend, backend) == 0) {
            candidates->items[candidates->count++] = k;
            return;
        }
    }
}

/* A whole name goes before a part of one. */
static void find_by_name(ttm_device_candidates *candidates, const ttm_device_catalogue *catalogue,
                         const ttm_device_wish *wish)
{
    for (int whole = 1; whole >= 0; whole--) {
        size_t found = 0;
        for (size_t k = 0; k < catalogue->list.device_count; k++) {
            const char *name = catalogue->entries[k].info.name;
            const bool fits = whole ? strcasecmp(name, wish->device) == 0
                                    : strcasestr(name, wish->device) != NULL;
            if (!fits || !may_take(catalogue, k, wish)) {
                continue;
            }
            if (found++ == 0) {
                candidates->items[candidates->count++] = k;
            }
        }
        candidates->ambiguous = found > 1;
        if (found > 0) {
            return;
        }
    }
}

static void list_devices(bounded_text *target, const ttm_device_catalogue *catalogue)
{
    for (size_t k = 0; k < catalogue->list.device_count; k++) {
        const ttm_device_entry *entry = &catalogue->entries[k];
        add_text(target, "%s%s:%d (%s)", k > 0 ? ", " : "", entry->backend, entry->index,
                 entry->info.name);
    }
}

/* Names of the plugin files, each once. */
static void list_backends(bounded_text *target, const ttm_plugin_files *files)
{
    const char *separator = "";
    for (size_t k = 0; k < files->count; k++) {
        bool repeated = files->items[k].problem != NULL;
        for (size_t earlier = 0; earlier < k && !repeated; earlier++) {
            repeated = strcmp(files->items[earlier].name, files->items[k].name) == 0;
        }
        if (!repeated) {
            add_text(target, "%s%s", separator, files->items[k].name);
            separator = ", ";
        }
    }
}

static ttm_status explain_named_backend(const ttm_device_catalogue *catalogue,
                                        const ttm_device_wish *wish)
{
    bounded_text there = {0};
    if (catalogue->list.failure_count > 0) {
        const ttm_plugin_failure *failure = &catalogue->failures[0];
        return ttm_fail(TTM_ERROR_PLUGIN, "backend %s can't be used: '%s': %s", wish->backend,
                        failure->plugin_path, failure->message);
    }
    for (size_t k = 0; k < catalogue->files.count; k++) {
        if (strcmp(catalogue->files.items[k].name, wish->backend) == 0) {
            return ttm_fail(TTM_ERROR_NOT_FOUND,
                            "backend %s finds no device on this machine; try --backend auto, or "
                            "see ttm-devices",
                            wish->backend);
        }
    }
    list_backends(&there, &catalogue->files);
    if (there.used == 0) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "there is no backend '%s', nor any other: set TTM_BACKEND_PATH to the "
                        "folder of libttm-backend-%s.so",
                        wish->backend, wish->backend);
    }
    return ttm_fail(TTM_ERROR_NOT_FOUND, "there is no backend '%s'; there are: auto, %s",
                    wish->backend, there.text);
}

static ttm_status explain(const ttm_device_catalogue *catalogue, const ttm_device_wish *wish)
{
    bounded_text there = {0};
    list_devices(&there, catalogue);
    if (there.used > 0 && wish->device != NULL) {
        return ttm_fail(TTM_ERROR_NOT_FOUND, "no device fits '%.80s'; there are: %s", wish->device,
                        there.text);
    }
    if (wish->backend[0] != '\0') {
        return explain_named_backend(catalogue, wish);
    }
    if (there.used > 0) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "the only devices are for checking and aren't chosen automatically: %s; "
                        "name one with --backend",
                        there.text);
    }
    if (catalogue->list.failure_count > 0) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "no backend can be used (%zu failed; the first: '%s': %s); see ttm-devices",
                        catalogue->list.failure_count, catalogue->failures[0].plugin_path,
                        catalogue->failures[0].message);
    }
    return ttm_fail(TTM_ERROR_NOT_FOUND,
                    "no backend plugin was found: set TTM_BACKEND_PATH to the folder of "
                    "libttm-backend-cpu.so");
}

ttm_status ttm_device_candidates_find(ttm_device_candidates *candidates,
                                      const ttm_device_catalogue *catalogue,
                                      const ttm_device_wish *wish)
{
    *candidates = (ttm_device_candidates){0};
    TTM_TRY(ttm_array_new(&candidates->items, catalogue->list.device_count,
                          sizeof *candidates->items, "the list of devices"));
    if (wish->device != NULL) {
        const int32_t index = parse_index(wish->device);
        if (index >= 0) {
            find_by_index(candidates, catalogue, wish, index);
        }
        if (candidates->count == 0) {
            find_by_name(candidates, catalogue, wish); /* "4090" may be a part of a name */
        }
    } else {
        for (size_t k = 0; k < catalogue->list.device_count; k++) {
            if (may_take(catalogue, k, wish)) {
                candidates->items[candidates->count++] = k;
            }
        }
    }
    return candidates->count > 0 ? TTM_OK : explain(catalogue, wish);
}
