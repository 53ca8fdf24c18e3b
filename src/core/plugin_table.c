/* Nothing that a plugin says is taken on trust: a bad table or description becomes one clear line
 * here, where the plugin is known, instead of a crash far away. */
#include "core/plugin_table.h"

#include "core/error.h"
#include "core/plugin_host.h"

#include <stddef.h>
#include <string.h>

enum { MAX_TABLE_BYTES = 65536, MAX_ALIGNMENT_BYTES = 4096, MAX_NAME_BYTES = 64 };

/* Magic, versions and size lie at fixed places whatever the version. */
static ttm_status check_header(const ttm_backend *table)
{
    if (table->magic != TTM_BACKEND_MAGIC) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "its table starts with 0x%08x instead of the magic 0x%08x: it isn't a "
                        "libttm backend",
                        table->magic, TTM_BACKEND_MAGIC);
    }
    if (table->abi_major != TTM_BACKEND_ABI_MAJOR) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "it speaks plugin ABI %u.%u and this libttm %u.%u: get the plugin built "
                        "for this libttm",
                        table->abi_major, table->abi_minor, TTM_BACKEND_ABI_MAJOR,
                        TTM_BACKEND_ABI_MINOR);
    }
    /* Everything up to the streams is required, so no minor version has less. */
    const size_t smallest = offsetof(ttm_backend, event_record);
    if (table->struct_size < smallest || table->struct_size > MAX_TABLE_BYTES) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "its table claims %zu bytes; plugin ABI %u.%u has %zu, at least %zu: its "
                        "struct_size must be sizeof(ttm_backend)",
                        table->struct_size, TTM_BACKEND_ABI_MAJOR, TTM_BACKEND_ABI_MINOR,
                        sizeof(ttm_backend), smallest);
    }
    return TTM_OK;
}

static ttm_status check_required(const ttm_backend *table)
{
    const struct {
        const char *member;
        int present;
    } required[] = {
        {"name", table->name != NULL},
        {"version", table->version != NULL},
        {"description", table->description != NULL},
        {"device_count", table->device_count != NULL},
        {"device_info", table->device_info != NULL},
        {"device_open", table->device_open != NULL},
        {"device_close", table->device_close != NULL},
        {"memory_alloc", table->memory_alloc != NULL},
        {"memory_free", table->memory_free != NULL},
        {"memory_write", table->memory_write != NULL},
        {"memory_read", table->memory_read != NULL},
        {"stream_create", table->stream_create != NULL},
        {"stream_destroy", table->stream_destroy != NULL},
        {"stream_synchronize", table->stream_synchronize != NULL},
    };
    for (size_t k = 0; k < sizeof required / sizeof required[0]; k++) {
        if (!required[k].present) {
            return ttm_fail(TTM_ERROR_PLUGIN, "its table lacks the required member %s",
                            required[k].member);
        }
    }
    return TTM_OK;
}

static ttm_status check_groups(const ttm_backend *table)
{
    const int events = (table->event_record != NULL) + (table->event_wait != NULL) +
                       (table->event_synchronize != NULL) + (table->event_elapsed_ns != NULL) +
                       (table->event_destroy != NULL);
    if (events != 0 && events != 5) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "its table has %d of the 5 event members: all or none must be there",
                        events);
    }
    if ((table->op_supported != NULL) != (table->op_run != NULL)) {
        return ttm_fail(TTM_ERROR_PLUGIN, "its table has %s without %s: both or none must be there",
                        table->op_run != NULL ? "op_run" : "op_supported",
                        table->op_run != NULL ? "op_supported" : "op_run");
    }
    return TTM_OK;
}

ttm_status ttm_plugin_table_check(ttm_backend *copy, const ttm_backend *table, const char *name)
{
    TTM_TRY(check_header(table));
    size_t bytes = table->struct_size < sizeof *copy ? table->struct_size : sizeof *copy;
    bytes -= bytes % sizeof(void *); /* a member that is there in part isn't there */
    memset(copy, 0, sizeof *copy);
    memcpy(copy, table, bytes);
    TTM_TRY(check_required(copy));
    TTM_TRY(check_groups(copy));
    if (strcmp(copy->name, name) != 0) {
        char shown[MAX_NAME_BYTES] = {0};
        strncpy(shown, copy->name, sizeof shown - 1);
        ttm_plugin_clean_text(shown);
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "it calls itself '%s', so its file must be libttm-backend-%s.so; or its "
                        "table's name must be '%s'",
                        shown, shown, name);
    }
    return TTM_OK;
}

ttm_status ttm_plugin_device_count(int32_t *count, const ttm_backend *backend)
{
    int32_t found = 0;
    ttm_plugin_begin();
    TTM_TRY(ttm_plugin_end(backend, "device_count", backend->device_count(&found)));
    if (found < 0 || found > TTM_MAX_PLUGIN_DEVICES) {
        return ttm_fail(TTM_ERROR_PLUGIN, "it claims to have %d devices; 0 to %d are credible",
                        found, TTM_MAX_PLUGIN_DEVICES);
    }
    *count = found;
    return TTM_OK;
}

static void clean_string(char *text, size_t bytes)
{
    text[bytes - 1] = '\0';
    ttm_plugin_clean_text(text);
}

ttm_status ttm_plugin_device_info(ttm_device_info *info, const ttm_backend *backend, int32_t index)
{
    *info = (ttm_device_info){.struct_size = sizeof *info};
    ttm_plugin_begin();
    ttm_status status = ttm_plugin_end(backend, "device_info", backend->device_info(index, info));
    if (status != TTM_OK) {
        return ttm_fail_context(status, "device %d", index);
    }
    info->struct_size = sizeof *info;
    clean_string(info->name, sizeof info->name);
    clean_string(info->vendor, sizeof info->vendor);
    clean_string(info->driver, sizeof info->driver);
    clean_string(info->details, sizeof info->details);
    if (info->name[0] == '\0') {
        memcpy(info->name, "(unnamed)", sizeof "(unnamed)");
    }
    /* Compared as a number: the compiler may hold that an enum has no other values. */
    const int32_t kind = (int32_t)info->kind;
    if (kind < TTM_DEVICE_CPU || kind > TTM_DEVICE_ACCELERATOR) {
        return ttm_fail(TTM_ERROR_PLUGIN, "device %d says that its kind is %d; 0 to 2 exist", index,
                        kind);
    }
    const uint64_t alignment = info->alignment_bytes;
    if (alignment == 0 || alignment > MAX_ALIGNMENT_BYTES || (alignment & (alignment - 1)) != 0) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "device %d wants tensors aligned to %llu bytes (alignment_bytes); powers "
                        "of two up to %d are possible",
                        index, (unsigned long long)alignment, MAX_ALIGNMENT_BYTES);
    }
    if ((info->capabilities & TTM_DEVICE_CAN_MAP) != 0 && backend->memory_map == NULL) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "device %d says that its memory can be mapped, but the table lacks "
                        "memory_map",
                        index);
    }
    return TTM_OK;
}
