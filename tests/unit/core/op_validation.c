/* Validation: what an op refuses, with which status and which words, and what can't be counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <ttm/compute.h>

static ttm_device *device;
static ttm_stream *stream;

static int open_device(void **state)
{
    (void)state;
    assert_int_equal(ttm_device_open(&device, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_stream_create(&stream, device), TTM_OK);
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    ttm_stream_destroy(stream);
    ttm_device_close(device);
    return 0;
}

static ttm_tensor tensor_new(int32_t rank, const int64_t *shape)
{
    ttm_tensor made;
    assert_int_equal(ttm_tensor_alloc(&made, device, TTM_F64, rank, shape), TTM_OK);
    assert_int_equal(ttm_tensor_zero(stream, &made), TTM_OK);
    return made;
}

static void invalid_ops_are_refused_with_the_slot_and_value(void **state)
{
    (void)state;
    ttm_tensor a = tensor_new(2, (int64_t[]){3, 4});
    ttm_tensor b = tensor_new(2, (int64_t[]){5, 6});
    ttm_tensor out = tensor_new(2, (int64_t[]){3, 6});
    assert_int_equal(ttm_matmul(stream, &out, &a, &b, NULL), TTM_ERROR_SHAPE);
    assert_non_null(strstr(ttm_error_message(), "matmul: b is f64 [5, 6]"));
    const ttm_tensor cut = ttm_tensor_slice(&b, 0, 0, 4);
    assert_int_equal(ttm_matmul(stream, &out, &a, &cut, NULL), TTM_OK);
    ttm_matmul_options options = TTM_MATMUL_OPTIONS;
    options.beta = 0.5;
    assert_int_equal(ttm_matmul(stream, &out, &a, &cut, &options), TTM_ERROR_ARGUMENT);
    ttm_tensor beyond = cut;
    beyond.stride[0] = 1000;
    assert_int_equal(ttm_matmul(stream, &out, &a, &beyond, NULL), TTM_ERROR_SHAPE);
    assert_non_null(strstr(ttm_error_message(), "beyond its allocation"));
    ttm_tensor overflowing = cut;
    overflowing.stride[0] = INT64_MAX / 2;
    assert_int_equal(ttm_matmul(stream, &out, &a, &overflowing, NULL), TTM_ERROR_SHAPE);
    const ttm_tensor repeated = ttm_tensor_broadcast(&a, 0, 2);
    assert_int_equal(ttm_fill(stream, &repeated, 1.0), TTM_ERROR_SHAPE);
    ttm_tensor single = a;
    single.dtype = TTM_F32;
    assert_int_equal(ttm_add(stream, &a, 1.0, &a, 1.0, &single), TTM_ERROR_DTYPE);
    const ttm_tensor nothing = {0};
    assert_int_equal(ttm_gelu(stream, &nothing, &a), TTM_ERROR_ARGUMENT);
    const ttm_tensor outside = ttm_tensor_slice(&a, 0, 2, 2);
    assert_false(ttm_tensor_present(&outside));
    ttm_dropout_params dropout = {.probability = 1.0};
    assert_int_equal(ttm_dropout(stream, &a, &a, NULL, &dropout), TTM_ERROR_ARGUMENT);
    ttm_tensor_free(&a, device);
    ttm_tensor_free(&b, device);
    ttm_tensor_free(&out, device);
}

/* Refusals that a plugin relies on, as it would compute something else or read elsewhere. */
static void contracts_beyond_shapes_are_kept(void **state)
{
    (void)state;
    ttm_stream *planning = NULL;
    assert_int_equal(ttm_stream_create_planning(&planning, device), TTM_OK);
    const ttm_tensor heads = ttm_tensor_describe(TTM_F32, 4, (int64_t[]){2, 3, 5, 5});
    const ttm_tensor turned = ttm_tensor_transpose(&heads, 2, 3);
    const ttm_tensor lse = ttm_tensor_describe(TTM_F32, 3, (int64_t[]){2, 3, 5});
    const ttm_attention_params attention = {.scale = 1.0};
    assert_int_equal(ttm_attention(planning, &heads, &lse, &heads, &heads, &heads, &attention),
                     TTM_OK);
    assert_int_equal(ttm_attention(planning, &heads, &lse, &heads, &turned, &heads, &attention),
                     TTM_ERROR_SHAPE);
    assert_non_null(strstr(ttm_error_message(), "k is f32 [2, 3, 5, 5]: its last stride"));
    const ttm_tensor w = ttm_tensor_describe(TTM_F32, 3, (int64_t[]){1, 6, 6});
    const ttm_tensor w_turned = ttm_tensor_transpose(&w, 1, 2);
    const ttm_tensor core = ttm_tensor_describe(TTM_F32, 5, (int64_t[]){1, 1, 6, 6, 1});
    assert_int_equal(ttm_tt_build(planning, &w, 1, &core), TTM_OK);
    assert_int_equal(ttm_tt_build(planning, &w_turned, 1, &core), TTM_ERROR_SHAPE);
    assert_int_equal(ttm_tt_gradient(planning, 1, &core, 0.0, &w_turned, &core), TTM_ERROR_SHAPE);
    const ttm_tensor tokens = ttm_tensor_describe(TTM_I32, 1, (int64_t[]){4});
    const ttm_tensor numbers = ttm_tensor_describe(TTM_F32, 1, (int64_t[]){4});
    assert_int_equal(ttm_fill(planning, &tokens, -2147483648.0), TTM_OK);
    const double no_tokens[] = {0.5, 2147483648.0, (double)NAN, 1e300};
    for (size_t k = 0; k < sizeof no_tokens / sizeof *no_tokens; k++) {
        assert_int_equal(ttm_fill(planning, &tokens, no_tokens[k]), TTM_ERROR_ARGUMENT);
        assert_int_equal(ttm_fill(planning, &numbers, no_tokens[k]), TTM_OK);
    }
    assert_int_equal(ttm_copy(planning, &tokens, &numbers), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_copy(planning, &numbers, &tokens), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_copy(planning, &tokens, &tokens), TTM_OK);
    const ttm_tensor table = ttm_tensor_describe(TTM_F32, 2, (int64_t[]){4, 3});
    assert_int_equal(ttm_embedding(planning, &table, &tokens, &table, &table, 4, INT64_MAX),
                     TTM_ERROR_SHAPE);
    ttm_stream_destroy(planning);
}

