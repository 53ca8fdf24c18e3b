/* An overlay: a plugin that loads another one, passes everything on to it, and watches.
 *
 * Its devices, memory and streams are the wrapped plugin's own, so that most members of the table
 * are simply taken over. Only what is watched has a function here. The same frame serves to inject
 * faults, to check results against a second device, or to record ops for playing back. */
#include "record.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The wrapped plugin's table (complete: what an older one lacks is NULL) and the overlay's own. */
static ttm_backend wrapped;
static ttm_backend table;
static int32_t open_devices;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- What is watched ---- */

static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    const ttm_status status = wrapped.device_info(index, info);
    if (status == TTM_OK) {
        char name[sizeof info->name];
        snprintf(name, sizeof name, "Overlay of %.100s", info->name);
        memcpy(info->name, name, sizeof name);
        info->capabilities |= TTM_DEVICE_CHECKING_ONLY; /* never in the wrapped one's place */
    }
    return status;
}

/* libttm opens and closes devices from one thread at a time. */
static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    const ttm_status status = wrapped.device_open(device, index);
    open_devices += status == TTM_OK;
    return status;
}

static void device_close(ttm_backend_device *device)
{
    wrapped.device_close(device);
    if (--open_devices == 0) {
        record_finish();
    }
}

static ttm_status memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes)
{
    record_copy(bytes, 0);
    return wrapped.memory_write(stream, memory, offset, source, bytes);
}

static ttm_status memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes)
{
    record_copy(bytes, 1);
    return wrapped.memory_read(stream, target, memory, offset, bytes);
}

/* A time that means something needs an empty queue before and after. */
static ttm_status op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const int timed = record_get_mode() != RECORD_COUNT;
    ttm_status status = timed ? wrapped.stream_synchronize(stream) : TTM_OK;
    const uint64_t start = timed ? now_ns() : 0;
    if (status == TTM_OK) {
        status = wrapped.op_run(stream, op);
    }
    if (status == TTM_OK && timed) {
        status = wrapped.stream_synchronize(stream);
    }
    record_op(op, timed ? now_ns() - start : 0, status);
    return status;
}

/* ---- Loading ---- */

static const ttm_backend *refuse(const ttm_backend_host *host, const char *format, ...)
    TTM_PRINTF(2, 3);

static const ttm_backend *refuse(const ttm_backend_host *host, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    host->error(message);
    return NULL;
}

static record_mode wanted_mode(void)
{
    const char *mode = secure_getenv("TTM_OVERLAY_MODE");
    if (mode != NULL && strcmp(mode, "log") == 0) {
        return RECORD_LOG;
    }
    return mode != NULL && strcmp(mode, "count") == 0 ? RECORD_COUNT : RECORD_TIME;
}

/* The overlay's table: the wrapped one's with some members exchanged. */
static void make_table(void)
{
    table = wrapped;
    table.abi_minor =
        wrapped.abi_minor < TTM_BACKEND_ABI_MINOR ? wrapped.abi_minor : TTM_BACKEND_ABI_MINOR;
    table.struct_size = sizeof table;
    table.name = "overlay";
    table.version = PLUGIN_VERSION;
    table.description = "watches the backend that TTM_OVERLAY_BACKEND names";
    table.device_info = device_info;
    table.device_open = device_open;
    table.device_close = device_close;
    table.memory_write = memory_write;
    table.memory_read = memory_read;
    if (wrapped.op_run != NULL) {
        table.op_run = op_run;
    }
}

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    /* secure_getenv: a set-uid program loads no file that its user names. */
    const char *path = secure_getenv("TTM_OVERLAY_BACKEND");
    if (path == NULL || path[0] != '/') {
        return refuse(host, "set TTM_OVERLAY_BACKEND to the absolute path of the plugin to watch, "
                            "such as /usr/lib/ttm/libttm-backend-cpu.so");
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return refuse(host, "the plugin to watch can't be opened: %s", dlerror());
    }
    ttm_backend_entry_function entry = NULL;
    void *symbol = dlsym(library, TTM_BACKEND_ENTRY_NAME);
    memcpy(&entry, &symbol, sizeof entry);
    const ttm_backend *found = entry != NULL ? entry(host) : NULL;
    if (found == NULL) {
        return entry == NULL ? refuse(host, "%s has no %s", path, TTM_BACKEND_ENTRY_NAME) : NULL;
    }
    if (found->magic != TTM_BACKEND_MAGIC || found->abi_major != TTM_BACKEND_ABI_MAJOR) {
        return refuse(host, "%s is no plugin of ABI version %u", path, TTM_BACKEND_ABI_MAJOR);
    }
    const size_t bytes = found->struct_size;
    memcpy(&wrapped, found, bytes < sizeof wrapped ? bytes : sizeof wrapped);
    make_table();
    record_start(wanted_mode(), host);
    return &table;
}
