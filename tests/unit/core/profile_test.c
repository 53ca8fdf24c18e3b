/* Profiles: every call once, with its label, layer, route and times that make sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/profile.h>
#include <ttm/tensor.h>

#include <cmocka.h>

typedef struct fixture {
    ttm_device *device;
    ttm_stream *stream;
    ttm_tensor a;
    ttm_tensor b;
    ttm_profile *profile;
} fixture;

static int set_up(void **state)
{
    static fixture shared;
    const int64_t shape[] = {8, 8};
    memset(&shared, 0, sizeof shared);
    assert_int_equal(ttm_device_open(&shared.device, "reference", NULL), TTM_OK);
    assert_int_equal(ttm_stream_create(&shared.stream, shared.device), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&shared.a, shared.device, TTM_F32, 2, shape), TTM_OK);
    assert_int_equal(ttm_tensor_alloc(&shared.b, shared.device, TTM_F32, 2, shape), TTM_OK);
    assert_int_equal(ttm_fill(shared.stream, &shared.a, 1.0), TTM_OK);
    assert_int_equal(ttm_profile_create(&shared.profile, shared.stream, TTM_PROFILE_CALLS), TTM_OK);
    *state = &shared;
    return 0;
}

static int tear_down(void **state)
{
    fixture *shared = *state;
    ttm_profile_destroy(shared->profile);
    ttm_tensor_free(&shared->a, shared->device);
    ttm_tensor_free(&shared->b, shared->device);
    ttm_stream_destroy(shared->stream);
    ttm_device_close(shared->device);
    return 0;
}

static void calls_are_recorded_in_order_with_times_that_rise(void **state)
{
    fixture *shared = *state;
    float host[64];
    size_t count = 0;
    size_t op_count = 0;
    assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    assert_int_equal(ttm_matmul(shared->stream, &shared->b, &shared->a, &shared->a, NULL), TTM_OK);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    assert_int_equal(ttm_tensor_read(shared->stream, host, &shared->b), TTM_OK);
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
    const ttm_profile_call *calls = ttm_profile_calls(shared->profile, &count);
    const ttm_profile_op *ops = ttm_profile_ops(shared->profile, &op_count);
    assert_int_equal(count, 4);
    assert_int_equal(op_count, 3); /* The two gelus are alike. */
    assert_string_equal(ops[calls[0].op].name, "gelu");
    assert_string_equal(ops[calls[1].op].name, "matmul");
    assert_int_equal(calls[2].op, calls[0].op);
    assert_int_equal(calls[3].route, TTM_PROFILE_TRANSFER);
    assert_string_equal(ops[calls[3].op].name, "read");
    assert_string_equal(ops[calls[1].op].shapes, "f32 [8, 8] [8, 8] [8, 8]");
    assert_float_equal(ops[calls[1].op].operations, 1024.0, 0.0);
    assert_float_equal(ops[calls[1].op].bytes, 768.0, 0.0);
    uint64_t last = 0;
    for (size_t k = 0; k < count; k++) {
        assert_true(calls[k].start_ns >= last);
        assert_true(calls[k].end_ns >= calls[k].start_ns);
        assert_true(calls[k].host_end_ns >= calls[k].host_start_ns);
        last = calls[k].end_ns;
    }
    assert_true(ttm_profile_device_ns(shared->profile) >= last);
    assert_true(ttm_profile_host_ns(shared->profile) > 0);
}

static void labels_carry_the_layer(void **state)
{
    fixture *shared = *state;
    size_t count = 0;
    assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
    ttm_stream_set_layer(shared->stream, 3);
    ttm_stream_set_label(shared->stream, "mlp.c_fc");
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    ttm_stream_set_label(shared->stream, NULL);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    ttm_stream_set_layer(shared->stream, -1);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
    const ttm_profile_op *ops = ttm_profile_ops(shared->profile, &count);
    assert_int_equal(count, 3);
    assert_string_equal(ops[0].label, "layer 3 mlp.c_fc");
    assert_int_equal(ops[0].layer, 3);
    assert_string_equal(ops[1].label, "layer 3");
    assert_string_equal(ops[2].label, "");
    assert_int_equal(ops[2].layer, -1);
}

