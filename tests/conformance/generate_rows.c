/* Cases of MATMUL, REDUCE_ROWS, SUM_OF_SQUARES, SOFTMAX, LAYER_NORM, LAYER_NORM_BACKWARD,
 * NORM_MATMUL. */
#include "conformance/generate.h"
#include "core/error.h"

#include <math.h>
#include <stdlib.h>

enum { PRODUCT_TERMS = 1 << 20, ELEMENTS = 40000 };

/* Whether a case's product is large enough to keep a whole device busy: tiles in every direction,
 * several pieces for each thread, and the library that takes over from a size on. Three of 60 cases
 * in f32, three in bf16 and three in tf32. */
static bool is_large(const conformance_case *made)
{
    const uint64_t turn = made->index % 16;
    return made->index >= PLAIN_CASES && (turn == 12 || turn == 5 || turn == 6);
}

/* In turn: large in all directions, a long sum, many columns. */
static void draw_large(conformance_case *made, int64_t *m, int64_t *k, int64_t *n)
{
    static const int64_t largest[3][3] = {{500, 500, 500}, {96, 6000, 60}, {96, 200, 3000}};
    const int64_t *most = largest[made->index / 16 % 3];
    *m = draw_between(&made->random, most[0] / 2, most[0]);
    *k = draw_between(&made->random, most[1] / 2, most[1]);
    *n = draw_between(&made->random, most[2] / 2, most[2]);
}

/* A token or a few of them against a whole matrix, as in decoding: f32 and bf16 in turn. */
static bool is_decoding(const conformance_case *made)
{
    return made->index >= PLAIN_CASES && (made->index % 16 == 4 || made->index % 16 == 13);
}

static int64_t whole_chunks(int64_t extent)
{
    return (extent + CHUNK_ELEMENTS - 1) / CHUNK_ELEMENTS * CHUNK_ELEMENTS;
}

/* Every second one is as models have them, dense and with rows of whole chunks, for kernels that
 * take several elements at once where they can. */
static void draw_decoding(conformance_case *made, int64_t most_rows, int64_t *m, int64_t *k,
                          int64_t *n)
{
    *m = draw_between(&made->random, 1, most_rows);
    *k = draw_between(&made->random, 100, 1000);
    *n = draw_between(&made->random, 40, 700);
    if (made->index / 16 % 2 == 1) {
        made->style = STYLE_PLAIN;
        *k = whole_chunks(*k);
        *n = whole_chunks(*n);
    }
}

/* Draws batch…, M, K, N so that the product stays small enough for the oracle. */
static int32_t draw_product(conformance_case *made, int64_t *batch, int64_t *m, int64_t *k,
                            int64_t *n)
{
    if (is_large(made)) {
        draw_large(made, m, k, n);
        return 0;
    }
    if (is_decoding(made)) {
        draw_decoding(made, 8, m, k, n);
        return 0;
    }
    const int32_t batch_rank = case_batch(made, batch);
    int64_t terms = PRODUCT_TERMS;
    for (int32_t dim = 0; dim < batch_rank; dim++) {
        terms /= batch[dim];
    }
    int64_t *extents[3] = {m, k, n};
    const int64_t first = draw_below(&made->random, 3);
    for (int64_t i = 0; i < 3; i++) {
        int64_t *extent = extents[(first + i) % 3];
        *extent = case_extent(made, i == 2 ? (terms < 3000 ? terms : 3000) : 300);
        terms /= *extent > 0 ? *extent : 1;
    }
    return batch_rank;
}

/* The matrix [batch…, rows, cols]. */
static const int64_t *matrix(int64_t *shape, int32_t batch_rank, int64_t rows, int64_t cols)
{
    shape[batch_rank] = rows;
    shape[batch_rank + 1] = cols;
    return shape;
}

/* Whether out and what is read or written beside it lie at distances of their own, each aligned
 * with rows of whole chunks: kernels that go over all of them in wide accesses by one index would
 * be wrong. f32 and bf16 in turn. */
static bool is_spaced(const conformance_case *made)
{
    return made->index >= PLAIN_CASES && (made->index % 16 == 15 || made->index % 16 == 9);
}

