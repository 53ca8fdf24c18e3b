/* Dispatch: an op gives the same result run natively, decomposed into simpler ops, and staged to
 * the host. The backend under test is `reference` with a mask over its ops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/device_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/random.h>

enum { MAX_ELEMENTS = 1 << 18 };

static uint64_t seed;
static uint64_t position;
static uint32_t allowed_ops; /* Bit per opcode that the masked backend supports. */
static bool plain_products_only;
static bool takes_tf32;
static int tf32_runs; /* Ops that the masked backend got with operands of TF32. */
static int (*real_supported)(ttm_backend_device *device, const ttm_op *op);
static ttm_status (*real_run)(ttm_backend_stream *stream, const ttm_op *op);

static double random_value(void)
{
    return (double)ttm_philox_u32(seed, position++) / 4294967296.0 * 2.0 - 1.0;
}

static int64_t random_size(int64_t most)
{
    return 1 + (int64_t)(ttm_philox_u32(seed, position++) % (uint32_t)most);
}

/* *plain = the op with f32 in place of TF32; returns whether there was any. */
static bool without_tf32(ttm_op *plain, ttm_tensor slots[TTM_OP_MAX_TENSORS], const ttm_op *op)
{
    bool found = false;
    *plain = *op;
    plain->tensors = slots;
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        slots[slot] = op->tensors[slot];
        if (slots[slot].dtype == TTM_TF32) {
            slots[slot].dtype = TTM_F32;
            found = true;
        }
    }
    return found;
}

static ttm_status masked_run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    tf32_runs += without_tf32(&plain, slots, op);
    return real_run(stream, &plain);
}

static int masked_supported(ttm_backend_device *device, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    if ((allowed_ops >> op->opcode & 1u) == 0 || (without_tf32(&plain, slots, op) && !takes_tf32)) {
        return 0;
    }
    if (op->opcode == TTM_OP_MATMUL && plain_products_only) {
        const ttm_matmul_params *params = op->params;
        const ttm_tensor *out = &op->tensors[TTM_MATMUL_OUT];
        const ttm_tensor *a = &op->tensors[TTM_MATMUL_A];
        const ttm_tensor *b = &op->tensors[TTM_MATMUL_B];
        if (params->activation != TTM_ACTIVATION_NONE ||
            ttm_tensor_present(&op->tensors[TTM_MATMUL_BIAS]) ||
            ttm_tensor_present(&op->tensors[TTM_MATMUL_RESIDUAL]) || out->rank != 2 ||
            out->stride[1] != 1 || (a->stride[0] != 1 && a->stride[1] != 1) ||
            (b->stride[0] != 1 && b->stride[1] != 1)) {
            return 0;
        }
    }
    return real_supported(device, &plain);
}

/* A device of the reference backend, and one of a copy of it under another name with some ops
 * masked. */
typedef struct fixture {
    ttm_device *native;
    ttm_stream *native_stream;
    ttm_backend masked_backend;
    ttm_device masked;
    ttm_stream *masked_stream;
} fixture;

static fixture devices;

