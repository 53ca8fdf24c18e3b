/* Learning-rate schedules against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "train/schedule.h"

static ttm_trainer_options options_of(ttm_schedule schedule)
{
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    options.schedule = schedule;
    options.steps = 110;
    options.warmup_steps = 10;
    options.learning_rate = 2.0;
    options.final_fraction = 0.25;
    return options;
}

static void assert_rate(ttm_schedule schedule, int64_t step, double expected)
{
    const ttm_trainer_options options = options_of(schedule);
    const double rate = ttm_schedule_learning_rate(&options, step);
    if (fabs(rate - expected) > 1e-12) {
        fail_msg("step %d: the rate is %.15g, not %.15g", (int)step, rate, expected);
    }
}

static void warm_up_rises_in_a_straight_line_for_every_schedule(void **state)
{
    (void)state;
    for (int schedule = 0; schedule < 3; schedule++) {
        assert_rate((ttm_schedule)schedule, 1, 0.2);
        assert_rate((ttm_schedule)schedule, 5, 1.0);
        assert_rate((ttm_schedule)schedule, 10, 2.0);
        assert_rate((ttm_schedule)schedule, 11, 2.0);
    }
}

static void constant_stays_at_the_peak(void **state)
{
    (void)state;
    assert_rate(TTM_SCHEDULE_CONSTANT, 60, 2.0);
    assert_rate(TTM_SCHEDULE_CONSTANT, 110, 2.0);
}

static void linear_falls_evenly_to_the_final_fraction(void **state)
{
    (void)state;
    assert_rate(TTM_SCHEDULE_LINEAR, 61, 0.5 + 1.5 * 0.5);
    assert_rate(TTM_SCHEDULE_LINEAR, 110, 0.5 + 1.5 * 0.01);
    assert_rate(TTM_SCHEDULE_LINEAR, 111, 0.5);
}

static void cosine_falls_along_half_a_cosine(void **state)
{
    (void)state;
    assert_rate(TTM_SCHEDULE_COSINE, 36, 0.5 + 1.5 * 0.5 * (1.0 + sqrt(0.5)));
    assert_rate(TTM_SCHEDULE_COSINE, 61, 0.5 + 1.5 * 0.5);
    assert_rate(TTM_SCHEDULE_COSINE, 111, 0.5);
    assert_rate(TTM_SCHEDULE_COSINE, 5000, 0.5);
}

static void a_warm_up_as_long_as_the_run_never_decays(void **state)
{
    (void)state;
    ttm_trainer_options options = options_of(TTM_SCHEDULE_COSINE);
    options.warmup_steps = options.steps;
    assert_true(ttm_schedule_learning_rate(&options, options.steps) == options.learning_rate);
    options.warmup_steps = 0;
    assert_true(ttm_schedule_learning_rate(&options, 1) == options.learning_rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(warm_up_rises_in_a_straight_line_for_every_schedule),
        cmocka_unit_test(constant_stays_at_the_peak),
        cmocka_unit_test(linear_falls_evenly_to_the_final_fraction),
        cmocka_unit_test(cosine_falls_along_half_a_cosine),
        cmocka_unit_test(a_warm_up_as_long_as_the_run_never_decays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
