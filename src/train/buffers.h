/* Device and host memory of a trainer besides the model: moments, one micro-batch, loss and norm.
 */
#ifndef TTM_TRAIN_BUFFERS_H
#define TTM_TRAIN_BUFFERS_H

#include <ttm/model.h>

/** Zeroed means empty. */
typedef struct ttm_train_buffers {
    ttm_device *device;
    size_t span_count;
    ttm_tensor *first_moment; /**< f32 or bf16, [span_count] buffers like the model's parameters. */
    ttm_tensor *second_moment; /**< Likewise. */
    ttm_tensor tokens;         /**< i32 [batch, seq]. */
    ttm_tensor targets;        /**< i32 [batch, seq]. */
    ttm_tensor losses;         /**< f32 [batch·seq], of a validation batch. */
    ttm_tensor scalars;        /**< f32 [2]: loss and squared gradient norm, read back together. */
    ttm_tensor loss;           /**< View of scalars [1]. */
    ttm_tensor norm_squared;   /**< View of scalars [1]. */
    int32_t *host_tokens;      /**< [batch·seq] */
    int32_t *host_targets;     /**< [batch·seq] */
    float *host_losses;        /**< [batch·seq] */
} ttm_train_buffers;

/** Allocates everything; moments are zero. The caller frees with ttm_train_buffers_free, also after
 * failure. */
TTM_CHECKED ttm_status ttm_train_buffers_new(ttm_train_buffers *buffers, ttm_stream *stream,
                                             ttm_dtype moment_dtype,
                                             const ttm_parameter_table *table, int64_t batch,
                                             int64_t seq);

/** Frees everything. Empty ones are allowed. */
void ttm_train_buffers_free(ttm_train_buffers *buffers);

/** Returns the device bytes that ttm_train_buffers_new takes besides the moments. */
uint64_t ttm_train_buffers_batch_bytes(int64_t batch, int64_t seq);

/** Returns the host bytes that ttm_train_buffers_new takes. */
uint64_t ttm_train_buffers_host_bytes(int64_t batch, int64_t seq);

#endif
