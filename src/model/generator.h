/* What a generator consists of. */
#ifndef TTM_MODEL_GENERATOR_H
#define TTM_MODEL_GENERATOR_H

#include "model/model_internal.h"
#include <ttm/generate.h>

struct ttm_generator {
    ttm_model *model;
    ttm_stream *stream;
    int64_t batch;
    int64_t window;
    ttm_tensor *cache; /* [layers]: keys and values [2, batch, heads, window, head_size] */
    ttm_tensor tokens; /* i32 [batch·window] */
    int64_t *lengths;  /* [batch]: tokens in the window; 0: not begun */
    int32_t *history;  /* [batch, window]: those tokens */
    int32_t *next;     /* [batch]: the tokens of a step */
    float *logits;     /* [batch, vocab] */
    void *logits_read; /* [batch, vocab] of the model's type, as read from the device */
};

/** Checks that tokens can be drawn so from `vocab` logits. */
TTM_CHECKED ttm_status ttm_sampling_check(const ttm_sampling *sampling, int64_t vocab);

#endif
