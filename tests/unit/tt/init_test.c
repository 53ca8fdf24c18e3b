/* Initialisation: orthonormal cores, the elements' variance for any number of cores and any ranks.
 */
#include "tt_testing.h"

/* Whether core [p, r] has orthonormal columns (r ≤ p) or rows. */
static double orthonormality_error(const ttm_tt *tt, int32_t core)
{
    const size_t r = (size_t)tt->shape.ranks[core + 1];
    const size_t p = (size_t)ttm_tt_shape_core_elements(&tt->shape, core) / r;
    const double *a = tt->cores[core];
    const size_t count = r <= p ? r : p;
    const size_t length = r <= p ? p : r;
    double worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = i == j ? -1.0 : 0.0;
            for (size_t l = 0; l < length; l++) {
                sum += r <= p ? a[l * r + i] * a[l * r + j] : a[i * r + l] * a[j * r + l];
            }
            worst = fmax(worst, fabs(sum));
        }
    }
    return worst;
}

static void check_draw(const ttm_tt_shape *shape, double deviation, ttm_random *random)
{
    ttm_tt tt;
    assert_int_equal(ttm_tt_new(&tt, shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&tt, deviation, random), TTM_OK);
    for (int32_t core = 0; core + 1 < shape->core_count; core++) {
        assert_at_most(orthonormality_error(&tt, core), 1e-12);
    }
    double *matrix = materialized(&tt);
    const size_t count = matrix_elements(shape);
    const double measured = norm_of(matrix, count) / sqrt((double)count);
    assert_at_most(fabs(measured - deviation), 1e-12 * deviation);
    free(matrix);
    ttm_tt_free(&tt);
}

static void every_draw_has_the_wanted_deviation_whatever_the_shape(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int32_t cores = 1; cores <= TTM_TT_MAX_CORES; cores++) {
        for (int i = 0; i < 30; i++) {
            const ttm_tt_shape shape = random_shape(&random, cores, cores > 5 ? 2 : 4, 40);
            check_draw(&shape, 0.02, &random);
        }
    }
}

/* The mean of all elements: its deviation is estimated from the row sums, which see how elements
 * hang together. */
static void check_preset(int64_t in, int64_t out, int64_t rank, int transposed, ttm_random *random)
{
    ttm_tt_shape shape;
    assert_int_equal(ttm_tt_shape_from_rule(&shape, in, out, rank), TTM_OK);
    if (transposed) {
        ttm_tt_shape_transpose(&shape, &shape);
    }
    float *cores[TTM_TT_MAX_CORES] = {NULL};
    for (int32_t core = 0; core < shape.core_count; core++) {
        cores[core] = calloc((size_t)ttm_tt_shape_core_elements(&shape, core), sizeof(float));
        assert_non_null(cores[core]);
    }
    const size_t count = matrix_elements(&shape);
    float *matrix = calloc(count, sizeof *matrix);
    assert_non_null(matrix);
    double norm = 0.0;
    assert_int_equal(ttm_tt_init_f32(cores, &shape, 0.02, random), TTM_OK);
    assert_int_equal(ttm_tt_materialize_f32(matrix, (const float *const *)cores, &shape), TTM_OK);
    assert_int_equal(ttm_tt_norm_f32(&norm, (const float *const *)cores, &shape), TTM_OK);
    double sum = 0.0;
    double squares = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)matrix[i];
        squares += (double)matrix[i] * (double)matrix[i];
    }
    const double mean = sum / (double)count;
    assert_at_most(fabs(sqrt(squares / (double)count) - 0.02), 1e-6 * 0.02);
    assert_at_most(fabs(norm - sqrt(squares)), 1e-6 * norm);
    assert_at_most(fabs(mean), 0.02 * 6.0 / sqrt((double)count)); /* 6 standard errors */
    for (int32_t core = 0; core < shape.core_count; core++) {
        free(cores[core]);
    }
    free(matrix);
}

static void the_presets_have_deviation_0_02_and_mean_0(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int transposed = 0; transposed < 2; transposed++) {
        check_preset(768, 3072, 16, transposed, &random);
        check_preset(768, 3072, 32, transposed, &random);
        check_preset(768, 3072, 64, transposed, &random);
        check_preset(768, 3072, 80, transposed, &random);
        check_preset(1024, 4096, 72, transposed, &random);
    }
}

/* Over many draws each single element must have mean 0 and variance 1: no element may be favoured.
 */
