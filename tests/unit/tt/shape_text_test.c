/* The textual form of shapes: round trips, and everything that isn't one. */
#include "tt_testing.h"

static void a_shape_survives_its_text(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int i = 0; i < 500; i++) {
        const int32_t cores = (int32_t)random_between(&random, 1, TTM_TT_MAX_CORES);
        ttm_tt_shape shape = random_shape(&random, cores, 20, 3000);
        if (random_between(&random, 0, 1) == 1) {
            ttm_tt_shape_set_rank(&shape, random_between(&random, 1, 99));
        }
        ttm_tt_shape read;
        char text[TTM_TT_SHAPE_TEXT_BYTES];
        assert_int_equal(ttm_tt_shape_print(text, sizeof text, &shape), TTM_OK);
        assert_int_equal(ttm_tt_shape_parse(&read, text), TTM_OK);
        assert_true(ttm_tt_shape_equal(&shape, &read));
    }
}

static void one_rank_stands_for_all_bonds(void **state)
{
    (void)state;
    ttm_tt_shape uniform;
    ttm_tt_shape listed;
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    assert_int_equal(ttm_tt_shape_parse(&uniform, "8x8,8x8,12x8,1x6:64"), TTM_OK);
    assert_int_equal(ttm_tt_shape_parse(&listed, "8x8,8x8,12x8,1x6:64,64,64"), TTM_OK);
    assert_true(ttm_tt_shape_equal(&uniform, &listed));
    assert_int_equal(ttm_tt_shape_print(text, sizeof text, &listed), TTM_OK);
    assert_string_equal(text, "8x8,8x8,12x8,1x6:64");
    assert_int_equal(ttm_tt_shape_parse(&listed, "8x8,8x8,12x8,1x6:16,64,6"), TTM_OK);
    assert_int_equal(listed.ranks[1], 16);
    assert_int_equal(listed.ranks[3], 6);
    assert_int_equal(ttm_tt_shape_parse(&listed, "768x3072"), TTM_OK);
    assert_int_equal(ttm_tt_shape_print(text, sizeof text, &listed), TTM_OK);
    assert_string_equal(text, "768x3072");
}

typedef struct bad_text {
    const char *text;
    ttm_status status;
    const char *part;
} bad_text;

static void bad_texts_are_refused_with_the_place(void **state)
{
    (void)state;
    static const bad_text cases[] = {
        {"", TTM_ERROR_ARGUMENT, "character 1"},
        {"8", TTM_ERROR_ARGUMENT, "'x' expected"},
        {"8x", TTM_ERROR_ARGUMENT, "character 3"},
        {"8x8,", TTM_ERROR_ARGUMENT, "character 5"},
        {"8x8:4", TTM_ERROR_ARGUMENT, "single core"},
        {"8x8,8x8", TTM_ERROR_ARGUMENT, "':'"},
        {"8x8,8x8:", TTM_ERROR_ARGUMENT, "a number"},
        {"8x8,8x8:4,4", TTM_ERROR_ARGUMENT, "more ranks than bonds"},
        {"8x8,8x8,8x8,8x8:4,4", TTM_ERROR_ARGUMENT, "2 ranks for 3 bonds"},
        {"8x8,8x8:4 ", TTM_ERROR_ARGUMENT, "character 10"},
        {" 8x8", TTM_ERROR_ARGUMENT, "character 1"},
        {"8x-8", TTM_ERROR_ARGUMENT, "character 3"},
        {"8X8", TTM_ERROR_ARGUMENT, "'x'"},
        {"8x8,8x8:4.5", TTM_ERROR_ARGUMENT, "',' or the end"},
        {"99999999999999999999x8", TTM_ERROR_ARGUMENT, "2^63"},
        {"0x8", TTM_ERROR_SHAPE, "core 1 has modes 0x8"},
        {"8x8,8x8:0", TTM_ERROR_SHAPE, "is 0"},
        {"9223372036854775807x2", TTM_ERROR_SHAPE, "more than 2^63"},
        {"1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1,1x1:1", TTM_ERROR_SHAPE, "more than 8 cores"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ttm_tt_shape shape = {.core_count = 42};
        assert_int_equal(ttm_tt_shape_parse(&shape, cases[i].text), cases[i].status);
        assert_message_has(cases[i].part);
        assert_message_has(cases[i].text);
        assert_int_equal(shape.core_count, 42);
    }
}

static void a_short_buffer_is_refused_not_overrun(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    char text[20];
    assert_int_equal(ttm_tt_shape_parse(&shape, "8x8,8x8,12x8,1x6:64"), TTM_OK);
    for (size_t bytes = 0; bytes < sizeof text; bytes++) {
        memset(text, '#', sizeof text);
        assert_int_equal(ttm_tt_shape_print(text, bytes, &shape), TTM_ERROR_ARGUMENT);
        assert_int_equal(text[bytes], '#');
    }
    assert_int_equal(ttm_tt_shape_print(text, sizeof text, &shape), TTM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shape_survives_its_text),
        cmocka_unit_test(one_rank_stands_for_all_bonds),
        cmocka_unit_test(bad_texts_are_refused_with_the_place),
        cmocka_unit_test(a_short_buffer_is_refused_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
