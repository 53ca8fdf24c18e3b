/* Ops on the host: what a backend can't do is copied to the cpu (or reference) backend, computed
 * there, and copied back. Slow, always right, and counted, so that a profile shows which op a
 * plugin should get next.
 *
 * Tensors of one allocation whose byte ranges meet are staged as one region: strided views of one
 * buffer (q, k, v) keep their places, and what lies between their elements survives. */
#include "core/checked.h"
#include "core/device_internal.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "core/op_dispatch.h"
#include "core/op_table.h"
#include "core/op_validate.h"
#include "core/plugin_host.h"

#include <pthread.h>
#include <string.h>

/* A byte range of a device allocation, and its copy on the host device. */
typedef struct region {
    ttm_memory *source;
    size_t start;
    size_t end;
    bool written;
    ttm_memory *staged;
    char *address;
} region;

typedef struct staging {
    region regions[TTM_OP_MAX_TENSORS];
    uint32_t count;
} staging;

/* A host device that computes for others: opened at the first need, kept until the process ends. */
typedef struct host_device {
    const char *backend;
    ttm_device *device;
    ttm_stream *stream;
    bool failed;
} host_device;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static host_device hosts[] = {{.backend = "cpu"}, {.backend = "reference"}};

enum { HOST_COUNT = sizeof hosts / sizeof hosts[0] };

static bool open_host(host_device *host)
{
    if (host->stream != NULL || host->failed) {
        return !host->failed;
    }
    if (ttm_device_open(&host->device, host->backend, NULL) != TTM_OK ||
        ttm_stream_create(&host->stream, host->device) != TTM_OK) {
        ttm_log(TTM_LOG_INFO, "no host computation on %s: %s", host->backend, ttm_error_message());
        host->failed = true;
    } else if ((host->device->info.capabilities & TTM_DEVICE_CAN_MAP) == 0) {
        ttm_log(TTM_LOG_INFO, "no host computation on %s: it doesn't map its memory",
                host->backend);
        host->failed = true;
    }
    return !host->failed;
}

/* Whether a host device does an op without passing it on itself, not even a part of it: it would
 * come back here and wait for the lock. */
static bool computes(const host_device *host, const ttm_op *op)
{
    ttm_stream plan = {.device = host->device};
    bool alone = ttm_op_run(&plan, op) == TTM_OK;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        alone = alone && plan.statistics[opcode].fallback_calls == 0;
    }
    return alone;
}

static host_device *find_host(const ttm_stream *stream, const ttm_op *op)
{
    for (int i = 0; i < HOST_COUNT; i++) {
        host_device *host = &hosts[i];
        if (strcmp(host->backend, stream->device->backend->name) != 0 && open_host(host) &&
            computes(host, op)) {
            return host;
        }
    }
    return NULL;
}

/* Adds a tensor's byte range, merging it with every region that it meets. */
static void add_region(staging *stage, const ttm_tensor *tensor, bool written)
{
    region fresh = {.source = tensor->memory,
                    .start = tensor->offset,
                    .end = tensor->offset + ttm_tensor_extent_bytes(tensor),
                    .written = written};
    if (fresh.start == fresh.end) {
        return;
    }
    for (uint32_t i = 0; i < stage->count;) {
        const region *known = &stage->regions[i];
        if (known->source != fresh.source || known->end <= fresh.start ||
            fresh.end <= known->start) {
            i++;
            continue;
        }
        fresh.start = known->start < fresh.start ? known->start : fresh.start;
        fresh.end = known->end > fresh.end ? known->end : fresh.end;
        fresh.written = fresh.written || known->written;
        stage->regions[i] = stage->regions[--stage->count];
        i = 0;
    }
    stage->regions[stage->count++] = fresh;
}

static void collect_regions(staging *stage, const ttm_op *op)
{
    stage->count = 0;
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        if (ttm_tensor_present(&op->tensors[slot])) {
            add_region(stage, &op->tensors[slot], ttm_op_slot_role(op, slot) != TTM_SLOT_IN);
        }
    }
}

