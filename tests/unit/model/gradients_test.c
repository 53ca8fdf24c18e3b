/* Gradients of the whole model against finite differences of its loss, in double on the reference
 * backend: dense and TT, with dropout, with accumulation, with both ways to reduce dW. */
#include "model/model_internal.h"
#include "model_testing.h"

typedef struct gradient_variant {
    const char *tt;
    double dropout;
    int64_t micro_batches;
    ttm_tt_reduction reduction;
    bool mlp_bias;
    int64_t layers; /* 0: 2 */
} gradient_variant;

typedef struct gradient_problem {
    model_testing *testing;
    ttm_model *model;
    int64_t micro_batches;
    double loss_scale;
    ttm_tensor tokens[2];
    ttm_tensor targets[2];
    ttm_tensor loss;
    double *parameters;
} gradient_problem;

enum { BATCH = 2, SEQ = 7 };

/* Writes parameters, runs one step, returns the loss; gradients are then in the model. */
static double run_step(gradient_problem *problem, const double *parameters)
{
    ttm_model *model = problem->model;
    ttm_stream *stream = problem->testing->stream;
    const ttm_tensor flat = ttm_model_parameters(model, 0);
    assert_ok(ttm_tensor_write(stream, &flat, parameters));
    ttm_model_parameters_changed(model);
    assert_ok(ttm_model_begin_step(model, stream));
    for (int64_t index = 0; index < problem->micro_batches; index++) {
        ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
        micro_batch.tokens = problem->tokens[index];
        micro_batch.targets = problem->targets[index];
        micro_batch.loss = problem->loss;
        micro_batch.loss_scale = problem->loss_scale;
        micro_batch.first = index == 0;
        micro_batch.dropout_seed = 77;
        micro_batch.dropout_index = (uint64_t)index;
        assert_ok(ttm_model_forward_backward(model, stream, &micro_batch));
    }
    assert_ok(ttm_model_end_step(model, stream));
    double loss = 0.0;
    assert_ok(ttm_tensor_read(stream, &loss, &problem->loss));
    return loss;
}

/* The loss moves along a random direction of one parameter tensor as its gradient says. */
static void check_parameter(gradient_problem *problem, const ttm_parameter *parameter,
                            const double *gradient)
{
    const double step = 1e-5;
    const int64_t count = parameter->count;
    double *direction = calloc((size_t)count, sizeof *direction);
    double *values = problem->parameters + parameter->offset;
    double *kept = calloc((size_t)count, sizeof *kept);
    double slope = 0.0;
    double losses[2];
    memcpy(kept, values, (size_t)count * sizeof *kept);
    for (int64_t index = 0; index < count; index++) {
        direction[index] = ttm_random_normal(&problem->testing->random);
    }
    const double length = norm_of(direction, count);
    for (int64_t index = 0; index < count; index++) {
        direction[index] /= length;
        slope += direction[index] * gradient[parameter->offset + index];
    }
    for (int sign = 0; sign < 2; sign++) {
        for (int64_t index = 0; index < count; index++) {
            values[index] = kept[index] + (sign == 0 ? step : -step) * direction[index];
        }
        losses[sign] = run_step(problem, problem->parameters);
    }
    memcpy(values, kept, (size_t)count * sizeof *kept);
    const double measured = (losses[0] - losses[1]) / (2.0 * step);
    const double scale = norm_of(gradient + parameter->offset, count);
    if (!(fabs(measured - slope) <= 1e-6 * scale + 1e-9)) {
        fail_msg("%s: the gradient says %.12g, finite differences %.12g (norm %.3g)",
                 parameter->name, slope, measured, scale);
    }
    free(kept);
    free(direction);
}

