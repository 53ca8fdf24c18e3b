/* A tensor of a tf32 model is an f32 one; that products may round it is said where it is an
 * operand.
 */
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
