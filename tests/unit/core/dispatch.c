/* Dispatch: an op gives the same result run natively, decomposed into simpler ops, and staged to
 * the host. The backend under test is `reference` with a mask over its ops. */
#include "masked_device.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_ELEMENTS = 1 << 18 };

/* Tensors of one test: each exists twice, with the same random content, on the native and on the
 * masked device. */
typedef struct pair {
    ttm_tensor native;
    ttm_tensor masked;
} pair;

static double content[MAX_ELEMENTS];
static double other[MAX_ELEMENTS];

static pair pair_new(int32_t rank, const int64_t *shape)
{
    pair made;
    assert_int_equal(ttm_tensor_alloc(&made.native, devices.native, TTM_F64, rank, shape), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&made.masked, &devices.masked, TTM_F64, rank, shape), TTM_OK);
    const int64_t count = ttm_tensor_count(&made.native);
    assert_true(count <= MAX_ELEMENTS);
    for (int64_t i = 0; i < count; i++) {
        content[i] = random_value();
    }
    assert_int_equal(ttm_tensor_write(devices.native_stream, &made.native, content), TTM_OK);
    assert_int_equal(ttm_tensor_write(devices.masked_stream, &made.masked, content), TTM_OK);
    return made;
}

static void pair_free(pair *both)
{
    ttm_tensor_free(&both->native, devices.native);
    ttm_tensor_free(&both->masked, &devices.masked);
}

static void assert_pair_equal(const pair *both)
{
    const int64_t count = ttm_tensor_count(&both->native);
    assert_int_equal(ttm_tensor_read(devices.native_stream, content, &both->native), TTM_OK);
    assert_int_equal(ttm_tensor_read(devices.masked_stream, other, &both->masked), TTM_OK);
    for (int64_t i = 0; i < count; i++) {
        if (!(fabs(content[i] - other[i]) <= 1e-10 * (1.0 + fabs(content[i])))) {
            fail_msg("element %" PRId64 " is %.17g, not %.17g (seed %" PRIu64 ")", i, other[i],
                     content[i], seed);
        }
    }
}

/* ---- Products ---- */

static void product_case(int trial)
{
    const int32_t batch = trial % 3;
    const int64_t extra = trial % 2; /* Rows of the parents that the views leave out. */
    int64_t b[2] = {random_size(3), random_size(2)};
    const int64_t m = random_size(9);
    const int64_t n = random_size(9);
    const int64_t k = random_size(9);
    int64_t out_shape[4] = {b[0], b[1], m + extra, n};
    int64_t a_shape[4] = {b[0], b[1], k, m + extra};
    int64_t b_shape[4] = {b[0], b[1], n + extra, k};
    const int32_t rank = 2 + batch;
    pair out = pair_new(rank, out_shape + 2 - batch);
    pair pre = pair_new(rank, out_shape + 2 - batch);
    pair residual = pair_new(rank, out_shape + 2 - batch);
    pair x = pair_new(rank, a_shape + 2 - batch);
    pair y = pair_new(rank, b_shape + 2 - batch);
    pair bias = pair_new(1, &n);
    for (int side = 0; side < 2; side++) {
        ttm_stream *stream = side == 0 ? devices.native_stream : devices.masked_stream;
#define SIDE(both) (side == 0 ? &(both).native : &(both).masked)
        const ttm_tensor out_view = ttm_tensor_slice(SIDE(out), rank - 2, 0, m);
        const ttm_tensor pre_view = ttm_tensor_slice(SIDE(pre), rank - 2, extra, m);
        const ttm_tensor residual_view = ttm_tensor_slice(SIDE(residual), rank - 2, extra, m);
        const ttm_tensor a_part = ttm_tensor_slice(SIDE(x), rank - 1, 0, m);
        const ttm_tensor b_part = ttm_tensor_slice(SIDE(y), rank - 2, extra, n);
        const ttm_tensor a_view = ttm_tensor_transpose(&a_part, rank - 2, rank - 1);
        const ttm_tensor b_view = ttm_tensor_transpose(&b_part, rank - 2, rank - 1);
        ttm_matmul_options options = TTM_MATMUL_OPTIONS;
        options.alpha = 0.5;
        options.beta = trial % 5 == 0 ? 1.0 : 0.0;
        options.activation = (ttm_activation)(trial / 2 % 3);
        options.bias = trial % 4 != 0 ? SIDE(bias) : NULL;
        options.residual = trial % 7 < 3 ? &residual_view : NULL;
        if (trial % 11 == 0 && options.beta == 0.0) {
            options.residual = &out_view;
        }
        const bool needs_pre = options.activation == TTM_ACTIVATION_GELU_BACKWARD;
        options.pre = needs_pre || (options.activation == TTM_ACTIVATION_GELU && trial % 2 == 0)
                          ? &pre_view
                          : NULL;
        assert_int_equal(ttm_matmul(stream, &out_view, &a_view, &b_view, &options), TTM_OK);
    }
    pair *all[] = {&out, &pre, &residual, &x, &y, &bias};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_pair_equal(all[i]);
        pair_free(all[i]);
    }
}

