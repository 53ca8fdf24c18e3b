/* The recorder behind ttm/profile.h.
 *
 * Calls that do the same share one entry of a table, found by a hash of what they are, and where
 * one call follows another at once, the event that ends one begins the other: a call costs the
 * recorder two clock reads, mostly one event, and a look-up, and no text is formatted before the
 * work is done: for short steps, whose every call is new, that took longer than all the rest.
 * Failures while recording stick and are reported by ttm_profile_stop: the work itself mustn't fail
 * because somebody watches. */
#include "core/array.h"
#include "core/device_internal.h"
#include "core/error.h"
#include "core/host_clock.h"
#include "core/op_dispatch.h"
#include "core/op_table.h"
#include "core/profile_hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A moment of the stream. */
typedef struct mark {
    ttm_event event;
    uint64_t device_ns; /* Known once times are read. */
} mark;

/* The marks of a call, as index + 1; 0: none. */
typedef struct recorded {
    size_t start;
    size_t end;
} recorded;

enum {
    CALLS_BEFORE_SUMMING = 4096, /* With totals alone: then times are read and added up. */
    AT_ONCE_NS = 2000 /* A call that the host queues within this time of the last one's end begins
                         where that ended: the device can't have waited longer for it. */
};

struct ttm_profile {
    ttm_stream *stream;
    ttm_profile_detail detail;
    ttm_event *origin;
    uint64_t host_origin_ns;
    uint64_t host_ns;
    uint64_t device_ns;
    ttm_status failure; /* The first one since the start, */
    char message[512];  /* and what it said. */
    ttm_profile_op *ops;
    uint64_t *hashes; /* Of each op. */
    size_t *shapes;   /* Of each op, where its types and shapes begin in `extents`. */
    size_t op_count;
    size_t op_capacity;
    size_t hash_capacity;
    size_t shape_capacity;
    int64_t *extents; /* For each op its number of tensors, then type, rank and shape of each. */
    size_t extent_count;
    size_t extent_capacity;
    uint32_t *slots; /* Open addressing: index of an op + 1, 0 for a free slot. */
    size_t slot_count;
    ttm_profile_call *calls;
    recorded *marked; /* Of each call. */
    size_t call_count;
    size_t call_capacity;
    size_t marked_capacity;
    mark *marks;
    size_t mark_count;
    size_t mark_capacity;
    uint64_t idle_since_ns; /* Host time since which nothing was queued; 0 while an op is being. */
};

/* ---- What a call is ---- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
    hash ^= value;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 29);
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    for (; text != NULL && *text != '\0'; text++) {
        hash = mix(hash, (unsigned char)*text);
    }
    return hash;
}

static uint64_t hash_op(const ttm_stream *stream, const ttm_op *op)
{
    uint64_t hash = mix_text(mix((uint64_t)op->opcode + 1, (uint64_t)stream->layer), op->label);
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        hash = mix(hash, (uint64_t)tensor->dtype * 16 + (uint64_t)tensor->rank);
        for (int32_t dim = 0; dim < tensor->rank; dim++) {
            hash = mix(hash, (uint64_t)tensor->shape[dim]);
            hash = mix(hash, (uint64_t)tensor->stride[dim]);
        }
    }
    return hash;
}

/* Notes types and shapes of the op that was added last. */
static ttm_status keep_shapes(ttm_profile *profile, const ttm_op *op)
{
    const size_t most = 1 + op->tensor_count * (2 + (size_t)TTM_MAX_RANK);
    TTM_TRY(ttm_array_reserve(&profile->extents, &profile->extent_capacity,
                              profile->extent_count + most, sizeof *profile->extents, "a profile"));
    int64_t *extents = profile->extents + profile->extent_count;
    size_t used = 1;
    extents[0] = 0;
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (ttm_tensor_present(tensor)) {
            extents[0]++;
            extents[used++] = (int64_t)tensor->dtype;
            extents[used++] = tensor->rank;
            for (int32_t dim = 0; dim < tensor->rank; dim++) {
                extents[used++] = tensor->shape[dim];
            }
        }
    }
    profile->extent_count += used;
    return TTM_OK;
}

