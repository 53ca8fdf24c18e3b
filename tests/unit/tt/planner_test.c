/* The planner: every tree computes the same, the published cost table, texts, and that the choice
 * is the cheapest. */
#include <ttm/tt_plan.h>

#include "tt/dense.h"
#include "tt/plan_execute.h"
#include "tt/planner.h"
#include "tt_testing.h"

typedef struct published_cost {
    int64_t in;
    int64_t out;
    int64_t rank;
    double tokens_1, tokens_512, tokens_8192; /* relative to the dense product */
    double half_digit_1;                      /* how exactly the first is printed */
    double build;                             /* multiply-accumulates of W */
    double chain_good, chain_bad;
    const char *tree_512;
} published_cost;

static const published_cost table[] = {
    {768, 3072, 16, 0.76, 0.584, 0.583, 0.005, 39e6, 1.08, 4.15, "(x ((G1 G2) G3)) (G4 G5)"},
    {768, 3072, 32, 3.2, 1.066, 1.004, 0.05, 80e6, 5.5, 27, "x ((G1 G2) (G3 G4))"},
    {768, 3072, 64, 10.4, 1.141, 1.009, 0.05, 170e6, 22, 107, "x ((G1 G2) (G3 G4))"},
    {768, 3072, 80, 30, 1.205, 1.013, 0.5, 248e6, 34, 135, "x (G1 (G2 G3))"},
    {1024, 4096, 72, 21, 1.180, 1.011, 0.5, 387e6, 21, 82, "x (G1 (G2 G3))"},
};

static double relative_macs(const ttm_tt_plan *plan)
{
    ttm_tt_plan_price price;
    const ttm_tt_cost_model macs_only = TTM_TT_COST_MODEL_MACS;
    assert_int_equal(ttm_tt_plan_cost(&price, plan, &macs_only), TTM_OK);
    const double dense = (double)plan->rows * (double)ttm_tt_shape_in(&plan->shape) *
                         (double)ttm_tt_shape_out(&plan->shape);
    return price.macs / dense;
}

static double best_macs(ttm_tt_plan *plan, const ttm_tt_shape *shape, int64_t rows,
                        ttm_tt_direction direction)
{
    const ttm_tt_cost_model macs_only = TTM_TT_COST_MODEL_MACS;
    assert_int_equal(ttm_tt_plan_find(plan, shape, rows, direction, &macs_only), TTM_OK);
    return relative_macs(plan);
}

/* ((x G1) G2) … or, backwards, ((x Gd) Gd−1) … */
static double chain_macs(const ttm_tt_shape *shape, bool backwards)
{
    char text[64] = "x";
    ttm_tt_plan plan;
    for (int32_t i = 0; i < shape->core_count; i++) {
        char longer[64];
        const int32_t core = backwards ? shape->core_count - i : i + 1;
        const bool inner = i + 1 < shape->core_count;
        (void)snprintf(longer, sizeof longer, "%s%.48s G%d%s", inner ? "(" : "", text, (int)core,
                       inner ? ")" : "");
        memcpy(text, longer, sizeof text);
    }
    assert_int_equal(ttm_tt_plan_parse(&plan, text, shape, 64, TTM_TT_FORWARD), TTM_OK);
    assert_string_equal(plan.text, text);
    return relative_macs(&plan);
}

