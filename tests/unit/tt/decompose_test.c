/* Materialisation, norm, TT-SVD and rounding against definitions and bounds. */
#include <float.h>

#include "tt_testing.h"

/* W[(i1…id), (j1…jd)] straight from the formula: a row vector times one matrix after the other. */
static double element(const ttm_tt *tt, int64_t row, int64_t column)
{
    double left[64] = {1.0};
    int64_t row_block = ttm_tt_shape_in(&tt->shape);
    int64_t column_block = ttm_tt_shape_out(&tt->shape);
    for (int32_t core = 0; core < tt->shape.core_count; core++) {
        const int64_t r = tt->shape.ranks[core + 1];
        const int64_t n = tt->shape.in_modes[core];
        const int64_t m = tt->shape.out_modes[core];
        double right[64] = {0.0};
        row_block /= n;
        column_block /= m;
        const int64_t i = row / row_block % n;
        const int64_t j = column / column_block % m;
        for (int64_t a = 0; a < tt->shape.ranks[core]; a++) {
            for (int64_t b = 0; b < r; b++) {
                right[b] += left[a] * tt->cores[core][((a * n + i) * m + j) * r + b];
            }
        }
        memcpy(left, right, sizeof left);
    }
    return left[0];
}

static void materialize_and_norm_follow_the_definition(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const int32_t cores = (int32_t)random_between(&random, 1, TTM_TT_MAX_CORES);
        const ttm_tt_shape shape = random_shape(&random, cores, cores > 4 ? 2 : 4, 9);
        ttm_tt tt;
        double norm = 0.0;
        random_tt(&tt, &random, &shape);
        double *matrix = materialized(&tt);
        const int64_t out = ttm_tt_shape_out(&shape);
        double worst = 0.0;
        double largest = 0.0;
        for (int64_t i = 0; i < ttm_tt_shape_in(&shape); i++) {
            for (int64_t j = 0; j < out; j++) {
                worst = fmax(worst, fabs(element(&tt, i, j) - matrix[i * out + j]));
                largest = fmax(largest, fabs(matrix[i * out + j]));
            }
        }
        assert_at_most(worst, 1e-12 * largest);
        assert_int_equal(ttm_tt_norm(&norm, &tt), TTM_OK);
        assert_at_most(fabs(norm - norm_of(matrix, matrix_elements(&shape))), 1e-10 * norm);
        free(matrix);
        ttm_tt_free(&tt);
    }
}

static void full_rank_decomposition_is_exact(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const int32_t cores = (int32_t)random_between(&random, 1, 6);
        ttm_tt_shape shape = random_shape(&random, cores, cores > 4 ? 2 : 4, 1);
        ttm_tt_shape_set_rank(&shape, INT64_MAX);
        double *matrix = random_numbers(&random, matrix_elements(&shape));
        ttm_tt tt;
        double error = 1.0;
        assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, 0.0, &error), TTM_OK);
        ttm_tt_shape_clip(&shape, &shape);
        assert_true(ttm_tt_shape_equal(&tt.shape, &shape));
        double *again = materialized(&tt);
        assert_at_most(relative_distance(again, matrix, matrix_elements(&shape)), 1e-13);
        assert_at_most(error, 1e-13);
        free(again);
        free(matrix);
        ttm_tt_free(&tt);
    }
}

/* A matrix that is a TT-matrix of small ranks is found, ranks included, and noise is cut off. */
static void low_ranks_are_found_by_the_error(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 30; round++) {
        const int32_t cores = (int32_t)random_between(&random, 2, 4);
        ttm_tt_shape shape = random_shape(&random, cores, 5, 4);
        ttm_tt_shape_clip(&shape, &shape);
        ttm_tt_shape unlimited = shape;
        ttm_tt_shape_set_rank(&unlimited, INT64_MAX);
        ttm_tt source;
        ttm_tt found;
        random_tt(&source, &random, &shape);
        double *matrix = materialized(&source);
        assert_int_equal(ttm_tt_decompose(&found, matrix, &unlimited, 1e-10, NULL), TTM_OK);
        assert_true(ttm_tt_shape_equal(&found.shape, &shape));
        double *again = materialized(&found);
        assert_at_most(relative_distance(again, matrix, matrix_elements(&shape)), 1e-10);
        free(again);
        free(matrix);
        ttm_tt_free(&source);
        ttm_tt_free(&found);
    }
}

