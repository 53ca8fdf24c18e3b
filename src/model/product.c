/* A tensor of a tf32 model is an f32 one; that products may round it is said where it is an
 * operand, of attention too. */
#include "model/product.h"

static ttm_tensor operand(const ttm_pass *pass, const ttm_tensor *tensor)
{
    ttm_tensor view = *tensor;
    if (pass->model->rounds_operands) {
        view.dtype = TTM_TF32;
    }
    return view;
}

ttm_status ttm_pass_matmul(const ttm_pass *pass, const ttm_tensor *out, const ttm_tensor *a,
                           const ttm_tensor *b, const ttm_matmul_options *options)
{
    const ttm_tensor left = operand(pass, a);
    const ttm_tensor right = operand(pass, b);
    return ttm_matmul(pass->stream, out, &left, &right, options);
}

ttm_status ttm_pass_attend(const ttm_pass *pass, const ttm_tensor *out, const ttm_tensor *lse,
                           const ttm_tensor *q, const ttm_tensor *k, const ttm_tensor *v,
                           const ttm_attention_params *params)
{
    const ttm_tensor queries = operand(pass, q);
    const ttm_tensor keys = operand(pass, k);
    const ttm_tensor values = operand(pass, v);
    return ttm_attention(pass->stream, out, lse, &queries, &keys, &values, params);
}

ttm_status ttm_pass_attend_backward(const ttm_pass *pass, const ttm_tensor *dq,
                                    const ttm_tensor *dk, const ttm_tensor *dv,
                                    const ttm_tensor *dout, const ttm_tensor *q,
                                    const ttm_tensor *k, const ttm_tensor *v, const ttm_tensor *out,
                                    const ttm_tensor *lse, const ttm_attention_params *params)
{
    const ttm_tensor gradients = operand(pass, dout);
    const ttm_tensor queries = operand(pass, q);
    const ttm_tensor keys = operand(pass, k);
    const ttm_tensor values = operand(pass, v);
    return ttm_attention_backward(pass->stream, dq, dk, dv, &gradients, &queries, &keys, &values,
                                  out, lse, params);
}