static void every_element_has_the_wanted_variance(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    const char *texts[] = {"2x2,2x2,2x2:2", "2x3,1x2,2x1:9", "3x1,1x2,2x2,1x2:1", "2x2,2x2:7",
                           "4x4"};
    ttm_random random = test_random();
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
        ttm_tt_shape shape;
        assert_int_equal(ttm_tt_shape_parse(&shape, texts[t]), TTM_OK);
        const size_t count = matrix_elements(&shape);
        double *sum = new_numbers(count);
        double *squares = new_numbers(count);
        double *fourths = new_numbers(count);
        for (int draw = 0; draw < DRAWS; draw++) {
            ttm_tt tt;
            assert_int_equal(ttm_tt_new(&tt, &shape), TTM_OK);
            assert_int_equal(ttm_tt_init(&tt, 1.0, &random), TTM_OK);
            double *matrix = materialized(&tt);
            for (size_t i = 0; i < count; i++) {
                const double square = matrix[i] * matrix[i];
                sum[i] += matrix[i];
                squares[i] += square;
                fourths[i] += square * square;
            }
            free(matrix);
            ttm_tt_free(&tt);
        }
        for (size_t i = 0; i < count; i++) {
            const double variance = squares[i] / DRAWS;
            const double error = sqrt((fourths[i] / DRAWS - variance * variance) / (double)DRAWS);
            assert_at_most(fabs(sum[i] / DRAWS), 6.0 * sqrt(variance / DRAWS));
            assert_at_most(fabs(variance - 1.0), 6.0 * error);
        }
        free(sum);
        free(squares);
        free(fourths);
    }
}

static void no_rank_of_an_over_ranked_bond_is_dead(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_random random = test_random();
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x1,2x2,2x2:6,30"), TTM_OK);
    ttm_tt tt;
    assert_int_equal(ttm_tt_new(&tt, &shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&tt, 1.0, &random), TTM_OK);
    for (int32_t core = 0; core < 2; core++) {
        const int64_t r = shape.ranks[core + 1];
        const int64_t p = ttm_tt_shape_core_elements(&shape, core) / r;
        const int64_t next = ttm_tt_shape_core_elements(&shape, core + 1) / r;
        for (int64_t rank = 0; rank < r; rank++) {
            double column = 0.0;
            for (int64_t i = 0; i < p; i++) {
                column += fabs(tt.cores[core][i * r + rank]);
            }
            assert_true(column > 1e-6);
            assert_true(norm_of(tt.cores[core + 1] + rank * next, (size_t)next) > 1e-6);
        }
    }
    ttm_tt_free(&tt);
}

static void the_same_seed_gives_the_same_cores(void **state)
{
    (void)state;
    ttm_random first = {7, 3};
    ttm_random second = {7, 3};
    ttm_tt_shape shape;
    ttm_tt a;
    ttm_tt b;
    assert_int_equal(ttm_tt_shape_parse(&shape, "4x4,4x4,3x12:16"), TTM_OK);
    assert_int_equal(ttm_tt_new(&a, &shape), TTM_OK);
    assert_int_equal(ttm_tt_new(&b, &shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&a, 0.02, &first), TTM_OK);
    assert_int_equal(ttm_tt_init(&b, 0.02, &second), TTM_OK);
    const size_t bytes = (size_t)ttm_tt_shape_elements(&shape) * sizeof(double);
    assert_memory_equal(a.cores[0], b.cores[0], bytes);
    assert_int_equal(first.position, second.position);
    assert_int_equal(ttm_tt_init(&b, 0.02, &second), TTM_OK);
    assert_memory_not_equal(a.cores[0], b.cores[0], bytes);
    ttm_tt_free(&a);
    ttm_tt_free(&b);
}

static void deviation_zero_zeroes_the_last_core_only(void **state)
{
    (void)state;
    ttm_random random = test_random();
    ttm_tt_shape shape;
    ttm_tt tt;
    assert_int_equal(ttm_tt_shape_parse(&shape, "4x4,4x4,3x12:8"), TTM_OK);
    assert_int_equal(ttm_tt_new(&tt, &shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&tt, 0.0, &random), TTM_OK);
    assert_true(norm_of(tt.cores[2], (size_t)ttm_tt_shape_core_elements(&shape, 2)) == 0.0);
    assert_at_most(orthonormality_error(&tt, 0), 1e-12);
    assert_at_most(orthonormality_error(&tt, 1), 1e-12);
    ttm_tt_free(&tt);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    ttm_random random = {1, 0};
    ttm_tt_shape shape;
    ttm_tt tt;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x2,2x2:2"), TTM_OK);
    assert_int_equal(ttm_tt_new(&tt, &shape), TTM_OK);
    assert_int_equal(ttm_tt_init(&tt, -1.0, &random), TTM_ERROR_ARGUMENT);
    assert_message_has("-1");
    assert_int_equal(ttm_tt_init(&tt, NAN, &random), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_init(&tt, INFINITY, &random), TTM_ERROR_ARGUMENT);
    ttm_tt_free(&tt);
    shape.ranks[1] = 0;
    assert_int_equal(ttm_tt_new(&tt, &shape), TTM_ERROR_SHAPE);
    assert_null(tt.cores[0]);
    ttm_tt_free(&tt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_draw_has_the_wanted_deviation_whatever_the_shape),
        cmocka_unit_test(the_presets_have_deviation_0_02_and_mean_0),
        cmocka_unit_test(every_element_has_the_wanted_variance),
        cmocka_unit_test(no_rank_of_an_over_ranked_bond_is_dead),
        cmocka_unit_test(the_same_seed_gives_the_same_cores),
        cmocka_unit_test(deviation_zero_zeroes_the_last_core_only),
        cmocka_unit_test(bad_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
