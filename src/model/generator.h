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
    ttm_tensor tokens; /* i32 [batch·window]: what a pass is over, where it isn't `drawn` */
    int64_t *lengths;  /* [batch]: tokens in the window; 0: not begun */
    int32_t *history;  /* [batch, window]: those tokens */
    int32_t *next;     /* [batch]: the tokens of a step */

    ttm_tensor logits;      /* [batch, vocab] of the wide type: what follows each sequence */
    float *logits_on_host;  /* [batch, vocab]: NULL before somebody asks for logits */
    bool *logits_are_known; /* [batch]: logits_on_host is what is on the device */

    ttm_tensor random;     /* i32 [batch, 2]: words that tokens are drawn with */
    ttm_tensor drawn;      /* i32 [batch]: the tokens drawn last, one behind the other */
    int32_t *random_words; /* [batch, 2] */
    int32_t *drawn_tokens; /* [batch]: drawn on the host */
    int64_t drawn_count;   /* how many */
};

/** Checks that tokens can be drawn so from `vocab` logits. */
TTM_CHECKED ttm_status ttm_sampling_check(const ttm_sampling *sampling, int64_t vocab);

#endif
