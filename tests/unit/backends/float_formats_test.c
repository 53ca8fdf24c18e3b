/* bf16 and f16 conversions: every 16-bit value, and rounding to nearest even in one step. */
#include "common/float_formats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h> /* needs the standard headers above */

typedef uint16_t (*narrow)(double value);
typedef float (*widen)(uint16_t value);

static uint16_t bf16_by_float(double value)
{
    return bf16_from_float((float)value);
}

static uint16_t f16_by_float(double value)
{
    return f16_from_float((float)value);
}

/* Every value that isn't NaN comes back with its own bits, every NaN as a NaN of its sign. */
static void check_round_trip(widen to_float, narrow back)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        const float value = to_float((uint16_t)bits);
        const uint16_t again = back(value);
        if (isnan(value)) {
            assert_true(isnan(to_float(again)));
            assert_int_equal(again >> 15, bits >> 15);
        } else {
            assert_int_equal(again, bits);
        }
    }
}

static void every_16_bit_value_survives_a_round_trip(void **state)
{
    (void)state;
    check_round_trip(bf16_to_float, bf16_by_float);
    check_round_trip(bf16_to_float, bf16_from_double);
    check_round_trip(f16_to_float, f16_by_float);
    check_round_trip(f16_to_float, f16_from_double);
}

/* Between neighbouring finite values: the middle goes to the even one, and what lies beside the
 * middle, however little, to the nearer one. In double the distance is far below an f32 ulp, so
 * that rounding twice would show. */
static void check_middles(widen to_float, narrow round, uint32_t infinity)
{
    for (uint32_t bits = 0; bits + 1 < infinity; bits++) {
        const double low = to_float((uint16_t)bits);
        const double high = to_float((uint16_t)(bits + 1));
        const double middle = low + (high - low) / 2.0;
        const uint16_t even = (uint16_t)(bits % 2 == 0 ? bits : bits + 1);
        assert_int_equal(round(middle), even);
        assert_int_equal(round(-middle), even | 0x8000);
        assert_int_equal(round(nextafter(middle, low)), bits);
        assert_int_equal(round(nextafter(middle, high)), bits + 1);
        assert_int_equal(round(-nextafter(middle, high)), (bits + 1) | 0x8000);
    }
}

static void doubles_are_rounded_once_to_nearest_even(void **state)
{
    (void)state;
    check_middles(bf16_to_float, bf16_from_double, 0x7f80);
    check_middles(f16_to_float, f16_from_double, 0x7c00);
}

static void what_is_too_large_becomes_an_infinity(void **state)
{
    (void)state;
    assert_int_equal(f16_from_double(65519.999999999), 0x7bff);
    assert_int_equal(f16_from_double(65520.0), 0x7c00);
    assert_int_equal(f16_from_double(-1e300), 0xfc00);
    assert_int_equal(bf16_from_double(1e300), 0x7f80);
    assert_int_equal(bf16_from_double((double)-INFINITY), 0xff80);
    assert_int_equal(bf16_from_double(0x1.fefp127), 0x7f7f);
    assert_int_equal(bf16_from_double(0x1.ffp127), 0x7f80);
}

static void what_is_too_small_becomes_zero_with_its_sign(void **state)
{
    (void)state;
    assert_int_equal(f16_from_double(0x1p-25), 0);
    assert_int_equal(f16_from_double(0x1.0000000000001p-25), 1);
    assert_int_equal(f16_from_double(-1e-300), 0x8000);
    assert_int_equal(bf16_from_double(0x1p-134), 0);
    assert_int_equal(bf16_from_double(0x1.0000000000001p-134), 1);
    assert_int_equal(bf16_from_double(-0.0), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_16_bit_value_survives_a_round_trip),
        cmocka_unit_test(doubles_are_rounded_once_to_nearest_even),
        cmocka_unit_test(what_is_too_large_becomes_an_infinity),
        cmocka_unit_test(what_is_too_small_becomes_zero_with_its_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