static void the_error_is_kept_and_told_truly(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const int32_t cores = (int32_t)random_between(&random, 1, 5);
        ttm_tt_shape shape = random_shape(&random, cores, 4, 1);
        const double tolerance = 0.9 * ttm_random_uniform(&random);
        double *matrix = random_numbers(&random, matrix_elements(&shape));
        ttm_tt tt;
        double error = 0.0;
        ttm_tt_shape_set_rank(&shape, INT64_MAX);
        assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, tolerance, &error), TTM_OK);
        double *again = materialized(&tt);
        assert_at_most(error, tolerance);
        assert_at_most(fabs(error - relative_distance(again, matrix, matrix_elements(&tt.shape))),
                       1e-12);
        free(again);
        free(matrix);
        ttm_tt_free(&tt);
    }
}

/* The best approximation of given ranks can't be better than the worst single bond's truncation,
 * and the sweep is at most √bonds worse than that. A planted low-rank part plus noise bounds the
 * best from above. */
static void truncation_is_quasi_optimal(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 40; round++) {
        const int32_t cores = (int32_t)random_between(&random, 2, 4);
        const ttm_tt_shape shape = random_shape(&random, cores, 5, 5);
        const size_t count = matrix_elements(&shape);
        ttm_tt planted;
        ttm_tt found;
        double error = 0.0;
        random_tt(&planted, &random, &shape);
        double *matrix = materialized(&planted);
        double *noise = random_numbers(&random, count);
        const double scale = 0.1 * norm_of(matrix, count) / norm_of(noise, count);
        for (size_t i = 0; i < count; i++) {
            matrix[i] += scale * noise[i];
        }
        const double planted_error = scale * norm_of(noise, count) / norm_of(matrix, count);
        assert_int_equal(ttm_tt_decompose(&found, matrix, &shape, 0.0, &error), TTM_OK);
        assert_at_most(error, sqrt((double)(cores - 1)) * planted_error * (1.0 + 1e-12) + 1e-14);
        free(noise);
        free(matrix);
        ttm_tt_free(&planted);
        ttm_tt_free(&found);
    }
}

static void the_clip_is_lossless(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const int32_t cores = (int32_t)random_between(&random, 1, 6);
        const ttm_tt_shape shape = random_shape(&random, cores, 3, 40);
        ttm_tt_shape clipped;
        ttm_tt source;
        ttm_tt rounded;
        double error = 1.0;
        random_tt(&source, &random, &shape);
        assert_int_equal(ttm_tt_round(&rounded, &source, NULL, 0.0, &error), TTM_OK);
        ttm_tt_shape_clip(&clipped, &shape);
        assert_true(ttm_tt_shape_equal(&rounded.shape, &clipped));
        double *before = materialized(&source);
        double *after = materialized(&rounded);
        assert_at_most(relative_distance(after, before, matrix_elements(&shape)), 1e-12);
        assert_at_most(error, 1e-12);
        free(before);
        free(after);
        ttm_tt_free(&source);
        ttm_tt_free(&rounded);
    }
}

static void the_published_ttm64_fits_in_303140_numbers(void **state)
{
    (void)state;
    ttm_random random = test_random();
    ttm_tt_shape shape;
    ttm_tt source;
    ttm_tt rounded;
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, 3072, 64), TTM_OK);
    assert_int_equal(ttm_tt_new(&source, &shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&source, 0.02, &random), TTM_OK);
    assert_int_equal(ttm_tt_round(&rounded, &source, NULL, 0.0, NULL), TTM_OK);
    assert_int_equal(ttm_tt_shape_elements(&rounded.shape), 303140);
    double *before = materialized(&source);
    double *after = materialized(&rounded);
    assert_at_most(relative_distance(after, before, matrix_elements(&shape)), 1e-12);
    free(before);
    free(after);
    ttm_tt_free(&source);
    ttm_tt_free(&rounded);
}