static void open_problem(gradient_problem *problem, model_testing *testing,
                         const gradient_variant *variant)
{
    memset(problem, 0, sizeof *problem);
    problem->testing = testing;
    problem->micro_batches = variant->micro_batches;
    problem->loss_scale = 1.0 / (double)(problem->micro_batches * BATCH * SEQ);
    ttm_gpt2_config config = layered_config(variant->layers > 0 ? variant->layers : 2, variant->tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    config.mlp_bias = variant->mlp_bias;
    config.embedding_dropout = variant->dropout;
    config.attention_dropout = variant->dropout;
    config.residual_dropout = variant->dropout;
    options.training = true;
    options.dtype = TTM_F64;
    options.reduction = variant->reduction;
    options.logit_rows = 5; /* several chunks, the last one smaller */
    assert_ok(ttm_model_create(&problem->model, testing->device, &config, &options));
    problem->parameters = random_parameters(testing, problem->model);
    for (int64_t index = 0; index < problem->micro_batches; index++) {
        problem->tokens[index] = random_tokens(testing, BATCH, SEQ, config.vocab_size);
        problem->targets[index] = random_tokens(testing, BATCH, SEQ, config.vocab_size);
    }
    problem->loss = new_tensor(testing, TTM_F64, 1, 0);
    ttm_gpt2_config_free(&config);
}

static void free_problem(gradient_problem *problem)
{
    for (int index = 0; index < 2; index++) {
        ttm_tensor_free(&problem->tokens[index], problem->testing->device);
        ttm_tensor_free(&problem->targets[index], problem->testing->device);
    }
    ttm_tensor_free(&problem->loss, problem->testing->device);
    ttm_model_destroy(problem->model);
    free(problem->parameters);
}

static void check_variant(void **state, const gradient_variant *variant)
{
    gradient_problem problem;
    open_problem(&problem, *state, variant);
    const ttm_parameter_table *table = ttm_model_parameter_table(problem.model);
    const ttm_tensor gradients = ttm_model_gradients(problem.model, 0);
    run_step(&problem, problem.parameters);
    double *gradient = read_tensor(problem.testing, &gradients);
    for (size_t index = 0; index < table->count; index++) {
        check_parameter(&problem, &table->items[index], gradient);
    }
    free(gradient);
    free_problem(&problem);
}

static void gradients_of_a_dense_model_match_finite_differences(void **state)
{
    const gradient_variant variant = {"none", 0.0, 1, TTM_TT_REDUCE_AUTO, true, 0};
    check_variant(state, &variant);
}

static void gradients_of_tt_models_with_three_to_five_cores_match_finite_differences(void **state)
{
    const char *const shapes[] = {"mlp=2x4,2x4,4x4:3", "mlp=2x2,2x4,2x4,2x2:3",
                                  "mlp=2x2,2x2,2x4,2x2,1x2:2"};
    for (size_t index = 0; index < sizeof shapes / sizeof shapes[0]; index++) {
        const gradient_variant variant = {shapes[index],           0.0,        1,
                                          TTM_TT_REDUCE_PER_LAYER, index != 1, 0};
        check_variant(state, &variant);
    }
}

static void gradients_match_with_every_matrix_tt_and_layers_that_differ(void **state)
{
    const gradient_variant variant = {
        "c_attn=4x4,4x12:3; attn.c_proj=4x4,4x4:2; 0/mlp=2x4,2x4,4x4:2; "
        "1/c_fc=4x8,4x8:3",
        0.0,
        1,
        TTM_TT_REDUCE_PER_LAYER,
        true,
        0};
    check_variant(state, &variant);
}

/* Layers of unequal size: their cores aren't equidistant, and must not be taken for one tensor. */
static void gradients_match_where_equal_matrices_lie_at_unequal_distances(void **state)
{
    const gradient_variant per_step = {
        "mlp=2x4,2x4,4x4:3; 1/attn.c_proj=4x4,4x4:2", 0.0, 1, TTM_TT_REDUCE_PER_STEP, true, 3};
    const gradient_variant per_layer = {
        "c_fc=2x4,2x4,4x4:3; 1/mlp.c_proj=4x2,16x8:2", 0.0, 1, TTM_TT_REDUCE_PER_LAYER, true, 4};
    check_variant(state, &per_step);
    check_variant(state, &per_layer);
}

static void gradients_match_with_dropout(void **state)
{
    const gradient_variant dense = {"none", 0.2, 1, TTM_TT_REDUCE_AUTO, true, 0};
    const gradient_variant tt = {"mlp=4x4,2x4,2x4:3", 0.2, 2, TTM_TT_REDUCE_PER_STEP, true, 0};
    check_variant(state, &dense);
    check_variant(state, &tt);
}

static void gradients_match_with_accumulation(void **state)
{
    const gradient_variant variants[] = {
        {"none", 0.0, 2, TTM_TT_REDUCE_AUTO, true, 0},
        {"mlp=2x4,2x4,4x4:3", 0.0, 2, TTM_TT_REDUCE_PER_STEP, false, 0},
        {"mlp=2x4,2x4,4x4:3; 1/c_fc=none", 0.0, 2, TTM_TT_REDUCE_PER_LAYER, false, 0}};
    for (size_t index = 0; index < sizeof variants / sizeof variants[0]; index++) {
        check_variant(state, &variants[index]);
    }
}

/* Micro-batches of one sequence each, and the same two sequences at once. */
static void two_micro_batches_give_loss_and_gradient_of_one_batch(void **state)
{
    const ttm_tt_reduction reductions[] = {TTM_TT_REDUCE_PER_LAYER, TTM_TT_REDUCE_PER_STEP};
    for (int index = 0; index < 2; index++) {
        const gradient_variant variant = {"0/mlp=2x4,2x4,4x4:3", 0.0,  1,
                                          reductions[index],     true, 0};
        gradient_problem problem;
        open_problem(&problem, *state, &variant);
        const ttm_tensor flat = ttm_model_gradients(problem.model, 0);
        const ttm_tensor tokens = problem.tokens[0];
        const ttm_tensor targets = problem.targets[0];
        const double whole_loss = run_step(&problem, problem.parameters);
        double *whole = read_tensor(problem.testing, &flat);
        for (int part = 0; part < 2; part++) {
            problem.tokens[part] = ttm_tensor_slice(&tokens, 0, part, 1);
            problem.targets[part] = ttm_tensor_slice(&targets, 0, part, 1);
        }
        problem.micro_batches = BATCH;
        problem.loss_scale = 1.0 / (double)(BATCH * SEQ);
        const double parts_loss = run_step(&problem, problem.parameters);
        double *parts = read_tensor(problem.testing, &flat);
        assert_at_most(fabs(parts_loss - whole_loss), 1e-12);
        for (int64_t element = 0; element < ttm_tensor_count(&flat); element++) {
            assert_at_most(fabs(parts[element] - whole[element]), 1e-12);
        }
        problem.tokens[0] = tokens;
        problem.targets[0] = targets;
        memset(&problem.tokens[1], 0, sizeof problem.tokens[1]);
        memset(&problem.targets[1], 0, sizeof problem.targets[1]);
        free(parts);
        free(whole);
        free_problem(&problem);
    }
}

/* Whatever was in the gradients before a step, its first micro-batch replaces all of it. */
static void a_step_forgets_the_gradients_of_the_step_before(void **state)
{
    const gradient_variant variant = {"0/mlp=2x4,2x4,4x4:3", 0.0, 1, TTM_TT_REDUCE_AUTO, true, 0};
    gradient_problem problem;
    open_problem(&problem, *state, &variant);
    const ttm_tensor flat = ttm_model_gradients(problem.model, 0);
    run_step(&problem, problem.parameters);
    double *first = read_tensor(problem.testing, &flat);
    run_step(&problem, problem.parameters);
    double *second = read_tensor(problem.testing, &flat);
    assert_memory_equal(first, second, (size_t)ttm_tensor_count(&flat) * sizeof *first);
    free(first);
    free(second);
    free_problem(&problem);
}

static void padding_of_the_gradient_stays_zero(void **state)
{
    const gradient_variant variant = {"mlp=2x4,2x4,4x4:3", 0.0, 1, TTM_TT_REDUCE_AUTO, true, 0};
    gradient_problem problem;
    open_problem(&problem, *state, &variant);
    const ttm_parameter_table *table = ttm_model_parameter_table(problem.model);
    const ttm_tensor flat = ttm_model_gradients(problem.model, 0);
    run_step(&problem, problem.parameters);
    /* free_problem frees the parameters; the analyser loses sight of them here.
     * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    double *gradient = read_tensor(problem.testing, &flat);
    double padding = 0.0;
    int64_t next = 0;
    for (size_t index = 0; index <= table->count; index++) {
        const ttm_parameter *parameter = index < table->count ? &table->items[index] : NULL;
        const int64_t begin = parameter != NULL ? parameter->offset : table->buffer_count;
        padding += norm_of(gradient + next, begin - next);
        next = parameter != NULL ? begin + parameter->count : begin;
    }
    free(gradient);
    free_problem(&problem);
    assert_true(padding == 0.0);
}

static void gradients_are_the_same_whether_outputs_are_kept_or_computed_again(void **state)
{
    const gradient_variant variants[] = {
        {"none", 0.2, 1, TTM_TT_REDUCE_AUTO, true, 3},
        {"mlp=2x4,2x4,4x4:3", 0.0, 2, TTM_TT_REDUCE_PER_STEP, true, 2}};
    for (size_t index = 0; index < sizeof variants / sizeof variants[0]; index++) {
        gradient_problem problem;
        open_problem(&problem, *state, &variants[index]);
        const ttm_tensor flat = ttm_model_gradients(problem.model, 0);
        const ttm_gpt2_config *config = ttm_model_config(problem.model);
        problem.model->options.recompute = TTM_RECOMPUTE_ON;
        /* As above. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        const double loss = run_step(&problem, problem.parameters);
        double *recomputed = read_tensor(problem.testing, &flat);
        const int64_t least = ttm_arena_count(&problem.model->arena);
        problem.model->options.recompute = TTM_RECOMPUTE_OFF;
        assert_true(run_step(&problem, problem.parameters) == loss);
        double *kept = read_tensor(problem.testing, &flat);
        const int64_t more = ttm_arena_count(&problem.model->arena) - least;
        assert_int_equal(memcmp(kept, recomputed, (size_t)ttm_tensor_count(&flat) * sizeof *kept),
                         0);
        /* All but one set of outputs is more than before, give or take what places are rounded to.
         */
        const int64_t outputs =
            BATCH * SEQ * config->layers * (2 * config->width + config->inner_width);
        assert_in_range(more, outputs / 2, 2 * outputs);
        free(recomputed);
        free(kept);
        free_problem(&problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_a_dense_model_match_finite_differences),
        cmocka_unit_test(gradients_of_tt_models_with_three_to_five_cores_match_finite_differences),
        cmocka_unit_test(gradients_match_with_every_matrix_tt_and_layers_that_differ),
        cmocka_unit_test(gradients_match_where_equal_matrices_lie_at_unequal_distances),
        cmocka_unit_test(gradients_match_with_dropout),
        cmocka_unit_test(gradients_match_with_accumulation),
        cmocka_unit_test(two_micro_batches_give_loss_and_gradient_of_one_batch),
        cmocka_unit_test(a_step_forgets_the_gradients_of_the_step_before),
        cmocka_unit_test(padding_of_the_gradient_stays_zero),
        cmocka_unit_test(gradients_are_the_same_whether_outputs_are_kept_or_computed_again),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