static void a_product_with_any_epilogue_equals_its_decomposition(void **state)
{
    (void)state;
    mask(simple_ops, true);
    for (int trial = 0; trial < 240; trial++) {
        product_case(trial);
    }
    assert_int_equal(fallbacks(), 0);
    assert_true(ttm_stream_statistics(devices.masked_stream, TTM_OP_MATMUL).decomposed_calls > 100);
}

static void a_product_without_support_runs_on_the_host(void **state)
{
    (void)state;
    mask(1u << TTM_OP_COPY, false);
    for (int trial = 0; trial < 60; trial++) {
        product_case(trial);
    }
    const ttm_op_statistics statistics =
        ttm_stream_statistics(devices.masked_stream, TTM_OP_MATMUL);
    assert_int_equal(statistics.fallback_calls, 60);
    assert_true(statistics.fallback_bytes > 0);
}

/* ---- Products of a layer norm ---- */

static void norm_product_case(int trial)
{
    const int64_t extra = trial % 2; /* Rows of the parents that the views leave out. */
    const int64_t m = random_size(9);
    const int64_t n = random_size(9);
    const int64_t k = 1 + random_size(9);
    pair out = pair_new(2, (int64_t[]){m + extra, n});
    pair x = pair_new(2, (int64_t[]){m + extra, k});
    pair gamma = pair_new(1, &k);
    pair beta = pair_new(1, &k);
    pair b = pair_new(2, (int64_t[]){n + extra, k});
    pair bias = pair_new(1, &n);
    for (int side = 0; side < 2; side++) {
        ttm_stream *stream = side == 0 ? devices.native_stream : devices.masked_stream;
        const ttm_tensor out_view = ttm_tensor_slice(SIDE(out), 0, 0, m);
        const ttm_tensor x_view = ttm_tensor_slice(SIDE(x), 0, extra, m);
        const ttm_tensor b_part = ttm_tensor_slice(SIDE(b), 0, extra, n);
        const ttm_tensor b_view = ttm_tensor_transpose(&b_part, 0, 1);
        assert_int_equal(ttm_norm_matmul(stream, &out_view, &x_view, SIDE(gamma), SIDE(beta),
                                         &b_view, trial % 3 == 0 ? NULL : SIDE(bias),
                                         1e-3 * (1 + trial % 5),
                                         trial % 4 < 2 ? TTM_ACTIVATION_GELU : TTM_ACTIVATION_NONE),
                         TTM_OK);
    }
    pair *all[] = {&out, &x, &gamma, &beta, &b, &bias};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_pair_equal(all[i]);
        pair_free(all[i]);
    }
}

static uint64_t decomposed_norm_products(void)
{
    return ttm_stream_statistics(devices.masked_stream, TTM_OP_NORM_MATMUL).decomposed_calls;
}

static void a_product_of_a_layer_norm_equals_its_decomposition(void **state)
{
    (void)state;
    mask(simple_ops | 1u << TTM_OP_LAYER_NORM, true);
    for (int trial = 0; trial < 60; trial++) {
        norm_product_case(trial);
    }
    assert_int_equal(fallbacks(), 0);
    assert_int_equal(decomposed_norm_products(), 60);
}