static void views_of_more_elements_than_can_be_counted_are_absent(void **state)
{
    (void)state;
    const ttm_tensor row = ttm_tensor_describe(TTM_F32, 1, (int64_t[]){4});
    const ttm_tensor many = ttm_tensor_broadcast(&row, 0, INT64_MAX / 2);
    assert_false(ttm_tensor_present(&many));
    const ttm_tensor empty = ttm_tensor_describe(TTM_F32, 3, (int64_t[]){INT64_MAX, 2, 0});
    assert_true(ttm_tensor_present(&empty));
    assert_int_equal(ttm_tensor_count(&empty), 0);
    const ttm_tensor turned = ttm_tensor_transpose(&empty, 0, 2);
    assert_int_equal(ttm_tensor_count(&turned), 0);
    const ttm_tensor pairs = ttm_tensor_describe(TTM_F32, 2, (int64_t[]){0, 2});
    const ttm_tensor far = ttm_tensor_split(&pairs, 0, 0, INT64_MAX);
    assert_false(ttm_tensor_present(&far));
    const ttm_tensor near = ttm_tensor_split(&pairs, 0, 5, 0);
    assert_int_equal(ttm_tensor_count(&near), 0);
    assert_true(ttm_tensor_present(&near));
}

/* Of the 4 x 4 numbers of `x`: operands of attention are TF32 together or not at all. */
static void check_attention_types(const ttm_tensor *x, const ttm_tensor *result)
{
    const ttm_attention_params params = {.scale = 0.5};
    const int64_t shape[] = {1, 1, 4, 4};
    const ttm_tensor f32 = ttm_tensor_view(x, 0, TTM_F32, 4, shape);
    const ttm_tensor tf32 = ttm_tensor_view(x, 0, TTM_TF32, 4, shape);
    const ttm_tensor out = ttm_tensor_view(result, 0, TTM_F32, 4, shape);
    const ttm_tensor tf32_out = ttm_tensor_view(result, 0, TTM_TF32, 4, shape);
    const ttm_tensor lse = ttm_tensor_view(x, 0, TTM_F32, 3, shape);
    ttm_tensor d[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ttm_tensor_alloc(&d[i], device, TTM_F32, 4, shape), TTM_OK);
    }
    assert_int_equal(ttm_attention(stream, &out, NULL, &tf32, &tf32, &tf32, &params), TTM_OK);
    assert_int_equal(ttm_attention(stream, &tf32_out, NULL, &tf32, &tf32, &tf32, &params),
                     TTM_ERROR_DTYPE);
    assert_int_equal(ttm_attention(stream, &out, NULL, &f32, &tf32, &tf32, &params),
                     TTM_ERROR_DTYPE);
    assert_int_equal(ttm_attention(stream, &out, NULL, &tf32, &tf32, &f32, &params),
                     TTM_ERROR_DTYPE);
    assert_int_equal(ttm_attention_backward(stream, &d[0], &d[1], &d[2], &tf32, &tf32, &tf32, &tf32,
                                            &out, &lse, &params),
                     TTM_OK);
    assert_int_equal(ttm_attention_backward(stream, &d[0], &d[1], &d[2], &f32, &tf32, &tf32, &tf32,
                                            &out, &lse, &params),
                     TTM_ERROR_DTYPE);
    assert_int_equal(ttm_attention_backward(stream, &d[0], &d[1], &d[2], &tf32, &tf32, &tf32, &tf32,
                                            &tf32_out, &lse, &params),
                     TTM_ERROR_DTYPE);
    for (int i = 0; i < 3; i++) {
        ttm_tensor_free(&d[i], device);
    }
}

