/* A plugin with memory and streams and no ops, built many times over with one flaw each.
 * FAKE_NAME is its name, FAKE_FLAW what is wrong with it, FAKE_KIND and FAKE_MEMORY what its
 * devices claim to be. */
#include "common/host_plugin.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef FAKE_KIND
#define FAKE_KIND TTM_DEVICE_CPU
#endif
#ifndef FAKE_MEMORY
#define FAKE_MEMORY (UINT64_C(1) << 30)
#endif

enum {
    FLAW_NONE,
    FLAW_WRONG_MAGIC,
    FLAW_NEWER_MAJOR,
    FLAW_OLDER_MINOR, /* no flaw: a smaller table */
    FLAW_NEWER_MINOR, /* no flaw: a larger table */
    FLAW_TINY_TABLE,
    FLAW_HUGE_TABLE,
    FLAW_NO_SYMBOL,
    FLAW_NO_TABLE,
    FLAW_NO_TABLE_AND_REASON,
    FLAW_UNDEFINED_SYMBOL,
    FLAW_CONSTRUCTOR_FAILS,
    FLAW_CONSTRUCTOR_CRASHES,
    FLAW_CONSTRUCTOR_EXITS,
    FLAW_NO_DEVICE_OPEN,
    FLAW_NO_VERSION,
    FLAW_HALF_EVENTS,
    FLAW_RUN_WITHOUT_SUPPORTED,
    FLAW_NO_EVENTS,  /* no flaw */
    FLAW_NO_DEVICES, /* no flaw */
    FLAW_COUNT_NEGATIVE,
    FLAW_COUNT_MILLION,
    FLAW_COUNT_FAILS,
    FLAW_SECOND_INFO_FAILS,
    FLAW_NAME_WITHOUT_END,
    FLAW_NAME_NOT_UTF8,
    FLAW_ODD_ALIGNMENT,
    FLAW_STRANGE_KIND,
    FLAW_MAP_WITHOUT_FUNCTION,
    FLAW_OPEN_FAILS,
    FLAW_OPEN_FAILS_SILENTLY,
    FLAW_OPEN_OPENS_NOTHING,
    FLAW_STRANGE_STATUS,
    FLAW_STREAM_FAILS,
    FLAW_SYNCHRONIZE_FAILS,
    FLAW_ALLOC_FAILS,
    FLAW_SECOND_MINOR,  /* no flaw: knows nothing of SAMPLE */
    FLAW_ONLY_PRODUCTS, /* no flaw: has MATMUL, which does nothing */
    FLAW_NO_MAP         /* no flaw: has every op, which do nothing, and doesn't map its memory */
};

struct ttm_backend_device {
    int32_t index;
};

static ttm_status device_count(int32_t *count)
{
    switch (FAKE_FLAW) {
    case FLAW_COUNT_NEGATIVE:
        *count = -1;
        return TTM_OK;
    case FLAW_COUNT_MILLION:
        *count = 1000000;
        return TTM_OK;
    case FLAW_COUNT_FAILS:
        return host_fail(TTM_ERROR_DEVICE, "the driver doesn't answer");
    case FLAW_NO_DEVICES:
        *count = 0;
        return TTM_OK;
    default:
        *count = 2;
        return TTM_OK;
    }
}

static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    ttm_device_info full = {.struct_size = info->struct_size};
    if (FAKE_FLAW == FLAW_SECOND_INFO_FAILS && index == 1) {
        return host_fail(TTM_ERROR_DEVICE, "the device fell off the bus");
    }
    host_describe_machine(&full);
    strcpy(full.name, index == 0 ? "Fake Alpha" : "Fake Beta 4090");
    strcpy(full.vendor, "libttm tests");
    full.kind = FAKE_FLAW == FLAW_STRANGE_KIND ? (ttm_device_kind)7 : FAKE_KIND;
    full.memory_bytes = FAKE_MEMORY - (uint64_t)index;
    full.capabilities = FAKE_FLAW == FLAW_NO_MAP ? 0 : TTM_DEVICE_CAN_MAP;
    full.dtype_mask = index == 0 ? 1U << TTM_F32 | 1U << TTM_BF16 | 1U << TTM_TF32 : 0;
    if (FAKE_FLAW == FLAW_NAME_WITHOUT_END) {
        memset(full.name, 'n', sizeof full.name);
        memset(full.details, 'd', sizeof full.details);
    }
    if (FAKE_FLAW == FLAW_NAME_NOT_UTF8) {
        strcpy(full.name, "Fak\xff\x1b[31m\n \xc3\xa9 \xe2\x82");
    }
    if (FAKE_FLAW == FLAW_ODD_ALIGNMENT) {
        full.alignment_bytes = 48;
    }
    host_copy_info(info, &full);
    return TTM_OK;
}

