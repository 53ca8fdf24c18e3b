/* Cases of TT_BUILD, TT_GRADIENT, TT_LINEAR, TT_LINEAR_BACKWARD. */
#include "conformance/generate.h"
#include "core/error.h"

#include <math.h>

enum { MATRIX_ELEMENTS = 1 << 16, ROW_ELEMENTS = 20000 };

/* A TT-matrix: shapes of its cores [layers, r, n, m, r']. */
struct train {
    int64_t layers;
    int64_t in;
    int64_t out;
    int32_t count;
    int64_t cores[TTM_OP_MAX_CORES][5];
};

/* Draws modes whose products stay small, and ranks that may exceed what the modes can carry: the
 * published shapes do. */
static struct train draw_train(conformance_case *made, int64_t layers)
{
    static const int32_t counts[] = {1, 2, 3, 3, 4, 4, 5, 6, 8};
    static const int64_t modes[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16};
    static const int64_t ranks[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17};
    struct train train = {.layers = layers, .in = 1, .out = 1};
    int64_t left = 1;
    train.count = counts[draw_below(&made->random, 9)];
    for (int32_t k = 0; k < train.count; k++) {
        const int64_t room = MATRIX_ELEMENTS / (train.in * train.out);
        int64_t n = 0;
        int64_t m = 0;
        do {
            n = train.count == 1 ? draw_extent(&made->random, 200)
                                 : modes[draw_below(&made->random, 10)];
            m = train.count == 1 ? draw_extent(&made->random, 200)
                                 : modes[draw_below(&made->random, 10)];
        } while (n * m > room);
        const int64_t right = k == train.count - 1 ? 1 : ranks[draw_below(&made->random, 10)];
        const int64_t shape[5] = {layers, left, n, m, right};
        for (int32_t dim = 0; dim < 5; dim++) {
            train.cores[k][dim] = shape[dim];
        }
        train.in *= n;
        train.out *= m;
        left = right;
    }
    return train;
}

/* Fills the cores so that elements of the matrix are of size 1. */
static ttm_status random_cores(conformance_case *made, uint32_t first, const struct train *train)
{
    for (int32_t k = 0; k < train->count; k++) {
        const double scale = 1.0 / sqrt((double)train->cores[k][1]);
        TTM_TRY(slot_random(made, first + (uint32_t)k, made->dtype, LAYOUT_CORE, 0.0, scale, 5,
                            train->cores[k]));
    }
    return TTM_OK;
}

static ttm_status core_outputs(conformance_case *made, uint32_t first, const struct train *train,
                               bool read)
{
    const ttm_dtype type = case_result_type(made);
    for (int32_t k = 0; k < train->count; k++) {
        TTM_TRY(
            slot_output(made, first + (uint32_t)k, type, LAYOUT_CORE, read, 5, train->cores[k]));
    }
    return TTM_OK;
}

ttm_status generate_tt_build(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct train train = draw_train(made, draw_between(&made->random, 1, 3));
    TTM_TRY(random_cores(made, TTM_TT_BUILD_CORE, &train));
    const ttm_dtype type = made->dtype == TTM_F32 && case_once_in(made, 3) ? TTM_BF16 : made->dtype;
    slot_shape(made, TTM_TT_BUILD_W, type, LAYOUT_LAST_UNIT, 3,
               (const int64_t[]){train.layers, train.in, train.out});
    return TTM_OK;
}

ttm_status generate_tt_gradient(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct train train = draw_train(made, draw_between(&made->random, 1, 3));
    made->params.tt_gradient.beta = case_once_in(made, 2) ? 1.0 : 0.0;
    TTM_TRY(random_cores(made, TTM_TT_GRADIENT_CORE, &train));
    TTM_TRY(slot_random(made, TTM_TT_GRADIENT_DW, made->dtype, LAYOUT_LAST_UNIT, 0.0, 0.1, 3,
                        (const int64_t[]){train.layers, train.in, train.out}));
    return core_outputs(made, TTM_TT_GRADIENT_DCORE, &train, made->params.tt_gradient.beta != 0.0);
}

static int64_t draw_rows(conformance_case *made, const struct train *train)
{
    const int64_t wider = train->in > train->out ? train->in : train->out;
    return case_extent(made, ROW_ELEMENTS / wider > 1 ? ROW_ELEMENTS / wider : 1);
}

ttm_status generate_tt_linear(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct train train = draw_train(made, 1);
    const int64_t rows = draw_rows(made, &train);
    TTM_TRY(random_cores(made, TTM_TT_LINEAR_CORE, &train));
    TTM_TRY(slot_random(made, TTM_TT_LINEAR_X, made->dtype, LAYOUT_ANY, 0.0,
                        1.0 / sqrt((double)train.in), 2, (const int64_t[]){rows, train.in}));
    if (case_once_in(made, 2)) {
        TTM_TRY(slot_random(made, TTM_TT_LINEAR_BIAS, made->dtype, LAYOUT_ANY, 0.0, 1.0, 1,
                            &train.out));
    }
    slot_shape(made, TTM_TT_LINEAR_Y, made->dtype, LAYOUT_ANY, 2,
               (const int64_t[]){rows, train.out});
    return TTM_OK;
}

ttm_status generate_tt_linear_backward(conformance_case *made, const struct target *oracle)
{
    (void)oracle;
    const struct train train = draw_train(made, 1);
    const int64_t rows = draw_rows(made, &train);
    const int64_t x_shape[] = {rows, train.in};
    const int64_t y_shape[] = {rows, train.out};
    TTM_TRY(random_cores(made, TTM_TT_LINEAR_BACKWARD_CORE, &train));
    TTM_TRY(core_outputs(made, TTM_TT_LINEAR_BACKWARD_DCORE, &train, true));
    TTM_TRY(
        slot_random(made, TTM_TT_LINEAR_BACKWARD_X, made->dtype, LAYOUT_ANY, 0.0, 1.0, 2, x_shape));
    TTM_TRY(slot_random(made, TTM_TT_LINEAR_BACKWARD_DY, made->dtype, LAYOUT_ANY, 0.0,
                        1.0 / sqrt((double)train.out), 2, y_shape));
    if (case_once_in(made, 2)) {
        const ttm_dtype type = made->slots[TTM_TT_LINEAR_BACKWARD_DCORE].dtype;
        TTM_TRY(
            slot_output(made, TTM_TT_LINEAR_BACKWARD_DBIAS, type, LAYOUT_ANY, true, 1, &train.out));
    }
    if (!case_once_in(made, 4)) {
        slot_shape(made, TTM_TT_LINEAR_BACKWARD_DX, made->dtype, LAYOUT_ANY, 2, x_shape);
    }
    return TTM_OK;
}
