/* The streams, events and ops of the plugin `faultydevice`: a queue of FILLs over a base that has
 * none, so that there is something to forget, to overtake and not to wait for. */
#include "faulty_device.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HELD = 64 };

/** A FILL that is held back. */
typedef struct held {
    ttm_backend_stream *stream; /**< NULL: free. */
    ttm_tensor tensor;
    ttm_fill_params params;
} held;

static held queue[MOST_HELD];
static int queue_length;
static atomic_int streams_open;

static int holds_back(void)
{
    return faulty_is("overtakes") || faulty_is("nowait") || faulty_is("drops") ||
           faulty_is("onequeue") || faulty_is("eventless") || faulty_is("queues");
}

void faulty_leak(void)
{
    volatile char *forgotten = malloc(100);
    if (forgotten != NULL) {
        forgotten[0] = 1;
    }
}

static ttm_status run_held(const held *item)
{
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = TTM_OP_FILL,
                       .tensor_count = TTM_FILL_TENSORS,
                       .tensors = &item->tensor,
                       .params = &item->params,
                       .params_bytes = sizeof item->params};
    return faulty_base.op_run(item->stream, &op);
}

/* Takes what is held of a stream out of the queue, and runs it if `run`. */
static ttm_status take_held(ttm_backend_stream *stream, int run)
{
    ttm_status status = TTM_OK;
    int kept = 0;
    for (int k = 0; k < queue_length; k++) {
        if (queue[k].stream != stream) {
            queue[kept++] = queue[k];
        } else if (run && status == TTM_OK) {
            status = run_held(&queue[k]);
        }
    }
    queue_length = kept;
    return status;
}

ttm_status faulty_flush(ttm_backend_stream *stream)
{
    faulty_finish_late();
    return holds_back() ? take_held(stream, 1) : TTM_OK;
}

static void hold(ttm_backend_stream *stream, const ttm_op *op)
{
    if (faulty_is("onequeue")) {
        queue_length = 0; /* whoever comes next, of whatever stream, takes the only place */
    }
    held *item = &queue[queue_length++];
    item->stream = stream;
    item->tensor = op->tensors[0];
    memcpy(&item->params, op->params, sizeof item->params);
}

/* ---- Ops ---- */

static unsigned char *bytes_of(const ttm_tensor *tensor)
{
    return (unsigned char *)faulty_base.memory_map(NULL, tensor->memory) + tensor->offset;
}

static int is_plain_gelu(const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_GELU_OUT];
    return op->opcode == TTM_OP_GELU && out->dtype == TTM_F32 && out->rank > 0 &&
           out->stride[out->rank - 1] == 1 && out->shape[out->rank - 1] > 0;
}

/* Keeps the first number that GELU gave for some memory, and gives it again. */
static void give_stale(const ttm_op *op)
{
    static float kept;
    static const unsigned char *kept_for;
    unsigned char *out = bytes_of(&op->tensors[TTM_GELU_OUT]);
    if (kept_for == out) {
        memcpy(out, &kept, sizeof kept);
    } else {
        memcpy(&kept, out, sizeof kept);
        kept_for = out;
    }
}

/* Every op's first number goes through one place for all threads. */
static void mix(const ttm_op *op)
{
    static volatile float place;
    float number = 0.0F;
    memcpy(&number, bytes_of(&op->tensors[0]), sizeof number);
    place = number;
    for (int k = 0; k < 20; k++) {
        sched_yield();
    }
    number = place;
    memcpy(bytes_of(&op->tensors[0]), &number, sizeof number);
}

static atomic_int unwaited;

static ttm_status op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    if (faulty_is("leakop")) {
        faulty_leak();
    }
    if (faulty_fails()) {
        return TTM_ERROR_DEVICE;
    }
    if (holds_back() && op->opcode == TTM_OP_FILL && op->tensors[0].dtype == TTM_F32 &&
        queue_length < MOST_HELD) {
        hold(stream, op);
        return TTM_OK;
    }
    if ((uint32_t)op->opcode >= TTM_OP_COUNT && faulty_is("accepts")) {
        return TTM_OK;
    }
    ttm_status status = faulty_flush(stream);
    if (status == TTM_OK && faulty_run_late(stream, op)) {
        return TTM_OK;
    }
    if (status == TTM_OK) {
        status = faulty_base.op_run(stream, op);
    }
    if (status == TTM_OK && is_plain_gelu(op)) {
        if (faulty_is("stale")) {
            give_stale(op);
        } else if (faulty_is("mixes")) {
            mix(op);
        } else if (faulty_is("crowded") && atomic_fetch_add(&unwaited, 1) >= 8) {
            *bytes_of(&op->tensors[TTM_GELU_OUT]) ^= 1;
        }
    }
    return status;
}

static int op_supported(ttm_backend_device *device, const ttm_op *op)
{
    if ((uint32_t)op->opcode >= TTM_OP_COUNT && faulty_is("accepts")) {
        return 1;
    }
    for (uint32_t slot = 0; slot < op->tensor_count && (uint32_t)op->opcode < TTM_OP_COUNT;
         slot++) {
        if (faulty_is("claims") && op->tensors[slot].dtype == TTM_F16) {
            return 0;
        }
    }
    return faulty_base.op_supported(device, op);
}

/* ---- Streams and events ---- */

static ttm_status stream_create(ttm_backend_stream **stream, ttm_backend_device *device)
{
    if (faulty_is("fewstreams") && atomic_load(&streams_open) >= 6) {
        faulty_host->error("no queue is free");
        return TTM_ERROR_DEVICE;
    }
    if (faulty_is("leakstream")) {
        faulty_leak();
    }
    atomic_fetch_add(&streams_open, 1);
    return faulty_base.stream_create(stream, device);
}

static void stream_destroy(ttm_backend_stream *stream)
{
    faulty_finish_late();
    if (holds_back()) {
        const int forgets = faulty_is("drops") || faulty_is("nowait") || faulty_is("eventless");
        (void)take_held(stream, !forgets);
    }
    atomic_fetch_sub(&streams_open, 1);
    faulty_base.stream_destroy(stream);
}

static ttm_status stream_synchronize(ttm_backend_stream *stream)
{
    atomic_store(&unwaited, 0);
    const ttm_status status = faulty_is("nowait") ? TTM_OK : faulty_flush(stream);
    return status == TTM_OK ? faulty_base.stream_synchronize(stream) : status;
}

/* An event of the base is a time stamp of work that is done: what is held back is done first,
 * unless the fault is not to. */
static ttm_status event_record(ttm_backend_event **event, ttm_backend_stream *stream)
{
    const ttm_status status = faulty_is("eventless") ? TTM_OK : faulty_flush(stream);
    return status == TTM_OK ? faulty_base.event_record(event, stream) : status;
}

static ttm_status event_elapsed_ns(uint64_t *elapsed_ns, ttm_backend_event *start,
                                   ttm_backend_event *end)
{
    const ttm_status status = faulty_base.event_elapsed_ns(elapsed_ns, start, end);
    if (faulty_is("seconds")) { /* taken for thousandths of what they are */
        *elapsed_ns *= 1000;
    }
    return status;
}

void faulty_take_queue(ttm_backend *table)
{
    table->op_run = op_run;
    table->op_supported = op_supported;
    table->stream_create = stream_create;
    table->stream_destroy = stream_destroy;
    table->stream_synchronize = stream_synchronize;
    table->event_record = event_record;
    table->event_elapsed_ns = event_elapsed_ns;
}
