/* The dense kernels against their definitions: product, permutation, QR, SVD. */
#include <float.h>

#include "tt/dense.h"
#include "tt/svd.h"
#include "tt_testing.h"

static void products_equal_the_plain_sum(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 60; round++) {
        const size_t m = (size_t)random_between(&random, 1, 150);
        const size_t n = (size_t)random_between(&random, 1, 150);
        const size_t k = (size_t)random_between(&random, 1, 150);
        const int a_transposed = (int)random_between(&random, 0, 1);
        const int b_transposed = (int)random_between(&random, 0, 1);
        double *a = random_numbers(&random, m * k);
        double *b = random_numbers(&random, k * n);
        double *c = random_numbers(&random, m * n);
        double *expected = new_numbers(m * n);
        const ttm_dense_view view_a = {a, a_transposed ? 1 : k, a_transposed ? m : 1};
        const ttm_dense_view view_b = {b, b_transposed ? 1 : n, b_transposed ? k : 1};
        for (size_t i = 0; i < m; i++) {
            for (size_t j = 0; j < n; j++) {
                double sum = 0.0;
                for (size_t l = 0; l < k; l++) {
                    sum += a[i * view_a.row_stride + l * view_a.column_stride] *
                           b[l * view_b.row_stride + j * view_b.column_stride];
                }
                expected[i * n + j] = c[i * n + j] - 2.0 * sum;
            }
        }
        ttm_dense_multiply_add(c, n, -2.0, view_a, view_b, m, n, k);
        assert_at_most(relative_distance(c, expected, m * n), 1e-14);
        free(a);
        free(b);
        free(c);
        free(expected);
    }
}

static void permutations_move_every_element(void **state)
{
    (void)state;
    const int64_t sizes[] = {2, 3, 1, 4};
    const int order[] = {3, 0, 2, 1};
    double from[24];
    double to[24];
    for (int i = 0; i < 24; i++) {
        from[i] = i;
    }
    ttm_dense_permute(to, from, 4, sizes, order);
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 3; b++) {
            for (int d = 0; d < 4; d++) {
                assert_true(to[(d * 2 + a) * 3 + b] == from[(a * 3 + b) * 4 + d]);
            }
        }
    }
    ttm_dense_permute(to, from, 0, sizes, order);
    assert_true(to[0] == from[0]);
}

static double orthogonality_error(const double *q, size_t rows, size_t columns)
{
    double worst = 0.0;
    for (size_t i = 0; i < columns; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = i == j ? -1.0 : 0.0;
            for (size_t row = 0; row < rows; row++) {
                sum += q[row * columns + i] * q[row * columns + j];
            }
            worst = fmax(worst, fabs(sum));
        }
    }
    return worst;
}

static void qr_gives_orthonormal_columns_and_the_matrix_back(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 40; round++) {
        const size_t m = (size_t)random_between(&random, 1, 120);
        const size_t n = (size_t)random_between(&random, 1, 120);
        const size_t count = m < n ? m : n;
        double *a = random_numbers(&random, m * n);
        if (round % 4 == 0) { /* rank one, with a zero column */
            for (size_t i = 0; i < m * n; i++) {
                a[i] = i % n == 0 ? 0.0 : a[i / n] * (double)(i % n);
            }
        }
        double *work = new_numbers(m * n);
        double *factors = new_numbers(count);
        double *q = new_numbers(m * count);
        double *r = new_numbers(count * n);
        memcpy(work, a, m * n * sizeof *a);
        assert_int_equal(ttm_dense_qr(work, factors, m, n), TTM_OK);
        assert_int_equal(ttm_dense_form_q(q, work, factors, m, n), TTM_OK);
        ttm_dense_copy_r(r, work, m, n);
        assert_at_most(orthogonality_error(q, m, count), 1e-13);
        ttm_dense_multiply(work, q, r, m, n, count);
        assert_at_most(relative_distance(work, a, m * n), 1e-13);
        free(a);
        free(work);
        free(factors);
        free(q);
        free(r);
    }
}

/* a = Q1·diag(sigma)·Q2ᵀ with random orthogonal Q1, Q2. */
static double *matrix_with_values(ttm_random *random, const double *sigma, size_t n)
{
    double *q[2];
    double *factors = new_numbers(n);
    for (int side = 0; side < 2; side++) {
        double *work = random_numbers(random, n * n);
        q[side] = new_numbers(n * n);
        assert_int_equal(ttm_dense_qr(work, factors, n, n), TTM_OK);
        assert_int_equal(ttm_dense_form_q(q[side], work, factors, n, n), TTM_OK);
        free(work);
    }
    for (size_t i = 0; i < n * n; i++) {
        q[0][i] *= sigma[i % n];
    }
    double *a = new_numbers(n * n);
    ttm_dense_multiply(a, q[0], q[1], n, n, n);
    free(q[0]);
    free(q[1]);
    free(factors);
    return a;
}

