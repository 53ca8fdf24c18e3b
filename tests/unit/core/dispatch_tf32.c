/* Dispatch of TF32: a backend that takes it gets it, another gets the op with f32, and the results
 * are those of f32 wherever they are computed. The backend under test is `reference`, which makes
 * nothing of it. */
#include "masked_device.h"

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

int main(void)
{
    seed = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tf32_is_offered_and_withdrawn),
        cmocka_unit_test(tf32_of_attention_is_newer_than_that_of_products),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
