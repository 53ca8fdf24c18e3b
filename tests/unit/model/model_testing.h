/* What the tests of models share: the reference backend, small configurations, and copies of flat
 * buffers on the host. */
#ifndef MODEL_TESTING_H
#define MODEL_TESTING_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <ttm/model.h>
#include <ttm/random.h>

/** A device, a stream, and the test's random numbers. */
typedef struct model_testing {
    ttm_device *device;
    ttm_stream *stream;
    ttm_random random;
} model_testing;

#define assert_ok(expression)                                            \
    do {                                                                 \
        if ((expression) != TTM_OK) {                                    \
            fail_msg("%s failed: %s", #expression, ttm_error_message()); \
        }                                                                \
    } while (0)

/* Fails with `status`, and the message has `part` in it. */
#define assert_refused(expression, status, part)                                                \
    do {                                                                                        \
        assert_int_equal(expression, status);                                                   \
        if (strstr(ttm_error_message(), part) == NULL) {                                        \
            fail_msg("%s: the message lacks '%s': %s", #expression, part, ttm_error_message()); \
        }                                                                                       \
    } while (0)

#define assert_at_most(value, limit)                                                   \
    do {                                                                               \
        const double value_ = (value);                                                 \
        const double limit_ = (limit);                                                 \
        if (!(value_ <= limit_)) {                                                     \
            fail_msg("%s = %.17g exceeds %s = %.17g", #value, value_, #limit, limit_); \
        }                                                                              \
    } while (0)

static inline ttm_random test_random(void)
{
    const char *given = getenv("TTM_TEST_SEED");
    const uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed: TTM_TEST_SEED=%" PRIu64 "\n", seed);
    return (ttm_random){seed, 0};
}

static inline int open_device(void **state)
{
    static model_testing testing;
    testing.random = test_random();
    assert_ok(ttm_device_open(&testing.device, "reference", NULL));
    assert_ok(ttm_stream_create(&testing.stream, testing.device));
    *state = &testing;
    return 0;
}

static inline int close_device(void **state)
{
    const model_testing *testing = *state;
    ttm_stream_destroy(testing->stream);
    assert_int_equal(ttm_device_memory_used(testing->device), 0);
    ttm_device_close(testing->device);
    return 0;
}

/* Width 16, 2 heads, context 12, 19 tokens; `tt` as in ttm_gpt2_config_apply_tt_spec. */
static inline ttm_gpt2_config layered_config(int64_t layers, const char *tt)
{
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    assert_ok(ttm_gpt2_config_init(&config, 19, 12, layers, 2, 16));
    assert_ok(ttm_gpt2_config_apply_tt_spec(&config, tt));
    return config;
}

static inline ttm_gpt2_config small_config(const char *tt)
{
    return layered_config(2, tt);
}

/* All parameters random and of such a size that nothing saturates, but everything matters. */
static inline double *random_parameters(model_testing *testing, ttm_model *model)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(model);
    double *values = calloc((size_t)table->buffer_count, sizeof *values);
    assert_non_null(values);
    for (size_t index = 0; index < table->count; index++) {
        const ttm_parameter *parameter = &table->items[index];
        const bool gain =
            parameter->kind == TTM_PARAMETER_NORM && strstr(parameter->name, ".weight") != NULL;
        for (int64_t element = 0; element < parameter->count; element++) {
            values[parameter->offset + element] =
                (gain ? 1.0 : 0.0) + 0.4 * ttm_random_normal(&testing->random);
        }
    }
    return values;
}

static inline ttm_tensor random_tokens(model_testing *testing, int64_t batch, int64_t seq,
                                       int64_t vocab)
{
    const int64_t shape[2] = {batch, seq};
    int32_t *values = calloc((size_t)(batch * seq), sizeof *values);
    ttm_tensor tokens;
    assert_non_null(values);
    for (int64_t index = 0; index < batch * seq; index++) {
        values[index] = (int32_t)(ttm_random_u32(&testing->random) % (uint32_t)vocab);
    }
    assert_ok(ttm_tensor_alloc(&tokens, testing->device, TTM_I32, 2, shape));
    assert_ok(ttm_tensor_write(testing->stream, &tokens, values));
    free(values);
    return tokens;
}

static inline ttm_tensor new_tensor(model_testing *testing, ttm_dtype dtype, int64_t rows,
                                    int64_t cols)
{
    const int64_t shape[2] = {rows, cols};
    ttm_tensor tensor;
    assert_ok(ttm_tensor_alloc(&tensor, testing->device, dtype, cols > 0 ? 2 : 1, shape));
    return tensor;
}

/* A tensor's elements on the host, to be freed. */
static inline void *read_tensor(model_testing *testing, const ttm_tensor *tensor)
{
    void *values = calloc((size_t)ttm_tensor_count(tensor) + 1, sizeof(double));
    assert_non_null(values);
    assert_ok(ttm_tensor_read(testing->stream, values, tensor));
    return values;
}

static inline double norm_of(const double *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t index = 0; index < count; index++) {
        sum += values[index] * values[index];
    }
    return sqrt(sum);
}

#endif