static void the_cost_table_comes_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const published_cost *row = &table[i];
        ttm_tt_shape shape;
        ttm_tt_plan plan;
        ttm_tt_build_order build;
        assert_int_equal(ttm_tt_shape_from_rule(&shape, row->in, row->out, row->rank), TTM_OK);
        for (int transposed = 0; transposed < 2; transposed++) {
            assert_at_most(fabs(best_macs(&plan, &shape, 1, TTM_TT_FORWARD) - row->tokens_1),
                           row->half_digit_1);
            assert_at_most(fabs(best_macs(&plan, &shape, 512, TTM_TT_FORWARD) - row->tokens_512),
                           0.0006);
            if (!transposed) {
                assert_string_equal(plan.text, row->tree_512);
            }
            assert_at_most(fabs(best_macs(&plan, &shape, 8192, TTM_TT_FORWARD) - row->tokens_8192),
                           0.0006);
            /* dx = dy·Wᵀ is the forward product of the transposed layer */
            assert_at_most(
                fabs(best_macs(&plan, &shape, 512, TTM_TT_INPUT_GRADIENT) - row->tokens_512),
                0.0006);
            ttm_tt_build_split(&build, shape.core_count, shape.in_modes, shape.out_modes,
                               shape.ranks);
            assert_at_most(fabs(build.macs - row->build), 0.5e6);
            assert_at_most(fabs(chain_macs(&shape, transposed) / row->chain_good - 1.0), 0.03);
            assert_at_most(fabs(chain_macs(&shape, !transposed) / row->chain_bad - 1.0), 0.03);
            ttm_tt_shape_transpose(&shape, &shape);
        }
    }
}

static void core_gradients_cost_a_product_and_three_builds(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    ttm_tt_build_order build;
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, 3072, 64), TTM_OK);
    ttm_tt_build_split(&build, shape.core_count, shape.in_modes, shape.out_modes, shape.ranks);
    const double dense = 8192.0 * 768.0 * 3072.0;
    const double found = best_macs(&plan, &shape, 8192, TTM_TT_CORE_GRADIENTS);
    /* dW = xᵀ·dy; partial products of W but not W itself; two products for each join */
    const double joins = 3.0 * build.macs - 768.0 * 3072.0 * 64.0;
    assert_at_most(fabs(found - (dense + joins) / dense), 1e-12);
    assert_string_equal(plan.text, "x ((G1 G2) (G3 G4))");
}

/* ---- Every tree against the dense matrix ---- */

typedef struct checked_plans {
    const double *x;
    const double *dy;
    const double *y;
    const double *dx;
    const double *const *cores;
    ttm_tt gradients; /* expected */
    int count;
    double cheapest;
} checked_plans;

static void check_plan(void *user, const ttm_tt_plan *plan)
{
    checked_plans *all = user;
    const ttm_tt_shape *shape = &plan->shape;
    const bool input_gradient = plan->direction == TTM_TT_INPUT_GRADIENT;
    all->count++;
    if (plan->direction == TTM_TT_CORE_GRADIENTS) {
        ttm_tt found;
        assert_int_equal(ttm_tt_new(&found, shape), TTM_OK);
        assert_int_equal(
            ttm_tt_plan_execute_host(NULL, found.cores, plan, all->x, all->dy, all->cores), TTM_OK);
        for (int32_t core = 0; core < shape->core_count; core++) {
            const size_t count = (size_t)ttm_tt_shape_core_elements(shape, core);
            assert_at_most(relative_distance(found.cores[core], all->gradients.cores[core], count),
                           1e-11);
        }
        ttm_tt_free(&found);
    } else {
        const size_t count =
            (size_t)plan->rows *
            (size_t)(input_gradient ? ttm_tt_shape_in(shape) : ttm_tt_shape_out(shape));
        double *result = new_numbers(count);
        assert_int_equal(ttm_tt_plan_execute_host(result, NULL, plan,
                                                  input_gradient ? all->dy : all->x, NULL,
                                                  all->cores),
                         TTM_OK);
        assert_at_most(relative_distance(result, input_gradient ? all->dx : all->y, count), 1e-11);
        free(result);
    }
    ttm_tt_plan read;
    ttm_tt_plan_price price;
    ttm_tt_plan_price price_read;
    assert_int_equal(ttm_tt_plan_parse(&read, plan->text, shape, plan->rows, plan->direction),
                     TTM_OK);
    assert_string_equal(read.text, plan->text);
    assert_int_equal(ttm_tt_plan_cost(&price, plan, NULL), TTM_OK);
    assert_int_equal(ttm_tt_plan_cost(&price_read, &read, NULL), TTM_OK);
    assert_true(price.seconds == price_read.seconds && price.macs == price_read.macs);
    all->cheapest = fmin(all->cheapest, price.seconds);
}

