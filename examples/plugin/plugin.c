/* A backend plugin with everything that is required and nothing else: one device, memory, streams.
 *
 * It works as it is, in the host's memory, so that each function can be replaced by the one of your
 * device and tried at once. Ops come later, one by one: README.md, step 3. What each member of the
 * table must do is said in ttm/backend.h; this file says what it does on a device of your own. */
#include "plugin.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT_BYTES = 256 };

struct ttm_backend_device {
    int32_t index; /* On a device of your own: its context, its compiled kernels. */
};

static const ttm_backend_host *libttm;

ttm_status template_fail(ttm_status status, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    libttm->error(message);
    return status;
}

/* ---- 1 to 4: devices ---- */

/* Ask the driver. No device is no failure: *count = 0 and TTM_OK. */
static ttm_status device_count(int32_t *count)
{
    *count = 1;
    return TTM_OK;
}

/* Runs at every start of every program: query properties, open nothing. */
static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    ttm_device_info full = {
        .kind = TTM_DEVICE_ACCELERATOR,
        /* CHECKING_ONLY: taken when it is named, never on its own. Remove it when you are fast. */
        .capabilities = TTM_DEVICE_CHECKING_ONLY,
        .memory_bytes = (uint64_t)1 << 34,
        .alignment_bytes = ALIGNMENT_BYTES,
        .compute_units = 1,
        .dtype_mask = 1u << TTM_F32,
    };
    snprintf(full.name, sizeof full.name, "Template %d", (int)index);
    snprintf(full.vendor, sizeof full.vendor, "your name");
    snprintf(full.driver, sizeof full.driver, "none");
    snprintf(full.details, sizeof full.details, "the template of a plugin, in host memory");
    /* The caller may have been built with an older, shorter struct: fill only what it has. */
    full.struct_size = info->struct_size;
    memcpy(info, &full, full.struct_size < sizeof full ? full.struct_size : sizeof full);
    return TTM_OK;
}

/* Create the context, compile the kernels. May be called several times for one device. */
static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    ttm_backend_device *opened = malloc(sizeof *opened);
    if (opened == NULL) {
        return template_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to open device %d", (int)index);
    }
    opened->index = index;
    *device = opened;
    return TTM_OK;
}

static void device_close(ttm_backend_device *device)
{
    free(device);
}

/* ---- 5 to 8: memory ---- */

/* The driver's allocation function. */
static ttm_status memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    ttm_memory *made = malloc(sizeof *made);
    const size_t rounded = (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
    (void)device;
    if (made == NULL || rounded < bytes) {
        free(made);
        return template_fail(TTM_ERROR_OUT_OF_MEMORY, "can't allocate %zu bytes", bytes);
    }
    made->bytes = aligned_alloc(ALIGNMENT_BYTES, rounded);
    made->size = bytes;
    if (made->bytes == NULL) {
        free(made);
        return template_fail(TTM_ERROR_OUT_OF_MEMORY,
                             "can't allocate %zu bytes: use a smaller batch or model", bytes);
    }
    *memory = made;
    return TTM_OK;
}

static void memory_free(ttm_backend_device *device, ttm_memory *memory)
{
    (void)device;
    free(memory->bytes);
    free(memory);
}

/* A host-to-device copy on the stream. `source` may be reused when this returns: a driver that
 * copies later needs a staging buffer or a wait. */
static ttm_status memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes)
{
    (void)stream;
    if (offset > memory->size || bytes > memory->size - offset) {
        return template_fail(TTM_ERROR_ARGUMENT, "%zu bytes at %zu of an allocation of %zu", bytes,
                             offset, memory->size);
    }
    if (bytes > 0) {
        memcpy(memory->bytes + offset, source, bytes);
    }
    return TTM_OK;
}

/* A device-to-host copy on the stream, and a wait for it. */
static ttm_status memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes)
{
    (void)stream;
    if (offset > memory->size || bytes > memory->size - offset) {
        return template_fail(TTM_ERROR_ARGUMENT, "%zu bytes at %zu of an allocation of %zu", bytes,
                             offset, memory->size);
    }
    if (bytes > 0) {
        memcpy(target, memory->bytes + offset, bytes);
    }
    return TTM_OK;
}

/* ---- 9 to 11: streams ---- */

/* A command queue. */
static ttm_status stream_create(ttm_backend_stream **stream, ttm_backend_device *device)
{
    ttm_backend_stream *made = malloc(sizeof *made);
    if (made == NULL) {
        return template_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a stream");
    }
    made->device = device;
    *stream = made;
    return TTM_OK;
}

static void stream_destroy(ttm_backend_stream *stream)
{
    free(stream);
}

/* Wait for the queue. This template has always finished. */
static ttm_status stream_synchronize(ttm_backend_stream *stream)
{
    (void)stream;
    return TTM_OK;
}

/* ---- The table ---- */

static const ttm_backend table = {
    .magic = TTM_BACKEND_MAGIC,
    .abi_major = TTM_BACKEND_ABI_MAJOR,
    .abi_minor = TTM_BACKEND_ABI_MINOR,
    .struct_size = sizeof(ttm_backend),
    .name = "template",
    .version = PLUGIN_VERSION,
    .description = "the template of a plugin",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .memory_alloc = memory_alloc,
    .memory_free = memory_free,
    .memory_write = memory_write,
    .memory_read = memory_read,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_synchronize = stream_synchronize,
#ifdef TEMPLATE_HAS_OPS
    .op_supported = template_op_supported,
    .op_workspace_bytes = template_op_workspace_bytes,
    .op_run = template_op_run,
#endif
};

/* The one symbol that is exported. */
TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    libttm = host;
    return &table;
}
