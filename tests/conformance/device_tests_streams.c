/* Streams and events: work in order on one stream, side by side on two, in order again through an
 * event. */
#include "conformance/device_tests.h"
#include "core/error.h"
#include "core/plugin_host.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Enough work that a device which forgets to wait is caught: bytes of a buffer, turns over it. */
enum { BYTES = 1 << 18, TURNS = 40, STREAMS = 16 };

static ttm_status new_stream(struct target *target, const struct target *like)
{
    *target = *like;
    target->stream = NULL;
    ttm_plugin_begin();
    return target_check(target, "stream_create",
                        target->backend->stream_create(&target->stream, target->device));
}

static ttm_status synchronize(const struct target *target)
{
    ttm_plugin_begin();
    return target_check(target, "stream_synchronize",
                        target->backend->stream_synchronize(target->stream));
}

/* Whether the plugin fills f32 tensors itself, and without scratch. */
static bool fills(const struct target *target, const ttm_op *op)
{
    return target_supports(target, op) &&
           (target->backend->op_workspace_bytes == NULL ||
            target->backend->op_workspace_bytes(target->device, op) == 0);
}

/* Queues an op that fills the block with the number `key`, if the plugin has one; *filled says so.
 */
static ttm_status queue_fill(bool *filled, const test_block *block, const struct target *target,
                             uint32_t key)
{
    const ttm_fill_params params = {.value = (double)key};
    const ttm_tensor whole = {.memory = block->memory,
                              .memory_bytes = block->bytes,
                              .dtype = TTM_F32,
                              .rank = 1,
                              .shape = {(int64_t)(block->bytes / sizeof(float))},
                              .stride = {1}};
    const ttm_op fill = {.struct_size = sizeof fill,
                         .opcode = TTM_OP_FILL,
                         .tensor_count = TTM_FILL_TENSORS,
                         .tensors = &whole,
                         .params = &params,
                         .params_bytes = sizeof params};
    *filled = fills(target, &fill);
    if (*filled) {
        const ttm_tensor no_workspace = {0};
        return target_queue(target, &fill, &no_workspace);
    }
    return TTM_OK;
}

/* Queues a pattern of `key` over the whole block, behind an op if there is one, and doesn't wait.
 */
static ttm_status queue_pattern(test_block *block, const struct target *target, uint32_t key,
                                unsigned char *room)
{
    bool filled = false;
    TTM_TRY(queue_fill(&filled, block, target, key)); /* overwritten at once, if order is kept */
    block->key = key;
    pattern_fill(room, block->bytes, key);
    ttm_plugin_begin();
    return target_check(
        target, "memory_write",
        target->backend->memory_write(target->stream, block->memory, 0, room, block->bytes));
}

/* The same with the op behind the pattern: what is waited for then is an op, which most devices
 * leave to a queue, where many copy at once. *filled: there is an op. */
static ttm_status queue_work(bool *filled, test_block *block, const struct target *target,
                             uint32_t key, unsigned char *room)
{
    TTM_TRY(queue_pattern(block, target, key, room));
    return queue_fill(filled, block, target, key);
}

/* Fails unless the block holds what queue_work leaves, as read on any stream. */
static ttm_status check_work(bool filled, const test_block *block, const struct target *target,
                             unsigned char *room)
{
    if (!filled) {
        return block_check(block, target);
    }
    TTM_TRY(target_download(room, target, block->memory, block->bytes));
    for (size_t at = 0; at + sizeof(float) <= block->bytes; at += sizeof(float)) {
        float got = 0.0F;
        memcpy(&got, room + at, sizeof got);
        REQUIRE(got == (float)block->key, "byte %zu of %zu isn't what the op wrote that was queued",
                at, block->bytes);
    }
    return TTM_OK;
}

static ttm_status in_order(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    unsigned char *room = malloc(BYTES);
    test_block block = {0};
    ttm_status status = TTM_OK;
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    TTM_TRY_OUT(block_new(&block, bench->tested, BYTES, 0));
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        TTM_TRY_OUT(queue_pattern(&block, bench->tested, turn, room));
        if (turn % 8 == 0) {
            TTM_TRY_OUT(block_check(&block, bench->tested));
        }
    }
