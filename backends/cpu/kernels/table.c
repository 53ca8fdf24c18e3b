/* The table of one level's kernels. */
#include "cpu/kernels/level.h"

#define LEVEL_TABLE_NAME(level)      LEVEL_TABLE_NAME_JOIN(level)
#define LEVEL_TABLE_NAME_JOIN(level) ttm_cpu_kernels_##level
#define LEVEL_TEXT(level)            LEVEL_TEXT_JOIN(level)
#define LEVEL_TEXT_JOIN(level)       #level

const ttm_cpu_kernels LEVEL_TABLE_NAME(TTM_CPU_LEVEL) = {
    .level = LEVEL_TEXT(TTM_CPU_LEVEL),
    .add = KERNEL(add),
    .gelu = KERNEL(gelu),
    .gelu_backward = KERNEL(gelu_backward),
    .dropout = KERNEL(dropout),
    .adamw = KERNEL(adamw),
    .f32_to_bf16 = KERNEL(f32_to_bf16),
    .bf16_to_f32 = KERNEL(bf16_to_f32),
    .f32_to_f16 = KERNEL(f32_to_f16),
    .f16_to_f32 = KERNEL(f16_to_f32),
    .sum_of_squares = KERNEL(sum_of_squares),
    .sum_rows = KERNEL(sum_rows),
    .softmax = KERNEL(softmax),
    .cross_entropy = KERNEL(cross_entropy),
    .layer_norm = KERNEL(layer_norm),
    .layer_norm_backward = KERNEL(layer_norm_backward),
    .tile = KERNEL(tile),
    .product = KERNEL(product),
    .product_scratch = KERNEL(product_scratch),
    .product_parts = KERNEL(product_parts),
    .product_pack = KERNEL(product_pack),
    .copy_rows = KERNEL(copy_rows),
    .transpose = KERNEL(transpose),
    .thin_rows = KERNEL(thin_rows),
    .thin_columns = KERNEL(thin_columns),
    .attention = KERNEL(attention),
    .attention_backward = KERNEL(attention_backward),
    .attention_decode = KERNEL(attention_decode),
};
