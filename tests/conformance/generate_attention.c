/* Cases of ATTENTION, ATTENTION_BACKWARD, CROSS_ENTROPY, EMBEDDING, EMBEDDING_BACKWARD. */
#include "conformance/generate.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ATTENTION_TERMS = 1 << 20, MOST_FEW_QUERIES = 8, MOST_FEW_KEYS = 2000, ELEMENTS = 40000 };

/* Draws [B, H, Tq, D] and [B, H, Tk, D] and the parameters. */
static void draw_attention(conformance_case *made, int64_t q_shape[4], int64_t k_shape[4])
{
    static const int64_t head_sizes[] = {1, 3, 8, 16, 32, 33, 64, 80, 128, 5, 48, 96};
    static const double dropouts[] = {0.0, 0.0, 0.1, 0.5};
    ttm_attention_params *params = &made->params.attention;
    q_shape[0] = draw_between(&made->random, 1, 2);
    q_shape[1] = draw_between(&made->random, 1, 3);
    q_shape[3] = head_sizes[draw_below(&made->random, 12)];
    const int64_t terms = ATTENTION_TERMS / (q_shape[0] * q_shape[1] * q_shape[3]);
    q_shape[2] = draw_extent(&made->random, terms < 600 ? terms : 600);
    memcpy(k_shape, q_shape, 4 * sizeof k_shape[0]);
    params->causal = !case_once_in(made, 3);
    if (case_once_in(made, 2)) { /* keys from a cache before the queries, or another sequence */
        const int64_t other = draw_extent(&made->random, terms / q_shape[2]);
        k_shape[2] = params->causal && other < q_shape[2] ? q_shape[2] + 3 : other;
    }
    params->scale = 1.0 / sqrt((double)q_shape[3]);
    params->dropout = dropouts[draw_below(&made->random, 4)];
    params->seed = (uint64_t)ttm_random_u32(&made->random) << 32 | made->index;
    if (made->index % 5 == 3) { /* decoding: few queries, a long cache, nothing dropped */
        q_shape[2] = draw_between(&made->random, 1, MOST_FEW_QUERIES);
        const int64_t most = terms / q_shape[2];
        k_shape[2] =
            draw_between(&made->random, q_shape[2], most < MOST_FEW_KEYS ? most : MOST_FEW_KEYS);
        params->dropout = 0.0;
    }
}

ttm_status generate_attention(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t q_shape[4];
    int64_t k_shape[4];
    draw_attention(made, q_shape, k_shape);
    TTM_TRY(
        slot_random(made, TTM_ATTENTION_Q, made->dtype, LAYOUT_LAST_UNIT, 0.0, 1.0, 4, q_shape));
    TTM_TRY(
        slot_random(made, TTM_ATTENTION_K, made->dtype, LAYOUT_LAST_UNIT, 0.0, 1.0, 4, k_shape));
    TTM_TRY(
        slot_random(made, TTM_ATTENTION_V, made->dtype, LAYOUT_LAST_UNIT, 0.0, 1.0, 4, k_shape));
    slot_shape(made, TTM_ATTENTION_OUT, case_stored_type(made), LAYOUT_LAST_UNIT, 4, q_shape);
    if (!case_once_in(made, 4)) {
        slot_shape(made, TTM_ATTENTION_LSE, case_sum_type(made), LAYOUT_ANY, 3, q_shape);
    }
    return TTM_OK;
}

