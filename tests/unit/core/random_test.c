/* Philox against the published known answers, and the distributions made of it. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/random.h"

/* The known-answer vectors that come with Random123 (philox4x32, 10 rounds). */
static void philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const uint32_t cases[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
         0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
         0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        uint32_t block[4];
        ttm_philox4x32(block, cases[i], cases[i] + 4);
        assert_memory_equal(block, cases[i] + 6, sizeof block);
    }
}

static void words_are_addressed_by_seed_and_index(void **state)
{
    (void)state;
    const uint64_t seed = 0x299f31d0a4093822u;
    const uint64_t index = 0x123456789abcdef2u;
    const uint32_t counter[4] = {(uint32_t)(index / 4), (uint32_t)(index / 4 >> 32), 0, 0};
    const uint32_t key[2] = {0xa4093822u, 0x299f31d0u};
    uint32_t block[4];
    ttm_philox4x32(block, counter, key);
    assert_int_equal(ttm_philox_u32(seed, index), block[2]);
    ttm_random random = {seed, index};
    assert_int_equal(ttm_random_u32(&random), block[2]);
    assert_int_equal(ttm_random_u32(&random), block[3]);
    assert_int_equal(random.position, index + 2);
    assert_int_equal(ttm_philox_u32(0, 1), 0xe169c58d);
}

static void uniform_numbers_stay_below_one(void **state)
{
    (void)state;
    assert_true(ttm_uniform_f32(0) == 0.0F);
    assert_true(ttm_uniform_f32(UINT32_MAX) < 1.0F);
    assert_true(ttm_uniform_f32(UINT32_MAX) == 1.0F - 0x1p-24F);
    assert_true(ttm_uniform_f64(0, 0) == 0.0);
    assert_true(ttm_uniform_f64(UINT32_MAX, UINT32_MAX) == 1.0 - 0x1p-53);
    double normals[2];
    const uint32_t extreme[4] = {UINT32_MAX, UINT32_MAX, 0, 0};
    ttm_normal_pair(normals, extreme);
    assert_true(isfinite(normals[0]) && isfinite(normals[1]));
}

/* Moments and a 64-bin chi-squared test; fixed seeds, so that the test says the same every time. */
static void uniform_numbers_fill_the_interval_evenly(void **state)
{
    (void)state;
    enum { BINS = 64, COUNT = 640000 };
    for (uint64_t seed = 1; seed <= 4; seed++) {
        int bins[BINS] = {0};
        ttm_random random = {seed, seed * 1000};
        for (int i = 0; i < COUNT; i++) {
            const double value = seed % 2 == 0 ? ttm_random_uniform(&random)
                                               : (double)ttm_random_uniform_f32(&random);
            bins[(int)(value * BINS)]++;
        }
        double chi_squared = 0.0;
        const double expected = (double)COUNT / BINS;
        for (int i = 0; i < BINS; i++) {
            chi_squared += (bins[i] - expected) * (bins[i] - expected) / expected;
        }
        assert_true(chi_squared > 63 - 45 && chi_squared < 63 + 56); /* 4 to 5 deviations */
    }
}

static void normal_numbers_have_normal_moments(void **state)
{
    (void)state;
    enum { COUNT = 1000001 };
    double *values = calloc(COUNT, sizeof *values);
    assert_non_null(values);
    ttm_random random = {42, 5};
    ttm_random_fill_normal(values, COUNT, 3.0, &random);
    assert_int_equal(random.position, 8 + 4 * ((COUNT + 1) / 2));
    double moments[5] = {0.0};
    double neighbours = 0.0;
    for (int i = 0; i < COUNT; i++) {
        const double value = values[i] / 3.0;
        double power = 1.0;
        for (int p = 0; p < 5; p++) {
            moments[p] += power / COUNT;
            power *= value;
        }
        neighbours += i > 0 ? value * values[i - 1] / 3.0 / COUNT : 0.0;
    }
    assert_true(fabs(moments[1]) < 5e-3);
    assert_true(fabs(moments[2] - 1.0) < 7e-3);
    assert_true(fabs(moments[3]) < 2e-2);
    assert_true(fabs(moments[4] - 3.0) < 5e-2);
    assert_true(fabs(neighbours) < 5e-3);
    free(values);
}

static void a_fill_equals_itself_in_f32_and_single_draws_start_its_pairs(void **state)
{
    (void)state;
    double wide[7];
    float narrow[7];
    ttm_random first = {9, 0};
    ttm_random second = {9, 0};
    ttm_random third = {9, 0};
    ttm_random_fill_normal(wide, 7, 0.5, &first);
    ttm_random_fill_normal_f32(narrow, 7, 0.5, &second);
    assert_int_equal(first.position, second.position);
    for (int i = 0; i < 7; i++) {
        assert_true(narrow[i] == (float)wide[i]);
    }
    assert_true(0.5 * ttm_random_normal(&third) == wide[0]);
    assert_true(0.5 * ttm_random_normal(&third) == wide[2]);
    ttm_random_fill_normal(wide, 0, 1.0, &first);
    assert_int_equal(first.position, second.position);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(words_are_addressed_by_seed_and_index),
        cmocka_unit_test(uniform_numbers_stay_below_one),
        cmocka_unit_test(uniform_numbers_fill_the_interval_evenly),
        cmocka_unit_test(normal_numbers_have_normal_moments),
        cmocka_unit_test(a_fill_equals_itself_in_f32_and_single_draws_start_its_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
