/* CROSS_ENTROPY: the loss of each row of logits, and its gradient. */
#include <math.h>

#include "reference/access.h"
#include "reference/run.h"
#include "reference/scratch.h"

/* Returns log Σ_j exp(logits_j), computed without overflow. */
static double log_sum_exp(const double *logits, int64_t vocab)
{
    double maximum = -INFINITY;
    for (int64_t j = 0; j < vocab; j++) {
        maximum = fmax(maximum, logits[j]);
    }
    double sum = 0.0;
    for (int64_t j = 0; j < vocab; j++) {
        sum += exp(logits[j] - maximum);
    }
    return maximum + log(sum);
}

/* loss_i = log Σ_j exp(logits_ij) − logits_i,target
 * dlogits_ij = gradient_scale·(softmax(logits_i)_j − [j = target]); both 0 where the target isn't
 * in the vocabulary. */
ttm_status run_cross_entropy(const ttm_op *op)
{
    const ttm_tensor *logits_tensor = &op->tensors[TTM_CROSS_ENTROPY_LOGITS];
    const ttm_tensor *dlogits = &op->tensors[TTM_CROSS_ENTROPY_DLOGITS];
    const ttm_cross_entropy_params *params = op->params;
    const int64_t rows = row_count(logits_tensor);
    const int64_t vocab = row_length(logits_tensor);
    struct scratch scratch = {0};
    double *logits = scratch_take(&scratch, 1, vocab);
    double *targets = scratch_take(&scratch, 1, rows);
    double *losses = scratch_take(&scratch, 1, rows);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(targets, &op->tensors[TTM_CROSS_ENTROPY_TARGETS], 0);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t target = (int64_t)targets[i];
        const int counted = target >= 0 && target < vocab;
        load_row(logits, logits_tensor, i);
        const double lse = log_sum_exp(logits, vocab);
        losses[i] = counted ? lse - logits[target] : 0.0;
        if (ttm_tensor_present(dlogits)) {
            for (int64_t j = 0; j < vocab; j++) {
                const double difference = exp(logits[j] - lse) - (j == target ? 1.0 : 0.0);
                logits[j] = counted ? params->gradient_scale * difference : 0.0;
            }
            store_row(dlogits, i, logits);
        }
    }
    store_row(&op->tensors[TTM_CROSS_ENTROPY_LOSS], 0, losses);
    return scratch_end(&scratch);
}