static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    switch (FAKE_FLAW) {
    case FLAW_OPEN_FAILS:
        return host_fail(TTM_ERROR_DEVICE, "another program holds the\ndevice");
    case FLAW_OPEN_FAILS_SILENTLY:
        return TTM_ERROR_DEVICE;
    case FLAW_STRANGE_STATUS:
        return (ttm_status)77;
    case FLAW_OPEN_OPENS_NOTHING:
        return TTM_OK;
    default:
        break;
    }
    ttm_backend_device *made = malloc(sizeof *made);
    if (made == NULL) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device");
    }
    made->index = index;
    host_log(TTM_LOG_INFO, "opened");
    *device = made;
    return TTM_OK;
}

static void device_close(ttm_backend_device *device)
{
    free(device);
}

static ttm_status memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    if (FAKE_FLAW == FLAW_ALLOC_FAILS) {
        return host_fail(TTM_ERROR_OUT_OF_MEMORY, "the heap is full");
    }
    return host_memory_alloc(memory, device, bytes);
}

static ttm_status stream_create(ttm_backend_stream **stream, ttm_backend_device *device)
{
    if (FAKE_FLAW == FLAW_STREAM_FAILS) {
        return host_fail(TTM_ERROR_DEVICE, "no queue is free");
    }
    return host_stream_create(stream, device);
}

static ttm_status stream_synchronize(ttm_backend_stream *stream)
{
    if (FAKE_FLAW == FLAW_SYNCHRONIZE_FAILS) {
        return host_fail(TTM_ERROR_DEVICE, "kernel 12 faulted");
    }
    return host_stream_synchronize(stream);
}

static atomic_int tuning_now;

/* The second device has no settings; the first can't keep what it finds for a third op. */
static ttm_status device_tune(ttm_backend_device *device, const ttm_op *ops, size_t op_count,
                              double seconds)
{
    if (device->index == 1) {
        return host_fail(TTM_ERROR_UNSUPPORTED, "nothing to tune");
    }
    if (op_count > 2) {
        return host_fail(TTM_ERROR_IO, "the folder can't be written to");
    }
    if (atomic_fetch_add(&tuning_now, 1) > 0) {
        host_log(TTM_LOG_INFO, "tuned twice at once");
    }
    const struct timespec moment = {.tv_nsec = 2000000};
    nanosleep(&moment, NULL);
    for (size_t k = 0; k < op_count; k++) {
        const bool fill = ops[k].opcode == TTM_OP_FILL && ops[k].struct_size == sizeof ops[k];
        host_log(TTM_LOG_INFO, fill && seconds > 1.0 ? "tuned a fill" : "tuned else");
    }
    atomic_fetch_sub(&tuning_now, 1);
    return TTM_OK;
}

static int op_supported(ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return FAKE_FLAW == FLAW_NO_MAP || op->opcode == TTM_OP_MATMUL;
}

#define HAS_OPS (FAKE_FLAW == FLAW_ONLY_PRODUCTS || FAKE_FLAW == FLAW_NO_MAP)

static ttm_status op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    (void)stream;
    (void)op;
    return HAS_OPS ? TTM_OK : host_fail(TTM_ERROR_UNSUPPORTED, "there are no ops");
}

#define HAS_EVENTS (FAKE_FLAW != FLAW_NO_EVENTS)
#define TABLE_BYTES                                                        \
    (FAKE_FLAW == FLAW_OLDER_MINOR   ? offsetof(ttm_backend, op_supported) \
     : FAKE_FLAW == FLAW_NEWER_MINOR ? sizeof(ttm_backend) + 64            \
     : FAKE_FLAW == FLAW_TINY_TABLE  ? offsetof(ttm_backend, device_open)  \
     : FAKE_FLAW == FLAW_HUGE_TABLE  ? (size_t)1 << 40                     \
                                     : sizeof(ttm_backend))