/* In turn a residual; GELU, and what it is computed from is kept; the gradient of GELU. Few rows
 * once in four. */
static ttm_status generate_spaced(conformance_case *made)
{
    static const ttm_activation activations[] = {TTM_ACTIVATION_NONE, TTM_ACTIVATION_GELU,
                                                 TTM_ACTIVATION_GELU_BACKWARD};
    const uint64_t turn = made->index / 16;
    const ttm_dtype type = case_result_type(made);
    const bool few = turn % 4 == 3;
    const int64_t m = draw_between(&made->random, few ? 1 : 17, few ? 8 : 128);
    const int64_t k = whole_chunks(draw_between(&made->random, 17, 400));
    const int64_t n = whole_chunks(draw_between(&made->random, 17, 400));
    made->params.matmul.alpha = 1.0;
    made->params.matmul.activation = activations[turn % 3];
    made->style = STYLE_PLAIN;
    TTM_TRY(slot_random(made, TTM_MATMUL_A, made->dtype, LAYOUT_TRANSPOSE, 0.0, 1.0, 2,
                        (const int64_t[]){m, k}));
    TTM_TRY(slot_random(made, TTM_MATMUL_B, made->dtype, LAYOUT_TRANSPOSE, 0.0,
                        1.0 / sqrt((double)k), 2, (const int64_t[]){k, n}));
    if (case_once_in(made, 2)) {
        TTM_TRY(slot_random(made, TTM_MATMUL_BIAS, type, LAYOUT_ANY, 0.0, 1.0, 1, &n));
    }
    const int64_t shape[] = {m, n};
    const bool out_is_spaced = case_once_in(made, 2);
    made->style = out_is_spaced ? STYLE_SPACED : STYLE_PLAIN;
    slot_shape(made, TTM_MATMUL_OUT, type, LAYOUT_ANY, 2, shape);
    made->style = out_is_spaced ? STYLE_PLAIN : STYLE_SPACED;
    if (turn % 3 == 1) {
        slot_shape(made, TTM_MATMUL_PRE, type, LAYOUT_ANY, 2, shape);
        return TTM_OK;
    }
    return slot_random(made, turn % 3 == 0 ? TTM_MATMUL_RESIDUAL : TTM_MATMUL_PRE, type, LAYOUT_ANY,
                       0.0, 1.0, 2, shape);
}

ttm_status generate_matmul(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    if (is_spaced(made)) {
        return generate_spaced(made);
    }
    static const double alphas[] = {1.0, 1.0, -0.5, 0.125};
    int64_t shape[TTM_MAX_RANK];
    int64_t m = 0;
    int64_t k = 0;
    int64_t n = 0;
    const int32_t batch_rank = draw_product(made, shape, &m, &k, &n);
    const int32_t rank = batch_rank + 2;
    const ttm_dtype type = case_result_type(made);
    const unsigned factor = LAYOUT_TRANSPOSE | LAYOUT_BATCH_BROADCAST;
    ttm_matmul_params *params = &made->params.matmul;
    params->alpha = alphas[draw_below(&made->random, 4)];
    params->beta = case_once_in(made, 3) ? 1.0 : 0.0;
    const bool simple = made->index % 4 == 0; /* what a new plugin does first: no epilogue */
    params->activation =
        simple ? TTM_ACTIVATION_NONE : (ttm_activation)draw_below(&made->random, 3);
    TTM_TRY(slot_random(made, TTM_MATMUL_A, made->dtype, factor, 0.0, 1.0, rank,
                        matrix(shape, batch_rank, m, k)));
    TTM_TRY(slot_random(made, TTM_MATMUL_B, made->dtype, factor, 0.0,
                        1.0 / sqrt((double)(k > 0 ? k : 1)), rank,
                        matrix(shape, batch_rank, k, n)));
    matrix(shape, batch_rank, m, n);
    if (!simple && case_once_in(made, 2)) {
        TTM_TRY(slot_random(made, TTM_MATMUL_BIAS, type, LAYOUT_ANY, 0.0, 1.0, 1, &n));
    }
    const bool with_residual = !simple && case_once_in(made, 3);
    const bool share = with_residual && params->beta == 0.0 && case_once_in(made, 2);
    if (with_residual) {
        TTM_TRY(slot_random(made, TTM_MATMUL_RESIDUAL, type, share ? 0 : LAYOUT_BATCH_BROADCAST,
                            0.0, 1.0, rank, shape));
    }
    if (params->activation == TTM_ACTIVATION_GELU_BACKWARD) {
        TTM_TRY(slot_random(made, TTM_MATMUL_PRE, type, LAYOUT_ANY, 0.0, 1.5, rank, shape));
    } else if (params->activation == TTM_ACTIVATION_GELU && case_once_in(made, 2)) {
        slot_shape(made, TTM_MATMUL_PRE, type, LAYOUT_ANY, rank, shape);
    }
    if (share) {
        slot_share(made, TTM_MATMUL_OUT, TTM_MATMUL_RESIDUAL);
        return TTM_OK;
    }
    return slot_output(made, TTM_MATMUL_OUT, type, LAYOUT_ANY, params->beta != 0.0, rank, shape);
}