static int open_devices(void **state)
{
    (void)state;
    assert_int_equal(ttm_device_open(&devices.native, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_stream_create(&devices.native_stream, devices.native), TTM_OK);
    devices.masked_backend = *devices.native->backend;
    devices.masked_backend.name = "masked";
    real_supported = devices.masked_backend.op_supported;
    real_run = devices.masked_backend.op_run;
    devices.masked_backend.op_supported = masked_supported;
    devices.masked_backend.op_run = masked_run;
    devices.masked.backend = &devices.masked_backend;
    devices.masked.handle = devices.native->handle;
    devices.masked.info = devices.native->info;
    assert_int_equal(ttm_stream_create(&devices.masked_stream, &devices.masked), TTM_OK);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    ttm_stream_destroy(devices.masked_stream);
    ttm_stream_destroy(devices.native_stream);
    ttm_device_close(devices.native);
    return 0;
}

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

static void mask(uint32_t ops, bool plain)
{
    allowed_ops = ops;
    plain_products_only = plain;
    ttm_stream_reset_statistics(devices.masked_stream);
}

static const uint32_t simple_ops = 1u << TTM_OP_COPY | 1u << TTM_OP_ADD | 1u << TTM_OP_MATMUL |
                                   1u << TTM_OP_GELU | 1u << TTM_OP_GELU_BACKWARD |
                                   1u << TTM_OP_REDUCE_ROWS;

static uint64_t fallbacks(void)
{
    uint64_t count = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        count += ttm_stream_statistics(devices.masked_stream, (ttm_opcode)opcode).fallback_calls;
    }
    return count;
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

/* ---- TF32 ---- */

/* x·yᵀ + bias of f32, or of TF32 where `tf32` is set, on the masked device. With `odd` no stride of
 * x is 1. */
static void single_product(float result[12], const float *numbers, bool tf32, bool odd)
{
    ttm_tensor x;
    ttm_tensor y;
    ttm_tensor out;
    ttm_device *device = &devices.masked;
    ttm_stream *stream = devices.masked_stream;
    assert_int_equal(ttm_tensor_alloc(&x, device, TTM_F32, 3, (int64_t[]){3, 5, 2}), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&y, device, TTM_F32, 2, (int64_t[]){4, 5}), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&out, device, TTM_F32, 2, (int64_t[]){3, 4}), TTM_OK);
    assert_int_equal(ttm_tensor_write(stream, &x, numbers), TTM_OK);
    assert_int_equal(ttm_tensor_write(stream, &y, numbers + 30), TTM_OK);
    ttm_tensor a = ttm_tensor_view(&x, 0, tf32 ? TTM_TF32 : TTM_F32, 2, (int64_t[]){3, 5});
    a.stride[0] = odd ? 10 : 5;
    a.stride[1] = odd ? 2 : 1;
    ttm_tensor b = ttm_tensor_transpose(&y, 0, 1);
    b.dtype = a.dtype;
    const ttm_tensor bias = ttm_tensor_view(&y, 3, TTM_F32, 1, (int64_t[]){4});
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.bias = &bias;
    assert_int_equal(ttm_matmul(stream, &out, &a, &b, &options), TTM_OK);
    assert_int_equal(ttm_tensor_read(stream, result, &out), TTM_OK);
    ttm_tensor_free(&x, device);
    ttm_tensor_free(&y, device);
    ttm_tensor_free(&out, device);
}

/* How many products of TF32 operands reach the backend as such; the results are f32's. */
static int tf32_products(bool odd)
{
    float numbers[50];
    float plain[12];
    float result[12];
    for (int i = 0; i < 50; i++) {
        numbers[i] = (float)random_value();
    }
    single_product(plain, numbers, false, odd);
    tf32_runs = 0;
    single_product(result, numbers, true, odd);
    assert_memory_equal(result, plain, sizeof plain);
    return tf32_runs;
}

static void tf32_is_offered_and_withdrawn(void **state)
{
    (void)state;
    mask(simple_ops, false);
    takes_tf32 = false;
    assert_int_equal(tf32_products(false), 0);
    assert_int_equal(fallbacks(), 0);
    takes_tf32 = true;
    assert_int_equal(tf32_products(false), 1);
    devices.masked_backend.abi_minor = 4;
    assert_int_equal(tf32_products(false), 0);
    devices.masked_backend.abi_minor = TTM_BACKEND_ABI_MINOR;
    plain_products_only = true; /* the operands keep their type when the op is decomposed */
    assert_int_equal(tf32_products(false), 1);
    assert_int_equal(tf32_products(true), 1);
    mask(simple_ops & ~(1u << TTM_OP_MATMUL), false);
    assert_int_equal(tf32_products(false), 0);
    assert_int_equal(fallbacks(), 2);
    takes_tf32 = false;
}

/* Attention and its gradients of TF32 operands on the masked device; returns how many of both reach
 * the backend as such. The results are f32's. */
