/* The products of a model's passes: the one place that says how exact their operands are. */
#ifndef TTM_MODEL_PRODUCT_H
#define TTM_MODEL_PRODUCT_H

#include "model/model_internal.h"
#include <ttm/compute.h>

/** ttm_matmul on the pass's stream. In a model of type tf32 the device may round a and b to 11
 * significant bits; what they hold, `out` and all that `options` names are f32. */
TTM_CHECKED ttm_status ttm_pass_matmul(const ttm_pass *pass, const ttm_tensor *out,
                                       const ttm_tensor *a, const ttm_tensor *b,
                                       const ttm_matmul_options *options);

#endif
