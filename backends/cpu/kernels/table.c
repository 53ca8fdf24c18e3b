/* The tables of one level's kernels, for f32 elements and for bf16 ones. */
#include "cpu/kernels/level.h"

#define LEVEL_TABLE_NAME(level)      LEVEL_TABLE_NAME_JOIN(level)
#define LEVEL_TABLE_NAME_JOIN(level) ttm_cpu_kernels_##level
#define LEVEL_TEXT(level)            LEVEL_TEXT_JOIN(level)
#define LEVEL_TEXT_JOIN(level)       #level

#define LEVEL_TABLE(NAME, PRODUCT_NAME, LEVEL, BF16, PAIRS)                                       \
    {                                                                                             \
        .level = (LEVEL), .bf16 = (BF16), .multiplies_pairs = (PAIRS), .add = NAME(add),          \
        .gelu = NAME(gelu), .gelu_backward = NAME(gelu_backward), .dropout = NAME(dropout),       \
        .adamw = KERNEL(adamw), .adamw_bf16 = KERNEL(adamw_bf16),                                 \
        .f32_to_bf16 = KERNEL(f32_to_bf16), .bf16_to_f32 = KERNEL(bf16_to_f32),                   \
        .f32_to_f16 = KERNEL(f32_to_f16), .f16_to_f32 = KERNEL(f16_to_f32),                       \
        .sum_of_squares = NAME(sum_of_squares), .sum_rows = NAME(sum_rows),                       \
        .softmax = NAME(softmax), .cross_entropy = NAME(cross_entropy), .sample = KERNEL(sample), \
        .layer_norm = NAME(layer_norm), .layer_norm_backward = NAME(layer_norm_backward),         \
        .tile = KERNEL(tile), .product = PRODUCT_NAME(product),                                   \
        .product_finish = PRODUCT_NAME(product_finish),                                           \
        .product_scratch = PRODUCT_NAME(product_scratch),                                         \
        .product_parts = PRODUCT_NAME(product_parts),                                             \
        .product_part_floats = PRODUCT_NAME(product_part_floats),                                 \
        .product_pack = PRODUCT_NAME(product_pack), .store_rows = NAME(store_rows),               \
        .transpose = KERNEL(transpose), .thin_rows = NAME(thin_rows),                             \
        .thin_columns = NAME(thin_columns), .attention = PRODUCT_NAME(attention),                 \
        .attention_backward = PRODUCT_NAME(attention_backward),                                   \
        .attention_decode = NAME(attention_decode),                                               \
    }

#define NAME LEVEL_TEXT(TTM_CPU_LEVEL)

static const ttm_cpu_kernels bf16 = LEVEL_TABLE(BF16_KERNEL, BF16_KERNEL, NAME, &bf16, 0);

const ttm_cpu_kernels LEVEL_TABLE_NAME(TTM_CPU_LEVEL) = LEVEL_TABLE(KERNEL, KERNEL, NAME, &bf16, 0);

#if defined(TTM_CPU_HAVE_PAIRS)
/* The same level on a processor that multiplies pairs of bf16 elements. */
#define NAME_WITH_PAIRS "avx512_bf16"

static const ttm_cpu_kernels pairs =
    LEVEL_TABLE(BF16_KERNEL, PAIRS_KERNEL, NAME_WITH_PAIRS, &pairs, 1);

const ttm_cpu_kernels ttm_cpu_kernels_avx512_bf16 =
    LEVEL_TABLE(KERNEL, KERNEL, NAME_WITH_PAIRS, &pairs, 1);
#endif
