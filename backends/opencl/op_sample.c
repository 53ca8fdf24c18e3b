/* SAMPLE: a group of work-items for each part of a row, then one for each row. */
#include "opencl/op.h"

#include <float.h>

/* As in sample.cl. */
enum { PARTS = 16, MOST_VOCAB = 1 << 24 };

static int sample_supported(const ttm_backend_device *device, const ttm_op *op)
{
    const size_t local_bytes =
        device->tuning.group > 1 ? PARTS * (size_t)device->tuning.group * sizeof(float) : 0;
    return opencl_all_floats(op) && op->tensors[TTM_SAMPLE_LOGITS].shape[1] <= MOST_VOCAB &&
           local_bytes <= device->tuning.local_bytes;
}

static size_t sample_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return 2 * PARTS * (size_t)op->tensors[TTM_SAMPLE_LOGITS].shape[0] * sizeof(float);
}

/* 1/temperature as a float that neither overflows nor makes 0·∞ of a logit of −∞. */
static double scale_of(const ttm_sample_params *params)
{
    const double scale = params->temperature > 0.0 ? 1.0 / params->temperature : 1.0;
    const double least = scale > (double)FLT_MIN ? scale : (double)FLT_MIN;
    return least < (double)FLT_MAX ? least : (double)FLT_MAX;
}

static ttm_status run_groups(opencl_call *call, int64_t groups)
{
    const size_t group = call->stream->device->tuning.group;
    const size_t global = (size_t)groups * group;
    return opencl_call_run(call, 1, &global, &group);
}

static ttm_status sample_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_sample_params *params = op->params;
    const ttm_tensor *tokens = &op->tensors[TTM_SAMPLE_TOKENS];
    const ttm_tensor *logits = &op->tensors[TTM_SAMPLE_LOGITS];
    const ttm_tensor *random = &op->tensors[TTM_SAMPLE_RANDOM];
    const int64_t rows = logits->shape[0];
    const int64_t vocab = logits->shape[1];
    const int64_t strides[8] = {logits->stride[0], logits->stride[1], tokens->stride[0],
                                random->stride[0], random->stride[1]};
    const int takes_first = params->temperature == 0.0 || params->top_k == 1;
    const int has_top_k = params->top_k > 0 && params->top_k < vocab;
    const int has_limit = !takes_first && (has_top_k || params->top_p < 1.0);
    opencl_call parts =
        opencl_call_start(stream, OPENCL_SAMPLE, "sample_parts", "-DDATA=%d", (int)logits->dtype);
    opencl_call_tensor(&parts, &op->workspace, tokens);
    opencl_call_tensor(&parts, logits, tokens);
    opencl_call_long(&parts, vocab);
    opencl_call_longs8(&parts, strides);
    opencl_call_float(&parts, scale_of(params));
    const ttm_status status = run_groups(&parts, rows * PARTS);
    if (status != TTM_OK) {
        return status;
    }
    opencl_call call =
        opencl_call_start(stream, OPENCL_SAMPLE,
                          takes_first ? "sample_first" : (has_limit ? "sample_kept" : "sample_all"),
                          "-DDATA=%d", (int)logits->dtype);
    opencl_call_tensor(&call, tokens, tokens);
    opencl_call_tensor(&call, logits, tokens);
    opencl_call_tensor(&call, random, tokens);
    opencl_call_tensor(&call, &op->workspace, tokens);
    opencl_call_long(&call, vocab);
    opencl_call_longs8(&call, strides);
    opencl_call_float(&call, scale_of(params));
    if (has_limit) {
        opencl_call_float(&call, has_top_k ? (double)params->top_k : 0.0);
        opencl_call_float(&call, params->top_p);
    }
    return run_groups(&call, rows);
}

const opencl_op opencl_op_sample = {sample_supported, sample_workspace, sample_run};