/* Fills out and lse of a backward case with what the forward pass gives. */
static ttm_status fill_forward(conformance_case *made, const struct target *oracle)
{
    conformance_case forward = {.opcode = TTM_OP_ATTENTION, .params = made->params};
    case_results results = {0};
    forward.slots[TTM_ATTENTION_Q] = made->slots[TTM_ATTENTION_BACKWARD_Q];
    forward.slots[TTM_ATTENTION_K] = made->slots[TTM_ATTENTION_BACKWARD_K];
    forward.slots[TTM_ATTENTION_V] = made->slots[TTM_ATTENTION_BACKWARD_V];
    forward.slots[TTM_ATTENTION_OUT] = made->slots[TTM_ATTENTION_BACKWARD_OUT];
    forward.slots[TTM_ATTENTION_LSE] = made->slots[TTM_ATTENTION_BACKWARD_LSE];
    for (int32_t slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        forward.same_as[slot] = slot;
    }
    ttm_status status = case_oracle(&results, &forward, oracle, CASE_EXACT);
    if (status == TTM_OK) {
        status = slot_fill(made, TTM_ATTENTION_BACKWARD_OUT, results.values[TTM_ATTENTION_OUT]);
    }
    if (status == TTM_OK) {
        status = slot_fill(made, TTM_ATTENTION_BACKWARD_LSE, results.values[TTM_ATTENTION_LSE]);
    }
    case_results_free(&results);
    return status;
}

ttm_status generate_attention_backward(conformance_case *made, const struct target *oracle)
{
    static const uint32_t inputs[] = {TTM_ATTENTION_BACKWARD_DOUT, TTM_ATTENTION_BACKWARD_Q,
                                      TTM_ATTENTION_BACKWARD_K, TTM_ATTENTION_BACKWARD_V};
    int64_t q_shape[4];
    int64_t k_shape[4];
    draw_attention(made, q_shape, k_shape);
    for (int i = 0; i < 4; i++) {
        TTM_TRY(slot_random(made, inputs[i], made->dtype, LAYOUT_LAST_UNIT, 0.0, 1.0, 4,
                            i < 2 ? q_shape : k_shape));
    }
    const ttm_dtype stored = case_stored_type(made);
    slot_shape(made, TTM_ATTENTION_BACKWARD_OUT, stored, LAYOUT_LAST_UNIT, 4, q_shape);
    slot_shape(made, TTM_ATTENTION_BACKWARD_LSE, case_sum_type(made), LAYOUT_ANY, 3, q_shape);
    TTM_TRY(fill_forward(made, oracle));
    slot_shape(made, TTM_ATTENTION_BACKWARD_DQ, stored, LAYOUT_LAST_UNIT, 4, q_shape);
    slot_shape(made, TTM_ATTENTION_BACKWARD_DK, stored, LAYOUT_LAST_UNIT, 4, k_shape);
    slot_shape(made, TTM_ATTENTION_BACKWARD_DV, stored, LAYOUT_LAST_UNIT, 4, k_shape);
    return TTM_OK;
}

/* Fills an i32 slot with numbers in [0, count), and in cases that aren't plain with some outside,
 * which ops must skip. */
static ttm_status fill_tokens(conformance_case *made, uint32_t slot, int64_t rows, int64_t count)
{
    static const int64_t outside[] = {-1, INT32_MIN, INT32_MAX, -100};
    double *tokens = calloc((size_t)rows + 1, sizeof *tokens);
    if (tokens == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a case");
    }
    /* Few different tokens in a large table: each is met more than once. */
    const int64_t range = case_once_in(made, 2) && count > 4 ? count / 4 : count;
    for (int64_t i = 0; i < rows; i++) {
        tokens[i] = (double)(count - 1 - draw_below(&made->random, range));
        if (made->index >= PLAIN_CASES && case_once_in(made, 8)) {
            const int64_t which = draw_below(&made->random, 5);
            tokens[i] = (double)(which == 4 ? count : outside[which]);
        }
    }
    slot_shape(made, slot, TTM_I32, LAYOUT_ANY, 1, &rows);
    const ttm_status status = slot_fill(made, slot, tokens);
    free(tokens);
    return status;
}