out:
    block_free(&block, bench->tested);
    free(room);
    return status;
}

static ttm_status two_at_once(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    unsigned char *room = malloc(BYTES);
    struct target targets[2] = {0};
    test_block blocks[2] = {0};
    ttm_status status = TTM_OK;
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    for (uint32_t k = 0; k < 2; k++) {
        TTM_TRY_OUT(new_stream(&targets[k], bench->tested));
        TTM_TRY_OUT(block_new(&blocks[k], &targets[k], BYTES, k));
    }
    bool filled = false;
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        TTM_TRY_OUT(queue_work(&filled, &blocks[turn % 2], &targets[turn % 2], turn, room));
    }
    for (uint32_t k = 0; k < 2; k++) {
        TTM_TRY_OUT(synchronize(&targets[k]));
        TTM_TRY_OUT(check_work(filled, &blocks[k], &targets[k], room));
    }
out:
    for (uint32_t k = 0; k < 2; k++) {
        if (targets[k].stream != NULL) {
            block_free(&blocks[k], &targets[k]);
            targets[k].backend->stream_destroy(targets[k].stream);
        }
    }
    free(room);
    return status;
}

static ttm_status many(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    struct target targets[STREAMS] = {0};
    ttm_status status = TTM_OK;
    for (uint32_t k = 0; k < STREAMS; k++) {
        test_block block = {0};
        TTM_TRY_OUT(new_stream(&targets[k], bench->tested));
        TTM_TRY_OUT(synchronize(&targets[k])); /* with nothing queued */
        TTM_TRY_OUT(block_new(&block, &targets[k], 1000, k));
        status = block_check(&block, &targets[k]);
        block_free(&block, &targets[k]);
        TTM_TRY_OUT(status);
    }
out:
    for (uint32_t k = 0; k < STREAMS && targets[k].stream != NULL; k++) {
        targets[k].backend->stream_destroy(targets[k].stream);
    }
    return status;
}

/* What was queued is done when the stream is gone. */
static ttm_status destroy_waits(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    unsigned char *room = malloc(BYTES);
    test_block block = {0};
    ttm_status status = TTM_OK;
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    TTM_TRY_OUT(block_new(&block, bench->tested, BYTES, 0));
    for (uint32_t turn = 1; turn <= 8; turn++) {
        struct target other;
        bool filled = false;
        TTM_TRY_OUT(new_stream(&other, bench->tested));
        status = queue_work(&filled, &block, &other, turn, room);
        other.backend->stream_destroy(other.stream);
        TTM_TRY_OUT(status);
        TTM_TRY_OUT(check_work(filled, &block, bench->tested, room));
    }
out:
    block_free(&block, bench->tested);
    free(room);
    return status;
}

/* What was queued is done when stream_synchronize returns: another stream sees it. */
static ttm_status synchronize_waits(const char **skipped, const test_bench *bench)
{
    (void)skipped;
    unsigned char *room = malloc(BYTES);
    struct target other = {0};
    test_block block = {0};
    ttm_status status = TTM_OK;
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    TTM_TRY_OUT(new_stream(&other, bench->tested));
    TTM_TRY_OUT(block_new(&block, bench->tested, BYTES, 0));
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        const struct target *writer = turn % 2 == 0 ? &other : bench->tested;
        const struct target *reader = turn % 2 == 0 ? bench->tested : &other;
        bool filled = false;
        TTM_TRY_OUT(queue_work(&filled, &block, writer, turn, room));
        TTM_TRY_OUT(synchronize(writer));
        TTM_TRY_OUT(check_work(filled, &block, reader, room));
    }
out:
    if (other.stream != NULL) {
        other.backend->stream_destroy(other.stream);
    }
    block_free(&block, bench->tested);
    free(room);
    return status;
}

