/* Shapes: checks, the published rule and its parameter counts, clipping, balanced modes, budgets.
 */
#include "tt_testing.h"

typedef struct published {
    int64_t in;
    int64_t out;
    int64_t rank;
    const char *text;
    int64_t elements;
    int64_t clipped;
} published;

static const published presets[] = {
    {768, 3072, 16, "4x4,4x4,4x4,4x4,3x12:16", 13120, 13120},
    {768, 3072, 32, "8x8,8x8,12x8,1x6:32", 166080, 86052},
    {768, 3072, 64, "8x8,8x8,12x8,1x6:64", 659840, 303140},
    {768, 3072, 80, "16x16,16x16,3x12:80", 1661760, 759056},
    {1024, 4096, 72, "16x16,16x16,4x16:72", 1350144, 1202176},
};

static void the_rule_gives_the_published_shapes_and_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        char text[TTM_TT_SHAPE_TEXT_BYTES];
        ttm_tt_shape shape;
        ttm_tt_shape swapped;
        ttm_tt_shape from_swapped;
        assert_int_equal(
            ttm_tt_shape_from_rule(&shape, presets[i].in, presets[i].out, presets[i].rank), TTM_OK);
        assert_int_equal(ttm_tt_shape_validate(&shape, presets[i].in, presets[i].out), TTM_OK);
        assert_int_equal(ttm_tt_shape_print(text, sizeof text, &shape), TTM_OK);
        assert_string_equal(text, presets[i].text);
        assert_int_equal(ttm_tt_shape_elements(&shape), presets[i].elements);
        ttm_tt_shape_transpose(&swapped, &shape);
        assert_int_equal(ttm_tt_shape_validate(&swapped, presets[i].out, presets[i].in), TTM_OK);
        assert_int_equal(ttm_tt_shape_elements(&swapped), presets[i].elements);
        assert_int_equal(
            ttm_tt_shape_from_rule(&from_swapped, presets[i].out, presets[i].in, presets[i].rank),
            TTM_OK);
        assert_true(ttm_tt_shape_equal(&swapped, &from_swapped));
    }
}

static void clipping_gives_the_lossless_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        ttm_tt_shape shape;
        ttm_tt_shape again;
        assert_int_equal(
            ttm_tt_shape_from_rule(&shape, presets[i].in, presets[i].out, presets[i].rank), TTM_OK);
        ttm_tt_shape_clip(&shape, &shape);
        assert_int_equal(ttm_tt_shape_elements(&shape), presets[i].clipped);
        ttm_tt_shape_clip(&again, &shape);
        assert_true(ttm_tt_shape_equal(&again, &shape));
    }
}

static void clipping_unlimited_ranks_gives_every_bond_its_capacity(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    char text[TTM_TT_SHAPE_TEXT_BYTES];
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x3,4x1,2x2,3x3:1"), TTM_OK);
    ttm_tt_shape_set_rank(&shape, INT64_MAX);
    ttm_tt_shape_clip(&shape, &shape);
    assert_int_equal(ttm_tt_shape_print(text, sizeof text, &shape), TTM_OK);
    assert_string_equal(text, "2x3,4x1,2x2,3x3:6,24,9");
    /* even where the capacity itself can't be counted */
    ttm_tt_shape huge = {.core_count = 3,
                         .in_modes = {INT64_MAX, 2, INT64_MAX},
                         .out_modes = {INT64_MAX, 2, INT64_MAX},
                         .ranks = {1, 7, INT64_MAX, 1}};
    ttm_tt_shape_clip(&huge, &huge);
    assert_int_equal(huge.ranks[1], 7);
    assert_int_equal(huge.ranks[2], 28);
}

