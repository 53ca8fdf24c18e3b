/* A plugin that passes everything on to another one (TTM_FAULTY_BASE, the path of its file), but
 * breaks one promise of ttm/backend.h about devices, memory, streams or repeated ops. TTM_FAULTY
 * says which; faulty_device.sh names the test of ttm-conformance that has to see each. The base
 * works at once and in host memory; where a fault is one of a queue, FILL is held back to make one.
 * TTM_FAULTY_CALL makes a single call fail, as any device may at any time. */
#include "faulty_device.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ttm_backend faulty_base;
const ttm_backend_host *faulty_host;
static ttm_backend table;
static const char *fault = "";

int faulty_is(const char *name)
{
    return strcmp(fault, name) == 0;
}

static long failing_call; /* 0: none */

bool faulty_fails(void)
{
    static atomic_long calls;
    if (failing_call == 0 || atomic_fetch_add(&calls, 1) + 1 != failing_call) {
        return false;
    }
    faulty_host->error("this call fails");
    return true;
}

/* ---- Devices ---- */

static ttm_status device_info(int32_t index, ttm_device_info *info)
{
    static atomic_int calls;
    const ttm_status status = faulty_base.device_info(index, info);
    if (faulty_is("longinfo") && info->struct_size < sizeof *info) {
        memset((char *)info + info->struct_size, 0, sizeof *info - info->struct_size);
    } else if (info->struct_size == sizeof *info) {
        info->alignment_bytes <<= faulty_is("moody") && atomic_fetch_add(&calls, 1) % 2 == 1;
        info->dtype_mask =
            faulty_is("claims") ? info->dtype_mask | 1u << TTM_F16 : info->dtype_mask;
        info->capabilities &= faulty_is("moves") ? ~0u : ~(uint32_t)TTM_DEVICE_CAN_MAP;
        if (faulty_is("hoards")) {
            info->memory_bytes = (uint64_t)1 << 24;
            info->memory_free_bytes = (uint64_t)1 << 23;
            info->max_allocation_bytes = (uint64_t)1 << 22;
        }
    }
    return status;
}

static ttm_status device_open(ttm_backend_device **device, int32_t index)
{
    if (faulty_is("leakopen")) {
        faulty_leak();
    }
    return faulty_base.device_open(device, index);
}

static atomic_int closed;

static void device_close(ttm_backend_device *device)
{
    atomic_store(&closed, faulty_is("closesall"));
    faulty_base.device_close(device);
}

static void crash_at_exit(void)
{
    abort();
}

/* ---- Memory ---- */

static ttm_memory *last_allocation;
static size_t last_bytes;
static int last_uses;
static atomic_size_t hoarded;

/* Every third allocation is one that is still in use, if that is large enough. */
static int allocate_twice(ttm_memory **memory, size_t bytes)
{
    static int calls;
    if (!faulty_is("overlap") || ++calls % 3 != 0 || last_uses == 0 || last_bytes < bytes) {
        return 0;
    }
    *memory = last_allocation;
    last_uses++;
    return 1;
}