static void a_profile_starts_anew(void **state)
{
    fixture *shared = *state;
    size_t count = 0;
    for (int run = 0; run < 2; run++) {
        assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
        assert_int_equal(ttm_fill(shared->stream, &shared->b, 2.0), TTM_OK);
        assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
        ttm_profile_calls(shared->profile, &count);
        assert_int_equal(count, 1);
    }
    /* Stopped, it records nothing. */
    assert_int_equal(ttm_fill(shared->stream, &shared->b, 2.0), TTM_OK);
    ttm_profile_calls(shared->profile, &count);
    assert_int_equal(count, 1);
}

static void many_kinds_of_calls_are_told_apart(void **state)
{
    fixture *shared = *state;
    enum { KINDS = 3000 };
    size_t count = 0;
    const int64_t elements = 64;
    const ttm_tensor flat = ttm_tensor_reshape(&shared->b, 1, &elements);
    assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
    for (int64_t k = 0; k < KINDS; k++) {
        const ttm_tensor part = ttm_tensor_slice(&flat, 0, 0, 1 + k % 50);
        ttm_stream_set_layer(shared->stream, k / 50);
        assert_int_equal(ttm_fill(shared->stream, &part, 1.0), TTM_OK);
    }
    ttm_stream_set_layer(shared->stream, -1);
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
    ttm_profile_ops(shared->profile, &count);
    assert_int_equal(count, KINDS);
}

/* However many calls there are, and decomposed ones among them. */
static void totals_are_what_the_calls_add_up_to(void **state)
{
    fixture *shared = *state;
    enum { CALLS = 10000 };
    size_t count = 0;
    ttm_profile *totals = NULL;
    assert_int_equal(ttm_profile_create(&totals, shared->stream, TTM_PROFILE_TOTALS), TTM_OK);
    assert_int_equal(ttm_profile_start(totals), TTM_OK);
    for (int k = 0; k < CALLS; k++) {
        assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    }
    assert_int_equal(ttm_fill(shared->stream, &shared->b, 2.0), TTM_OK);
    assert_int_equal(ttm_profile_stop(totals), TTM_OK);
    const ttm_profile_op *ops = ttm_profile_ops(totals, &count);
    assert_int_equal(count, 2);
    assert_int_equal(ops[0].calls, CALLS);
    assert_int_equal(ops[1].calls, 1);
    assert_int_equal(ops[0].decomposed_calls + ops[0].host_calls, 0);
    assert_true(ops[0].device_ns > ops[1].device_ns);
    assert_true(ops[0].device_ns + ops[1].device_ns <= ttm_profile_device_ns(totals));
    ttm_profile_calls(totals, &count);
    assert_int_equal(count, 0);
    ttm_profile_destroy(totals);

    assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    assert_int_equal(ttm_gelu(shared->stream, &shared->b, &shared->a), TTM_OK);
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
    const ttm_profile_call *calls = ttm_profile_calls(shared->profile, &count);
    assert_int_equal(count, 2);
    ops = ttm_profile_ops(shared->profile, &count);
    assert_int_equal(ops[0].calls, 2);
    assert_int_equal(ops[0].device_ns,
                     calls[0].end_ns - calls[0].start_ns + calls[1].end_ns - calls[1].start_ns);
}

static void misuse_is_refused(void **state)
{
    fixture *shared = *state;
    ttm_profile *other = NULL;
    ttm_stream *planning = NULL;
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_profile_create(&other, shared->stream, TTM_PROFILE_CALLS), TTM_OK);
    assert_int_equal(ttm_profile_start(shared->profile), TTM_OK);
    assert_int_equal(ttm_profile_start(other), TTM_ERROR_ARGUMENT);
    ttm_profile_destroy(other);
    assert_int_equal(ttm_profile_stop(shared->profile), TTM_OK);
    assert_int_equal(ttm_stream_create_planning(&planning, shared->device), TTM_OK);
    assert_int_equal(ttm_profile_create(&other, planning, TTM_PROFILE_CALLS), TTM_ERROR_ARGUMENT);
    assert_null(other);
    ttm_stream_destroy(planning);
    ttm_profile_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(calls_are_recorded_in_order_with_times_that_rise, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(labels_carry_the_layer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_profile_starts_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_kinds_of_calls_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(totals_are_what_the_calls_add_up_to, set_up, tear_down),
        cmocka_unit_test_setup_teardown(misuse_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