static void the_rule_works_for_odd_sizes(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 1, 1, 5), TTM_OK);
    assert_int_equal(shape.core_count, 1);
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 7, 1, 3), TTM_OK);
    assert_int_equal(ttm_tt_shape_validate(&shape, 7, 1), TTM_OK);
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 97, 101, INT64_MAX), TTM_OK);
    assert_int_equal(shape.core_count, 1);
    ttm_random random = test_random();
    for (int i = 0; i < 300; i++) {
        const int64_t in = random_between(&random, 1, 5000);
        const int64_t out = random_between(&random, 1, 5000);
        const int64_t rank = random_between(&random, 20, 300);
        assert_int_equal(ttm_tt_shape_from_rule(&shape, in, out, rank), TTM_OK);
        assert_int_equal(ttm_tt_shape_validate(&shape, in, out), TTM_OK);
        for (int32_t core = 0; core + 1 < shape.core_count; core++) {
            assert_true(shape.in_modes[core] * shape.out_modes[core] >= rank);
            assert_int_equal(shape.ranks[core + 1], rank);
        }
    }
}

static void the_rule_refuses_what_it_cannot_do_and_leaves_the_shape(void **state)
{
    (void)state;
    ttm_tt_shape shape = {.core_count = 42};
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, 3072, 4), TTM_ERROR_SHAPE);
    assert_message_has("10 cores");
    assert_message_has("larger rank");
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, 3072, 0), TTM_ERROR_ARGUMENT);
    assert_message_has("rank 0");
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 0, 3072, 16), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, -1, 16), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_rule(&shape, INT64_MAX, 2, 16), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 1099511627776, 1099511627776, 16),
                     TTM_ERROR_ARGUMENT);
    assert_int_equal(shape.core_count, 42);
}

static void expect_unsound(ttm_tt_shape shape, const char *part)
{
    assert_int_equal(ttm_tt_shape_check(&shape), TTM_ERROR_SHAPE);
    assert_message_has(part);
}

static void unsound_shapes_are_refused_with_the_place(void **state)
{
    (void)state;
    const ttm_tt_shape good = {
        .core_count = 2, .in_modes = {2, 3}, .out_modes = {4, 5}, .ranks = {1, 6, 1}};
    assert_int_equal(ttm_tt_shape_check(&good), TTM_OK);
    ttm_tt_shape bad = good;
    bad.core_count = 0;
    expect_unsound(bad, "not 0");
    bad.core_count = 9;
    expect_unsound(bad, "not 9");
    bad = good;
    bad.out_modes[1] = 0;
    expect_unsound(bad, "core 2 has modes 3x0");
    bad = good;
    bad.in_modes[0] = -2;
    expect_unsound(bad, "core 1 has modes -2x4");
    bad = good;
    bad.ranks[1] = 0;
    expect_unsound(bad, "between cores 1 and 2 is 0");
    bad = good;
    bad.ranks[0] = 2;
    expect_unsound(bad, "first rank is 2");
    bad = good;
    bad.ranks[2] = 3;
    expect_unsound(bad, "last rank is 3");
    bad = good;
    bad.in_modes[0] = INT64_MAX / 2;
    expect_unsound(bad, "more than 2^63");
    bad = good;
    bad.ranks[1] = INT64_MAX / 4;
    expect_unsound(bad, "lower the ranks");
}

static void modes_that_do_not_multiply_to_the_matrix_are_named(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_parse(&shape, "8x8,8x8,12x8,1x6:64"), TTM_OK);
    assert_int_equal(ttm_tt_shape_validate(&shape, 768, 3072), TTM_OK);
    assert_int_equal(ttm_tt_shape_validate(&shape, 768, 3000), TTM_ERROR_SHAPE);
    assert_message_has("8x8,8x8,12x8,1x6:64");
    assert_message_has("768 x 3072");
    assert_message_has("768 x 3000");
    assert_int_equal(ttm_tt_shape_validate(&shape, 3072, 768), TTM_ERROR_SHAPE);
}

