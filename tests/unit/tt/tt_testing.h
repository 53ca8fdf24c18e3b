/* What the tests of TT-matrices share: cmocka, a seed that is printed and can be repeated, random
 * shapes. */
#ifndef TT_TESTING_H
#define TT_TESTING_H

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
#include <ttm/tt.h>

/* The test's random numbers. TTM_TEST_SEED=N repeats a run. */
static inline ttm_random test_random(void)
{
    const char *given = getenv("TTM_TEST_SEED");
    const uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    print_message("seed: TTM_TEST_SEED=%" PRIu64 "\n", seed);
    return (ttm_random){seed, 0};
}

static inline int64_t random_between(ttm_random *random, int64_t low, int64_t high)
{
    return low + (int64_t)(ttm_random_u32(random) % (uint32_t)(high - low + 1));
}

/* Modes and ranks up to the given sizes; ranks may exceed what the bonds can carry. */
static inline ttm_tt_shape random_shape(ttm_random *random, int32_t core_count, int64_t max_mode,
                                        int64_t max_rank)
{
    ttm_tt_shape shape = {.core_count = core_count};
    for (int32_t core = 0; core < core_count; core++) {
        shape.in_modes[core] = random_between(random, 1, max_mode);
        shape.out_modes[core] = random_between(random, 1, max_mode);
        shape.ranks[core] = core == 0 ? 1 : random_between(random, 1, max_rank);
    }
    shape.ranks[core_count] = 1;
    return shape;
}

static inline size_t matrix_elements(const ttm_tt_shape *shape)
{
    return (size_t)(ttm_tt_shape_in(shape) * ttm_tt_shape_out(shape));
}

static inline double *new_numbers(size_t count)
{
    double *numbers = calloc(count > 0 ? count : 1, sizeof *numbers);
    assert_non_null(numbers);
    return numbers;
}

static inline double *random_numbers(ttm_random *random, size_t count)
{
    double *numbers = new_numbers(count);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = ttm_random_normal(random);
    }
    return numbers;
}

/* A TT-matrix with standard normal numbers in its cores. */
static inline void random_tt(ttm_tt *tt, ttm_random *random, const ttm_tt_shape *shape)
{
    assert_int_equal(ttm_tt_new(tt, shape), TTM_OK);
    for (int32_t core = 0; core < shape->core_count; core++) {
        for (int64_t i = 0; i < ttm_tt_shape_core_elements(shape, core); i++) {
            tt->cores[core][i] = ttm_random_normal(random);
        }
    }
}

static inline double *materialized(const ttm_tt *tt)
{
    double *matrix = new_numbers(matrix_elements(&tt->shape));
    assert_int_equal(ttm_tt_materialize(matrix, tt), TTM_OK);
    return matrix;
}

static inline double norm_of(const double *numbers, size_t count)
{
    double largest = 0.0;
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(numbers[i]));
    }
    for (size_t i = 0; i < count && largest > 0.0; i++) {
        squares += (numbers[i] / largest) * (numbers[i] / largest);
    }
    return largest * sqrt(squares);
}

/* ‖a − b‖/‖b‖ (‖a‖ where b is 0). */
static inline double relative_distance(const double *a, const double *b, size_t count)
{
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        squares += (a[i] - b[i]) * (a[i] - b[i]);
    }
    const double norm = norm_of(b, count);
    return norm > 0.0 ? sqrt(squares) / norm : sqrt(squares);
}

/* A double compare that says both numbers. */
#define assert_at_most(value, limit)                                                   \
    do {                                                                               \
        const double value_ = (value);                                                 \
        const double limit_ = (limit);                                                 \
        if (!(value_ <= limit_)) {                                                     \
            fail_msg("%s = %.17g exceeds %s = %.17g", #value, value_, #limit, limit_); \
        }                                                                              \
    } while (0)

#define assert_message_has(part)                                            \
    do {                                                                    \
        if (strstr(ttm_error_message(), part) == NULL) {                    \
            fail_msg("message '%s' lacks '%s'", ttm_error_message(), part); \
        }                                                                   \
    } while (0)

#endif
