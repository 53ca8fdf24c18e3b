/* Counters, one line for each op, and the summary. */
#include "record.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct op_record {
    uint64_t calls;
    uint64_t failures;
    uint64_t elapsed_ns;
} op_record;

static const char *const names[TTM_OP_COUNT] = {"copy",
                                                "fill",
                                                "add",
                                                "matmul",
                                                "reduce_rows",
                                                "sum_of_squares",
                                                "gelu",
                                                "gelu_backward",
                                                "dropout",
                                                "softmax",
                                                "layer_norm",
                                                "layer_norm_backward",
                                                "attention",
                                                "attention_backward",
                                                "cross_entropy",
                                                "embedding",
                                                "embedding_backward",
                                                "adamw",
                                                "tt_build",
                                                "tt_gradient",
                                                "tt_linear",
                                                "tt_linear_backward",
                                                "sample",
                                                "norm_matmul"};

/* One more for ops of a newer libttm. */
static op_record ops[TTM_OP_COUNT + 1];
static uint64_t bytes_to_device;
static uint64_t bytes_to_host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static record_mode mode;
static const ttm_backend_host *libttm;

void record_start(record_mode wanted, const ttm_backend_host *host)
{
    mode = wanted;
    libttm = host;
}

record_mode record_get_mode(void)
{
    return mode;
}

static void TTM_PRINTF(1, 2) log_line(const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    libttm->log(TTM_LOG_INFO, line);
}

static const char *op_name(int opcode)
{
    return opcode >= 0 && opcode < TTM_OP_COUNT ? names[opcode] : "(newer op)";
}

/* "f32 [8, 64] f32 [8, 32] …": what is there, in the order of the op's slots. */
static void describe_tensors(char *text, size_t text_bytes, const ttm_op *op)
{
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t slot = 0; slot < op->tensor_count && used < text_bytes; slot++) {
        const ttm_tensor *tensor = &op->tensors[slot];
        if (!ttm_tensor_present(tensor)) {
            continue;
        }
        used += (size_t)snprintf(text + used, text_bytes - used, " %s [",
                                 ttm_dtype_name(tensor->dtype));
        for (int32_t dim = 0; dim < tensor->rank && used < text_bytes; dim++) {
            used += (size_t)snprintf(text + used, text_bytes - used,
                                     dim > 0 ? ", %" PRId64 : "%" PRId64, tensor->shape[dim]);
        }
        if (used < text_bytes) {
            used += (size_t)snprintf(text + used, text_bytes - used, "]");
        }
    }
}

void record_op(const ttm_op *op, uint64_t elapsed_ns, ttm_status status)
{
    const int opcode = (int)op->opcode;
    op_record *record = &ops[opcode >= 0 && opcode < TTM_OP_COUNT ? opcode : TTM_OP_COUNT];
    pthread_mutex_lock(&lock);
    record->calls++;
    record->failures += status != TTM_OK;
    record->elapsed_ns += elapsed_ns;
    pthread_mutex_unlock(&lock);
    if (mode == RECORD_LOG) {
        char tensors[320];
        describe_tensors(tensors, sizeof tensors, op);
        log_line("%s%s%s%s: %.1f us%s", op_name(opcode), tensors, op->label != NULL ? ", " : "",
                 op->label != NULL ? op->label : "", (double)elapsed_ns * 1e-3,
                 status == TTM_OK ? "" : ", FAILED");
    }
}

void record_copy(size_t bytes, int to_host)
{
    pthread_mutex_lock(&lock);
    *(to_host ? &bytes_to_host : &bytes_to_device) += bytes;
    pthread_mutex_unlock(&lock);
}

void record_finish(void)
{
    op_record taken[TTM_OP_COUNT + 1];
    pthread_mutex_lock(&lock);
    memcpy(taken, ops, sizeof taken);
    const uint64_t to_device = bytes_to_device;
    const uint64_t to_host = bytes_to_host;
    memset(ops, 0, sizeof ops);
    bytes_to_device = 0;
    bytes_to_host = 0;
    pthread_mutex_unlock(&lock);
    for (int opcode = 0; opcode <= TTM_OP_COUNT; opcode++) {
        if (taken[opcode].calls > 0) {
            log_line("%-20s %8" PRIu64 " calls %4" PRIu64 " failed %10.3f ms", op_name(opcode),
                     taken[opcode].calls, taken[opcode].failures,
                     (double)taken[opcode].elapsed_ns * 1e-6);
        }
    }
    log_line("%.1f MB to the device, %.1f MB from it", (double)to_device * 1e-6,
             (double)to_host * 1e-6);
}
