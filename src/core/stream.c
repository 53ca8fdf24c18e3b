/* Streams: in-order queues, and planning streams that execute nothing. */
#include <ttm/device.h>

#include "core/array.h"
#include "core/device_internal.h"
#include "core/error.h"
#include "core/plugin_host.h"
#include "core/stream_workspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ttm_status ttm_stream_create_planning(ttm_stream **stream, ttm_device *device)
{
    ttm_stream *made = NULL;
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a stream"));
    made->device = device;
    *stream = made;
    return TTM_OK;
}

ttm_status ttm_stream_create(ttm_stream **stream, ttm_device *device)
{
    const ttm_backend *backend = device->backend;
    ttm_stream *made = NULL;
    TTM_TRY(ttm_stream_create_planning(&made, device));
    ttm_plugin_begin();
    ttm_status status = ttm_plugin_end(backend, "stream_create",
                                       backend->stream_create(&made->handle, device->handle));
    if (status == TTM_OK && made->handle == NULL) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "the plugin reports success but made nothing");
    }
    if (status != TTM_OK) {
        free(made);
        return ttm_fail_context(status, "device %s (%s): no stream", backend->name,
                                device->info.name);
    }
    *stream = made;
    return TTM_OK;
}

void ttm_stream_destroy(ttm_stream *stream)
{
    if (stream == NULL) {
        return;
    }
    /* The plugin waits for the stream's work, which may use the workspace: that order. */
    if (stream->handle != NULL) {
        stream->device->backend->stream_destroy(stream->handle);
    }
    ttm_stream_workspace_free(stream);
    free(stream);
}

ttm_status ttm_stream_synchronize(ttm_stream *stream)
{
    const ttm_device *device = stream->device;
    if (stream->handle == NULL) {
        return TTM_OK;
    }
    ttm_plugin_begin();
    ttm_status status = ttm_plugin_end(device->backend, "stream_synchronize",
                                       device->backend->stream_synchronize(stream->handle));
    if (status != TTM_OK) {
        return ttm_fail_context(status, "device %s (%s)", device->backend->name, device->info.name);
    }
    return TTM_OK;
}

void ttm_stream_drain(ttm_stream *stream)
{
    char told[TTM_ERROR_BYTES];
    snprintf(told, sizeof told, "%s", ttm_error_message());
    if (stream != NULL && ttm_stream_synchronize(stream) != TTM_OK) {
        (void)ttm_fail(TTM_ERROR_DEVICE, "%s", told);
    }
}

ttm_device *ttm_stream_device(const ttm_stream *stream)
{
    return stream->device;
}

int ttm_stream_is_planning(const ttm_stream *stream)
{
    return stream->handle == NULL;
}

ttm_op_statistics ttm_stream_statistics(const ttm_stream *stream, ttm_opcode opcode)
{
    if ((int)opcode < 0 || opcode >= TTM_OP_COUNT) {
        return (ttm_op_statistics){0};
    }
    return stream->statistics[opcode];
}

void ttm_stream_reset_statistics(ttm_stream *stream)
{
    memset(stream->statistics, 0, sizeof stream->statistics);
}