ttm_status generate_reduce_rows(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const int64_t cols = case_extent(made, 5000);
    const int64_t rows = case_extent(made, ELEMENTS / (cols > 0 ? cols : 1));
    made->params.reduce_rows.alpha = case_once_in(made, 2) ? 1.0 : draw_value(&made->random);
    made->params.reduce_rows.beta = case_once_in(made, 2) ? 1.0 : 0.0;
    TTM_TRY(slot_random(made, TTM_REDUCE_ROWS_X, made->dtype, LAYOUT_BROADCAST, 0.0, 1.0, 2,
                        (const int64_t[]){rows, cols}));
    if (made->index >= PLAIN_CASES && case_once_in(made, 2)) {
        made->style = STYLE_WILD; /* sums with gaps between them, whatever x is */
    }
    return slot_output(made, TTM_REDUCE_ROWS_OUT, case_result_type(made), LAYOUT_ANY,
                       made->params.reduce_rows.beta != 0.0, 1, &cols);
}

ttm_status generate_sum_of_squares(conformance_case *made, const struct target *oracle)
{
    static const int64_t one = 1;
    (void)oracle;
    /* Long enough that a running sum in f32 shows. */
    const int64_t count = case_once_in(made, 4) ? draw_between(&made->random, 100000, 1000000)
                                                : case_extent(made, 60000);
    made->params.sum_of_squares.beta = case_once_in(made, 2) ? 1.0 : 0.0;
    TTM_TRY(slot_random(made, TTM_SUM_OF_SQUARES_X, made->dtype, LAYOUT_LAST_UNIT | LAYOUT_DENSE,
                        0.0, 1.0, 1, &count));
    TTM_TRY(slot_output(made, TTM_SUM_OF_SQUARES_OUT, case_sum_type(made), LAYOUT_ANY,
                        made->params.sum_of_squares.beta != 0.0, 1, &one));
    struct operand *out = &made->slots[TTM_SUM_OF_SQUARES_OUT];
    if (out->values != NULL) {
        out->values[0] = fabs(out->values[0]);
    }
    return TTM_OK;
}

ttm_status generate_softmax(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[TTM_MAX_RANK];
    const int32_t batch_rank = case_batch(made, shape);
    const int64_t cols = draw_extent(&made->random, 3000);
    const int64_t rows = case_extent(made, ELEMENTS / 4 / cols > 1 ? ELEMENTS / 4 / cols : 1);
    const int32_t rank = batch_rank + 2;
    const bool share = case_once_in(made, 3);
    matrix(shape, batch_rank, rows, cols);
    made->params.softmax.scale = case_once_in(made, 2) ? 1.0 : 0.125;
    made->params.softmax.causal = case_once_in(made, 2);
    TTM_TRY(slot_random(made, TTM_SOFTMAX_X, made->dtype, share ? LAYOUT_ANY : LAYOUT_BROADCAST,
                        0.0, 3.0, rank, shape));
    if (share) {
        slot_share(made, TTM_SOFTMAX_OUT, TTM_SOFTMAX_X);
    } else {
        slot_shape(made, TTM_SOFTMAX_OUT, made->dtype, LAYOUT_ANY, rank, shape);
    }
    return TTM_OK;
}