/* A plugin that looks at the number of an op only may take one that it can't know. */
static void a_plugin_is_not_asked_for_ops_that_came_after_it(void **state)
{
    (void)state;
    mask(~0u, false);
    norm_product_case(1);
    assert_int_equal(decomposed_norm_products(), 0);
    devices.masked_backend.abi_minor = 3;
    norm_product_case(2);
    devices.masked_backend.abi_minor = TTM_BACKEND_ABI_MINOR;
    assert_int_equal(decomposed_norm_products(), 1);
    assert_int_equal(fallbacks(), 0);
}

/* ---- TT ops ---- */

typedef struct tt_case {
    int32_t core_count;
    int64_t layers;
    int64_t rows;
    int64_t in;
    int64_t out;
    pair cores[TTM_OP_MAX_CORES];
    pair dcores[TTM_OP_MAX_CORES];
    pair x;
    pair y;
    pair dx;
    pair dy;
    pair bias;
    pair dbias;
    pair w;
    pair dw;
} tt_case;

/* Modes and ranks have at least `least` elements, 1 or 2. */
static void tt_case_new(tt_case *made, int32_t core_count, int64_t layers, int64_t least)
{
    const int64_t surplus = (core_count > 5 ? 2 : 3) - least + 1;
    made->core_count = core_count;
    made->layers = layers;
    made->rows = random_size(5);
    made->in = 1;
    made->out = 1;
    int64_t rank = 1;
    for (int32_t k = 0; k < core_count; k++) {
        const int64_t next = k + 1 < core_count ? least - 1 + random_size(4 - least) : 1;
        const int64_t shape[5] = {layers, rank, least - 1 + random_size(surplus),
                                  least - 1 + random_size(surplus), next};
        made->cores[k] = pair_new(5, shape);
        made->dcores[k] = pair_new(5, shape);
        made->in *= shape[2];
        made->out *= shape[3];
        rank = next;
    }
    made->x = pair_new(2, (int64_t[]){made->rows, made->in + 1});
    made->y = pair_new(2, (int64_t[]){made->rows, made->out + 2});
    made->dx = pair_new(2, (int64_t[]){made->rows, made->in + 2});
    made->dy = pair_new(2, (int64_t[]){made->rows, made->out + 1});
    made->bias = pair_new(1, &made->out);
    made->dbias = pair_new(1, &made->out);
    made->w = pair_new(3, (int64_t[]){layers, made->in, made->out + 1});
    made->dw = pair_new(3, (int64_t[]){layers, made->in, made->out + 1});
}

static void tt_case_check(tt_case *used)
{
    for (int32_t k = 0; k < used->core_count; k++) {
        assert_pair_equal(&used->cores[k]);
        assert_pair_equal(&used->dcores[k]);
        pair_free(&used->cores[k]);
        pair_free(&used->dcores[k]);
    }
    pair *all[] = {&used->x,    &used->y,     &used->dx, &used->dy,
                   &used->bias, &used->dbias, &used->w,  &used->dw};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_pair_equal(all[i]);
        pair_free(all[i]);
    }
}

