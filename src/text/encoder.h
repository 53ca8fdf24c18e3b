/* Encoding, with working memory that one thread keeps from text to text. */
#ifndef TTM_TEXT_ENCODER_H
#define TTM_TEXT_ENCODER_H

#include "text/merge.h"
#include "text/splitter.h"
#include "text/token_buffer.h"
#include "text/tokenizer.h"
#include <stdbool.h>

/** One thread's use of a tokenizer, which must outlive it. */
typedef struct ttm_encoder {
    const ttm_vocabulary *vocabulary;
    ttm_split split; /* unused without merges */
    ttm_merge_space space;
    bool special_tokens; /* off at first */
} ttm_encoder;

TTM_CHECKED ttm_status ttm_encoder_begin(ttm_encoder *encoder, const ttm_tokenizer *tokenizer);
void ttm_encoder_end(ttm_encoder *encoder);

/** Appends the tokens of `text` [bytes] to `out`, as ttm_tokenizer_encode without special tokens.
 */
TTM_CHECKED ttm_status ttm_encoder_text(ttm_token_buffer *out, ttm_encoder *encoder,
                                        const char *text, size_t bytes);

#endif
