/* The matrices of a layer in use: the one place that knows whether a matrix is dense, a TT-matrix
 * with its W at hand, or a TT-matrix to contract with. */
#ifndef TTM_MODEL_LINEAR_H
#define TTM_MODEL_LINEAR_H

#include "model/model_internal.h"
#include <ttm/compute.h>

/** What is done with x·W + b. */
typedef struct ttm_linear_epilogue {
    bool gelu;
    const ttm_tensor *pre;      /* with gelu: receives x·W + b; may be NULL */
    const ttm_tensor *residual; /* added last; may be NULL, may be `out` */
    const ttm_tensor *scratch;  /* [rows, out]; needed with a residual */
} ttm_linear_epilogue;

/** out [rows, out] = epilogue(x [rows, in]·W + b); epilogue may be NULL. */
TTM_CHECKED ttm_status ttm_linear_forward(const ttm_pass *pass, const ttm_model_matrix *matrix,
                                          const ttm_tensor *out, const ttm_tensor *x,
                                          const ttm_linear_epilogue *epilogue);

/** Returns whether ttm_linear_forward_normed is how this pass multiplies a layer norm with a
 * matrix: few rows, of which no normalised ones are kept for a gradient, and no contraction with
 * cores. */
bool ttm_linear_takes_norm(const ttm_pass *pass, const ttm_model_matrix *matrix);

/** out [rows, out] = layer norm of x [rows, in], times W, plus b; with `gelu` gelu of that. Only
 * for matrices that ttm_linear_takes_norm says yes to. */
TTM_CHECKED ttm_status ttm_linear_forward_normed(const ttm_pass *pass,
                                                 const ttm_model_matrix *matrix,
                                                 const ttm_tensor *out, const ttm_tensor *x,
                                                 const ttm_model_norm *norm, bool gelu);

/** Gradients of W (or its cores) and b from dy [rows, out] and x [rows, in], added to or replaced
 * as pass->keep says. */
TTM_CHECKED ttm_status ttm_linear_backward_parameters(const ttm_pass *pass,
                                                      const ttm_model_matrix *matrix,
                                                      const ttm_tensor *dy, const ttm_tensor *x);

/** dx [rows, in] = dy [rows, out]·Wᵀ, times gelu'(pre) where `pre` isn't NULL. */
TTM_CHECKED ttm_status ttm_linear_backward_input(const ttm_pass *pass,
                                                 const ttm_model_matrix *matrix,
                                                 const ttm_tensor *dx, const ttm_tensor *dy,
                                                 const ttm_tensor *pre);

#endif
