/* ATTENTION and ATTENTION_BACKWARD: which (batch, head, queries) each thread takes. */
#include "cpu/op.h"

/** Up to this many queries the keys are read once per query, which is faster than packing them. */
#define DECODE_QUERIES 4

typedef struct attention_job {
    const ttm_backend_device *device;
    const ttm_op *op;
    ttm_cpu_attention shape; /**< Everything but the addresses. */
    int64_t heads;
    int64_t query_blocks; /**< Per head. */
    int64_t block;        /**< Queries in one. */
    size_t scratch;       /**< Floats per thread. */
} attention_job;

/* At least what attention.c, attention_backward.c and attention_decode.c lay out. */
static size_t forward_scratch(int64_t size)
{
    return (size_t)((2 * TTM_CPU_ATTENTION_QUERIES + 2 * TTM_CPU_ATTENTION_KEYS) * (size + 1) +
                    TTM_CPU_ATTENTION_QUERIES * (TTM_CPU_ATTENTION_KEYS + 1 + 16));
}

static size_t backward_scratch(int64_t queries, int64_t size)
{
    return (size_t)(3 * (queries + 1) * (size + 1) + 5 * TTM_CPU_ATTENTION_KEYS * (size + 1) +
                    3 * TTM_CPU_ATTENTION_QUERIES * TTM_CPU_ATTENTION_KEYS + queries);
}

/** Rounds up so that no two threads share a cache line. */
static size_t whole_lines(size_t count)
{
    return (count + 15) / 16 * 16;
}

static void *head_of(const ttm_tensor *tensor, int64_t batch, int64_t head)
{
    return moved(data_of(tensor), batch * tensor->stride[0] + head * tensor->stride[1],
                 ttm_dtype_bytes(tensor->dtype));
}

static ttm_cpu_attention read_shape(const ttm_op *op, const ttm_tensor *q, const ttm_tensor *k)
{
    const ttm_attention_params *params = op->params;
    return (ttm_cpu_attention){
        .queries = q->shape[2],
        .keys = k->shape[2],
        .size = q->shape[3],
        .causal = params->causal,
        .scale = (float)params->scale,
        .dropout = ttm_cpu_dropout_rule(params->dropout, params->seed, 0),
        .q_row = q->stride[2],
        .k_row = k->stride[2],
    };
}

/** Sets what depends on the head in both passes. */
static ttm_cpu_attention start_head(const attention_job *job, int64_t item, int thread)
{
    ttm_cpu_attention head = job->shape;
    head.dropout.start = (uint64_t)item * (uint64_t)head.queries * (uint64_t)head.keys;
    head.scratch = thread_scratch(job->op, thread, job->scratch);
    return head;
}

/* ---- ATTENTION ---- */

static void attend(void *context, int64_t first, int64_t last, int thread)
{
    const attention_job *job = context;
    const ttm_tensor *tensors = job->op->tensors;
    const ttm_cpu_kernels *kernels = kernels_for(job->device, tensors[TTM_ATTENTION_Q].dtype);
    for (int64_t item = first; item < last; item++) {
        /* Later queries see more keys: they go first, so that threads end together. */
        const int64_t block = job->query_blocks - 1 - item % job->query_blocks;
        const int64_t index = item / job->query_blocks;
        const int64_t batch = index / job->heads;
        const int64_t number = index % job->heads;
        ttm_cpu_attention head = start_head(job, index, thread);
        head.q = head_of(&tensors[TTM_ATTENTION_Q], batch, number);
        head.k = head_of(&tensors[TTM_ATTENTION_K], batch, number);
        head.v = head_of(&tensors[TTM_ATTENTION_V], batch, number);
        head.out = head_of(&tensors[TTM_ATTENTION_OUT], batch, number);
        head.lse = head_of(&tensors[TTM_ATTENTION_LSE], batch, number);
        const int64_t begin = block * job->block;
        const int64_t end = begin + job->block < head.queries ? begin + job->block : head.queries;
        if (head.queries <= DECODE_QUERIES) {
            for (int64_t query = begin; query < end; query++) {
                kernels->attention_decode(&head, query);
            }
        } else {
            kernels->attention(&head, begin, end);
        }
    }
}

static int attention_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_ATTENTION_OUT, TTM_ATTENTION_V) &&
           is_f32_or_absent(&op->tensors[TTM_ATTENTION_LSE]) &&
           all_unit_last(op, TTM_ATTENTION_OUT, TTM_ATTENTION_V);
}

static size_t attention_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    const int64_t size = op->tensors[TTM_ATTENTION_Q].shape[3];
    return (size_t)device->threads * whole_lines(forward_scratch(size)) * sizeof(float);
}