ttm_status generate_cross_entropy(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const int64_t vocab = draw_extent(&made->random, 60000);
    const int64_t most = ELEMENTS / vocab;
    const int64_t rows = case_extent(made, most > 0 ? most : 1);
    const int64_t shape[] = {rows, vocab};
    made->params.cross_entropy.gradient_scale = case_once_in(made, 2) ? 1.0 : 1.0 / 1024.0;
    TTM_TRY(
        slot_random(made, TTM_CROSS_ENTROPY_LOGITS, made->dtype, LAYOUT_ANY, 0.0, 3.0, 2, shape));
    TTM_TRY(fill_tokens(made, TTM_CROSS_ENTROPY_TARGETS, rows, vocab));
    slot_shape(made, TTM_CROSS_ENTROPY_LOSS, case_sum_type(made), LAYOUT_ANY, 1, &rows);
    if (case_once_in(made, 2)) {
        slot_share(made, TTM_CROSS_ENTROPY_DLOGITS, TTM_CROSS_ENTROPY_LOGITS);
    } else if (case_once_in(made, 2)) {
        slot_shape(made, TTM_CROSS_ENTROPY_DLOGITS, made->dtype, LAYOUT_ANY, 2, shape);
    }
    return TTM_OK;
}

/* Extents of an embedding, and the parameters. */
struct embedding {
    int64_t rows;
    int64_t cols;
    int64_t vocab;
    int64_t context;
};

static struct embedding draw_embedding(conformance_case *made)
{
    struct embedding drawn = {.cols = draw_extent(&made->random, 1025)};
    drawn.rows = case_extent(made, ELEMENTS / drawn.cols);
    drawn.vocab = draw_extent(&made->random, ELEMENTS / drawn.cols);
    ttm_embedding_params *params = &made->params.embedding;
    params->sequence_length = draw_extent(&made->random, drawn.rows > 0 ? 2 * drawn.rows : 1);
    params->position_start = case_once_in(made, 2) ? 0 : draw_between(&made->random, 1, 9);
    drawn.context = params->position_start + params->sequence_length;
    return drawn;
}

ttm_status generate_embedding(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct embedding drawn = draw_embedding(made);
    TTM_TRY(slot_random(made, TTM_EMBEDDING_TABLE, made->dtype, LAYOUT_ANY, 0.0, 1.0, 2,
                        (const int64_t[]){drawn.vocab, drawn.cols}));
    if (!case_once_in(made, 4)) {
        TTM_TRY(slot_random(made, TTM_EMBEDDING_POSITIONS, made->dtype, LAYOUT_ANY, 0.0, 1.0, 2,
                            (const int64_t[]){drawn.context, drawn.cols}));
    }
    TTM_TRY(fill_tokens(made, TTM_EMBEDDING_TOKENS, drawn.rows, drawn.vocab));
    slot_shape(made, TTM_EMBEDDING_OUT, made->dtype, LAYOUT_ANY, 2,
               (const int64_t[]){drawn.rows, drawn.cols});
    return TTM_OK;
}

ttm_status generate_embedding_backward(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct embedding drawn = draw_embedding(made);
    const ttm_dtype sums = case_result_type(made);
    TTM_TRY(slot_random(made, TTM_EMBEDDING_BACKWARD_DOUT, made->dtype, LAYOUT_ANY, 0.0, 1.0, 2,
                        (const int64_t[]){drawn.rows, drawn.cols}));
    TTM_TRY(slot_output(made, TTM_EMBEDDING_BACKWARD_DTABLE, sums, LAYOUT_ANY, true, 2,
                        (const int64_t[]){drawn.vocab, drawn.cols}));
    if (!case_once_in(made, 4)) {
        TTM_TRY(slot_output(made, TTM_EMBEDDING_BACKWARD_DPOSITIONS, sums, LAYOUT_ANY, true, 2,
                            (const int64_t[]){drawn.context, drawn.cols}));
    }
    return fill_tokens(made, TTM_EMBEDDING_BACKWARD_TOKENS, drawn.rows, drawn.vocab);
}