static void run_tt_ops(const tt_case *used, int side, int trial)
{
    ttm_stream *stream = side == 0 ? devices.native_stream : devices.masked_stream;
    ttm_tensor cores[TTM_OP_MAX_CORES];
    ttm_tensor dcores[TTM_OP_MAX_CORES];
    for (int32_t k = 0; k < used->core_count; k++) {
        cores[k] = *SIDE(used->cores[k]);
        dcores[k] = *SIDE(used->dcores[k]);
    }
    const ttm_tensor w = ttm_tensor_slice(SIDE(used->w), 2, 0, used->out);
    const ttm_tensor dw = ttm_tensor_slice(SIDE(used->dw), 2, 1, used->out);
    const double beta = trial % 2 == 0 ? 1.0 : 0.0;
    assert_int_equal(ttm_tt_build(stream, &w, used->core_count, cores), TTM_OK);
    assert_int_equal(ttm_tt_gradient(stream, used->core_count, dcores, beta, &dw, cores), TTM_OK);
    if (used->layers != 1) {
        return;
    }
    const int64_t pad = trial % 3 == 0 ? 0 : 1; /* Contiguous or strided rows. */
    const ttm_tensor x = ttm_tensor_slice(SIDE(used->x), 1, pad, used->in);
    const ttm_tensor y = ttm_tensor_slice(SIDE(used->y), 1, pad, used->out);
    const ttm_tensor dx = ttm_tensor_slice(SIDE(used->dx), 1, pad, used->in);
    const ttm_tensor dy = ttm_tensor_slice(SIDE(used->dy), 1, pad, used->out);
    const bool biased = trial % 4 < 2;
    assert_int_equal(
        ttm_tt_linear(stream, &y, &x, biased ? SIDE(used->bias) : NULL, used->core_count, cores),
        TTM_OK);
    assert_int_equal(ttm_tt_linear_backward(stream, trial % 5 == 0 ? NULL : &dx,
                                            biased ? SIDE(used->dbias) : NULL, used->core_count,
                                            dcores, &dy, &x, cores),
                     TTM_OK);
}

static void tt_ops_equal_their_decompositions(void **state)
{
    (void)state;
    mask(simple_ops, true);
    for (int trial = 0; trial < 200; trial++) {
        tt_case used;
        tt_case_new(&used, 1 + trial % 8, 1 + trial / 8 % 3, 1);
        run_tt_ops(&used, 0, trial);
        const uint64_t before = fallbacks();
        run_tt_ops(&used, 1, trial);
        assert_int_equal(fallbacks(), before);
        tt_case_check(&used);
    }
    assert_true(ttm_stream_statistics(devices.masked_stream, TTM_OP_TT_LINEAR).decomposed_calls >
                50);
}

/* Five cores and more are contracted by way of tensors of more dimensions than one may have. */
static void permutations_of_many_axes_stay_on_the_device(void **state)
{
    (void)state;
    mask(simple_ops, true);
    const uint64_t before = fallbacks();
    for (int trial = 0; trial < 40; trial++) {
        tt_case used;
        tt_case_new(&used, 5 + trial % 4, 1, 2);
        run_tt_ops(&used, 0, trial);
        run_tt_ops(&used, 1, trial);
        tt_case_check(&used);
    }
    assert_int_equal(fallbacks(), before);
}

static void a_backend_without_any_op_still_computes(void **state)
{
    (void)state;
    mask(0, false);
    for (int trial = 0; trial < 24; trial++) {
        tt_case used;
        tt_case_new(&used, 1 + trial % 4, 1, 1);
        run_tt_ops(&used, 0, trial);
        run_tt_ops(&used, 1, trial);
        tt_case_check(&used);
    }
    assert_true(fallbacks() >= 96);
}

/* Views of one buffer that interleave must not overwrite each other when they are staged. */
static void staged_views_of_one_buffer_keep_their_places(void **state)
{
    (void)state;
    mask(0, false);
    const int64_t time = 5;
    const int64_t heads = 2;
    const int64_t size = 3;
    const int64_t width = heads * size;
    pair qkv = pair_new(3, (int64_t[]){1, time, 3 * width});
    pair dqkv = pair_new(3, (int64_t[]){1, time, 3 * width});
    pair out = pair_new(3, (int64_t[]){1, time, width});
    pair dout = pair_new(3, (int64_t[]){1, time, width});
    pair lse = pair_new(3, (int64_t[]){1, heads, time});
    const ttm_attention_params params = {.scale = 0.5, .causal = 1, .dropout = 0.25, .seed = 7};
    for (int side = 0; side < 2; side++) {
        ttm_stream *stream = side == 0 ? devices.native_stream : devices.masked_stream;
        ttm_tensor part[8];
        const ttm_tensor *parents[8] = {SIDE(qkv),  SIDE(qkv),  SIDE(qkv), SIDE(dqkv),
                                        SIDE(dqkv), SIDE(dqkv), SIDE(out), SIDE(dout)};
        for (int i = 0; i < 8; i++) {
            const ttm_tensor columns =
                ttm_tensor_slice(parents[i], 2, i < 6 ? i % 3 * width : 0, width);
            const ttm_tensor split = ttm_tensor_split(&columns, 2, heads, size);
            part[i] = ttm_tensor_transpose(&split, 1, 2);
        }
        assert_int_equal(
            ttm_attention(stream, &part[6], SIDE(lse), &part[0], &part[1], &part[2], &params),
            TTM_OK);
        assert_int_equal(ttm_attention_backward(stream, &part[3], &part[4], &part[5], &part[7],
                                                &part[0], &part[1], &part[2], &part[6], SIDE(lse),
                                                &params),
                         TTM_OK);
    }
    pair *all[] = {&qkv, &dqkv, &out, &dout, &lse};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        assert_pair_equal(all[i]);
        pair_free(all[i]);
    }
}

