/* SAMPLE: a token of each row of logits. What is drawn is said by ttm/sample_row.h. */
#include <stdlib.h>
#include <ttm/sample_row.h>

#include "reference/access.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* The 32 bits of an element of `random`, which is signed. */
static uint32_t word(double element)
{
    return (uint32_t)(int32_t)element;
}

ttm_status run_sample(const ttm_op *op)
{
    const ttm_tensor *logits_tensor = &op->tensors[TTM_SAMPLE_LOGITS];
    const int64_t rows = row_count(logits_tensor);
    const int64_t vocab = row_length(logits_tensor);
    struct scratch scratch = {0};
    double *logits = scratch_take(&scratch, 1, vocab);
    double *tokens = scratch_take(&scratch, 1, rows);
    ttm_candidate *candidates = calloc((size_t)vocab + 1, sizeof *candidates);
    scratch.failed = scratch.failed || candidates == NULL;
    for (int64_t i = 0; i < rows && !scratch.failed; i++) {
        double random[2];
        load_row(logits, logits_tensor, i);
        load_row(random, &op->tensors[TTM_SAMPLE_RANDOM], i);
        tokens[i] = ttm_sample_row(candidates, logits, vocab, op->params,
                                   (uint32_t[]){word(random[0]), word(random[1])});
    }
    if (!scratch.failed) {
        store_row(&op->tensors[TTM_SAMPLE_TOKENS], 0, tokens);
    }
    free(candidates);
    return scratch_end(&scratch);
}