/* The extents of a layer norm: at least two columns, or the variance is 0 and nothing is left. */
static void draw_norm_shape(conformance_case *made, int64_t shape[2])
{
    do {
        shape[1] = draw_extent(&made->random, 4097);
    } while (shape[1] < 2);
    shape[0] = case_extent(made, ELEMENTS / shape[1]);
}

ttm_status generate_layer_norm(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[2];
    draw_norm_shape(made, shape);
    const double shift = case_once_in(made, 2) ? 0.0 : 4.0;
    const bool with_residual = case_once_in(made, 2);
    const bool with_sum = with_residual || case_once_in(made, 4);
    const bool share = with_sum && case_once_in(made, 2);
    const uint32_t shared =
        with_residual && case_once_in(made, 2) ? TTM_LAYER_NORM_RESIDUAL : TTM_LAYER_NORM_X;
    made->params.layer_norm.epsilon = 1e-5;
    TTM_TRY(slot_random(made, TTM_LAYER_NORM_X, made->dtype, LAYOUT_ANY, shift, 1.0, 2, shape));
    TTM_TRY(
        slot_random(made, TTM_LAYER_NORM_GAMMA, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1, &shape[1]));
    TTM_TRY(
        slot_random(made, TTM_LAYER_NORM_BETA, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1, &shape[1]));
    if (with_residual) {
        TTM_TRY(slot_random(made, TTM_LAYER_NORM_RESIDUAL, made->dtype, LAYOUT_ANY, shift, 1.0, 2,
                            shape));
    }
    if (share) {
        slot_share(made, TTM_LAYER_NORM_SUM, shared);
    } else if (with_sum) {
        slot_shape(made, TTM_LAYER_NORM_SUM, made->dtype, LAYOUT_ANY, 2, shape);
    }
    if (!case_once_in(made, 3)) {
        slot_shape(made, TTM_LAYER_NORM_MEAN, case_sum_type(made), LAYOUT_ANY, 1, &shape[0]);
        slot_shape(made, TTM_LAYER_NORM_RSTD, case_sum_type(made), LAYOUT_ANY, 1, &shape[0]);
    }
    slot_shape(made, TTM_LAYER_NORM_OUT, made->dtype, LAYOUT_ANY, 2, shape);
    return TTM_OK;
}

/* Fills mean and rstd from x, as the forward pass would have stored them. */
static ttm_status fill_moments(conformance_case *made, const int64_t shape[2])
{
    const double *x = made->slots[TTM_LAYER_NORM_BACKWARD_X].values;
    double *moments = calloc(2 * (size_t)shape[0] + 1, sizeof *moments);
    if (moments == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a case");
    }
    for (int64_t i = 0; i < shape[0]; i++) {
        double sum = 0.0;
        double squares = 0.0;
        for (int64_t j = 0; j < shape[1]; j++) {
            sum += x[i * shape[1] + j];
        }
        const double mean = sum / (double)shape[1];
        for (int64_t j = 0; j < shape[1]; j++) {
            const double centred = x[i * shape[1] + j] - mean;
            squares += centred * centred;
        }
        moments[i] = mean;
        moments[shape[0] + i] = 1.0 / sqrt(squares / (double)shape[1] + 1e-5);
    }
    ttm_status status = slot_fill(made, TTM_LAYER_NORM_BACKWARD_MEAN, moments);
    if (status == TTM_OK) {
        status = slot_fill(made, TTM_LAYER_NORM_BACKWARD_RSTD, moments + shape[0]);
    }
    free(moments);
    return status;
}