/* W is linear in each core: dG_k[e] = <dW, W(G_k := unit e)>. */
static void expected_gradients(ttm_tt *gradients, const ttm_tt *tt, const double *dw)
{
    assert_int_equal(ttm_tt_new(gradients, &tt->shape), TTM_OK);
    ttm_tt probe;
    assert_int_equal(ttm_tt_new(&probe, &tt->shape), TTM_OK);
    const size_t total = (size_t)ttm_tt_shape_elements(&tt->shape) * sizeof(double);
    for (int32_t core = 0; core < tt->shape.core_count; core++) {
        const int64_t count = ttm_tt_shape_core_elements(&tt->shape, core);
        for (int64_t e = 0; e < count; e++) {
            memcpy(probe.cores[0], tt->cores[0], total);
            memset(probe.cores[core], 0, (size_t)count * sizeof(double));
            probe.cores[core][e] = 1.0;
            double *matrix = materialized(&probe);
            double sum = 0.0;
            for (size_t i = 0; i < matrix_elements(&tt->shape); i++) {
                sum += dw[i] * matrix[i];
            }
            gradients->cores[core][e] = sum;
            free(matrix);
        }
    }
    ttm_tt_free(&probe);
}

static void check_every_plan(ttm_random *random, int32_t cores, int64_t rows, int64_t max_mode)
{
    const ttm_tt_shape shape = random_shape(random, cores, max_mode, 4);
    const size_t in = (size_t)ttm_tt_shape_in(&shape);
    const size_t out = (size_t)ttm_tt_shape_out(&shape);
    const size_t row_count = (size_t)rows;
    ttm_tt tt;
    random_tt(&tt, random, &shape);
    double *x = random_numbers(random, row_count * in);
    double *dy = random_numbers(random, row_count * out);
    double *y = new_numbers(row_count * out);
    double *dx = new_numbers(row_count * in);
    double *dw = new_numbers(in * out);
    double *w = materialized(&tt);
    ttm_dense_multiply(y, x, w, row_count, out, in);
    ttm_dense_multiply_add(dx, in, 1.0, (ttm_dense_view){dy, out, 1}, (ttm_dense_view){w, 1, out},
                           row_count, in, out);
    ttm_dense_multiply_add(dw, out, 1.0, (ttm_dense_view){x, 1, in}, (ttm_dense_view){dy, out, 1},
                           in, out, row_count);
    checked_plans all = {.x = x, .dy = dy, .y = y, .dx = dx};
    all.cores = (const double *const *)tt.cores;
    expected_gradients(&all.gradients, &tt, dw);
    int expected_count = 1;
    for (int32_t i = 1; i < cores; i++) {
        expected_count *= 3;
    }
    for (int direction = TTM_TT_FORWARD; direction <= TTM_TT_CORE_GRADIENTS; direction++) {
        ttm_tt_plan plan;
        ttm_tt_plan_price price;
        all.count = 0;
        all.cheapest = HUGE_VAL;
        assert_int_equal(
            ttm_planner_enumerate(&shape, rows, (ttm_tt_direction)direction, check_plan, &all),
            TTM_OK);
        assert_int_equal(all.count, expected_count);
        assert_int_equal(ttm_tt_plan_find(&plan, &shape, rows, (ttm_tt_direction)direction, NULL),
                         TTM_OK);
        assert_int_equal(ttm_tt_plan_cost(&price, &plan, NULL), TTM_OK);
        assert_true(price.seconds == all.cheapest);
    }
    ttm_tt_free(&all.gradients);
    ttm_tt_free(&tt);
    free(x);
    free(dy);
    free(y);
    free(dx);
    free(dw);
    free(w);
}

