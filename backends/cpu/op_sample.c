/* SAMPLE: rows shared out among the threads. One row is drawn by one thread: it takes some tenths
 * of a millisecond at GPT-2's vocabulary, next to a product that reads a hundred times as much. */
#include "cpu/op.h"

#include <float.h>
#include <ttm/random.h>

/** Elements between the scratch of two threads, which share no line. */
#define LINE_FLOATS 16

typedef struct sample_job {
    const ttm_cpu_kernels *kernels;
    const ttm_op *op;
    ttm_cpu_sample rule;
    size_t scratch; /**< Floats of each thread. */
} sample_job;

/** Floats of a row of scratch. */
static size_t row_floats(const ttm_op *op)
{
    const size_t vocab = (size_t)op->tensors[TTM_SAMPLE_LOGITS].shape[1];
    return (vocab + LINE_FLOATS - 1) / LINE_FLOATS * LINE_FLOATS + LINE_FLOATS;
}

/** Returns row `row` of the logits as unit-stride floats: in place, or in `converted`. */
static const float *row_of(const sample_job *job, int64_t row, float *converted)
{
    const ttm_tensor *logits = &job->op->tensors[TTM_SAMPLE_LOGITS];
    const size_t bytes = ttm_dtype_bytes(logits->dtype);
    const int64_t vocab = logits->shape[1];
    const int64_t step = vocab > 1 ? logits->stride[1] : 1;
    const void *source = moved(host_tensor_data(logits), row * logits->stride[0], bytes);
    const int64_t pieces = step == 1 ? 1 : vocab;
    const size_t piece = step == 1 ? (size_t)vocab : 1;
    if (logits->dtype == TTM_F32 && step == 1) {
        return source;
    }
    for (int64_t j = 0; j < pieces; j++) {
        const void *from = moved(source, j * step, bytes);
        if (logits->dtype == TTM_BF16) {
            job->kernels->bf16_to_f32(converted + j, from, piece);
        } else if (logits->dtype == TTM_F16) {
            job->kernels->f16_to_f32(converted + j, from, piece);
        } else {
            converted[j] = *(const float *)from;
        }
    }
    return converted;
}

static void sample_rows(void *context, int64_t first, int64_t last, int thread)
{
    const sample_job *job = context;
    const ttm_tensor *tokens = &job->op->tensors[TTM_SAMPLE_TOKENS];
    const ttm_tensor *random = &job->op->tensors[TTM_SAMPLE_RANDOM];
    const size_t vocab = (size_t)job->op->tensors[TTM_SAMPLE_LOGITS].shape[1];
    float *weights = thread_scratch(job->op, thread, job->scratch);
    for (int64_t row = first; row < last; row++) {
        const int32_t *words = (const int32_t *)host_tensor_data(random) + row * random->stride[0];
        const double uniform =
            ttm_uniform_f64((uint32_t)words[0], (uint32_t)words[random->stride[1]]);
        const float *logits = row_of(job, row, weights + row_floats(job->op));
        ((int32_t *)host_tensor_data(tokens))[row * tokens->stride[0]] =
            job->kernels->sample(weights, logits, vocab, &job->rule, uniform);
    }
}

static int sample_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return op->tensors[TTM_SAMPLE_LOGITS].dtype != TTM_F64;
}

static size_t thread_floats(const ttm_op *op)
{
    return 2 * row_floats(op);
}

static size_t sample_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    return (size_t)device->threads * thread_floats(op) * sizeof(float);
}

static void sample_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_sample_params *params = op->params;
    const double scale = params->temperature > 0.0 ? 1.0 / params->temperature : 1.0;
    sample_job job = {.kernels = device->kernels,
                      .op = op,
                      .rule = {.takes_first = params->temperature == 0.0 || params->top_k == 1,
                               .scale = (float)fmin(fmax(scale, (double)FLT_MIN), (double)FLT_MAX),
                               .top_p = params->top_p,
                               .top_k = params->top_k},
                      .scratch = thread_floats(op)};
    ttm_cpu_parallel(device, op->tensors[TTM_SAMPLE_LOGITS].shape[0], 1, sample_rows, &job);
}

const ttm_cpu_op ttm_cpu_op_sample = {sample_supported, sample_workspace_bytes, sample_op_run};