static void attention_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *q = &tensors[TTM_ATTENTION_Q];
    attention_job job = {.device = device,
                         .op = op,
                         .shape = read_shape(op, q, &tensors[TTM_ATTENTION_K]),
                         .heads = q->shape[1],
                         .block = TTM_CPU_ATTENTION_QUERIES,
                         .scratch = whole_lines(forward_scratch(q->shape[3]))};
    job.shape.v_row = tensors[TTM_ATTENTION_V].stride[2];
    job.shape.out_row = tensors[TTM_ATTENTION_OUT].stride[2];
    job.shape.lse_row = tensors[TTM_ATTENTION_LSE].stride[2];
    job.query_blocks = (q->shape[2] + job.block - 1) / job.block;
    ttm_cpu_parallel(device, q->shape[0] * q->shape[1] * job.query_blocks, 1, attend, &job);
}

const ttm_cpu_op ttm_cpu_op_attention = {attention_supported, attention_workspace_bytes,
                                         attention_op_run};

/* ---- ATTENTION_BACKWARD ---- */

static void attend_backward(void *context, int64_t first, int64_t last, int thread)
{
    const attention_job *job = context;
    const ttm_tensor *tensors = job->op->tensors;
    for (int64_t item = first; item < last; item++) {
        const int64_t batch = item / job->heads;
        const int64_t number = item % job->heads;
        ttm_cpu_attention head = start_head(job, item, thread);
        head.q = head_of(&tensors[TTM_ATTENTION_BACKWARD_Q], batch, number);
        head.k = head_of(&tensors[TTM_ATTENTION_BACKWARD_K], batch, number);
        head.v = head_of(&tensors[TTM_ATTENTION_BACKWARD_V], batch, number);
        head.out = head_of(&tensors[TTM_ATTENTION_BACKWARD_OUT], batch, number);
        head.lse = head_of(&tensors[TTM_ATTENTION_BACKWARD_LSE], batch, number);
        head.dout = head_of(&tensors[TTM_ATTENTION_BACKWARD_DOUT], batch, number);
        head.dq = head_of(&tensors[TTM_ATTENTION_BACKWARD_DQ], batch, number);
        head.dk = head_of(&tensors[TTM_ATTENTION_BACKWARD_DK], batch, number);
        head.dv = head_of(&tensors[TTM_ATTENTION_BACKWARD_DV], batch, number);
        kernels_for(job->device, tensors[TTM_ATTENTION_BACKWARD_Q].dtype)
            ->attention_backward(&head);
    }
}

static int attention_backward_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_ATTENTION_BACKWARD_DQ, TTM_ATTENTION_BACKWARD_OUT) &&
           is_f32_or_absent(&op->tensors[TTM_ATTENTION_BACKWARD_LSE]) &&
           all_unit_last(op, TTM_ATTENTION_BACKWARD_DQ, TTM_ATTENTION_BACKWARD_OUT);
}

static size_t attention_backward_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_BACKWARD_Q];
    return (size_t)device->threads * whole_lines(backward_scratch(q->shape[2], q->shape[3])) *
           sizeof(float);
}

static void attention_backward_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *tensors = op->tensors;
    const ttm_tensor *q = &tensors[TTM_ATTENTION_BACKWARD_Q];
    attention_job job = {
        .device = device,
        .op = op,
        .shape = read_shape(op, q, &tensors[TTM_ATTENTION_BACKWARD_K]),
        .heads = q->shape[1],
        .scratch = whole_lines(backward_scratch(q->shape[2], q->shape[3])),
    };
    job.shape.v_row = tensors[TTM_ATTENTION_BACKWARD_V].stride[2];
    job.shape.out_row = tensors[TTM_ATTENTION_BACKWARD_OUT].stride[2];
    job.shape.lse_row = tensors[TTM_ATTENTION_BACKWARD_LSE].stride[2];
    job.shape.dout_row = tensors[TTM_ATTENTION_BACKWARD_DOUT].stride[2];
    job.shape.dq_row = tensors[TTM_ATTENTION_BACKWARD_DQ].stride[2];
    job.shape.dk_row = tensors[TTM_ATTENTION_BACKWARD_DK].stride[2];
    job.shape.dv_row = tensors[TTM_ATTENTION_BACKWARD_DV].stride[2];
    ttm_cpu_parallel(device, q->shape[0] * q->shape[1], 1, attend_backward, &job);
}

const ttm_cpu_op ttm_cpu_op_attention_backward = {
    attention_backward_supported, attention_backward_workspace_bytes, attention_backward_op_run};
