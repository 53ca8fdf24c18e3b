/* Declares the kernels of the level that is being compiled, which table.c collects. */
#ifndef TTM_CPU_KERNELS_LEVEL_H
#define TTM_CPU_KERNELS_LEVEL_H

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/simd.h"

void KERNEL(add)(float *out, const float *a, float alpha, const float *b, float beta, size_t count);
void KERNEL(gelu)(float *out, const float *x, size_t count);
void KERNEL(gelu_backward)(float *dx, const float *dy, const float *x, size_t count);
void KERNEL(dropout)(float *out, const float *x, const float *residual, const ttm_cpu_dropout *rule,
                     size_t count);
void KERNEL(adamw)(float *parameters, const float *gradients, float *first, float *second,
                   const ttm_cpu_adamw *constants, size_t count);

void KERNEL(f32_to_bf16)(uint16_t *out, const float *x, size_t count);
void KERNEL(bf16_to_f32)(float *out, const uint16_t *x, size_t count);
void KERNEL(f32_to_f16)(uint16_t *out, const float *x, size_t count);
void KERNEL(f16_to_f32)(float *out, const uint16_t *x, size_t count);

double KERNEL(sum_of_squares)(const float *x, size_t count);
void KERNEL(sum_rows)(float *out, const float *x, ptrdiff_t x_row, size_t rows, size_t cols);

void KERNEL(softmax)(float *out, const float *x, float scale, size_t seen, size_t cols);
float KERNEL(cross_entropy)(float *dlogits, const float *logits, size_t vocab, size_t target,
                            float gradient_scale);

void KERNEL(layer_norm)(const ttm_cpu_layer_norm *job, size_t first_row, size_t last_row);
void KERNEL(layer_norm_backward)(const ttm_cpu_layer_norm_backward *job, size_t first_row,
                                 size_t last_row);

void KERNEL(tile)(const ttm_cpu_tile *tile);

void KERNEL(product)(const ttm_cpu_product *job);
size_t KERNEL(product_scratch)(int64_t cols, int64_t depth);
int64_t KERNEL(product_parts)(int64_t depth);
void KERNEL(product_pack)(float *packed, const ttm_cpu_product *job, int64_t first_col,
                          int64_t last_col);

void KERNEL(copy_rows)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols);
void KERNEL(transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols);

void KERNEL(thin_rows)(const ttm_cpu_thin_product *job);
void KERNEL(thin_columns)(const ttm_cpu_thin_product *job);

void KERNEL(attention)(const ttm_cpu_attention *job, int64_t first_query, int64_t last_query);
void KERNEL(attention_backward)(const ttm_cpu_attention *job);
void KERNEL(attention_decode)(const ttm_cpu_attention *job, int64_t query);

#endif
