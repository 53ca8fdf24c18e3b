/* Ops to time: every opcode, with the shapes that it has in a GPT-2. */
#ifndef TTM_TOOLS_BENCH_CASES_H
#define TTM_TOOLS_BENCH_CASES_H

#include "bench/session.h"

#include <ttm/compute.h>

/** What a slot's memory begins with. */
typedef enum bench_content {
    BENCH_RANDOM = 0, /**< Normal numbers. */
    BENCH_ONES,       /**< For what must be positive. */
    BENCH_INDICES     /**< Random integers below index_limit. */
} bench_content;

/** An op without memory. */
typedef struct bench_case {
    char name[80];
    ttm_opcode opcode;
    ttm_tensor tensors[TTM_OP_MAX_TENSORS];
    uint32_t tensor_count;
    bench_content content[TTM_OP_MAX_TENSORS];
    int32_t alias[TTM_OP_MAX_TENSORS]; /**< Slot + 1 whose memory this one shares, 0 for its own. */
    bool transposed[TTM_OP_MAX_TENSORS]; /**< Its last two dimensions are exchanged after
                                            allocation. */
    int64_t index_limit;
    union {
        ttm_fill_params fill;
        ttm_add_params add;
        ttm_matmul_params matmul;
        ttm_reduce_rows_params reduce_rows;
        ttm_sum_of_squares_params sum_of_squares;
        ttm_dropout_params dropout;
        ttm_softmax_params softmax;
        ttm_layer_norm_params layer_norm;
        ttm_layer_norm_backward_params layer_norm_backward;
        ttm_attention_params attention;
        ttm_cross_entropy_params cross_entropy;
        ttm_sample_params sample;
        ttm_norm_matmul_params norm_matmul;
        ttm_embedding_params embedding;
        ttm_adamw_params adamw;
        ttm_tt_gradient_params tt_gradient;
    } params;
    size_t params_bytes;
    ttm_adamw_segment segment;
} bench_case;

/** *cases [*count] = the ops of the command line's model, batch and sequence length, in a model of
 * `dtype`; the caller frees with free(). */
ttm_status bench_cases_new(bench_case **cases, size_t *count, const ttm_gpt2_config *config,
                           const bench_arguments *arguments, ttm_dtype dtype);

/** Makes what is f32 in *item as it is in a model of `dtype`. */
void bench_case_set_dtype(bench_case *item, ttm_dtype dtype);

/** *item = a product [m, k]·[k, n]. */
void bench_case_product(bench_case *item, const char *name, int64_t m, int64_t n, int64_t k);

/** *cases [*count] = the products of a list as in product_list.h that the command line's check has
 * passed; the caller frees with free(). */
ttm_status bench_cases_of_products(bench_case **cases, size_t *count, const char *list);

/** Times a case and adds an entry of group "op". An op that the device has no way to do is noted
 * with a message and isn't a failure. */
ttm_status bench_case_run(bench_session *session, const bench_case *item);

#endif