/* Writes what keep_shapes noted. */
static void put_shapes(char *text, size_t text_bytes, const int64_t *extents)
{
    const int64_t *const first = extents + 1;
    size_t used = 0;
    int64_t last = (int64_t)TTM_DTYPE_NONE;
    extents = first;
    for (int64_t tensor = 0; tensor < first[-1]; tensor++) {
        const int64_t dtype = *extents++;
        const int64_t rank = *extents++;
        char one[160];
        size_t length = 0;
        if (dtype != last) {
            length = (size_t)snprintf(one, sizeof one, "%s ", ttm_dtype_name((ttm_dtype)dtype));
            last = dtype;
        }
        one[length++] = '[';
        for (int64_t dim = 0; dim < rank && length < sizeof one - 24; dim++) {
            length += (size_t)snprintf(one + length, sizeof one - length, "%s%" PRId64,
                                       dim > 0 ? ", " : "", extents[dim]);
        }
        extents += rank;
        one[length++] = ']';
        one[length] = '\0';
        if (used + length + 6 > text_bytes) {
            snprintf(text + used, text_bytes - used, " …");
            return;
        }
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? " " : "", one);
    }
}

/* Transfers have none: their text is their bytes. Nor has an op for whose there was no memory. */
static void write_shapes(ttm_profile *profile)
{
    for (size_t k = 0; k < profile->op_count; k++) {
        ttm_profile_op *op = &profile->ops[k];
        if (op->opcode == TTM_OP_COUNT) {
            snprintf(op->shapes, sizeof op->shapes, "%.0f bytes", op->bytes);
        } else if (profile->shapes[k] < profile->extent_count) {
            put_shapes(op->shapes, sizeof op->shapes, profile->extents + profile->shapes[k]);
        }
    }
}

static ttm_status grow_slots(ttm_profile *profile)
{
    const size_t count = profile->slot_count == 0 ? 1024 : profile->slot_count * 2;
    uint32_t *slots = NULL;
    TTM_TRY(ttm_array_new(&slots, count, sizeof *slots, "a profile"));
    for (size_t op = 0; op < profile->op_count; op++) {
        size_t slot = profile->hashes[op] & (count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (count - 1);
        }
        slots[slot] = (uint32_t)op + 1;
    }
    free(profile->slots);
    profile->slots = slots;
    profile->slot_count = count;
    return TTM_OK;
}

/* *index = the op with this hash. *made tells that it is new, and zeroed. */
static ttm_status find_op(size_t *index, bool *made, ttm_profile *profile, uint64_t hash)
{
    if (profile->slot_count < 2 * (profile->op_count + 1)) {
        TTM_TRY(grow_slots(profile));
    }
    size_t slot = hash & (profile->slot_count - 1);
    for (; profile->slots[slot] != 0; slot = (slot + 1) & (profile->slot_count - 1)) {
        if (profile->hashes[profile->slots[slot] - 1] == hash) {
            *index = profile->slots[slot] - 1;
            *made = false;
            return TTM_OK;
        }
    }
    const size_t count = profile->op_count;
    TTM_TRY(ttm_array_reserve(&profile->ops, &profile->op_capacity, count + 1, sizeof *profile->ops,
                              "a profile"));
    TTM_TRY(ttm_array_reserve(&profile->hashes, &profile->hash_capacity, count + 1,
                              sizeof *profile->hashes, "a profile"));
    TTM_TRY(ttm_array_reserve(&profile->shapes, &profile->shape_capacity, count + 1,
                              sizeof *profile->shapes, "a profile"));
    memset(&profile->ops[count], 0, sizeof profile->ops[count]);
    profile->hashes[count] = hash;
    profile->shapes[count] = profile->extent_count;
    profile->slots[slot] = (uint32_t)count + 1;
    profile->op_count++;
    *index = count;
    *made = true;
    return TTM_OK;
}

/* ---- Reading the times ---- */

static void add_to_sums(ttm_profile_op *sums, const ttm_profile_call *call)
{
    sums->calls++;
    if (call->route == TTM_PROFILE_DECOMPOSED) {
        sums->decomposed_calls++;
        return;
    }
    sums->host_calls += call->route == TTM_PROFILE_HOST;
    sums->device_ns += call->end_ns - call->start_ns;
}

/* Everything recorded must have happened. */
static ttm_status read_times(ttm_profile *profile)
{
    for (size_t k = 0; k < profile->mark_count; k++) {
        mark *moment = &profile->marks[k];
        TTM_TRY(ttm_event_elapsed_ns(&moment->device_ns, profile->origin, &moment->event));
    }
    for (size_t call = 0; call < profile->call_count; call++) {
        const recorded *marked = &profile->marked[call];
        ttm_profile_call *times = &profile->calls[call];
        if (marked->end == 0) {
            continue; /* The op failed: it never ended. */
        }
        times->start_ns = profile->marks[marked->start - 1].device_ns;
        times->end_ns = profile->marks[marked->end - 1].device_ns;
        times->end_ns = times->end_ns > times->start_ns ? times->end_ns : times->start_ns;
        add_to_sums(&profile->ops[times->op], times);
    }
    return TTM_OK;
}