static int tf32_attention(void)
{
    static const int64_t shape[] = {1, 2, 3, 4};
    const ttm_attention_params params = {.scale = 0.5, .causal = 1};
    ttm_device *device = &devices.masked;
    ttm_stream *stream = devices.masked_stream;
    ttm_tensor all[9]; /* as ATTENTION_BACKWARD's */
    float values[24];
    float results[2][4][24];
    for (int slot = 0; slot < 9; slot++) {
        assert_int_equal(ttm_tensor_alloc(&all[slot], device, TTM_F32,
                                          slot == TTM_ATTENTION_BACKWARD_LSE ? 3 : 4, shape),
                         TTM_OK);
        for (int i = 0; i < 24; i++) {
            values[i] = (float)random_value();
        }
        assert_int_equal(ttm_tensor_write(stream, &all[slot], values), TTM_OK);
    }
    for (int tf32 = 0; tf32 < 2; tf32++) {
        static const int read[] = {TTM_ATTENTION_BACKWARD_DQ, TTM_ATTENTION_BACKWARD_DK,
                                   TTM_ATTENTION_BACKWARD_DV, TTM_ATTENTION_BACKWARD_OUT};
        ttm_tensor in[4]; /* dout, q, k, v */
        for (int i = 0; i < 4; i++) {
            in[i] = all[TTM_ATTENTION_BACKWARD_DOUT + i];
            in[i].dtype = tf32 ? TTM_TF32 : TTM_F32;
        }
        tf32_runs = 0;
        assert_int_equal(ttm_attention(stream, &all[TTM_ATTENTION_BACKWARD_OUT],
                                       &all[TTM_ATTENTION_BACKWARD_LSE], &in[1], &in[2], &in[3],
                                       &params),
                         TTM_OK);
        assert_int_equal(ttm_attention_backward(stream, &all[0], &all[1], &all[2], &in[0], &in[1],
                                                &in[2], &in[3], &all[TTM_ATTENTION_BACKWARD_OUT],
                                                &all[TTM_ATTENTION_BACKWARD_LSE], &params),
                         TTM_OK);
        for (int i = 0; i < 4; i++) {
            assert_int_equal(ttm_tensor_read(stream, results[tf32][i], &all[read[i]]), TTM_OK);
        }
    }
    for (int slot = 0; slot < 9; slot++) {
        ttm_tensor_free(&all[slot], device);
    }
    assert_memory_equal(results[0], results[1], sizeof results[0]);
    return tf32_runs;
}

static void tf32_of_attention_is_newer_than_that_of_products(void **state)
{
    (void)state;
    const uint32_t both = 1u << TTM_OP_ATTENTION | 1u << TTM_OP_ATTENTION_BACKWARD;
    mask(simple_ops | both, false);
    takes_tf32 = false;
    assert_int_equal(tf32_attention(), 0);
    assert_int_equal(fallbacks(), 0);
    takes_tf32 = true;
    assert_int_equal(tf32_attention(), 2);
    devices.masked_backend.abi_minor = 5;
    assert_int_equal(tf32_attention(), 0);
    assert_int_equal(tf32_products(false), 1);
    assert_int_equal(fallbacks(), 0);
    devices.masked_backend.abi_minor = TTM_BACKEND_ABI_MINOR;
    mask(simple_ops & ~both, false);
    assert_int_equal(tf32_attention(), 0);
    assert_int_equal(fallbacks(), 4);
    takes_tf32 = false;
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
    const char *wanted = getenv("TTM_TEST_SEED");
    seed = wanted != NULL ? strtoull(wanted, NULL, 10) : 20261123;
    printf("seed %" PRIu64 " (repeat with TTM_TEST_SEED)\n", seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_product_with_any_epilogue_equals_its_decomposition),
        cmocka_unit_test(a_product_without_support_runs_on_the_host),
        cmocka_unit_test(a_product_of_a_layer_norm_equals_its_decomposition),
        cmocka_unit_test(a_plugin_is_not_asked_for_ops_that_came_after_it),
        cmocka_unit_test(tf32_is_offered_and_withdrawn),
        cmocka_unit_test(tf32_of_attention_is_newer_than_that_of_products),
        cmocka_unit_test(tt_ops_equal_their_decompositions),
        cmocka_unit_test(permutations_of_many_axes_stay_on_the_device),
        cmocka_unit_test(a_backend_without_any_op_still_computes),
        cmocka_unit_test(staged_views_of_one_buffer_keep_their_places),
        cmocka_unit_test(endless_sequences_have_positions),
        cmocka_unit_test(a_planning_stream_needs_no_memory_and_counts),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
