/* MATMUL: any strides, up to two batch dimensions, the whole epilogue; and NORM_MATMUL, where the
 * kernel for its few rows reads b in whole chunks. */
#include "opencl/matrix_units.h"
#include "opencl/product_thin.h"

static int matmul_supported(const ttm_backend_device *device, const ttm_op *op)
{
    return op->tensors[TTM_MATMUL_A].dtype == TTM_TF32 ? opencl_units_take_tf32(device->units)
                                                       : opencl_all_floats(op);
}

static opencl_product product_of(const ttm_op *op)
{
    const ttm_matmul_params *params = op->params;
    opencl_product product = {.out = op->tensors[TTM_MATMUL_OUT],
                              .a = op->tensors[TTM_MATMUL_A],
                              .b = op->tensors[TTM_MATMUL_B],
                              .bias = op->tensors[TTM_MATMUL_BIAS],
                              .residual = op->tensors[TTM_MATMUL_RESIDUAL],
                              .pre = op->tensors[TTM_MATMUL_PRE],
                              .workspace = op->workspace,
                              .alpha = params->alpha,
                              .adds_out = params->beta != 0.0,
                              .activation = params->activation};
    opencl_product_take_tf32(&product);
    return product;
}

static size_t matmul_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    const opencl_product product = product_of(op);
    return opencl_product_workspace_bytes(device, &product);
}

static ttm_status matmul_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const opencl_product product = product_of(op);
    return opencl_product_run(stream, &product);
}

const opencl_op opencl_op_matmul = {matmul_supported, matmul_workspace, matmul_run};

static opencl_product product_after_norm(const ttm_op *op)
{
    const ttm_norm_matmul_params *params = op->params;
    return (opencl_product){.out = op->tensors[TTM_NORM_MATMUL_OUT],
                            .a = op->tensors[TTM_NORM_MATMUL_X],
                            .b = op->tensors[TTM_NORM_MATMUL_B],
                            .bias = op->tensors[TTM_NORM_MATMUL_BIAS],
                            .alpha = 1.0,
                            .activation = params->activation};
}

static int norm_matmul_supported(const ttm_backend_device *device, const ttm_op *op)
{
    const opencl_product product = product_after_norm(op);
    return opencl_all_floats(op) && opencl_product_takes_norm(device, &product);
}

static ttm_status norm_matmul_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_norm_matmul_params *params = op->params;
    const opencl_product product = product_after_norm(op);
    const opencl_norm norm = {op->tensors[TTM_NORM_MATMUL_GAMMA], op->tensors[TTM_NORM_MATMUL_BETA],
                              params->epsilon};
    return opencl_product_run_normed(stream, &product, &norm);
}

const opencl_op opencl_op_norm_matmul = {norm_matmul_supported, NULL, norm_matmul_run};
