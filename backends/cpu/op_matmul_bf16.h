/* MATMUL of bf16 matrices: what op_matmul.c passes on. The functions are those of a ttm_cpu_op. */
#ifndef TTM_CPU_OP_MATMUL_BF16_H
#define TTM_CPU_OP_MATMUL_BF16_H

#include "cpu/op.h"

int ttm_cpu_matmul_bf16_supported(const ttm_backend_device *device, const ttm_op *op);
size_t ttm_cpu_matmul_bf16_workspace(const ttm_backend_device *device, const ttm_op *op);
void ttm_cpu_matmul_bf16_run(const ttm_backend_device *device, const ttm_op *op);

#endif