static void rounding_keeps_the_error_and_limits(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const int32_t cores = (int32_t)random_between(&random, 2, 5);
        const ttm_tt_shape shape = random_shape(&random, cores, 4, 12);
        ttm_tt_shape limits = shape;
        const double tolerance = round % 2 == 0 ? 0.0 : 0.8 * ttm_random_uniform(&random);
        if (tolerance == 0.0) {
            ttm_tt_shape_set_rank(&limits, random_between(&random, 1, 6));
        }
        ttm_tt source;
        ttm_tt rounded;
        double error = 0.0;
        random_tt(&source, &random, &shape);
        assert_int_equal(ttm_tt_round(&rounded, &source, &limits, tolerance, &error), TTM_OK);
        for (int32_t bond = 0; bond <= cores; bond++) {
            assert_true(rounded.shape.ranks[bond] <= limits.ranks[bond]);
        }
        double *before = materialized(&source);
        double *after = materialized(&rounded);
        const double measured = relative_distance(after, before, matrix_elements(&shape));
        assert_at_most(fabs(measured - error), 1e-12);
        if (tolerance > 0.0) {
            assert_at_most(error, tolerance);
        }
        free(before);
        free(after);
        ttm_tt_free(&source);
        ttm_tt_free(&rounded);
    }
}

static void extreme_magnitudes_survive(void **state)
{
    (void)state;
    ttm_random random = test_random();
    const double scales[] = {1e-290, 1e-160, 1e160, 1e290};
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_parse(&shape, "3x2,2x4,2x2:20"), TTM_OK);
    const size_t count = matrix_elements(&shape);
    double *matrix = random_numbers(&random, count);
    double *scaled = new_numbers(count);
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        ttm_tt tt;
        for (size_t i = 0; i < count; i++) {
            scaled[i] = matrix[i] * scales[s];
        }
        assert_int_equal(ttm_tt_decompose(&tt, scaled, &shape, 1e-9, NULL), TTM_OK);
        double *again = materialized(&tt);
        for (size_t i = 0; i < count; i++) {
            again[i] /= scales[s];
        }
        assert_at_most(relative_distance(again, matrix, count), 1e-9);
        free(again);
        ttm_tt_free(&tt);
    }
    free(matrix);
    free(scaled);
}

/* The power of two above the largest double isn't one itself. */
static void the_largest_number_survives(void **state)
{
    (void)state;
    double matrix[36] = {0.0};
    ttm_tt_shape shape;
    ttm_tt tt;
    matrix[17] = -DBL_MAX;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x3,3x2:6"), TTM_OK);
    assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, 0.0, NULL), TTM_OK);
    double *again = materialized(&tt);
    for (int i = 0; i < 36; i++) {
        assert_at_most(fabs(again[i] / DBL_MAX - matrix[i] / DBL_MAX), 1e-15);
    }
    free(again);
    ttm_tt_free(&tt);
}

/* What one core is too large by, another is too small by. */
static void rounding_survives_cores_of_extreme_magnitudes(void **state)
{
    (void)state;
    ttm_random random = test_random();
    ttm_tt_shape shape;
    ttm_tt plain;
    ttm_tt source;
    ttm_tt rounded;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x2,2x3,3x2,2x2:3"), TTM_OK);
    random_tt(&plain, &random, &shape);
    assert_int_equal(ttm_tt_new(&source, &shape), TTM_OK);
    const double scales[] = {0x1p900, 0x1p900, 0x1p-900, 0x1p-900};
    for (int core = 0; core < 4; core++) {
        for (int64_t i = 0; i < ttm_tt_shape_core_elements(&shape, core); i++) {
            source.cores[core][i] = plain.cores[core][i] * scales[core];
        }
    }
    assert_int_equal(ttm_tt_round(&rounded, &source, NULL, 0.0, NULL), TTM_OK);
    double *matrix = materialized(&plain);
    double *again = materialized(&rounded);
    assert_at_most(relative_distance(again, matrix, matrix_elements(&shape)), 1e-13);
    free(again);
    free(matrix);
    ttm_tt_free(&rounded);
    ttm_tt_free(&source);
    ttm_tt_free(&plain);
}