static ttm_status memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    const size_t most = faulty_is("boasts") ? (size_t)1 << 24 : SIZE_MAX;
    if (faulty_fails()) {
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    if (bytes > most || (faulty_is("hoards") && atomic_fetch_add(&hoarded, bytes) > 1 << 24)) {
        faulty_host->error("no memory");
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    if (allocate_twice(memory, bytes)) {
        return TTM_OK;
    }
    if (faulty_is("leakalloc")) {
        faulty_leak();
    }
    const ttm_status status = faulty_base.memory_alloc(
        memory, device, faulty_is("wraps") && bytes > SIZE_MAX / 2 ? 64 : bytes);
    if (status == TTM_OK && faulty_is("overlap") && last_uses < 2) {
        last_allocation = *memory;
        last_bytes = bytes;
        last_uses = 1;
    }
    return status;
}

/* The variant `late`, which is right: a write or an op is done when the next call comes, as by a
 * device with a queue. Who frees memory of it before breaks a promise. */
static struct {
    pthread_mutex_t lock;
    ttm_op op; /* struct_size 0: none */
    ttm_tensor tensors[TTM_OP_MAX_TENSORS];
    unsigned char params[256];
    ttm_backend_stream *stream;
    ttm_memory *memory;
    size_t offset;
    size_t bytes;
    unsigned char *copy;
} late = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void finish_late(void)
{
    if (late.copy != NULL) {
        (void)faulty_base.memory_write(late.stream, late.memory, late.offset, late.copy,
                                       late.bytes);
        free(late.copy);
        late.copy = NULL;
    }
    if (late.op.struct_size != 0) {
        (void)faulty_base.op_run(late.stream, &late.op);
        late.op.struct_size = 0;
    }
}

void faulty_finish_late(void)
{
    pthread_mutex_lock(&late.lock);
    finish_late();
    pthread_mutex_unlock(&late.lock);
}

static ttm_status write_late(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                             const void *source, size_t bytes)
{
    pthread_mutex_lock(&late.lock);
    finish_late();
    late.copy = malloc(bytes > 0 ? bytes : 1);
    if (late.copy == NULL) {
        abort();
    }
    memcpy(late.copy, source, bytes);
    late.stream = stream;
    late.memory = memory;
    late.offset = offset;
    late.bytes = bytes;
    pthread_mutex_unlock(&late.lock);
    return TTM_OK;
}

/* False for an op that has to be run at once: it points at more than can be copied. */
bool faulty_run_late(ttm_backend_stream *stream, const ttm_op *op)
{
    if (!faulty_is("late") || op->opcode == TTM_OP_ADAMW || op->params_bytes > sizeof late.params ||
        op->tensor_count > TTM_OP_MAX_TENSORS || !faulty_base.op_supported(NULL, op)) {
        return false;
    }
    pthread_mutex_lock(&late.lock);
    finish_late();
    late.op = *op;
    memcpy(late.tensors, op->tensors, op->tensor_count * sizeof *op->tensors);
    if (op->params_bytes > 0) {
        memcpy(late.params, op->params, op->params_bytes);
    }
    late.op.tensors = late.tensors;
    late.op.params = late.params;
    late.stream = stream;
    pthread_mutex_unlock(&late.lock);
    return true;
}

static void check_late(const ttm_memory *memory)
{
    pthread_mutex_lock(&late.lock);
    bool used = late.copy != NULL && late.memory == memory;
    for (uint32_t slot = 0; late.op.struct_size != 0 && slot < late.op.tensor_count; slot++) {
        used = used ||
               (ttm_tensor_present(&late.tensors[slot]) && late.tensors[slot].memory == memory);
    }
    if (used) {
        abort(); /* freed while it is used */
    }
    pthread_mutex_unlock(&late.lock);
}

static void memory_free(ttm_backend_device *device, ttm_memory *memory)
{
    check_late(memory);
    if (memory == last_allocation && faulty_is("overlap") && --last_uses > 0) {
        return;
    }
    faulty_base.memory_free(device, memory);
}

/* Copies through one staging buffer for all threads. */
static ttm_status write_staged(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes)
{
    static unsigned char staging[1 << 20];
    if (bytes > sizeof staging) {
        return faulty_base.memory_write(stream, memory, offset, source, bytes);
    }
    memcpy(staging, source, bytes);
    sched_yield();
    return faulty_base.memory_write(stream, memory, offset, staging, bytes);
}

/* A write whose source is looked at only when the next call comes. */
static struct {
    ttm_memory *memory;
    size_t offset;
    const void *source;
    size_t bytes;
} borrowed;

static ttm_status memory_write(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                               const void *source, size_t bytes)
{
    if (faulty_is("zerofails") && bytes == 0) {
        faulty_host->error("nothing to write");
        return TTM_ERROR_ARGUMENT;
    }
    if (faulty_fails()) {
        return TTM_ERROR_DEVICE;
    }
    if (!faulty_is("overtakes")) {
        const ttm_status status = faulty_flush(stream);
        if (status != TTM_OK) {
            return status;
        }
    }
    if (faulty_is("borrows") && bytes == 1 << 20) {
        borrowed.memory = memory;
        borrowed.offset = offset;
        borrowed.source = source;
        borrowed.bytes = bytes;
        return TTM_OK;
    }
    if (faulty_is("late")) {
        return write_late(stream, memory, offset, source, bytes);
    }
    if (faulty_is("aligned") && offset % 4 != 0) {
        return faulty_base.memory_write(stream, memory, offset - offset % 4, source, bytes);
    }
    return faulty_is("staging") ? write_staged(stream, memory, offset, source, bytes)
                                : faulty_base.memory_write(stream, memory, offset, source, bytes);
}

static ttm_status memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes)
{
    if (atomic_load(&closed)) {
        faulty_host->error("the device is closed");
        return TTM_ERROR_DEVICE;
    }
    if (faulty_fails()) {
        return TTM_ERROR_DEVICE;
    }
    ttm_status status = faulty_flush(stream);
    if (status == TTM_OK && borrowed.memory == memory && borrowed.bytes > 0) {
        status = faulty_base.memory_write(stream, memory, borrowed.offset, borrowed.source,
                                          borrowed.bytes);
        borrowed.bytes = 0;
    }
    return status == TTM_OK ? faulty_base.memory_read(stream, target, memory, offset, bytes)
                            : status;
}