static void every_tree_computes_the_same_as_the_matrix(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int32_t cores = 1; cores <= 6; cores++) {
        for (int round = 0; round < (cores < 5 ? 6 : 2); round++) {
            check_every_plan(&random, cores, random_between(&random, 1, 5), cores < 5 ? 3 : 2);
        }
    }
}

/* ---- Texts and errors ---- */

static void other_spellings_of_a_tree_are_read(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x2,2x3,3x2,2x2:3"), TTM_OK);
    assert_int_equal(ttm_tt_plan_parse(&plan, "((G1 G2) (G3 G4)) x", &shape, 5, TTM_TT_FORWARD),
                     TTM_OK);
    assert_string_equal(plan.text, "x ((G1 G2) (G3 G4))");
    assert_int_equal(ttm_tt_plan_parse(&plan, " ((G4 G3)(G2 G1))  x ", &shape, 5, TTM_TT_FORWARD),
                     TTM_OK);
    assert_string_equal(plan.text, "x ((G1 G2) (G3 G4))");
    assert_int_equal(ttm_tt_plan_parse(&plan, "((dy G3) G2) G4", &shape, 5, TTM_TT_INPUT_GRADIENT),
                     TTM_ERROR_ARGUMENT);
    assert_int_equal(
        ttm_tt_plan_parse(&plan, "G4 (((dy G3) G2) G1)", &shape, 5, TTM_TT_INPUT_GRADIENT), TTM_OK);
    assert_string_equal(plan.text, "(((dy G3) G2) G1) G4");
}

static void bad_trees_are_refused_with_the_place(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "character 1"},
        {"x", "character 2"},
        {"x G1", "all 3 cores"},
        {"x (G1 G2 G3)", "')' expected"},
        {"x G1 G2", "the end expected"},
        {"(x G1) G3", "aren't neighbours"},
        {"x (G1 G3)", "aren't neighbours"},
        {"(x G1) (x G2)", "aren't neighbours"},
        {"(x G1) G1", "aren't neighbours"},
        {"((x G1) G2) G4", "no such core"},
        {"((x G1) G2) G0", "no such core"},
        {"((x G1) G2) G99999999999999999999", "no such core"},
        {"((x G1) G2) G", "no such core"},
        {"((x G1) G2) G3)", "the end expected"},
        {"((x G1) G2", "')' expected"},
        {"((dy G1) G2) G3", "an operand"},
        {"(G1 G2) G3", "doesn't use x"},
        {"((((((((((((((((((((((((((((((((", "too many parentheses"},
    };
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x2,2x3,3x2:3"), TTM_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(ttm_tt_plan_parse(&plan, cases[i][0], &shape, 5, TTM_TT_FORWARD),
                         TTM_ERROR_ARGUMENT);
        assert_message_has(cases[i][1]);
    }
}

static void bad_questions_are_refused(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    ttm_tt_plan_price price;
    ttm_tt_cost_model model = TTM_TT_COST_MODEL_INIT;
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x2,2x3,3x2:3"), TTM_OK);
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 0, TTM_TT_FORWARD, NULL), TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 1, (ttm_tt_direction)3, NULL),
                     TTM_ERROR_ARGUMENT);
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 1, TTM_TT_FORWARD, NULL), TTM_OK);
    model.product_flops = 0.0;
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 1, TTM_TT_FORWARD, &model),
                     TTM_ERROR_ARGUMENT);
    model.product_flops = NAN;
    assert_int_equal(ttm_tt_plan_cost(&price, &plan, &model), TTM_ERROR_ARGUMENT);
    model.product_flops = 1.0;
    model.struct_size = 3;
    assert_int_equal(ttm_tt_plan_cost(&price, &plan, &model), TTM_ERROR_ARGUMENT);
    shape.ranks[1] = 0;
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 1, TTM_TT_FORWARD, NULL), TTM_ERROR_SHAPE);
}