static void a_zero_matrix_is_no_problem(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    double matrix[36] = {0.0};
    for (int i = 0; i < 2; i++) {
        ttm_tt tt;
        ttm_tt rounded;
        double error = 1.0;
        assert_int_equal(ttm_tt_shape_parse(&shape, "2x3,3x2:4"), TTM_OK);
        assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, i * 0.1, &error), TTM_OK);
        assert_true(error == 0.0);
        assert_int_equal(tt.shape.ranks[1], i == 0 ? 4 : 1);
        assert_int_equal(ttm_tt_round(&rounded, &tt, NULL, i * 0.1, &error), TTM_OK);
        assert_int_equal(rounded.shape.ranks[1], i == 0 ? 4 : 1);
        double *again = materialized(&rounded);
        assert_true(norm_of(again, 36) == 0.0);
        free(again);
        ttm_tt_free(&tt);
        ttm_tt_free(&rounded);
    }
}

static void bad_arguments_are_refused_and_leave_nothing(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_shape other;
    ttm_tt tt;
    ttm_tt rounded;
    double matrix[36] = {1.0, 2.0};
    float narrow[36] = {1.0F, NAN};
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x3,3x2:4"), TTM_OK);
    assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, -0.1, NULL), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, NAN, NULL), TTM_ERROR_ARGUMENT);
    matrix[35] = INFINITY;
    assert_int_equal(ttm_tt_decompose(&tt, matrix, &shape, 0.0, NULL), TTM_ERROR_NUMERIC);
    assert_message_has("element 35");
    assert_int_equal(ttm_tt_decompose_f32(&tt, narrow, &shape, 0.0, NULL), TTM_ERROR_NUMERIC);
    assert_message_has("NaN");
    assert_null(tt.cores[0]);
    narrow[1] = 0.5F;
    assert_int_equal(ttm_tt_decompose_f32(&tt, narrow, &shape, 0.0, NULL), TTM_OK);
    assert_int_equal(ttm_tt_shape_parse(&other, "3x2,2x3:4"), TTM_OK);
    assert_int_equal(ttm_tt_round(&rounded, &tt, &other, 0.0, NULL), TTM_ERROR_SHAPE);
    assert_message_has("other modes");
    other = shape;
    other.ranks[1] = 0;
    assert_int_equal(ttm_tt_round(&rounded, &tt, &other, 0.0, NULL), TTM_ERROR_SHAPE);
    assert_int_equal(ttm_tt_decompose(&rounded, matrix, &other, 0.0, NULL), TTM_ERROR_SHAPE);
    other.core_count = 40; /* more than the arrays hold */
    ttm_tt_shape_set_rank(&other, 2);
    assert_int_equal(ttm_tt_decompose(&rounded, matrix, &other, 0.0, NULL), TTM_ERROR_SHAPE);
    assert_int_equal(ttm_tt_decompose_f32(&rounded, narrow, &other, 0.0, NULL), TTM_ERROR_SHAPE);
    assert_message_has("not 40");
    tt.cores[1][0] = NAN;
    assert_int_equal(ttm_tt_round(&rounded, &tt, NULL, 0.0, NULL), TTM_ERROR_NUMERIC);
    assert_null(rounded.cores[0]);
    ttm_tt_free(&tt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(materialize_and_norm_follow_the_definition),
        cmocka_unit_test(full_rank_decomposition_is_exact),
        cmocka_unit_test(low_ranks_are_found_by_the_error),
        cmocka_unit_test(the_error_is_kept_and_told_truly),
        cmocka_unit_test(truncation_is_quasi_optimal),
        cmocka_unit_test(the_clip_is_lossless),
        cmocka_unit_test(the_published_ttm64_fits_in_303140_numbers),
        cmocka_unit_test(rounding_keeps_the_error_and_limits),
        cmocka_unit_test(extreme_magnitudes_survive),
        cmocka_unit_test(the_largest_number_survives),
        cmocka_unit_test(rounding_survives_cores_of_extreme_magnitudes),
        cmocka_unit_test(a_zero_matrix_is_no_problem),
        cmocka_unit_test(bad_arguments_are_refused_and_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
