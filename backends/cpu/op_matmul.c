/* MATMUL: reads the op, chooses who computes it and gives them their parts of the workspace.
 *
 * All of them cut out into blocks that the plugin's threads take one after another: measured faster
 * than a BLAS's own threads, and the same bits from run to run. */
#include "cpu/matmul.h"

#include <limits.h>
#include <stdatomic.h>

static operand describe(const ttm_tensor *tensor)
{
    operand result = {.data = data_of(tensor), .dtype = tensor->dtype};
    if (ttm_tensor_present(tensor)) {
        result.bytes = ttm_dtype_bytes(tensor->dtype);
        for (int i = 0; i < tensor->rank - 2; i++) {
            result.batch_stride[2 - (tensor->rank - 2) + i] = tensor->stride[i];
        }
    }
    return result;
}

/** Reads the last two dimensions of a tensor; returns whether the BLAS can take it. */
static int read_operand(operand *result, const ttm_tensor *tensor)
{
    *result = describe(tensor);
    const int rank = tensor->rank;
    const int64_t rows = tensor->shape[rank - 2];
    const int64_t cols = tensor->shape[rank - 1];
    const int64_t row_stride = rows > 1 ? tensor->stride[rank - 2] : cols;
    const int64_t col_stride = cols > 1 ? tensor->stride[rank - 1] : 1;
    if (col_stride == 1 && row_stride >= cols) {
        result->row = row_stride > 0 ? row_stride : 1;
    } else if ((rows <= 1 || tensor->stride[rank - 2] == 1) && col_stride >= rows) {
        result->row = col_stride;
        result->transposed = 1;
    } else {
        return 0;
    }
    return result->row <= INT_MAX;
}

/** Reads a residual or pre: rows that are contiguous, any distance apart. */
static int read_rows(operand *result, const ttm_tensor *tensor)
{
    *result = describe(tensor);
    if (ttm_tensor_present(tensor)) {
        result->row = tensor->stride[tensor->rank - 2];
    }
    return unit_last(tensor);
}

/** Returns whether the plugin has kernels for a and b of `type` and out of `out_type`; the contract
 * says that the other tensors are of these types. */
static int has_types(ttm_dtype type, ttm_dtype out_type)
{
    return (type == TTM_F32 || type == TTM_BF16) && (out_type == TTM_F32 || out_type == type);
}

int ttm_cpu_matmul_read(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *out = &tensors[TTM_MATMUL_OUT];
    const ttm_tensor *a = &tensors[TTM_MATMUL_A];
    const int rank = out->rank;
    *job = (matmul){.device = device,
                    .kernels = kernels_for(device, a->dtype),
                    .batch = {1, 1},
                    .rows = out->shape[rank - 2],
                    .cols = out->shape[rank - 1],
                    .depth = a->shape[rank - 1],
                    .bias = describe(&tensors[TTM_MATMUL_BIAS]),
                    .alpha = (float)params->alpha,
                    .beta = params->beta != 0.0,
                    .activation = params->activation};
    for (int i = 0; i < rank - 2; i++) {
        job->batch[2 - (rank - 2) + i] = out->shape[i];
    }
    return has_types(a->dtype, out->dtype) && job->rows <= INT_MAX && job->cols <= INT_MAX &&
           job->depth <= INT_MAX && read_operand(&job->a, a) &&
           read_operand(&job->b, &tensors[TTM_MATMUL_B]) && read_operand(&job->out, out) &&
           !job->out.transposed && unit_last(&tensors[TTM_MATMUL_BIAS]) &&
           read_rows(&job->residual, &tensors[TTM_MATMUL_RESIDUAL]) &&
           read_rows(&job->pre, &tensors[TTM_MATMUL_PRE]);
}

static int matmul_supported(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    return ttm_cpu_matmul_read(&job, device, op);
}

/* ---- One matrix of a batch ---- */

static void *matrix_of(const operand *from, const int64_t index[2])
{
    return moved(from->data, index[0] * from->batch_stride[0] + index[1] * from->batch_stride[1],
                 from->bytes);
}

matrices ttm_cpu_matmul_find(const matmul *job, int64_t batch)
{
    const int64_t index[2] = {batch / job->batch[1], batch % job->batch[1]};
    matrices found = {
        .a = matrix_of(&job->a, index),
        .b = matrix_of(&job->b, index),
        .residual = matrix_of(&job->residual, index),
        .out = matrix_of(&job->out, index),
        .pre = matrix_of(&job->pre, index),
    };
    if (job->value != NULL) {
        found.value = job->value + batch * job->rows * job->cols;
        found.value_row = job->cols;
    } else if (job->out.dtype != TTM_F32) {
        found.value = NULL;
    } else if (job->activation == TTM_ACTIVATION_GELU && found.pre != NULL) {
        found.value = (float *)(void *)found.pre;
        found.value_row = job->pre.row;
    } else {
        found.value = (float *)(void *)found.out;
        found.value_row = job->out.row;
    }
    return found;
}

/* ---- Planning ---- */

typedef struct way {
    void (*plan)(matmul *job); /**< NULL: planned when it is chosen. */
    void (*run)(matmul *job);
    void (*end)(matmul *job); /**< Gives back what planning took; may be NULL. */
    int sums_anywhere;        /**< Keeps sums in places of its own. */
} way;

