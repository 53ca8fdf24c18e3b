/* What the kernels of attention are given alike. */
#ifndef TTM_OPENCL_ATTENTION_CALL_H
#define TTM_OPENCL_ATTENTION_CALL_H

#include "opencl/op.h"

/** Adds tensors, sizes, strides, scale, causal and has_lse, in the order of attention.cl. */
void opencl_attention_arguments(opencl_call *call, const ttm_op *op);

/** Adds dropout's seed, threshold and factor, which the kernels end with. */
void opencl_attention_dropout_arguments(opencl_call *call, const ttm_attention_params *params);

#endif