/* Writes on one stream, an event, reads on the other. */
static ttm_status event_orders(const char **skipped, const test_bench *bench)
{
    const ttm_backend *backend = bench->tested->backend;
    unsigned char *room = malloc(BYTES);
    struct target other = {0};
    test_block block = {0};
    ttm_backend_event *event = NULL;
    ttm_status status = TTM_OK;
    if (backend->event_record == NULL) {
        *skipped = "the plugin has no events";
        goto out;
    }
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    TTM_TRY_OUT(new_stream(&other, bench->tested));
    TTM_TRY_OUT(block_new(&block, bench->tested, BYTES, 0));
    for (uint32_t turn = 1; turn <= TURNS; turn++) {
        const struct target *writer = turn % 2 == 0 ? &other : bench->tested;
        const struct target *reader = turn % 2 == 0 ? bench->tested : &other;
        bool filled = false;
        TTM_TRY_OUT(queue_work(&filled, &block, writer, turn, room));
        ttm_plugin_begin();
        TTM_TRY_OUT(
            target_check(writer, "event_record", backend->event_record(&event, writer->stream)));
        ttm_plugin_begin();
        TTM_TRY_OUT(target_check(reader, "event_wait", backend->event_wait(reader->stream, event)));
        backend->event_destroy(event); /* what waits for it still does */
        event = NULL;
        TTM_TRY_OUT(check_work(filled, &block, reader, room));
    }
out:
    if (event != NULL) {
        backend->event_destroy(event);
    }
    if (other.stream != NULL) {
        other.backend->stream_destroy(other.stream);
    }
    block_free(&block, bench->tested);
    free(room);
    return status;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The time between two events isn't longer than the host saw, nor does it run backwards. */
static ttm_status event_times(const char **skipped, const test_bench *bench)
{
    enum { SLACK_NS = 20000000 };
    const struct target *tested = bench->tested;
    const ttm_backend *backend = tested->backend;
    ttm_backend_event *events[2] = {0};
    test_block block = {0};
    unsigned char *room = malloc(BYTES);
    uint64_t elapsed = UINT64_MAX;
    ttm_status status = TTM_OK;
    if (backend->event_record == NULL) {
        *skipped = "the plugin has no events";
        goto out;
    }
    REQUIRE_OUT(room != NULL, "no memory for %d bytes", BYTES);
    TTM_TRY_OUT(block_new(&block, tested, BYTES, 0));
    const uint64_t start = now_ns();
    for (int k = 0; k < 2; k++) {
        ttm_plugin_begin();
        TTM_TRY_OUT(target_check(tested, "event_record",
                                 backend->event_record(&events[k], tested->stream)));
        for (uint32_t turn = 0; turn < 4 && k == 0; turn++) {
            TTM_TRY_OUT(queue_pattern(&block, tested, turn, room));
        }
    }
    for (int k = 1; k >= 0; k--) {
        ttm_plugin_begin();
        TTM_TRY_OUT(
            target_check(tested, "event_synchronize", backend->event_synchronize(events[k])));
    }
    const uint64_t host = now_ns() - start;
    ttm_plugin_begin();
    TTM_TRY_OUT(target_check(tested, "event_elapsed_ns",
                             backend->event_elapsed_ns(&elapsed, events[0], events[1])));
    REQUIRE_OUT(elapsed <= host + SLACK_NS,
                "event_elapsed_ns says %llu ns where the host saw %llu: are they nanoseconds, from "
                "the first event to the second?",
                (unsigned long long)elapsed, (unsigned long long)host);
out:
    for (int k = 0; k < 2; k++) {
        if (events[k] != NULL) {
            backend->event_destroy(events[k]);
        }
    }
    block_free(&block, tested);
    free(room);
    return status;
}

const device_test device_stream_tests[] = {
    {"streams/in_order", "what is queued on a stream happens in that order", in_order},
    {"streams/two_at_once", "two streams work side by side, each on its own memory", two_at_once},
    {"streams/many", "sixteen streams at once, idle ones included", many},
    {"streams/destroy_waits", "stream_destroy waits for what is queued", destroy_waits},
    {"streams/synchronize_waits", "stream_synchronize waits for what is queued", synchronize_waits},
    {"streams/event_orders", "event_wait orders the work of two streams", event_orders},
    {"streams/event_times", "event_elapsed_ns gives nanoseconds between two events", event_times},
    {0},
};