static void balanced_modes_multiply_and_stay_close(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    for (int32_t cores = 1; cores <= TTM_TT_MAX_CORES; cores++) {
        assert_int_equal(ttm_tt_shape_balanced(&shape, 768, 3072, cores, 8), TTM_OK);
        assert_int_equal(ttm_tt_shape_validate(&shape, 768, 3072), TTM_OK);
        int64_t smallest = INT64_MAX;
        int64_t largest = 0;
        for (int32_t core = 0; core < cores; core++) {
            const int64_t product = shape.in_modes[core] * shape.out_modes[core];
            smallest = product < smallest ? product : smallest;
            largest = product > largest ? product : largest;
        }
        assert_true(largest <= 3 * smallest);
    }
    assert_int_equal(ttm_tt_shape_balanced(&shape, 7, 11, 3, 2), TTM_ERROR_SHAPE);
    assert_message_has("too few prime factors");
    assert_int_equal(ttm_tt_shape_balanced(&shape, 7, 11, 0, 2), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_balanced(&shape, 7, 11, 9, 2), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_balanced(&shape, 7, 11, 2, -1), TTM_ERROR_ARGUMENT);
}

static int64_t freedom(const ttm_tt_shape *shape)
{
    int64_t result = ttm_tt_shape_elements(shape);
    for (int32_t bond = 1; bond < shape->core_count; bond++) {
        result -= shape->ranks[bond] * shape->ranks[bond];
    }
    return result;
}

static void a_budget_is_filled_as_far_as_one_rank_goes(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int i = 0; i < 100; i++) {
        const int64_t budget = random_between(&random, 4000, 2400000);
        ttm_tt_shape best;
        assert_int_equal(ttm_tt_shape_from_budget(&best, 768, 3072, 0, budget), TTM_OK);
        assert_int_equal(ttm_tt_shape_validate(&best, 768, 3072), TTM_OK);
        assert_true(ttm_tt_shape_elements(&best) <= budget);
        for (int32_t cores = 2; cores <= TTM_TT_MAX_CORES; cores++) {
            ttm_tt_shape shape;
            ttm_tt_shape more;
            int64_t rank = 0;
            assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, cores, budget), TTM_OK);
            assert_true(ttm_tt_shape_elements(&shape) <= budget);
            assert_true(freedom(&shape) <= freedom(&best));
            for (int32_t bond = 1; bond < cores; bond++) {
                rank = shape.ranks[bond] > rank ? shape.ranks[bond] : rank;
            }
            more = shape;
            ttm_tt_shape_set_rank(&more, rank + 1);
            ttm_tt_shape_clip(&more, &more);
            assert_true(ttm_tt_shape_elements(&more) > budget || ttm_tt_shape_equal(&more, &shape));
        }
    }
}

static void a_budget_of_the_whole_matrix_gives_the_dense_matrix(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 0, 2359296), TTM_OK);
    assert_int_equal(shape.core_count, 1);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 0, INT64_MAX), TTM_OK);
    assert_int_equal(shape.core_count, 1);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 3, INT64_MAX), TTM_OK);
    assert_int_equal(ttm_tt_shape_validate(&shape, 768, 3072), TTM_OK);
}

static void a_budget_too_small_says_what_is_needed(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 2, 100), TTM_ERROR_ARGUMENT);
    assert_message_has("rank 1 needs 3200");
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 0, 0), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 7, 11, 5, 1000), TTM_ERROR_SHAPE);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, 9, 1000), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 768, 3072, -1, 1000), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_shape_from_budget(&shape, 0, 3072, 2, 1000), TTM_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_gives_the_published_shapes_and_counts),
        cmocka_unit_test(clipping_gives_the_lossless_counts),
        cmocka_unit_test(clipping_unlimited_ranks_gives_every_bond_its_capacity),
        cmocka_unit_test(the_rule_works_for_odd_sizes),
        cmocka_unit_test(the_rule_refuses_what_it_cannot_do_and_leaves_the_shape),
        cmocka_unit_test(unsound_shapes_are_refused_with_the_place),
        cmocka_unit_test(modes_that_do_not_multiply_to_the_matrix_are_named),
        cmocka_unit_test(balanced_modes_multiply_and_stay_close),
        cmocka_unit_test(a_budget_is_filled_as_far_as_one_rank_goes),
        cmocka_unit_test(a_budget_of_the_whole_matrix_gives_the_dense_matrix),
        cmocka_unit_test(a_budget_too_small_says_what_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
