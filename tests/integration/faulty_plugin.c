/* A plugin that passes everything on to another one (TTM_FAULTY_BASE, the path of its file) and, at
 * op number TTM_FAULTY_AT (0 for none), does what TTM_FAULTY says:
 *     fails     op_run reports a failure
 *     late      op_run succeeds, and the next wait reports a failure
 *     silent    op_run fails and gives no reason
 *     outside   the op writes one byte behind its first tensor, too
 *     input     the op changes an input
 *     keeps     op_run keeps the op's address, and the next wait computes it
 *     odd       every op, whatever its number, spoils the last of an odd number of results
 *     older     no fault: a plugin for minor version 0, which that version's libttm never asked for
 *               bf16 moments, and which ends the program when it is
 *     crash     the op dies of a segmentation fault
 *     exit      the op ends the program
 *     hang      the op never returns */
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/backend.h>
#include <unistd.h>

static ttm_backend base;
static ttm_backend table;
static const ttm_backend_host *libttm;
static const char *fault;
static long fault_at;
static atomic_long ops_run;
static atomic_int failure_pending;
static const ttm_op *kept_op;

/* Byte `index` of a tensor's elements, counted from its first; the base maps its memory. */
static unsigned char *byte_of(ttm_backend_device *device, const ttm_tensor *tensor, size_t index)
{
    return (unsigned char *)base.memory_map(device, tensor->memory) + tensor->offset + index;
}

static size_t bytes_of(const ttm_tensor *tensor)
{
    int64_t last = 0;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        last += (tensor->shape[dim] - 1) * tensor->stride[dim];
    }
    return (size_t)(last + 1) * ttm_dtype_bytes(tensor->dtype);
}

/* As a plugin of minor version 0: ADAMW's moments were of the parameters' type. */
static int older_op_supported(ttm_backend_device *device, const ttm_op *op)
{
    if (op->opcode == TTM_OP_ADAMW && op->tensors[TTM_ADAMW_FIRST_MOMENT].dtype == TTM_BF16) {
        abort();
    }
    return base.op_supported(device, op);
}

static ttm_status misbehave(const ttm_op *op)
{
    const ttm_tensor *first = &op->tensors[0];
    const ttm_tensor *second = &op->tensors[op->tensor_count > 1 ? 1 : 0];
    if (strcmp(fault, "fails") == 0) {
        libttm->error("the device was unplugged");
        return TTM_ERROR_DEVICE;
    }
    if (strcmp(fault, "silent") == 0) {
        return TTM_ERROR_DEVICE;
    }
    if (strcmp(fault, "late") == 0) {
        atomic_store(&failure_pending, 1);
    } else if (strcmp(fault, "outside") == 0) {
        *byte_of(NULL, first, bytes_of(first)) ^= 1;
    } else if (strcmp(fault, "input") == 0) {
        *byte_of(NULL, second, 0) ^= 1;
    } else if (strcmp(fault, "crash") == 0) {
        raise(SIGSEGV);
    } else if (strcmp(fault, "exit") == 0) {
        _exit(0);
    } else if (strcmp(fault, "hang") == 0) {
        for (;;) {
            pause();
        }
    }
    return TTM_OK;
}

/* Whether this op is one of those that "odd" spoils, whenever and wherever it is run. */
static int is_odd(const ttm_op *op)
{
    int64_t count = 1;
    for (int32_t dim = 0; dim < op->tensors[0].rank; dim++) {
        count *= op->tensors[0].shape[dim];
    }
    return fault != NULL && strcmp(fault, "odd") == 0 && count % 2 != 0;
}

static ttm_status op_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const int now = atomic_fetch_add(&ops_run, 1) + 1 == fault_at;
    if (now && strcmp(fault, "keeps") == 0) {
        kept_op = op;
        return TTM_OK;
    }
    const ttm_status status = base.op_run(stream, op);
    if (status == TTM_OK && is_odd(op)) {
        *byte_of(NULL, &op->tensors[0], bytes_of(&op->tensors[0]) - 1) ^= 0x40;
    }
    return now && status == TTM_OK ? misbehave(op) : status;
}

/* What a device that runs behind does before it is waited for. */
static ttm_status catch_up(ttm_backend_stream *stream)
{
    const ttm_op *op = kept_op;
    kept_op = NULL;
    return op != NULL ? base.op_run(stream, op) : TTM_OK;
}

static ttm_status report_late(ttm_status status)
{
    if (atomic_exchange(&failure_pending, 0) != 0) {
        libttm->error("a kernel faulted");
        return TTM_ERROR_DEVICE;
    }
    return status;
}

static ttm_status stream_synchronize(ttm_backend_stream *stream)
{
    const ttm_status status = catch_up(stream);
    return report_late(status == TTM_OK ? base.stream_synchronize(stream) : status);
}

static ttm_status memory_read(ttm_backend_stream *stream, void *target, ttm_memory *memory,
                              size_t offset, size_t bytes)
{
    const ttm_status status = catch_up(stream);
    return report_late(status == TTM_OK ? base.memory_read(stream, target, memory, offset, bytes)
                                        : status);
}

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host);

TTM_API const ttm_backend *ttm_backend_entry(const ttm_backend_host *host)
{
    const char *path = getenv("TTM_FAULTY_BASE");
    const char *at = getenv("TTM_FAULTY_AT");
    fault = getenv("TTM_FAULTY");
    fault_at = at != NULL && fault != NULL ? strtol(at, NULL, 10) : -1;
    libttm = host;
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    void *symbol = library != NULL ? dlsym(library, TTM_BACKEND_ENTRY_NAME) : NULL;
    ttm_backend_entry_function entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    const ttm_backend *found = entry != NULL ? entry(host) : NULL;
    if (found == NULL || found->struct_size != sizeof base || found->op_run == NULL) {
        host->error("set TTM_FAULTY_BASE to the plugin that it is based on");
        return NULL;
    }
    base = *found;
    table = *found;
    table.name = "faulty";
    table.op_run = op_run;
    table.stream_synchronize = stream_synchronize;
    table.memory_read = memory_read;
    if (fault != NULL && strcmp(fault, "older") == 0) {
        table.abi_minor = 0;
        table.op_supported = older_op_supported;
    }
    return &table;
}