static void forget_marks(ttm_profile *profile)
{
    for (size_t k = 0; k < profile->mark_count; k++) {
        ttm_event_release(&profile->marks[k].event);
    }
    profile->mark_count = 0;
    profile->idle_since_ns = 0;
}

/* Makes room by adding up what was recorded, where single calls aren't wanted. Inside a decomposed
 * op there is one that hasn't ended. */
static ttm_status sum_up(ttm_profile *profile)
{
    if (profile->detail != TTM_PROFILE_TOTALS || profile->stream->depth > 0 ||
        profile->call_count < CALLS_BEFORE_SUMMING) {
        return TTM_OK;
    }
    TTM_TRY(ttm_stream_synchronize(profile->stream));
    TTM_TRY(read_times(profile));
    forget_marks(profile);
    profile->call_count = 0;
    return TTM_OK;
}

/* ---- Recording ---- */

static void remember_failure(ttm_profile *profile, ttm_status status)
{
    if (profile->failure == TTM_OK) {
        profile->failure = status;
        snprintf(profile->message, sizeof profile->message, "%s", ttm_error_message());
    }
}

/* *index = a mark of now (index + 1): the last one, if nothing was queued since and that was a
 * moment ago, else a new one. */
static ttm_status take_mark(size_t *index, ttm_profile *profile, uint64_t host_ns)
{
    const size_t count = profile->mark_count;
    if (count > 0 && profile->idle_since_ns != 0 && host_ns - profile->idle_since_ns < AT_ONCE_NS) {
        *index = count;
        return TTM_OK;
    }
    TTM_TRY(ttm_array_reserve(&profile->marks, &profile->mark_capacity, count + 1,
                              sizeof *profile->marks, "a profile"));
    TTM_TRY(ttm_event_record_in(&profile->marks[count].event, profile->stream));
    *index = ++profile->mark_count;
    return TTM_OK;
}

static ttm_status add_call(ttm_profile *profile, size_t op, ttm_profile_route route)
{
    TTM_TRY(sum_up(profile));
    const size_t count = profile->call_count;
    TTM_TRY(ttm_array_reserve(&profile->calls, &profile->call_capacity, count + 1,
                              sizeof *profile->calls, "a profile"));
    TTM_TRY(ttm_array_reserve(&profile->marked, &profile->marked_capacity, count + 1,
                              sizeof *profile->marked, "a profile"));
    const uint64_t now_ns = ttm_host_clock_ns();
    profile->calls[count] = (ttm_profile_call){.op = (uint32_t)op,
                                               .depth = (uint16_t)profile->stream->depth,
                                               .route = (uint16_t)route,
                                               .host_start_ns = now_ns - profile->host_origin_ns};
    profile->marked[count] = (recorded){0};
    TTM_TRY(take_mark(&profile->marked[count].start, profile, now_ns));
    /* What a decomposed call queues are calls of their own. */
    profile->idle_since_ns = route == TTM_PROFILE_DECOMPOSED ? now_ns : 0;
    profile->call_count++;
    return TTM_OK;
}

static size_t finish_begin(ttm_profile *profile, ttm_status status)
{
    if (status != TTM_OK) {
        remember_failure(profile, status);
        return TTM_PROFILE_NO_CALL;
    }
    return profile->call_count - 1;
}

size_t ttm_profile_begin_op(ttm_stream *stream, const ttm_op *op, ttm_profile_route route)
{
    ttm_profile *profile = stream->profile;
    if (profile == NULL) {
        return TTM_PROFILE_NO_CALL;
    }
    size_t index = 0;
    bool made = false;
    ttm_status status = find_op(&index, &made, profile, hash_op(stream, op));
    if (status == TTM_OK && made) {
        ttm_profile_op *entry = &profile->ops[index];
        entry->name = ttm_op_name(op->opcode);
        entry->opcode = (int32_t)op->opcode;
        entry->layer = (int32_t)stream->layer - 1;
        if (op->label != NULL) {
            memcpy(entry->label, op->label, strnlen(op->label, sizeof entry->label - 1));
        }
        ttm_op_cost(&entry->operations, &entry->bytes, op);
        status = keep_shapes(profile, op);
    }
    if (status == TTM_OK) {
        status = add_call(profile, index, route);
    }
    return finish_begin(profile, status);
}

