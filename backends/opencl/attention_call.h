/* What every kernel of ATTENTION's forward pass is given first. */
#ifndef TTM_OPENCL_ATTENTION_CALL_H
#define TTM_OPENCL_ATTENTION_CALL_H

#include "opencl/op.h"

/** Adds tensors, sizes, strides, scale, causal and has_lse, in the order of attention.cl. */
void opencl_attention_arguments(opencl_call *call, const ttm_op *op);

#endif