/* A staged tensor keeps its offset modulo 64, so that the copy is as well aligned as the original.
 */
static size_t lead_bytes(const region *part)
{
    return part->start % 64;
}

static ttm_status stage_in(staging *stage, ttm_stream *stream, ttm_device *host)
{
    const ttm_backend *backend = stream->device->backend;
    for (uint32_t i = 0; i < stage->count; i++) {
        region *part = &stage->regions[i];
        const size_t bytes = part->end - part->start;
        TTM_TRY(ttm_device_memory_alloc(&part->staged, host, bytes + lead_bytes(part)));
        part->address = host->backend->memory_map(host->handle, part->staged);
        if (part->address == NULL) {
            return ttm_fail(TTM_ERROR_INTERNAL, "backend '%s' doesn't map its memory",
                            host->backend->name);
        }
        part->address += lead_bytes(part);
        TTM_TRY(TTM_PLUGIN_CALL(backend, memory_read, stream->handle, part->address, part->source,
                                part->start, bytes));
    }
    return TTM_OK;
}

static ttm_status stage_out(size_t *staged_bytes, const staging *stage, ttm_stream *stream)
{
    const ttm_backend *backend = stream->device->backend;
    for (uint32_t i = 0; i < stage->count; i++) {
        const region *part = &stage->regions[i];
        const size_t bytes = part->end - part->start;
        *staged_bytes += bytes;
        if (part->written) {
            *staged_bytes += bytes;
            TTM_TRY(TTM_PLUGIN_CALL(backend, memory_write, stream->handle, part->source,
                                    part->start, part->address, bytes));
        }
    }
    return TTM_OK;
}

static void move_tensors(ttm_tensor *moved, const staging *stage, const ttm_op *op)
{
    memcpy(moved, op->tensors, op->tensor_count * sizeof *moved);
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        moved[slot].memory = NULL; /* of a tensor without elements: the device's is none here */
        for (uint32_t i = 0; i < stage->count; i++) {
            const region *part = &stage->regions[i];
            if (ttm_tensor_present(tensor) && tensor->memory == part->source &&
                tensor->offset >= part->start && tensor->offset < part->end) {
                moved[slot].memory = part->staged;
                moved[slot].memory_bytes = part->end - part->start + lead_bytes(part);
                moved[slot].offset = tensor->offset - part->start + lead_bytes(part);
            }
        }
    }
}

static ttm_status run_staged(size_t *staged_bytes, ttm_stream *stream, const host_device *host,
                             const ttm_op *op)
{
    ttm_status status = TTM_OK;
    staging stage;
    ttm_tensor moved[TTM_OP_MAX_TENSORS];
    ttm_op host_op = *op;
    collect_regions(&stage, op);
    TTM_TRY_OUT(stage_in(&stage, stream, host->device));
    move_tensors(moved, &stage, op);
    host_op.tensors = moved;
    TTM_TRY_OUT(ttm_op_run(host->stream, &host_op));
    TTM_TRY_OUT(ttm_stream_synchronize(host->stream));
    TTM_TRY_OUT(stage_out(staged_bytes, &stage, stream));
out:
    for (uint32_t i = 0; i < stage.count; i++) {
        region *part = &stage.regions[i];
        if (part->staged != NULL) {
            ttm_device_memory_free(host->device, part->staged,
                                   part->end - part->start + lead_bytes(part));
        }
    }
    return status;
}

ttm_status ttm_op_run_on_host(size_t *staged_bytes, ttm_stream *stream, const ttm_op *op)
{
    pthread_mutex_lock(&lock);
    host_device *host = find_host(stream, op);
    ttm_status status = TTM_OK;
    if (host == NULL) {
        status = ttm_fail(
            TTM_ERROR_UNSUPPORTED,
            "backend '%s' doesn't support %s in this form, and neither the cpu nor the reference "
            "backend is there to do it; install one of them",
            stream->device->backend->name, ttm_op_name(op->opcode));
    } else {
        status = run_staged(staged_bytes, stream, host, op);
    }
    pthread_mutex_unlock(&lock);
    return status;
}
