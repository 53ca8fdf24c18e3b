/* Events. Where a plugin has none, recording one waits for the stream and notes the host's clock:
 * then the event has happened, so that waiting for it is nothing and times can still be taken. */
#include <ttm/device.h>

#include "core/array.h"
#include "core/device_internal.h"
#include "core/error.h"
#include "core/host_clock.h"
#include "core/plugin_host.h"

#include <stdlib.h>

static ttm_status finish(const ttm_device *device, const char *function, ttm_status result)
{
    ttm_status status = ttm_plugin_end(device->backend, function, result);
    if (status != TTM_OK) {
        return ttm_fail_context(status, "device %s (%s)", device->backend->name, device->info.name);
    }
    return TTM_OK;
}

ttm_status ttm_event_record_in(ttm_event *event, ttm_stream *stream)
{
    const ttm_backend *backend = stream->device->backend;
    *event = (ttm_event){.device = stream->device};
    if (stream->handle == NULL || backend->event_record == NULL) {
        TTM_TRY(ttm_stream_synchronize(stream));
        event->host_time_ns = ttm_host_clock_ns();
        return TTM_OK;
    }
    ttm_plugin_begin();
    TTM_TRY(finish(stream->device, "event_record",
                   backend->event_record(&event->handle, stream->handle)));
    if (event->handle == NULL) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "device %s (%s): the plugin reports success but recorded nothing",
                        backend->name, stream->device->info.name);
    }
    return TTM_OK;
}

ttm_status ttm_event_record(ttm_event **event, ttm_stream *stream)
{
    ttm_event *made = NULL;
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "an event"));
    const ttm_status status = ttm_event_record_in(made, stream);
    if (status != TTM_OK) {
        free(made);
        return status;
    }
    *event = made;
    return TTM_OK;
}

ttm_status ttm_event_wait(ttm_stream *stream, ttm_event *event)
{
    if (event->device != stream->device) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a stream of device %s (%s) can't wait for an event of device %s (%s): "
                        "synchronise the event instead",
                        stream->device->backend->name, stream->device->info.name,
                        event->device->backend->name, event->device->info.name);
    }
    if (event->handle == NULL || stream->handle == NULL) {
        return TTM_OK;
    }
    ttm_plugin_begin();
    return finish(event->device, "event_wait",
                  event->device->backend->event_wait(stream->handle, event->handle));
}

ttm_status ttm_event_synchronize(ttm_event *event)
{
    if (event->handle == NULL) {
        return TTM_OK;
    }
    ttm_plugin_begin();
    return finish(event->device, "event_synchronize",
                  event->device->backend->event_synchronize(event->handle));
}

ttm_status ttm_event_elapsed_ns(uint64_t *elapsed_ns, ttm_event *start, ttm_event *end)
{
    if (start->device != end->device || (start->handle == NULL) != (end->handle == NULL)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the time between events of two devices, or of a planning stream and a "
                        "real one, isn't defined");
    }
    if (start->handle == NULL) {
        *elapsed_ns =
            end->host_time_ns > start->host_time_ns ? end->host_time_ns - start->host_time_ns : 0;
        return TTM_OK;
    }
    ttm_plugin_begin();
    return finish(start->device, "event_elapsed_ns",
                  start->device->backend->event_elapsed_ns(elapsed_ns, start->handle, end->handle));
}

void ttm_event_release(ttm_event *event)
{
    if (event->handle != NULL) {
        event->device->backend->event_destroy(event->handle);
    }
}

void ttm_event_destroy(ttm_event *event)
{
    if (event != NULL) {
        ttm_event_release(event);
        free(event);
    }
}