static void check_svd(const double *a, const double *expected_sigma, size_t n)
{
    double *work = new_numbers(n * n);
    double *u = new_numbers(n * n);
    double *u_transposed = new_numbers(n * n);
    double *sigma = new_numbers(n);
    memcpy(work, a, n * n * sizeof *a);
    assert_int_equal(ttm_svd_left(u_transposed, sigma, work, n), TTM_OK);
    ttm_dense_transpose(u, u_transposed, n, n);
    assert_at_most(orthogonality_error(u, n, n), 2e-13);
    ttm_dense_multiply(work, u_transposed, a, n, n, n); /* rows: sigma_i · v_iᵀ */
    const double tolerance = 1e-13 * sigma[0] + DBL_MIN;
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || sigma[i] <= sigma[i - 1]);
        assert_at_most(fabs(norm_of(work + i * n, n) - sigma[i]), tolerance);
        if (expected_sigma != NULL) {
            assert_at_most(fabs(sigma[i] - expected_sigma[i]), tolerance);
        }
    }
    free(work);
    free(u);
    free(u_transposed);
    free(sigma);
}

static void svd_finds_known_singular_values(void **state)
{
    (void)state;
    ttm_random random = test_random();
    const size_t sizes[] = {1, 2, 3, 10, 33, 64, 100};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int kind = 0; kind < 6; kind++) {
            const size_t n = sizes[s];
            double *sigma = new_numbers(n);
            for (size_t i = 0; i < n; i++) {
                const double graded = pow(10.0, -16.0 * (double)i / (double)n);
                sigma[i] = kind == 0   ? (double)(n - i)
                           : kind == 1 ? 1.0                           /* all equal */
                           : kind == 2 ? graded                        /* to the round-off */
                           : kind == 3 ? (i < (n + 1) / 2 ? 3.0 : 0.0) /* half rank */
                           : kind == 4 ? 1e-300 * (double)(n - i)
                                       : 1e300 * (double)(n - i) / (double)n;
            }
            double *a = matrix_with_values(&random, sigma, n);
            check_svd(a, sigma, n);
            free(a);
            free(sigma);
        }
    }
}

static void svd_handles_zeros_and_triangles(void **state)
{
    (void)state;
    ttm_random random = test_random();
    const size_t n = 20;
    double *a = new_numbers(n * n);
    check_svd(a, a, n);
    for (size_t i = 0; i < n;
         i++) { /* a nilpotent bidiagonal matrix: zeros all along the diagonal */
        a[i * n + (i + 1) % n] = i + 1 < n ? 1.0 : 0.0;
    }
    check_svd(a, NULL, n);
    for (size_t i = 0; i < n * n; i++) { /* triangular with some zero diagonal elements */
        a[i] = i % n < i / n || (i % n == i / n && i % 3 == 0) ? 0.0 : ttm_random_normal(&random);
    }
    check_svd(a, NULL, n);
    a[3] = NAN;
    double u[400];
    double sigma[20];
    assert_int_equal(ttm_svd_left(u, sigma, a, n), TTM_ERROR_NUMERIC);
    free(a);
}

static void a_split_discards_exactly_what_it_says(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 40; round++) {
        const size_t rows = (size_t)random_between(&random, 1, 60);
        const size_t columns = (size_t)random_between(&random, 1, 60);
        const size_t shorter = rows < columns ? rows : columns;
        const size_t limit = (size_t)random_between(&random, 1, 60);
        const double allowed = round % 2 == 0 ? 0.0 : ttm_random_uniform(&random) * 100.0;
        double *a = random_numbers(&random, rows * columns);
        double *product = new_numbers(rows * columns);
        ttm_svd_part part;
        assert_int_equal(ttm_svd_split(&part, a, rows, columns, limit, allowed), TTM_OK);
        assert_true(part.rank <= limit && part.rank <= shorter && part.rank >= 1);
        if (allowed == 0.0) {
            assert_int_equal(part.rank, limit < shorter ? limit : shorter);
        } else if (part.rank < limit && part.rank < shorter) {
            assert_at_most(part.discarded_squares, allowed);
        }
        assert_at_most(orthogonality_error(part.left, rows, part.rank), 1e-13);
        ttm_dense_multiply(product, part.left, part.rest, rows, columns, part.rank);
        const double error = relative_distance(product, a, rows * columns);
        const double said = sqrt(part.discarded_squares) / norm_of(a, rows * columns);
        assert_at_most(fabs(error - said), 1e-13);
        ttm_svd_part_free(&part);
        free(a);
        free(product);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_the_plain_sum),
        cmocka_unit_test(permutations_move_every_element),
        cmocka_unit_test(qr_gives_orthonormal_columns_and_the_matrix_back),
        cmocka_unit_test(svd_finds_known_singular_values),
        cmocka_unit_test(svd_handles_zeros_and_triangles),
        cmocka_unit_test(a_split_discards_exactly_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