size_t ttm_profile_begin_transfer(ttm_stream *stream, const char *name, size_t bytes)
{
    ttm_profile *profile = stream->profile;
    if (profile == NULL) {
        return TTM_PROFILE_NO_CALL;
    }
    size_t index = 0;
    bool made = false;
    ttm_status status = find_op(&index, &made, profile, mix_text(mix(0, bytes), name));
    if (status == TTM_OK && made) {
        ttm_profile_op *entry = &profile->ops[index];
        entry->name = name;
        entry->opcode = TTM_OP_COUNT;
        entry->layer = -1;
        entry->bytes = (double)bytes;
    }
    if (status == TTM_OK) {
        status = add_call(profile, index, TTM_PROFILE_TRANSFER);
    }
    return finish_begin(profile, status);
}

void ttm_profile_end(ttm_stream *stream, size_t call)
{
    ttm_profile *profile = stream->profile;
    if (profile == NULL || call >= profile->call_count) {
        return;
    }
    /* The clock only matters after calls of a decomposed op: else something was queued since. */
    const uint64_t now_ns = profile->idle_since_ns != 0 ? ttm_host_clock_ns() : 0;
    const ttm_status status = take_mark(&profile->marked[call].end, profile, now_ns);
    if (status != TTM_OK) {
        remember_failure(profile, status);
    }
    profile->idle_since_ns = ttm_host_clock_ns();
    profile->calls[call].host_end_ns = profile->idle_since_ns - profile->host_origin_ns;
}

/* ---- Life of a profile ---- */

static void forget_events(ttm_profile *profile)
{
    forget_marks(profile);
    ttm_event_destroy(profile->origin);
    profile->origin = NULL;
}

ttm_status ttm_profile_create(ttm_profile **profile, ttm_stream *stream, ttm_profile_detail detail)
{
    *profile = NULL;
    if (stream->handle == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a planning stream runs nothing that could be profiled");
    }
    ttm_profile *made = NULL;
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a profile"));
    made->stream = stream;
    made->detail = detail;
    *profile = made;
    return TTM_OK;
}

void ttm_profile_destroy(ttm_profile *profile)
{
    if (profile == NULL) {
        return;
    }
    if (profile->stream->profile == profile) {
        profile->stream->profile = NULL;
    }
    forget_events(profile);
    free(profile->ops);
    free(profile->hashes);
    free(profile->shapes);
    free(profile->extents);
    free(profile->slots);
    free(profile->calls);
    free(profile->marked);
    free(profile->marks);
    free(profile);
}

ttm_status ttm_profile_start(ttm_profile *profile)
{
    ttm_stream *stream = profile->stream;
    if (stream->profile != NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the stream is being profiled already");
    }
    forget_events(profile);
    profile->call_count = 0;
    profile->op_count = 0;
    profile->extent_count = 0;
    if (profile->slots != NULL) {
        memset(profile->slots, 0, profile->slot_count * sizeof *profile->slots);
    }
    profile->failure = TTM_OK;
    profile->host_ns = 0;
    profile->device_ns = 0;
    TTM_TRY(ttm_stream_synchronize(stream));
    TTM_TRY(ttm_event_record(&profile->origin, stream));
    profile->host_origin_ns = ttm_host_clock_ns();
    stream->profile = profile;
    return TTM_OK;
}

ttm_status ttm_profile_stop(ttm_profile *profile)
{
    ttm_status status = TTM_OK;
    ttm_event *end = NULL;
    if (profile->stream->profile != profile) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "the profile hasn't been started");
    }
    profile->stream->profile = NULL;
    TTM_TRY_OUT(ttm_event_record(&end, profile->stream));
    TTM_TRY_OUT(ttm_stream_synchronize(profile->stream));
    profile->host_ns = ttm_host_clock_ns() - profile->host_origin_ns;
    write_shapes(profile);
    TTM_TRY_OUT(ttm_event_elapsed_ns(&profile->device_ns, profile->origin, end));
    if (profile->failure != TTM_OK) {
        status = ttm_fail(profile->failure, "profiling: %s", profile->message);
        goto out;
    }
    status = read_times(profile);
out:
    ttm_event_destroy(end);
    forget_events(profile);
    return status;
}

const ttm_profile_call *ttm_profile_calls(const ttm_profile *profile, size_t *count)
{
    *count = profile->detail == TTM_PROFILE_CALLS ? profile->call_count : 0;
    return profile->calls;
}

const ttm_profile_op *ttm_profile_ops(const ttm_profile *profile, size_t *count)
{
    *count = profile->op_count;
    return profile->ops;
}

uint64_t ttm_profile_device_ns(const ttm_profile *profile)
{
    return profile->device_ns;
}

uint64_t ttm_profile_host_ns(const ttm_profile *profile)
{
    return profile->host_ns;
}