static void a_slow_copy_or_a_dear_launch_changes_the_choice(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan cheap;
    ttm_tt_plan plan;
    ttm_tt_plan_price price;
    ttm_tt_cost_model model = TTM_TT_COST_MODEL_MACS;
    assert_int_equal(ttm_tt_shape_from_rule(&shape, 768, 3072, 16), TTM_OK);
    assert_int_equal(ttm_tt_plan_find(&cheap, &shape, 512, TTM_TT_FORWARD, &model), TTM_OK);
    model.copy_bytes = 1e-3;
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 512, TTM_TT_FORWARD, &model), TTM_OK);
    assert_int_equal(ttm_tt_plan_cost(&price, &plan, &model), TTM_OK);
    ttm_tt_plan_price before;
    assert_int_equal(ttm_tt_plan_cost(&before, &cheap, &model), TTM_OK);
    assert_true(price.copied_bytes < before.copied_bytes);
    model = (ttm_tt_cost_model)TTM_TT_COST_MODEL_MACS;
    model.launch_seconds = 1e15;
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, 512, TTM_TT_FORWARD, &model), TTM_OK);
    assert_int_equal(ttm_tt_plan_cost(&price, &plan, &model), TTM_OK);
    assert_int_equal(ttm_tt_plan_cost(&before, &cheap, &model), TTM_OK);
    assert_true(price.launches <= before.launches);
}

/* Speeds that a damaged file of measurements may claim: no price is finite, a plan there is. */
static void a_device_slower_than_can_be_counted_gets_a_plan(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    ttm_tt_plan again;
    ttm_tt_cost_model model = TTM_TT_COST_MODEL_INIT;
    assert_int_equal(ttm_tt_shape_parse(&shape, "8x8,8x8,12x8:64"), TTM_OK);
    model.product_flops = 1e-305;
    for (int direction = TTM_TT_FORWARD; direction <= TTM_TT_CORE_GRADIENTS; direction++) {
        memset(&plan, 0xa5, sizeof plan);
        assert_int_equal(ttm_tt_plan_find(&plan, &shape, 512, (ttm_tt_direction)direction, &model),
                         TTM_OK);
        assert_in_range(plan.step_count, 1, TTM_TT_MAX_STEPS);
        assert_int_equal(
            ttm_tt_plan_parse(&again, plan.text, &shape, 512, (ttm_tt_direction)direction), TTM_OK);
        assert_int_equal(again.step_count, plan.step_count);
    }
}

static void a_plan_prints_its_steps(void **state)
{
    (void)state;
    ttm_tt_shape shape;
    ttm_tt_plan plan;
    char text[4096];
    assert_int_equal(ttm_tt_shape_parse(&shape, "2x3,5x7:4"), TTM_OK);
    assert_int_equal(ttm_tt_plan_parse(&plan, "x (G1 G2)", &shape, 6, TTM_TT_FORWARD), TTM_OK);
    assert_int_equal(ttm_tt_plan_print(text, sizeof text, &plan), TTM_OK);
    assert_string_equal(text, "x (G1 G2)\n"
                              "T1 = G1 * G2  m 6 n 35 k 4\n"
                              "T2 = x * T1'  m 6 n 21 k 10\n");
    assert_int_equal(ttm_tt_plan_parse(&plan, "x (G1 G2)", &shape, 6, TTM_TT_CORE_GRADIENTS),
                     TTM_OK);
    assert_int_equal(ttm_tt_plan_print(text, sizeof text, &plan), TTM_OK);
    assert_string_equal(text, "x (G1 G2)\n"
                              "T1 = x * dy  m 10 n 21 k 6  permuted\n"
                              "T2 = G1 * T1  m 4 n 35 k 6  = dG2\n"
                              "T3 = T1 * G2  m 6 n 4 k 35  = dG1\n");
    for (size_t bytes = 0; bytes < 60; bytes++) {
        assert_int_equal(ttm_tt_plan_print(text, bytes, &plan), TTM_ERROR_ARGUMENT);
    }
    /* the longest plans fit into what the header promises */
    assert_int_equal(ttm_tt_shape_balanced(&shape, 65536, 65536, 8, 30000), TTM_OK);
    assert_int_equal(ttm_tt_plan_find(&plan, &shape, INT32_MAX, TTM_TT_CORE_GRADIENTS, NULL),
                     TTM_OK);
    assert_int_equal(ttm_tt_plan_print(text, sizeof text, &plan), TTM_OK);
}