ttm_status generate_layer_norm_backward(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t shape[2];
    draw_norm_shape(made, shape);
    const ttm_dtype sums = case_result_type(made);
    const double shift = case_once_in(made, 2) ? 0.0 : 4.0;
    const bool add = case_once_in(made, 2);
    made->params.layer_norm_backward.dx_beta = add ? 1.0 : 0.0;
    TTM_TRY(
        slot_random(made, TTM_LAYER_NORM_BACKWARD_DY, made->dtype, LAYOUT_ANY, 0.0, 1.0, 2, shape));
    TTM_TRY(slot_random(made, TTM_LAYER_NORM_BACKWARD_X, made->dtype, LAYOUT_ANY, shift, 1.0, 2,
                        shape));
    TTM_TRY(slot_random(made, TTM_LAYER_NORM_BACKWARD_GAMMA, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1,
                        &shape[1]));
    slot_shape(made, TTM_LAYER_NORM_BACKWARD_MEAN, case_sum_type(made), LAYOUT_ANY, 1, &shape[0]);
    slot_shape(made, TTM_LAYER_NORM_BACKWARD_RSTD, case_sum_type(made), LAYOUT_ANY, 1, &shape[0]);
    TTM_TRY(fill_moments(made, shape));
    TTM_TRY(
        slot_output(made, TTM_LAYER_NORM_BACKWARD_DGAMMA, sums, LAYOUT_ANY, true, 1, &shape[1]));
    TTM_TRY(slot_output(made, TTM_LAYER_NORM_BACKWARD_DBETA, sums, LAYOUT_ANY, true, 1, &shape[1]));
    if (!add && case_once_in(made, 2)) {
        slot_share(made, TTM_LAYER_NORM_BACKWARD_DX, TTM_LAYER_NORM_BACKWARD_DY);
        return TTM_OK;
    }
    return slot_output(made, TTM_LAYER_NORM_BACKWARD_DX, made->dtype, LAYOUT_ANY, add, 2, shape);
}

/* Few rows, as the op is for, and now and then more than anybody takes in one piece. */
static void draw_norm_product(conformance_case *made, int64_t *m, int64_t *k, int64_t *n)
{
    if (is_decoding(made)) {
        draw_decoding(made, 9, m, k, n);
        return;
    }
    *m = case_once_in(made, 6) ? case_extent(made, 100) : draw_between(&made->random, 1, 8);
    *k = case_extent(made, 300);
    *n = case_extent(made, 200);
}

/* Rows have a mean that matters or none, and a variance beside which epsilon does. */
ttm_status generate_norm_matmul(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    int64_t m = 0;
    int64_t k = 0;
    int64_t n = 0;
    draw_norm_product(made, &m, &k, &n);
    const ttm_dtype type = case_result_type(made);
    const double shift = case_once_in(made, 2) ? 0.0 : 4.0;
    made->params.norm_matmul.epsilon = case_once_in(made, 2) ? 1e-5 : 0.25;
    made->params.norm_matmul.activation =
        case_once_in(made, 2) ? TTM_ACTIVATION_NONE : TTM_ACTIVATION_GELU;
    TTM_TRY(slot_random(made, TTM_NORM_MATMUL_X, made->dtype, LAYOUT_ANY, shift, 1.0, 2,
                        (const int64_t[]){m, k}));
    const layout_style style = made->style;
    if (made->index >= PLAIN_CASES && case_once_in(made, 4)) {
        made->style = STYLE_WILD; /* vectors with gaps, whatever the matrices are */
    }
    TTM_TRY(slot_random(made, TTM_NORM_MATMUL_GAMMA, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1, &k));
    TTM_TRY(slot_random(made, TTM_NORM_MATMUL_BETA, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1, &k));
    made->style = style;
    TTM_TRY(slot_random(made, TTM_NORM_MATMUL_B, made->dtype, LAYOUT_TRANSPOSE, 0.0,
                        1.0 / sqrt((double)(k > 0 ? k : 1)), 2, (const int64_t[]){k, n}));
    if (case_once_in(made, 2)) {
        TTM_TRY(slot_random(made, TTM_NORM_MATMUL_BIAS, type, LAYOUT_ANY, 0.0, 1.0, 1, &n));
    }
    slot_shape(made, TTM_NORM_MATMUL_OUT, type, LAYOUT_ANY, 2, (const int64_t[]){m, n});
    return TTM_OK;
}
