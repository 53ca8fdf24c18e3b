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

/** ttm_attention on the pass's stream. In a model of type tf32 the device may round q, k and v to
 * 11 significant bits for products; what they hold, `out` and `lse` are f32. */
TTM_CHECKED ttm_status ttm_pass_attend(const ttm_pass *pass, const ttm_tensor *out,
                                       const ttm_tensor *lse, const ttm_tensor *q,
                                       const ttm_tensor *k, const ttm_tensor *v,
                                       const ttm_attention_params *params);

/** ttm_attention_backward likewise, with dout among what may be rounded. */
TTM_CHECKED ttm_status ttm_pass_attend_backward(const ttm_pass *pass, const ttm_tensor *dq,
                                                const ttm_tensor *dk, const ttm_tensor *dv,
                                                const ttm_tensor *dout, const ttm_tensor *q,
                                                const ttm_tensor *k, const ttm_tensor *v,
                                                const ttm_tensor *out, const ttm_tensor *lse,
                                                const ttm_attention_params *params);

#endif