/* A later minor version would have more behind the table. */
static const struct {
    ttm_backend known;
    void *more[8];
} table = {
    .known =
        {
            .magic = FAKE_FLAW == FLAW_WRONG_MAGIC ? 0x12345678 : TTM_BACKEND_MAGIC,
            .abi_major = TTM_BACKEND_ABI_MAJOR + (FAKE_FLAW == FLAW_NEWER_MAJOR ? 1 : 0),
            .abi_minor = FAKE_FLAW == FLAW_SECOND_MINOR
                             ? 2
                             : TTM_BACKEND_ABI_MINOR + (FAKE_FLAW == FLAW_NEWER_MINOR ? 1 : 0),
            .struct_size = TABLE_BYTES,
            .name = FAKE_NAME,
            .version = FAKE_FLAW == FLAW_NO_VERSION ? NULL : "1",
            .description = "a plugin for tests",
            .device_count = device_count,
            .device_info = device_info,
            .device_open = FAKE_FLAW == FLAW_NO_DEVICE_OPEN ? NULL : device_open,
            .device_close = device_close,
            .memory_alloc = memory_alloc,
            .memory_free = host_memory_free,
            .memory_write = host_memory_write,
            .memory_read = host_memory_read,
            .memory_map = FAKE_FLAW == FLAW_MAP_WITHOUT_FUNCTION || FAKE_FLAW == FLAW_NO_MAP
                              ? NULL
                              : host_memory_map,
            .stream_create = stream_create,
            .stream_destroy = host_stream_destroy,
            .stream_synchronize = stream_synchronize,
            .event_record = HAS_EVENTS ? host_event_record : NULL,
            .event_wait = HAS_EVENTS && FAKE_FLAW != FLAW_HALF_EVENTS ? host_event_wait : NULL,
            .event_synchronize = HAS_EVENTS ? host_event_synchronize : NULL,
            .event_elapsed_ns = HAS_EVENTS ? host_event_elapsed_ns : NULL,
            .event_destroy = HAS_EVENTS ? host_event_destroy : NULL,
            .op_supported = HAS_OPS ? op_supported : NULL,
            /* What an older table ends before must not be looked at. */
            .op_run =
                HAS_OPS || FAKE_FLAW == FLAW_RUN_WITHOUT_SUPPORTED || FAKE_FLAW == FLAW_OLDER_MINOR
                    ? op_run
                    : NULL,
            .device_tune = device_tune,
        },
};

#ifdef FAKE_UNDEFINED
void ttm_test_function_that_nobody_defines(void);
#endif

static int driver_is_missing;

static void __attribute__((constructor)) start_driver(void)
{
    driver_is_missing = FAKE_FLAW == FLAW_CONSTRUCTOR_FAILS;
    if (FAKE_FLAW == FLAW_CONSTRUCTOR_CRASHES) {
        abort();
    }
    if (FAKE_FLAW == FLAW_CONSTRUCTOR_EXITS) {
        exit(3);
    }
#ifdef FAKE_UNDEFINED
    ttm_test_function_that_nobody_defines();
#endif
}

#ifdef FAKE_WITHOUT_SYMBOL
#define ENTRY ttm_backend_entrance
#else
#define ENTRY ttm_backend_entry
#endif

TTM_API const ttm_backend *ENTRY(const ttm_backend_host *host);

TTM_API const ttm_backend *ENTRY(const ttm_backend_host *host)
{
    host_plugin_start(host);
    if (driver_is_missing) {
        (void)host_fail(TTM_ERROR_DEVICE, "the driver could not be started");
        return NULL;
    }
    if (FAKE_FLAW == FLAW_NO_TABLE_AND_REASON) {
        return NULL;
    }
    if (FAKE_FLAW == FLAW_NO_TABLE) {
        (void)host_fail(TTM_ERROR_UNSUPPORTED, "this processor lacks the instructions");
        return NULL;
    }
    return &table.known;
}
