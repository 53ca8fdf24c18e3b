/* The windows that a run is validated on: the same ones every time, spread evenly over the data. */
#ifndef TTM_TRAIN_VALIDATION_H
#define TTM_TRAIN_VALIDATION_H

#include "train/buffers.h"

#include <ttm/dataset.h>
#include <ttm/model.h>

/** Windows of `seq` tokens. Zeroed: nothing to validate on. */
typedef struct ttm_validation_set {
    const ttm_dataset *data;
    int64_t batch;
    int64_t seq;
    uint64_t window_count; /**< In the data. */
    uint64_t used;         /**< Of them validated on. */
    uint64_t text_bytes;   /**< That the targets stand for; 0 when unknown. */
} ttm_validation_set;

/** Chooses up to `windows` windows of `data`. TTM_ERROR_ARGUMENT when it has fewer than seq + 1
 * tokens. */
TTM_CHECKED ttm_status ttm_validation_set_init(ttm_validation_set *set, const ttm_dataset *data,
                                               int64_t batch, int64_t seq, int64_t windows);

/** *loss = mean loss over the *tokens tokens of all windows, in nats, without dropout. Uses the
 * batch buffers. */
TTM_CHECKED ttm_status ttm_validation_set_loss(double *loss, uint64_t *tokens,
                                               const ttm_validation_set *set, ttm_model *model,
                                               ttm_stream *stream, ttm_train_buffers *buffers);

#endif