/* Everywhere else the type means nothing. */
static void tf32_is_refused_but_as_operands_of_products(void **state)
{
    (void)state;
    ttm_tensor f32;
    assert_int_equal(ttm_tensor_alloc(&f32, device, TTM_F32, 2, (int64_t[]){4, 4}), TTM_OK);
    assert_int_equal(ttm_tensor_zero(stream, &f32), TTM_OK);
    ttm_tensor out = {0};
    assert_int_equal(ttm_tensor_alloc(&out, device, TTM_F32, 2, (int64_t[]){4, 4}), TTM_OK);
    ttm_tensor tf32 = f32;
    tf32.dtype = TTM_TF32;
    ttm_tensor tf32_out = out;
    tf32_out.dtype = TTM_TF32;
    assert_int_equal(ttm_matmul(stream, &out, &tf32, &tf32, NULL), TTM_OK);
    assert_int_equal(ttm_matmul(stream, &tf32_out, &tf32, &tf32, NULL), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_matmul(stream, &tf32_out, &f32, &f32, NULL), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_matmul(stream, &out, &tf32, &f32, NULL), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_matmul(stream, &out, &f32, &tf32, NULL), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_copy(stream, &out, &tf32), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_copy(stream, &tf32_out, &f32), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_gelu(stream, &tf32_out, &tf32), TTM_ERROR_DTYPE);
    assert_int_equal(ttm_fill(stream, &tf32_out, 1.0), TTM_ERROR_DTYPE);
    check_attention_types(&f32, &out);
    ttm_tensor_free(&f32, device);
    ttm_tensor_free(&out, device);
}

/* What can't be counted isn't computed in what is left of the number. */
static void a_matrix_beyond_counting_is_out_of_memory(void **state)
{
    (void)state;
    ttm_tensor cores[3];
    ttm_tensor one;
    ttm_tensor y;
    for (int k = 0; k < 3; k++) {
        const int64_t shape[5] = {1, 1, 1 << 20, k == 0 ? 16 : 1, 1};
        ttm_tensor whole;
        assert_int_equal(ttm_tensor_alloc(&whole, device, TTM_BF16, 5, shape), TTM_OK);
        assert_int_equal(ttm_tensor_zero(stream, &whole), TTM_OK);
        cores[k] = whole;
    }
    assert_int_equal(ttm_tensor_alloc(&one, device, TTM_BF16, 1, (int64_t[]){1}), TTM_OK);
    assert_int_equal(ttm_tensor_zero(stream, &one), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&y, device, TTM_BF16, 2, (int64_t[]){1, 16}), TTM_OK);
    ttm_tensor x = ttm_tensor_broadcast(&one, 0, 1);
    x.shape[1] = (int64_t)1 << 60;
    x.stride[1] = 0;
    assert_int_equal(ttm_tt_linear(stream, &y, &x, NULL, 3, cores), TTM_ERROR_OUT_OF_MEMORY);
    ttm_tensor_free(&y, device);
    ttm_tensor_free(&one, device);
    for (int k = 0; k < 3; k++) {
        ttm_tensor_free(&cores[k], device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(invalid_ops_are_refused_with_the_slot_and_value),
        cmocka_unit_test(contracts_beyond_shapes_are_kept),
        cmocka_unit_test(views_of_more_elements_than_can_be_counted_are_absent),
        cmocka_unit_test(tf32_is_refused_but_as_operands_of_products),
        cmocka_unit_test(a_matrix_beyond_counting_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
