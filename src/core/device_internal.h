/* What the core keeps of a device, a stream and an event. */
#ifndef TTM_CORE_DEVICE_INTERNAL_H
#define TTM_CORE_DEVICE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <ttm/device.h>
#include <ttm/profile.h>

struct ttm_device {
    const ttm_backend *backend; /* Complete: members an older plugin lacks are NULL here (the loader
                                   copies the table). */
    ttm_backend_device *handle;
    ttm_device_info info;
    int32_t index; /* Number within the plugin. */
    atomic_size_t memory_used;
    atomic_size_t memory_peak;
};

struct ttm_stream {
    ttm_device *device;
    ttm_backend_stream *handle; /* NULL for a planning stream. */
    const char *label;          /* As ops get it: label_text in a layer, else what was set. */
    const char *label_set;      /* What ttm_stream_set_label said. */
    int64_t layer;              /* What ttm_stream_set_layer said, plus one; 0 outside layers. */
    char label_text[64];
    ttm_profile *profile;    /* Recording; NULL for none. */
    ttm_tensor workspace;    /* The allocation, f32 [capacity], absent at first. */
    size_t workspace_used;   /* Bytes taken by the ops being decomposed now. */
    size_t workspace_needed; /* Largest use so far. */
    int depth;               /* > 0 inside a decomposed op. */
    ttm_op_statistics statistics[TTM_OP_COUNT];
};

struct ttm_event {
    ttm_device *device;
    ttm_backend_event *handle; /* NULL where the plugin has no events. */
    uint64_t host_time_ns;     /* Then: host time at which the stream had finished. */
};

/** ttm_event_record into memory of the caller, who ends it with ttm_event_release. */
TTM_CHECKED ttm_status ttm_event_record_in(ttm_event *event, ttm_stream *stream);

/** Ends an event of ttm_event_record_in. */
void ttm_event_release(ttm_event *event);

#endif
