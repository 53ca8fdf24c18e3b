#include "opencl/attention_call.h"

void opencl_attention_arguments(opencl_call *call, const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_ATTENTION_OUT];
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    const ttm_tensor *k = &op->tensors[TTM_ATTENTION_K];
    const ttm_tensor *v = &op->tensors[TTM_ATTENTION_V];
    const ttm_tensor *lse = &op->tensors[TTM_ATTENTION_LSE];
    const int64_t strides[8] = {q->stride[0], q->stride[1], q->stride[2],
                                k->stride[0], k->stride[1], k->stride[2]};
    const int64_t more[8] = {v->stride[0],   v->stride[1],   v->stride[2],
                             out->stride[0], out->stride[1], out->stride[2]};
    const int64_t lse_strides[8] = {lse->stride[0], lse->stride[1], lse->stride[2]};
    opencl_call_tensor(call, out, out);
    opencl_call_tensor(call, q, out);
    opencl_call_tensor(call, k, out);
    opencl_call_tensor(call, v, out);
    opencl_call_tensor(call, lse, out);
    opencl_call_long(call, q->shape[1]);
    opencl_call_long(call, q->shape[2]);
    opencl_call_long(call, k->shape[2]);
    opencl_call_longs8(call, strides);
    opencl_call_longs8(call, more);
    opencl_call_longs8(call, lse_strides);
    opencl_call_float(call, params->scale);
    opencl_call_int(call, params->causal != 0);
    opencl_call_int(call, ttm_tensor_present(lse));
}

void opencl_attention_dropout_arguments(opencl_call *call, const ttm_attention_params *params)
{
    opencl_call_ulong(call, params->seed);
    opencl_call_uint(call, opencl_dropout_threshold(params->dropout));
    opencl_call_float(call, 1.0 / (1.0 - params->dropout));
}
