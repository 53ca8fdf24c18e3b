/* Perplexity of a dataset under a model, by a window that slides over it. */
#ifndef TTM_TOOLS_EVAL_PERPLEXITY_H
#define TTM_TOOLS_EVAL_PERPLEXITY_H

#include "common/tool_model.h"

#include <ttm/dataset.h>

/** How a dataset is scored.
 *
 * Windows of `block` tokens begin `stride` tokens apart; in each, every token after the first is
 * predicted from those before it, and counts if no window before had it. So a token is scored once,
 * with at least block − stride tokens of context (as in Hugging Face's guide to perplexity); with
 * stride = block the first token of each window is not scored, as when training on blocks. */
typedef struct perplexity_settings {
    int64_t block;
    int64_t stride;
    int64_t batch;  /* windows at a time */
    int64_t tokens; /* how many of the dataset, from its start */
    bool show_progress;
} perplexity_settings;

/** What came out. */
typedef struct perplexity_result {
    double loss;          /* mean over scored tokens, in nats */
    double perplexity;    /* exp(loss) */
    double bits_per_byte; /* NaN where the text's bytes aren't known */
    int64_t tokens;       /* scored */
    uint64_t text_bytes;  /* that they stand for */
    double seconds;
} perplexity_result;

/** Scores a dataset. `bytes_known`: the dataset was opened with a tokenizer. Returns TOOL_GO_ON, or
 * after a message the exit status. */
int perplexity_measure(perplexity_result *result, const tool_model *opened,
                       const ttm_dataset *dataset, bool bytes_known,
                       const perplexity_settings *settings);

#endif
