/* NORM_MATMUL with as few rows as matmul_thin.c takes: the product that MATMUL would be, but that
 * rows of x are normalised on their way into its floats. More rows are left to libttm, which makes
 * LAYER_NORM and MATMUL of it: there normalising is worth sharing out among the threads. */
#include "cpu/matmul.h"

/** Reads the op as a product; returns whether it is supported. */
static int read_norm_matmul(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_norm_matmul_params *params = op->params;
    const ttm_tensor *x = &op->tensors[TTM_NORM_MATMUL_X];
    const ttm_tensor *gamma = &op->tensors[TTM_NORM_MATMUL_GAMMA];
    const ttm_tensor *beta = &op->tensors[TTM_NORM_MATMUL_BETA];
    const ttm_tensor tensors[TTM_MATMUL_TENSORS] = {
        [TTM_MATMUL_OUT] = op->tensors[TTM_NORM_MATMUL_OUT],
        [TTM_MATMUL_A] = *x,
        [TTM_MATMUL_B] = op->tensors[TTM_NORM_MATMUL_B],
        [TTM_MATMUL_BIAS] = op->tensors[TTM_NORM_MATMUL_BIAS]};
    const ttm_matmul_params product_params = {.alpha = 1.0, .activation = params->activation};
    const ttm_op product = {.opcode = TTM_OP_MATMUL,
                            .tensor_count = TTM_MATMUL_TENSORS,
                            .tensors = tensors,
                            .params = &product_params,
                            .params_bytes = sizeof product_params};
    if (!ttm_cpu_matmul_read(job, device, &product) || !ttm_cpu_matmul_is_thin(job)) {
        return 0;
    }
    job->normalises_a = 1;
    job->norm = (ttm_cpu_layer_norm){.x = data_of(x),
                                     .gamma = data_of(gamma),
                                     .beta = data_of(beta),
                                     .x_row = job->a.row,
                                     .out_row = job->depth,
                                     .cols = (size_t)job->depth,
                                     .epsilon = params->epsilon,
                                     .wide_out = 1};
    return unit_last(gamma) && unit_last(beta);
}

static int norm_matmul_supported(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    return read_norm_matmul(&job, device, op);
}

/** Reads an op that is supported and plans it; returns whether there is anything to do. */
static int plan_norm_matmul(matmul *job, const ttm_backend_device *device, const ttm_op *op)
{
    if (!read_norm_matmul(job, device, op) || job->rows == 0 || job->cols == 0) {
        return 0;
    }
    ttm_cpu_matmul_plan_thin(job);
    return 1;
}

static size_t norm_matmul_workspace_bytes(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    return plan_norm_matmul(&job, device, op) ? ttm_cpu_matmul_lay_out(&job, NULL) * sizeof(float)
                                              : 0;
}

static void norm_matmul_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    matmul job;
    if (plan_norm_matmul(&job, device, op)) {
        ttm_cpu_matmul_lay_out(&job, floats(&op->workspace));
        ttm_cpu_matmul_run_thin(&job);
    }
}

const ttm_cpu_op ttm_cpu_op_norm_matmul = {norm_matmul_supported, norm_matmul_workspace_bytes,
                                           norm_matmul_op_run};