static const way thin = {ttm_cpu_matmul_plan_thin, ttm_cpu_matmul_run_thin, NULL, 1};
static const way shared = {ttm_cpu_matmul_plan_shared, ttm_cpu_matmul_run_shared, NULL, 0};
static const way batch = {ttm_cpu_matmul_plan_batch, ttm_cpu_matmul_run_batch, NULL, 0};
static const way blas = {ttm_cpu_matmul_plan_blas, ttm_cpu_matmul_run_blas, NULL, 0};
#if defined(TTM_CPU_HAVE_ONEDNN)
static const way onednn = {NULL, ttm_cpu_matmul_run_onednn, ttm_cpu_matmul_end_onednn, 1};
#endif

/** Multiply-accumulates from which oneDNN's calls are worth their while, and bf16 a warning. */
#define LARGE_PRODUCT 0x1p22

static double multiply_accumulates(const matmul *job)
{
    return (double)(job->batch[0] * job->batch[1]) * (double)job->rows * (double)job->cols *
           (double)job->depth;
}

int ttm_cpu_matmul_is_thin(const matmul *job)
{
    return job->rows <= TTM_CPU_THIN_ROWS && !job->a.transposed &&
           (job->a.dtype == TTM_F32 || job->batch[0] * job->batch[1] == 1);
}

static const way *choose_way(matmul *job)
{
    const int64_t batches = job->batch[0] * job->batch[1];
    const int is_f32 = job->a.dtype == TTM_F32;
    if (ttm_cpu_matmul_is_thin(job)) {
        return &thin;
    }
#if defined(TTM_CPU_HAVE_ONEDNN)
    if (!is_f32 && job->device->onednn_products && multiply_accumulates(job) >= LARGE_PRODUCT &&
        ttm_cpu_matmul_plan_onednn(job)) {
        return &onednn;
    }
#endif
    if (is_f32 && !job->device->own_products) {
        return &blas;
    }
    return batches == 1 || batches < job->device->threads ? &shared : &batch;
}

/** Returns whether an f32 out can't hold sums until the residual has been read. Others have places
 * of their own for sums. */
static int needs_value(const matmul *job)
{
    return job->out.dtype == TTM_F32 && job->activation != TTM_ACTIVATION_NONE &&
           job->residual.data != NULL &&
           (job->activation == TTM_ACTIVATION_GELU_BACKWARD || job->pre.data == NULL);
}

/** Reads an op that is supported and plans it; returns how it is done, NULL for nothing to do. */
static const way *plan_matmul(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    if (!ttm_cpu_matmul_read(job, device, op) || job->rows == 0 || job->cols == 0) {
        return NULL;
    }
    const way *chosen = choose_way(job);
    if (needs_value(job) && !chosen->sums_anywhere) {
        job->value_floats =
            scratch_size(extent(&op->tensors[TTM_MATMUL_OUT], 0, op->tensors[TTM_MATMUL_OUT].rank));
    }
    if (chosen->plan != NULL) {
        chosen->plan(job);
    }
    return chosen;
}

size_t ttm_cpu_matmul_lay_out(matmul *job, float *base)
{
    const struct {
        float **place;
        size_t count;
    } parts[] = {
        {&job->value, job->value_floats},
        {&job->partial, job->partial_floats},
        {&job->wide_a, job->wide_floats},
        {&job->scratch, job->scratch_floats * (size_t)job->device->threads},
        {&job->packed, job->packed_floats},
    };
    size_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (base != NULL && parts[i].count > 0) {
            *parts[i].place = base + total;
        }
        total += parts[i].count;
    }
    return total;
}

static void end(matmul *job, const way *chosen)
{
    if (chosen->end != NULL) {
        chosen->end(job);
    }
}

static size_t matmul_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    const way *chosen = plan_matmul(&job, device, op);
    if (chosen == NULL) {
        return 0;
    }
    const size_t bytes = ttm_cpu_matmul_lay_out(&job, NULL) * sizeof(float);
    end(&job, chosen);
    return bytes;
}

/** Warns once a process where fp32 would be faster, and not of products that take no time anyway.
 */
static void say_what_it_costs(const matmul *job)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (job->a.dtype == TTM_BF16 && !job->kernels->multiplies_pairs &&
        !job->device->onednn_products && multiply_accumulates(job) >= LARGE_PRODUCT &&
        !atomic_flag_test_and_set(&said)) {
        host_log(TTM_LOG_WARNING,
                 "this processor (or the level %s) has no bf16 instructions, so "
                 "bf16 matrices are multiplied in fp32: bf16 saves memory here, "
                 "but fp32 is faster",
                 job->kernels->level);
    }
}

static void matmul_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    const way *chosen = plan_matmul(&job, device, op);
    if (chosen != NULL) {
        say_what_it_costs(&job);
        ttm_cpu_matmul_lay_out(&job, floats(&op->workspace));
        chosen->run(&job);
        end(&job, chosen);
    }
}

const ttm_cpu_op ttm_cpu_op_matmul = {matmul_supported, matmul_workspace_bytes, matmul_op_run};