/* ---- The order of building W ---- */

static double cheapest_build(const ttm_tt_shape *shape, int32_t first, int32_t last)
{
    double best = last - first < 2 ? 0.0 : HUGE_VAL;
    for (int32_t middle = first + 1; middle < last; middle++) {
        const double join =
            ttm_tt_interval_size(shape->in_modes, shape->out_modes, first, last) *
            (double)(shape->ranks[first] * shape->ranks[middle] * shape->ranks[last]);
        best = fmin(best, join + cheapest_build(shape, first, middle) +
                              cheapest_build(shape, middle, last));
    }
    return best;
}

static void the_build_order_is_the_cheapest_and_can_be_run(void **state)
{
    (void)state;
    ttm_random random = test_random();
    for (int round = 0; round < 200; round++) {
        const int32_t cores = (int32_t)random_between(&random, 1, TTM_TT_MAX_CORES);
        const ttm_tt_shape shape = random_shape(&random, cores, 6, 50);
        ttm_tt_build_order build;
        int32_t end_of[TTM_TT_MAX_CORES] = {0};
        double macs = 0.0;
        ttm_tt_build_split(&build, cores, shape.in_modes, shape.out_modes, shape.ranks);
        assert_int_equal(build.core_count, cores);
        assert_int_equal(build.join_count, cores - 1);
        for (int32_t core = 0; core < cores; core++) {
            end_of[core] = core + 1; /* where the product that starts at `core` ends */
        }
        for (int32_t i = 0; i < build.join_count; i++) {
            const ttm_tt_join join = build.joins[i];
            assert_int_equal(end_of[join.first], join.middle);
            assert_int_equal(end_of[join.middle], join.last);
            end_of[join.first] = join.last;
            end_of[join.middle] = -1;
            macs += ttm_tt_interval_size(shape.in_modes, shape.out_modes, join.first, join.last) *
                    (double)(shape.ranks[join.first] * shape.ranks[join.middle] *
                             shape.ranks[join.last]);
        }
        assert_int_equal(end_of[0], cores);
        assert_at_most(fabs(macs - build.macs), 1e-9 * macs);
        assert_at_most(fabs(macs - cheapest_build(&shape, 0, cores)), 1e-9 * macs);
        if (cores > 1) {
            assert_int_equal(build.joins[cores - 2].middle, build.split);
        }
    }
    ttm_tt_build_order none;
    ttm_tt_build_split(&none, 0, NULL, NULL, NULL);
    assert_int_equal(none.core_count, 0);
    ttm_tt_build_split(&none, 9, NULL, NULL, NULL);
    assert_int_equal(none.core_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cost_table_comes_out),
        cmocka_unit_test(core_gradients_cost_a_product_and_three_builds),
        cmocka_unit_test(every_tree_computes_the_same_as_the_matrix),
        cmocka_unit_test(other_spellings_of_a_tree_are_read),
        cmocka_unit_test(bad_trees_are_refused_with_the_place),
        cmocka_unit_test(bad_questions_are_refused),
        cmocka_unit_test(a_slow_copy_or_a_dear_launch_changes_the_choice),
        cmocka_unit_test(a_device_slower_than_can_be_counted_gets_a_plan),
        cmocka_unit_test(a_plan_prints_its_steps),
        cmocka_unit_test(the_build_order_is_the_cheapest_and_can_be_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