/* ---- Endless sequences, and planning ---- */

/* A sequence of any length is one that its rows never get to the end of. */
static void endless_sequences_have_positions(void **state)
{
    (void)state;
    mask(~0u, false);
    ttm_stream *stream = devices.native_stream;
    pair dpositions = pair_new(2, (int64_t[]){6, 3});
    pair dtable = pair_new(2, (int64_t[]){4, 3});
    pair dout = pair_new(2, (int64_t[]){5, 3});
    ttm_tensor tokens;
    const int32_t numbers[] = {3, 1, 1, 0, 2};
    assert_int_equal(ttm_tensor_alloc(&tokens, devices.native, TTM_I32, 1, (int64_t[]){5}), TTM_OK);
    assert_int_equal(ttm_tensor_write(stream, &tokens, numbers), TTM_OK);
    assert_int_equal(ttm_embedding_backward(stream, &dtable.native, &dpositions.native,
                                            &dout.native, &tokens, INT64_MAX, 1),
                     TTM_OK);
    assert_int_equal(ttm_embedding_backward(stream, &dtable.masked, &dpositions.masked,
                                            &dout.masked, &tokens, 5, 1),
                     TTM_OK);
    assert_pair_equal(&dpositions);
    assert_pair_equal(&dtable);
    ttm_tensor_free(&tokens, devices.native);
    pair_free(&dout);
    pair_free(&dtable);
    pair_free(&dpositions);
}

static void a_planning_stream_needs_no_memory_and_counts(void **state)
{
    (void)state;
    mask(simple_ops, true);
    ttm_stream *plan = NULL;
    assert_int_equal(ttm_stream_create_planning(&plan, &devices.masked), TTM_OK);
    const ttm_tensor a = ttm_tensor_describe(TTM_F64, 2, (int64_t[]){30, 40});
    const ttm_tensor b = ttm_tensor_describe(TTM_F64, 2, (int64_t[]){40, 50});
    const ttm_tensor out = ttm_tensor_describe(TTM_F64, 2, (int64_t[]){30, 50});
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.residual = &out;
    assert_int_equal(ttm_matmul(plan, &out, &a, &b, &options), TTM_OK);
    assert_true(ttm_stream_workspace_bytes(plan) >= 30 * 50 * 8);
    assert_true(ttm_stream_statistics(plan, TTM_OP_MATMUL).operations == 2.0 * 30 * 40 * 50);
    ttm_stream_destroy(plan);
}

int main(void)
{
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_with_any_epilogue_equals_its_decomposition),
        cmocka_unit_test(a_product_without_support_runs_on_the_host),
        cmocka_unit_test(a_product_of_a_layer_norm_equals_its_decomposition),
        cmocka_unit_test(a_plugin_is_not_asked_for_ops_that_came_after_it),
        cmocka_unit_test(tt_ops_equal_their_decompositions),
        cmocka_unit_test(permutations_of_many_axes_stay_on_the_device),
        cmocka_unit_test(a_backend_without_any_op_still_computes),
        cmocka_unit_test(staged_views_of_one_buffer_keep_their_places),
        cmocka_unit_test(endless_sequences_have_positions),
        cmocka_unit_test(a_planning_stream_needs_no_memory_and_counts),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
