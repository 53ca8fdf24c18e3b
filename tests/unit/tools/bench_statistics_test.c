/* The statistics behind ttm-bench: intervals that hold what they promise, comparisons that find a
 * difference and don't invent one. */
#include "bench/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/random.h>

#include <cmocka.h>

static uint64_t seed;

static void median_of_few_and_many_values(void **state)
{
    (void)state;
    const double odd[] = {5, 1, 3};
    const double even[] = {4, 1, 3, 2};
    assert_true(isnan(bench_median(odd, 0)));
    assert_float_equal(bench_median(odd, 1), 5.0, 0.0);
    assert_float_equal(bench_median(odd, 3), 3.0, 0.0);
    assert_float_equal(bench_median(even, 4), 2.5, 0.0);
    assert_float_equal(bench_quantile(even, 4, 1.0), 4.0, 0.0);
}

static void few_values_give_their_range_and_say_how_sure_that_is(void **state)
{
    (void)state;
    const double values[] = {3, 1, 2};
    const bench_interval interval = bench_median_interval(values, 3, 0.95);
    assert_float_equal(interval.low, 1.0, 0.0);
    assert_float_equal(interval.high, 3.0, 0.0);
    assert_float_equal(interval.confidence, 0.75, 1e-12); /* 1 − 2·(1/2)³ */
}

/* Of ten values the second and ninth enclose the median with 97.85 % (tables of order statistics).
 */
static void intervals_match_the_tables(void **state)
{
    (void)state;
    double values[10];
    for (int k = 0; k < 10; k++) {
        values[k] = 10.0 - k;
    }
    const bench_interval interval = bench_median_interval(values, 10, 0.95);
    assert_float_equal(interval.low, 2.0, 0.0);
    assert_float_equal(interval.high, 9.0, 0.0);
    assert_float_equal(interval.confidence, 0.978515625, 1e-9);
}

static void intervals_hold_the_median_as_often_as_they_say(void **state)
{
    (void)state;
    ttm_random random = {.seed = seed};
    int held = 0;
    enum { TRIES = 2000, COUNT = 25 };
    for (int try = 0; try < TRIES; try++) {
        double values[COUNT];
        for (int k = 0; k < COUNT; k++) {
            values[k] = exp(ttm_random_normal(&random)); /* Median 1, a long tail. */
        }
        const bench_interval interval = bench_median_interval(values, COUNT, 0.95);
        held += interval.low <= 1.0 && 1.0 <= interval.high;
    }
    assert_in_range(held, TRIES * 94 / 100, TRIES);
}

static void student_quantiles_match_the_tables(void **state)
{
    (void)state;
    assert_float_equal(bench_student_quantile(0.975, 1.0), 12.7062, 1e-3);
    assert_float_equal(bench_student_quantile(0.975, 4.0), 2.77645, 1e-4);
    assert_float_equal(bench_student_quantile(0.995, 10.0), 3.16927, 1e-4);
    assert_float_equal(bench_student_quantile(0.975, 1e6), 1.95996, 1e-4);
}

static void add_round(bench_series *series, ttm_random *random, double level, double noise)
{
    enum { VALUES = 15 };
    assert_true(bench_series_begin_round(series));
    for (int k = 0; k < VALUES; k++) {
        /* Interruptions only ever add time. */
        const double late =
            ttm_random_uniform(random) < 0.1 ? 0.5 * ttm_random_uniform(random) : 0.0;
        assert_true(
            bench_series_add(series, level * (1.0 + noise * ttm_random_normal(random) + late)));
    }
}

/* Rounds of two programs in turn on a machine whose speed drifts; B takes `ratio` of A's time. */
static bool differs(ttm_random *random, int rounds, double ratio, double confidence, double *found)
{
    bench_series a = {0};
    bench_series b = {0};
    bench_comparison comparison;
    for (int round = 0; round < rounds; round++) {
        const double drift = 1000.0 * (1.0 + 0.05 * ttm_random_normal(random));
        add_round(&a, random, drift * (1.0 + 0.004 * ttm_random_normal(random)), 0.01);
        add_round(&b, random, drift * ratio * (1.0 + 0.004 * ttm_random_normal(random)), 0.01);
    }
    assert_true(bench_compare_series(&comparison, &a, &b, confidence));
    assert_int_equal(comparison.paired, rounds >= 3);
    bench_series_free(&a);
    bench_series_free(&b);
    *found = comparison.ratio;
    return comparison.low > 1.01 || comparison.high < 1.0 / 1.01;
}

static void twenty_comparisons_of_one_program_find_at_most_one_difference(void **state)
{
    (void)state;
    enum { ENTRIES = 30, TRIES = 20 };
    ttm_random random = {.seed = seed + 1};
    int wrong = 0;
    for (int try = 0; try < TRIES; try++) {
        bool any = false;
        for (int entry = 0; entry < ENTRIES; entry++) {
            double ratio = 0.0;
            any |= differs(&random, 6, 1.0, 1.0 - 0.05 / ENTRIES, &ratio);
        }
        wrong += any;
    }
    assert_in_range(wrong, 0, 1);
}

