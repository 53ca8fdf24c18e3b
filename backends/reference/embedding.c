/* EMBEDDING and EMBEDDING_BACKWARD. A token outside the table is skipped, never looked up. */
#include "reference/access.h"
#include "reference/formulas.h"
#include "reference/run.h"
#include "reference/scratch.h"

static int in_table(double token, const ttm_tensor *table)
{
    return token >= 0.0 && token < (double)table->shape[0];
}

/* out[i, :] = table[tokens[i], :] + positions[position_start + i mod sequence_length, :] */
ttm_status run_embedding(const ttm_op *op)
{
    const ttm_tensor *out_tensor = &op->tensors[TTM_EMBEDDING_OUT];
    const ttm_tensor *table = &op->tensors[TTM_EMBEDDING_TABLE];
    const ttm_tensor *positions = &op->tensors[TTM_EMBEDDING_POSITIONS];
    const ttm_embedding_params *params = op->params;
    const int64_t rows = row_count(out_tensor);
    const int64_t cols = row_length(out_tensor);
    struct scratch scratch = {0};
    double *tokens = scratch_take(&scratch, 1, rows);
    double *out = scratch_take(&scratch, 1, cols);
    double *position = scratch_take(&scratch, 1, cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(tokens, &op->tensors[TTM_EMBEDDING_TOKENS], 0);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            out[j] = 0.0;
        }
        if (in_table(tokens[i], table)) {
            load_row(out, table, (int64_t)tokens[i]);
        }
        if (ttm_tensor_present(positions)) {
            load_row(position, positions, params->position_start + i % params->sequence_length);
            add_scaled(out, 1.0, position, cols);
        }
        store_row(out_tensor, i, out);
    }
    return scratch_end(&scratch);
}

/* The arrays of the backward pass. */
struct backward {
    const ttm_tensor *dout_tensor;
    int64_t rows;
    int64_t cols;
    double *tokens; /* [rows] */
    double *sum;    /* [cols] */
    double *dout;   /* [cols] */
};

static void add_gradient_row(const struct backward *backward, int64_t i)
{
    load_row(backward->dout, backward->dout_tensor, i);
    add_scaled(backward->sum, 1.0, backward->dout, backward->cols);
}

/* dtable[token, :] += Σ dout[i, :] over the rows i of that token, in ascending order: all of a
 * token's rows are added in double when its first row is met, then rounded once. */
static void table_gradient(const struct backward *backward, const ttm_tensor *dtable)
{
    const double *tokens = backward->tokens;
    for (int64_t first = 0; first < backward->rows; first++) {
        int64_t earlier = 0;
        while (tokens[earlier] != tokens[first]) {
            earlier++;
        }
        if (earlier < first || !in_table(tokens[first], dtable)) {
            continue;
        }
        load_row(backward->sum, dtable, (int64_t)tokens[first]);
        for (int64_t i = first; i < backward->rows; i++) {
            if (tokens[i] == tokens[first]) {
                add_gradient_row(backward, i);
            }
        }
        store_row(dtable, (int64_t)tokens[first], backward->sum);
    }
}

/* dpositions[position_start + p, :] += Σ dout[i, :] over the rows i ≡ p (mod sequence_length). */
static void position_gradient(const struct backward *backward, const ttm_tensor *dpositions,
                              const ttm_embedding_params *params)
{
    for (int64_t p = 0; p < params->sequence_length && p < backward->rows; p++) {
        load_row(backward->sum, dpositions, params->position_start + p);
        /* A sequence may be longer than can be added to i. */
        for (int64_t i = p;; i += params->sequence_length) {
            add_gradient_row(backward, i);
            if (params->sequence_length >= backward->rows - i) {
                break;
            }
        }
        store_row(dpositions, params->position_start + p, backward->sum);
    }
}

ttm_status run_embedding_backward(const ttm_op *op)
{
    const ttm_tensor *dout = &op->tensors[TTM_EMBEDDING_BACKWARD_DOUT];
    const ttm_tensor *dpositions = &op->tensors[TTM_EMBEDDING_BACKWARD_DPOSITIONS];
    struct scratch scratch = {0};
    struct backward backward = {
        .dout_tensor = dout, .rows = row_count(dout), .cols = row_length(dout)};
    backward.tokens = scratch_take(&scratch, 1, backward.rows);
    backward.sum = scratch_take(&scratch, 1, backward.cols);
    backward.dout = scratch_take(&scratch, 1, backward.cols);
    if (scratch.failed) {
        return scratch_end(&scratch);
    }
    load_row(backward.tokens, &op->tensors[TTM_EMBEDDING_BACKWARD_TOKENS], 0);
    table_gradient(&backward, &op->tensors[TTM_EMBEDDING_BACKWARD_DTABLE]);
    if (ttm_tensor_present(dpositions)) {
        position_gradient(&backward, dpositions, op->params);
    }
    return scratch_end(&scratch);
}
