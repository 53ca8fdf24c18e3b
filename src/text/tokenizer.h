/* What is behind a ttm_tokenizer, and how a file format hands over what it has read. */
#ifndef TTM_TEXT_TOKENIZER_H
#define TTM_TEXT_TOKENIZER_H

#include "text/fingerprint.h"
#include "text/splitter.h"
#include "text/vocabulary.h"
#include <ttm/tokenizer.h>

struct ttm_tokenizer {
    ttm_vocabulary vocabulary;
    ttm_splitter *splitter; /* NULL when there are no merges: then nothing depends on pieces */
    char hash[TTM_FINGERPRINT_TEXT_BYTES];
};

/** Makes a tokenizer of a vocabulary that has all its tokens and merges, and takes the vocabulary
 * over: it is empty afterwards, after failure too. */
TTM_CHECKED ttm_status ttm_tokenizer_from_vocabulary(ttm_tokenizer **out,
                                                     ttm_vocabulary *vocabulary);

#endif