static void a_slowdown_of_a_twentieth_is_found(void **state)
{
    (void)state;
    enum { TRIES = 20 };
    ttm_random random = {.seed = seed + 2};
    int found = 0;
    for (int try = 0; try < TRIES; try++) {
        double ratio = 0.0;
        found += differs(&random, 8, 1.05, 1.0 - 0.05 / 30.0, &ratio);
        assert_float_equal(ratio, 1.05, 0.02);
    }
    assert_in_range(found, 18, TRIES);
}

/* In a quarter of the rounds other work took up to twice the time from one of the two programs. */
static bool differs_on_a_busy_machine(ttm_random *random, double ratio)
{
    enum { ROUNDS = 32, ENTRIES = 20 };
    bench_series a = {0};
    bench_series b = {0};
    bench_comparison comparison;
    for (int round = 0; round < ROUNDS; round++) {
        double level[2] = {1000.0, 1000.0 * ratio};
        const int late = ttm_random_uniform(random) < 0.5;
        level[late] *= ttm_random_uniform(random) < 0.25 ? 1.0 + ttm_random_uniform(random) : 1.0;
        add_round(&a, random, level[0] * (1.0 + 0.004 * ttm_random_normal(random)), 0.01);
        add_round(&b, random, level[1] * (1.0 + 0.004 * ttm_random_normal(random)), 0.01);
    }
    assert_true(bench_compare_series(&comparison, &a, &b, 1.0 - 0.05 / ENTRIES));
    bench_series_free(&a);
    bench_series_free(&b);
    return comparison.low > 1.01 || comparison.high < 1.0 / 1.01;
}

/* Student's interval finds 1 in 30 of these slowdowns, signed ranks about half. */
static void rounds_that_went_wrong_hide_less_and_feign_nothing(void **state)
{
    (void)state;
    enum { TRIES = 200 };
    ttm_random random = {.seed = seed + 4};
    int found = 0;
    int wrong = 0;
    for (int try = 0; try < TRIES; try++) {
        wrong += differs_on_a_busy_machine(&random, 1.0);
        found += differs_on_a_busy_machine(&random, 1.05);
    }
    assert_in_range(wrong, 0, 2); /* 1 in 400 is expected. */
    assert_in_range(found, TRIES / 3, TRIES);
}

static void one_run_each_allows_for_what_a_run_does_by_itself(void **state)
{
    (void)state;
    bench_series a = {0};
    bench_series b = {0};
    bench_comparison comparison;
    ttm_random random = {.seed = seed + 3};
    add_round(&a, &random, 1000.0, 0.0001);
    add_round(&b, &random, 1010.0, 0.0001);
    assert_true(bench_compare_series(&comparison, &a, &b, 0.95));
    assert_false(comparison.paired);
    assert_true(comparison.low < 1.0 && comparison.high > 1.02);
    bench_series_free(&a);
    bench_series_free(&b);
}

static void too_few_values_allow_no_statement(void **state)
{
    (void)state;
    bench_series a = {0};
    bench_comparison comparison;
    assert_false(bench_series_add(&a, 1.0)); /* No round yet. */
    assert_true(bench_series_begin_round(&a));
    assert_true(bench_series_add(&a, 1.0));
    assert_false(bench_compare_series(&comparison, &a, &a, 0.95));
    bench_series_free(&a);
}

static void rounds_are_limited_and_kept_apart(void **state)
{
    (void)state;
    bench_series series = {0};
    const double *values = NULL;
    for (int round = 0; round < BENCH_MAX_ROUNDS; round++) {
        assert_true(bench_series_begin_round(&series));
        assert_true(bench_series_add(&series, round));
    }
    assert_false(bench_series_begin_round(&series));
    assert_int_equal(bench_series_round(&values, &series, 5), 1);
    assert_float_equal(values[0], 5.0, 0.0);
    assert_int_equal(bench_series_round(&values, &series, BENCH_MAX_ROUNDS - 1), 1);
    bench_series_free(&series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(median_of_few_and_many_values),
        cmocka_unit_test(few_values_give_their_range_and_say_how_sure_that_is),
        cmocka_unit_test(intervals_match_the_tables),
        cmocka_unit_test(intervals_hold_the_median_as_often_as_they_say),
        cmocka_unit_test(student_quantiles_match_the_tables),
        cmocka_unit_test(twenty_comparisons_of_one_program_find_at_most_one_difference),
        cmocka_unit_test(a_slowdown_of_a_twentieth_is_found),
        cmocka_unit_test(rounds_that_went_wrong_hide_less_and_feign_nothing),
        cmocka_unit_test(one_run_each_allows_for_what_a_run_does_by_itself),
        cmocka_unit_test(too_few_values_allow_no_statement),
        cmocka_unit_test(rounds_are_limited_and_kept_apart),
    };
    /* These tests are about chance: the seed is fixed unless one is given. */
    const char *given = getenv("TTM_TEST_SEED");
    seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("TTM_TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
