/* Declares the kernels of the level that is being compiled, which table.c collects. */
#ifndef TTM_CPU_KERNELS_LEVEL_H
#define TTM_CPU_KERNELS_LEVEL_H

#include "cpu/kernels/kernels.h"
#include "cpu/kernels/simd.h"

#define TYPED_KERNELS(NAME)                                                                    \
    void NAME(add)(void *out, const void *a, float alpha, const void *b, float beta,           \
                   size_t count);                                                              \
    void NAME(gelu)(void *out, const void *x, size_t count);                                   \
    void NAME(gelu_backward)(void *dx, const void *dy, const void *x, size_t count);           \
    void NAME(dropout)(void *out, const void *x, const void *residual,                         \
                       const ttm_cpu_dropout *rule, size_t count);                             \
    double NAME(sum_of_squares)(const void *x, size_t count);                                  \
    void NAME(sum_rows)(float *out, const void *x, ptrdiff_t x_row, size_t rows, size_t cols); \
    void NAME(softmax)(void *out, const void *x, float scale, size_t seen, size_t cols);       \
    float NAME(cross_entropy)(void *dlogits, const void *logits, size_t vocab, size_t target,  \
                              float gradient_scale);                                           \
    void NAME(layer_norm)(const ttm_cpu_layer_norm *job, size_t first_row, size_t last_row);   \
    void NAME(layer_norm_backward)(const ttm_cpu_layer_norm_backward *job, size_t first_row,   \
                                   size_t last_row);                                           \
    void NAME(store_rows)(void *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row,       \
                          size_t rows, size_t cols);                                           \
    void NAME(thin_rows)(const ttm_cpu_thin_product *job);                                     \
    void NAME(thin_columns)(const ttm_cpu_thin_product *job);                                  \
    void NAME(attention_decode)(const ttm_cpu_attention *job, int64_t query);

/* Those made of products of words. */
#define PRODUCT_KERNELS(NAME)                                                                    \
    void NAME(product)(const ttm_cpu_product *job);                                              \
    void NAME(product_finish)(const ttm_cpu_product *job);                                       \
    size_t NAME(product_scratch)(int64_t cols, int64_t depth);                                   \
    int64_t NAME(product_parts)(int64_t depth);                                                  \
    int64_t NAME(product_part_floats)(int64_t depth);                                            \
    void NAME(product_pack)(float *packed, const ttm_cpu_product *job, int64_t first_col,        \
                            int64_t last_col);                                                   \
    void NAME(attention)(const ttm_cpu_attention *job, int64_t first_query, int64_t last_query); \
    void NAME(attention_backward)(const ttm_cpu_attention *job);

#define BF16_KERNEL(name)  KERNEL(bf16_##name)
#define PAIRS_KERNEL(name) KERNEL(pairs_##name)
TYPED_KERNELS(KERNEL)
TYPED_KERNELS(BF16_KERNEL)
PRODUCT_KERNELS(KERNEL)
PRODUCT_KERNELS(BF16_KERNEL)
PRODUCT_KERNELS(PAIRS_KERNEL) /* only where TTM_CPU_HAVE_PAIRS */

void KERNEL(adamw)(float *parameters, const float *gradients, float *first, float *second,
                   const ttm_cpu_adamw *constants, size_t count);
void KERNEL(adamw_bf16)(float *parameters, const float *gradients, uint16_t *first,
                        uint16_t *second, const ttm_cpu_adamw *constants, uint64_t step,
                        uint64_t number, size_t count);

void KERNEL(f32_to_bf16)(uint16_t *out, const float *x, size_t count);
void KERNEL(bf16_to_f32)(float *out, const uint16_t *x, size_t count);
void KERNEL(f32_to_f16)(uint16_t *out, const float *x, size_t count);
void KERNEL(f16_to_f32)(float *out, const uint16_t *x, size_t count);

int32_t KERNEL(sample)(float *weights, const float *logits, size_t vocab,
                       const ttm_cpu_sample *rule, double uniform);

void TILE(const ttm_cpu_tile *tile);

void KERNEL(transpose)(float *out, ptrdiff_t out_row, const float *x, ptrdiff_t x_row, size_t rows,
                       size_t cols);

#endif