static ttm_status memory_copy(ttm_backend_stream *stream, ttm_memory *target, size_t target_offset,
                              ttm_memory *source, size_t source_offset, size_t bytes)
{
    faulty_finish_late();
    const size_t from = faulty_is("copies") ? source_offset & ~(size_t)3 : source_offset;
    return faulty_base.memory_copy(stream, target, target_offset, source, from, bytes);
}

static ttm_status memory_zero(ttm_backend_stream *stream, ttm_memory *memory, size_t offset,
                              size_t bytes)
{
    faulty_finish_late();
    const size_t from = faulty_is("zeroes") ? offset & ~(size_t)3 : offset;
    return faulty_base.memory_zero(stream, memory, from, bytes);
}

static void *memory_map(ttm_backend_device *device, ttm_memory *memory)
{
    static int calls;
    unsigned char *address = faulty_base.memory_map(device, memory);
    return faulty_is("moves") && ++calls % 2 == 0 ? address + 64 : address;
}

/* ---- The table ---- */

static void make_table(void)
{
    table = faulty_base;
    table.name = "faultydevice";
    table.device_info = device_info;
    table.device_open = device_open;
    table.device_close = device_close;
    table.memory_alloc = memory_alloc;
    table.memory_free = memory_free;
    table.memory_write = memory_write;
    table.memory_read = memory_read;
    table.memory_copy = memory_copy;
    table.memory_zero = memory_zero;
    table.memory_map = memory_map;
    faulty_take_queue(&table);
}

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    const char *path = getenv("TTM_FAULTY_BASE");
    const char *call = getenv("TTM_FAULTY_CALL");
    fault = getenv("TTM_FAULTY") != NULL ? getenv("TTM_FAULTY") : "";
    failing_call = call != NULL ? strtol(call, NULL, 10) : 0;
    faulty_host = host;
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library != NULL ? dlsym(library, TTM_BACKEND_ENTRY_NAME) : NULL;
    ttm_backend_entry_function entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    const ttm_backend *found = entry != NULL ? entry(host) : NULL;
    if (found == NULL || found->struct_size != sizeof faulty_base || found->op_run == NULL) {
        host->error("set TTM_FAULTY_BASE to the plugin that it is based on");
        return NULL;
    }
    faulty_base = *found;
    if (faulty_is("exitcrash")) {
        atexit(crash_at_exit);
    }
    make_table();
    return &table;
}
