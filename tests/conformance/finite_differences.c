/* Every backward op of the reference backend against fourth-order central differences of its
 * forward op, in double.
 *
 * The loss is L = Σ w·out with random weights w, so that the gradient with respect to `out` is w.
 * What the backward op gives for an element x is compared with
 *     (8·(L(x + h) − L(x − h)) − (L(x + 2h) − L(x − 2h))) / 12h,
 * whose error is of order h⁴. */
#include "conformance/draw.h"
#include "conformance/target.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs the standard headers above */

enum { MOST_TENSORS = 256 };

#define RELATIVE_ERROR 1e-6
/* Gradients this small next to the largest of their tensor drown in the rounding of L. */
#define NOISE 1e-9
#define STEP  2e-3

/* What one test works with. */
static struct target reference;
static ttm_random numbers;
static ttm_tensor tensors[MOST_TENSORS];
static int tensor_count;

static double *data(const ttm_tensor *tensor)
{
    return (double *)reference.backend->memory_map(reference.device, tensor->memory);
}

static int64_t count(const ttm_tensor *tensor)
{
    int64_t elements = 1;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        elements *= tensor->shape[dim];
    }
    return elements;
}

/* A contiguous tensor of zeros that lives until the end of the test. */
static ttm_tensor zeros_of(ttm_dtype dtype, int32_t rank, const int64_t *shape)
{
    ttm_tensor tensor = {.dtype = dtype, .rank = rank};
    memcpy(tensor.shape, shape, (size_t)rank * sizeof shape[0]);
    int64_t step = 1;
    for (int32_t dim = rank - 1; dim >= 0; dim--) {
        tensor.stride[dim] = step;
        step *= shape[dim];
    }
    tensor.memory_bytes = (size_t)step * ttm_dtype_bytes(dtype);
    assert_int_equal(
        reference.backend->memory_alloc(&tensor.memory, reference.device, tensor.memory_bytes),
        TTM_OK);
    memset(data(&tensor), 0, tensor.memory_bytes);
    assert_true(tensor_count < MOST_TENSORS);
    tensors[tensor_count++] = tensor;
    return tensor;
}

static ttm_tensor zeros(int32_t rank, const int64_t *shape)
{
    return zeros_of(TTM_F64, rank, shape);
}

static ttm_tensor noise(int32_t rank, const int64_t *shape)
{
    const ttm_tensor tensor = zeros(rank, shape);
    for (int64_t i = 0; i < count(&tensor); i++) {
        data(&tensor)[i] = draw_value(&numbers);
    }
    return tensor;
}

/* i32 numbers below `limit`, one of them −1. */
static ttm_tensor tokens(int64_t rows, int64_t limit)
{
    const ttm_tensor tensor = zeros_of(TTM_I32, 1, &rows);
    int32_t *values = (int32_t *)data(&tensor);
    for (int64_t i = 0; i < rows; i++) {
        values[i] = (int32_t)draw_below(&numbers, limit);
    }
    values[rows / 2] = -1;
    return tensor;
}

static ttm_tensor like(const ttm_tensor *other)
{
    return zeros(other->rank, other->shape);
}

static ttm_tensor transposed(ttm_tensor tensor)
{
    const int32_t last = tensor.rank - 1;
    const int64_t extent = tensor.shape[last];
    const int64_t stride = tensor.stride[last];
    tensor.shape[last] = tensor.shape[last - 1];
    tensor.stride[last] = tensor.stride[last - 1];
    tensor.shape[last - 1] = extent;
    tensor.stride[last - 1] = stride;
    return tensor;
}

static void run(ttm_opcode opcode, const ttm_tensor *slots, uint32_t slot_count, const void *params,
                size_t params_bytes)
{
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = opcode,
                       .tensor_count = slot_count,
                       .tensors = slots,
                       .params = params,
                       .params_bytes = params_bytes};
    assert_int_equal(target_run(&reference, &op), TTM_OK);
}

/* A forward computation: an op, and where its output lies. */
struct forward {
    ttm_opcode opcode;
    uint32_t slot_count;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const void *params;
    size_t params_bytes;
    uint32_t output;
    ttm_tensor weights;           /* of L, in the output's shape */
    const struct forward *before; /* what has to be computed first, or NULL */
};

static void compute(const struct forward *forward)
{
    if (forward->before != NULL) {
        compute(forward->before);
    }
    run(forward->opcode, forward->slots, forward->slot_count, forward->params,
        forward->params_bytes);
}

static double loss(const struct forward *forward)
{
    compute(forward);
    const ttm_tensor *out = &forward->slots[forward->output];
    double sum = 0.0;
    for (int64_t i = 0; i < count(out); i++) {
        sum += data(out)[i] * data(&forward->weights)[i];
    }
    return sum;
}

static double loss_at(const struct forward *forward, double *x, double value)
{
    const double kept = *x;
    *x = value;
    const double result = loss(forward);
    *x = kept;
    return result;
}

static double difference(const struct forward *forward, double *x)
{
    const double h = STEP;
    const double near = loss_at(forward, x, *x + h) - loss_at(forward, x, *x - h);
    const double far = loss_at(forward, x, *x + 2.0 * h) - loss_at(forward, x, *x - 2.0 * h);
    return (8.0 * near - far) / (12.0 * h);
}

/* Compares `gradient` − `before` (what was there and was added to) with differences of L with
 * respect to every element of `input`. */
static void check_gradient(const char *name, const struct forward *forward, const ttm_tensor *input,
                           const ttm_tensor *gradient, double before)
{
    double largest = 0.0;
    for (int64_t i = 0; i < count(input); i++) {
        largest = fmax(largest, fabs(data(gradient)[i] - before));
    }
    for (int64_t i = 0; i < count(input); i++) {
        const double analytic = data(gradient)[i] - before;
        const double numeric = difference(forward, &data(input)[i]);
        if (!(fabs(analytic - numeric) <= RELATIVE_ERROR * fabs(numeric) + NOISE * largest)) {
            fail_msg("%s[%lld]: backward gives %.12g, differences give %.12g", name, (long long)i,
                     analytic, numeric);
        }
    }
}

/* Sets every element, so that a gradient that is added to what was there shows. */
static void set_all(const ttm_tensor *tensor, double value)
{
    for (int64_t i = 0; i < count(tensor); i++) {
        data(tensor)[i] = value;
    }
}

static void gelu_backward_is_the_derivative_of_gelu(void **state)
{
    (void)state;
    const int64_t shape[] = {5, 13};
    const ttm_tensor x = noise(2, shape);
    const ttm_tensor weights = noise(2, shape);
    const ttm_tensor dx = like(&x);
    const struct forward gelu = {.opcode = TTM_OP_GELU,
                                 .slot_count = TTM_GELU_TENSORS,
                                 .slots = {like(&x), x},
                                 .weights = weights};
    run(TTM_OP_GELU_BACKWARD, (const ttm_tensor[]){dx, weights, x}, TTM_GELU_BACKWARD_TENSORS, NULL,
        0);
    check_gradient("dx", &gelu, &x, &dx, 0.0);
}

static void dropout_is_its_own_backward(void **state)
{
    (void)state;
    const int64_t shape[] = {7, 11};
    const ttm_dropout_params params = {.probability = 0.3, .seed = 12345, .start = 3};
    const ttm_tensor x = noise(2, shape);
    const ttm_tensor residual = noise(2, shape);
    const ttm_tensor weights = noise(2, shape);
    const ttm_tensor dx = like(&x);
    const struct forward dropout = {.opcode = TTM_OP_DROPOUT,
                                    .slot_count = TTM_DROPOUT_TENSORS,
                                    .slots = {like(&x), x, residual},
                                    .params = &params,
                                    .params_bytes = sizeof params,
                                    .weights = weights};
    run(TTM_OP_DROPOUT, (const ttm_tensor[]){dx, weights, {0}}, TTM_DROPOUT_TENSORS, &params,
        sizeof params);
    check_gradient("dx", &dropout, &x, &dx, 0.0);
    check_gradient("dresidual", &dropout, &residual, &weights, 0.0);
}

static void layer_norm_backward_is_the_derivative_of_layer_norm(void **state)
{
    (void)state;
    const int64_t shape[] = {4, 9};
    const int64_t rows = shape[0];
    const ttm_layer_norm_params params = {.epsilon = 1e-5};
    const ttm_tensor x = noise(2, shape);
    const ttm_tensor residual = noise(2, shape);
    const ttm_tensor gamma = noise(1, &shape[1]);
    const ttm_tensor beta = noise(1, &shape[1]);
    const ttm_tensor mean = zeros(1, &rows);
    const ttm_tensor rstd = zeros(1, &rows);
    const ttm_tensor sum = like(&x);
    const ttm_tensor weights = noise(2, shape);
    const ttm_tensor dx = like(&x);
    const ttm_tensor dgamma = like(&gamma);
    const ttm_tensor dbeta = like(&beta);
    const struct forward norm = {.opcode = TTM_OP_LAYER_NORM,
                                 .slot_count = TTM_LAYER_NORM_TENSORS,
                                 .slots = {like(&x), x, gamma, beta, mean, rstd, residual, sum},
                                 .params = &params,
                                 .params_bytes = sizeof params,
                                 .weights = weights};
    for (int beta_value = 0; beta_value < 2; beta_value++) {
        const ttm_layer_norm_backward_params backward = {.dx_beta = beta_value};
        set_all(&dx, beta_value != 0 ? 0.5 : (double)NAN);
        set_all(&dgamma, 0.25);
        set_all(&dbeta, -0.25);
        compute(&norm);
        run(TTM_OP_LAYER_NORM_BACKWARD,
            (const ttm_tensor[]){dx, weights, sum, gamma, mean, rstd, dgamma, dbeta},
            TTM_LAYER_NORM_BACKWARD_TENSORS, &backward, sizeof backward);
        check_gradient("dx", &norm, &x, &dx, 0.5 * beta_value);
        check_gradient("dresidual", &norm, &residual, &dx, 0.5 * beta_value);
        check_gradient("dgamma", &norm, &gamma, &dgamma, 0.25);
        check_gradient("dbeta", &norm, &beta, &dbeta, -0.25);
    }
}

static void check_attention(int64_t queries, int64_t keys, int causal, double dropout)
{
    const int64_t q_shape[] = {2, 2, queries, 3};
    const int64_t k_shape[] = {2, 2, keys, 3};
    const ttm_attention_params params = {
        .scale = 0.7, .dropout = dropout, .seed = 99, .causal = causal};
    const ttm_tensor q = noise(4, q_shape);
    const ttm_tensor k = noise(4, k_shape);
    const ttm_tensor v = noise(4, k_shape);
    const ttm_tensor out = like(&q);
    const ttm_tensor lse = zeros(3, q_shape);
    const ttm_tensor weights = noise(4, q_shape);
    const ttm_tensor dq = like(&q);
    const ttm_tensor dk = like(&k);
    const ttm_tensor dv = like(&v);
    const struct forward attention = {.opcode = TTM_OP_ATTENTION,
                                      .slot_count = TTM_ATTENTION_TENSORS,
                                      .slots = {out, q, k, v, lse},
                                      .params = &params,
                                      .params_bytes = sizeof params,
                                      .weights = weights};
    compute(&attention);
    run(TTM_OP_ATTENTION_BACKWARD, (const ttm_tensor[]){dq, dk, dv, weights, q, k, v, out, lse},
        TTM_ATTENTION_BACKWARD_TENSORS, &params, sizeof params);
    check_gradient("dq", &attention, &q, &dq, 0.0);
    check_gradient("dk", &attention, &k, &dk, 0.0);
    check_gradient("dv", &attention, &v, &dv, 0.0);
}

static void attention_backward_is_the_derivative_of_attention(void **state)
{
    (void)state;
    check_attention(4, 4, 1, 0.0);
    check_attention(3, 5, 0, 0.0);
}

static void attention_backward_knows_keys_before_the_queries(void **state)
{
    (void)state;
    check_attention(3, 6, 1, 0.0);
}

static void attention_backward_drops_what_the_forward_pass_dropped(void **state)
{
    (void)state;
    check_attention(5, 5, 1, 0.4);
}

static void dlogits_are_the_derivative_of_the_loss(void **state)
{
    (void)state;
    const int64_t shape[] = {6, 7};
    const ttm_cross_entropy_params params = {.gradient_scale = 0.5};
    const ttm_tensor logits = noise(2, shape);
    const ttm_tensor targets = tokens(shape[0], shape[1]);
    const ttm_tensor dlogits = like(&logits);
    const ttm_tensor weights = zeros(1, shape);
    struct forward entropy = {.opcode = TTM_OP_CROSS_ENTROPY,
                              .slot_count = TTM_CROSS_ENTROPY_TENSORS,
                              .slots = {zeros(1, shape), logits, targets, dlogits},
                              .params = &params,
                              .params_bytes = sizeof params,
                              .weights = weights};
    set_all(&weights, params.gradient_scale);
    compute(&entropy);
    entropy.slots[TTM_CROSS_ENTROPY_DLOGITS] = (ttm_tensor){0}; /* keep what it is now */
    check_gradient("dlogits", &entropy, &logits, &dlogits, 0.0);
}

static void embedding_backward_is_the_derivative_of_embedding(void **state)
{
    (void)state;
    const int64_t rows = 9;
    const ttm_embedding_params params = {.sequence_length = 4, .position_start = 2};
    const ttm_tensor ids = tokens(rows, 5);
    const ttm_tensor table = noise(2, (const int64_t[]){5, 3});
    const ttm_tensor positions = noise(2, (const int64_t[]){7, 3});
    const ttm_tensor weights = noise(2, (const int64_t[]){rows, 3});
    const ttm_tensor dtable = like(&table);
    const ttm_tensor dpositions = like(&positions);
    const struct forward embedding = {.opcode = TTM_OP_EMBEDDING,
                                      .slot_count = TTM_EMBEDDING_TENSORS,
                                      .slots = {like(&weights), ids, table, positions},
                                      .params = &params,
                                      .params_bytes = sizeof params,
                                      .weights = weights};
    set_all(&dtable, 2.0);
    set_all(&dpositions, 3.0);
    run(TTM_OP_EMBEDDING_BACKWARD, (const ttm_tensor[]){dtable, dpositions, weights, ids},
        TTM_EMBEDDING_BACKWARD_TENSORS, &params, sizeof params);
    check_gradient("dtable", &embedding, &table, &dtable, 2.0);
    check_gradient("dpositions", &embedding, &positions, &dpositions, 3.0);
}

static void matmul(ttm_tensor out, ttm_tensor a, ttm_tensor b, ttm_activation activation,
                   ttm_tensor pre)
{
    const ttm_matmul_params params = {.alpha = 1.0, .activation = activation};
    ttm_tensor slots[TTM_MATMUL_TENSORS] = {
        [TTM_MATMUL_OUT] = out, [TTM_MATMUL_A] = a, [TTM_MATMUL_B] = b, [TTM_MATMUL_PRE] = pre};
    run(TTM_OP_MATMUL, slots, TTM_MATMUL_TENSORS, &params, sizeof params);
}

static void matmul_gradients_are_products_with_transposed_views(void **state)
{
    (void)state;
    const ttm_matmul_params params = {.alpha = 1.0};
    const ttm_tensor a = noise(3, (const int64_t[]){2, 4, 5});
    const ttm_tensor b = noise(3, (const int64_t[]){2, 5, 3});
    const ttm_tensor weights = noise(3, (const int64_t[]){2, 4, 3});
    const ttm_tensor da = like(&a);
    const ttm_tensor db = like(&b);
    const struct forward product = {.opcode = TTM_OP_MATMUL,
                                    .slot_count = TTM_MATMUL_TENSORS,
                                    .slots = {like(&weights), a, b},
                                    .params = &params,
                                    .params_bytes = sizeof params,
                                    .weights = weights};
    matmul(da, weights, transposed(b), TTM_ACTIVATION_NONE, (ttm_tensor){0});
    matmul(db, transposed(a), weights, TTM_ACTIVATION_NONE, (ttm_tensor){0});
    check_gradient("da", &product, &a, &da, 0.0);
    check_gradient("db", &product, &b, &db, 0.0);
}

/* L = Σ w·(gelu(x·w1 + bias)·w2 + x), as in an MLP: the gradient at the product x·w1 + bias is the
 * product w·w2ᵀ with the GELU_BACKWARD epilogue. */
static void matmul_epilogues_are_the_mlp_and_its_backward(void **state)
{
    (void)state;
    const ttm_matmul_params with_gelu = {.alpha = 1.0, .activation = TTM_ACTIVATION_GELU};
    const ttm_matmul_params plain = {.alpha = 1.0};
    const ttm_reduce_rows_params column_sums = {.alpha = 1.0};
    const ttm_tensor x = noise(2, (const int64_t[]){4, 3});
    const ttm_tensor w1 = noise(2, (const int64_t[]){3, 6});
    const ttm_tensor w2 = noise(2, (const int64_t[]){6, 3});
    const ttm_tensor bias = noise(1, (const int64_t[]){6});
    const ttm_tensor weights = noise(2, (const int64_t[]){4, 3});
    const ttm_tensor hidden = zeros(2, (const int64_t[]){4, 6});
    const ttm_tensor pre = like(&hidden);
    const ttm_tensor dpre = like(&hidden);
    const ttm_tensor dw1 = like(&w1);
    const ttm_tensor dbias = like(&bias);
    const ttm_tensor dw2 = like(&w2);
    const struct forward first = {.opcode = TTM_OP_MATMUL,
                                  .slot_count = TTM_MATMUL_TENSORS,
                                  .slots = {hidden, x, w1, bias, {0}, pre},
                                  .params = &with_gelu,
                                  .params_bytes = sizeof with_gelu};
    const struct forward second = {.opcode = TTM_OP_MATMUL,
                                   .slot_count = TTM_MATMUL_TENSORS,
                                   .slots = {like(&weights), hidden, w2, {0}, x},
                                   .params = &plain,
                                   .params_bytes = sizeof plain,
                                   .weights = weights,
                                   .before = &first};
    compute(&second);
    matmul(dpre, weights, transposed(w2), TTM_ACTIVATION_GELU_BACKWARD, pre);
    matmul(dw1, transposed(x), dpre, TTM_ACTIVATION_NONE, (ttm_tensor){0});
    matmul(dw2, transposed(hidden), weights, TTM_ACTIVATION_NONE, (ttm_tensor){0});
    run(TTM_OP_REDUCE_ROWS, (const ttm_tensor[]){dbias, dpre}, TTM_REDUCE_ROWS_TENSORS,
        &column_sums, sizeof column_sums);
    check_gradient("dw1", &second, &w1, &dw1, 0.0);
    check_gradient("dbias", &second, &bias, &dbias, 0.0);
    check_gradient("dw2", &second, &w2, &dw2, 0.0);
}

/* Cores with different modes and ranks, `layers` of them, and gradients of their shapes. */
struct train {
    int count;
    int64_t in;
    int64_t out;
    ttm_tensor cores[TTM_OP_MAX_CORES];
    ttm_tensor gradients[TTM_OP_MAX_CORES];
};

static struct train random_train(int core_count, int64_t layers)
{
    static const int64_t modes[][2] = {{2, 3}, {3, 1}, {1, 2}, {2, 2}, {2, 1}, {1, 2}};
    static const int64_t ranks[] = {3, 2, 4, 2, 3};
    struct train train = {.count = core_count, .in = 1, .out = 1};
    for (int k = 0; k < core_count; k++) {
        const int64_t shape[] = {layers, k == 0 ? 1 : ranks[k - 1], modes[k][0], modes[k][1],
                                 k == core_count - 1 ? 1 : ranks[k]};
        train.cores[k] = noise(5, shape);
        train.gradients[k] = zeros(5, shape);
        train.in *= modes[k][0];
        train.out *= modes[k][1];
    }
    return train;
}

static void tt_gradient_is_the_derivative_of_tt_build(void **state)
{
    (void)state;
    for (int core_count = 1; core_count <= 6; core_count++) {
        const struct train train = random_train(core_count, 2);
        const ttm_tt_gradient_params params = {.beta = core_count % 2};
        const ttm_tensor weights = noise(3, (const int64_t[]){2, train.in, train.out});
        struct forward build = {.opcode = TTM_OP_TT_BUILD,
                                .slot_count = TTM_TT_BUILD_TENSORS,
                                .slots = {like(&weights)},
                                .weights = weights};
        ttm_tensor slots[TTM_TT_GRADIENT_TENSORS] = {weights};
        for (int k = 0; k < core_count; k++) {
            build.slots[TTM_TT_BUILD_CORE + k] = train.cores[k];
            slots[TTM_TT_GRADIENT_CORE + k] = train.cores[k];
            slots[TTM_TT_GRADIENT_DCORE + k] = train.gradients[k];
            set_all(&train.gradients[k], params.beta != 0.0 ? 0.5 : (double)NAN);
        }
        run(TTM_OP_TT_GRADIENT, slots, TTM_TT_GRADIENT_TENSORS, &params, sizeof params);
        for (int k = 0; k < core_count; k++) {
            check_gradient("dcore", &build, &train.cores[k], &train.gradients[k],
                           0.5 * params.beta);
        }
    }
}

static void check_tt_linear(const struct train *train)
{
    const ttm_tensor x = noise(2, (const int64_t[]){3, train->in});
    const ttm_tensor bias = noise(1, &train->out);
    const ttm_tensor weights = noise(2, (const int64_t[]){3, train->out});
    const ttm_tensor dx = like(&x);
    const ttm_tensor dbias = like(&bias);
    struct forward linear = {.opcode = TTM_OP_TT_LINEAR,
                             .slot_count = TTM_TT_LINEAR_TENSORS,
                             .slots = {like(&weights), x, bias},
                             .weights = weights};
    ttm_tensor slots[TTM_TT_LINEAR_BACKWARD_TENSORS] = {dx, weights, x, dbias};
    for (int k = 0; k < train->count; k++) {
        linear.slots[TTM_TT_LINEAR_CORE + k] = train->cores[k];
        slots[TTM_TT_LINEAR_BACKWARD_CORE + k] = train->cores[k];
        slots[TTM_TT_LINEAR_BACKWARD_DCORE + k] = train->gradients[k];
        set_all(&train->gradients[k], 1.5);
    }
    set_all(&dbias, -1.5);
    run(TTM_OP_TT_LINEAR_BACKWARD, slots, TTM_TT_LINEAR_BACKWARD_TENSORS, NULL, 0);
    check_gradient("dx", &linear, &x, &dx, 0.0);
    check_gradient("dbias", &linear, &bias, &dbias, -1.5);
    for (int k = 0; k < train->count; k++) {
        check_gradient("dcore", &linear, &train->cores[k], &train->gradients[k], 1.5);
    }
}

static void tt_linear_backward_is_the_derivative_of_tt_linear(void **state)
{
    (void)state;
    for (int core_count = 1; core_count <= 6; core_count++) {
        const struct train train = random_train(core_count, 1);
        check_tt_linear(&train);
    }
}

static int free_tensors(void **state)
{
    (void)state;
    while (tensor_count > 0) {
        target_free(&reference, tensors[--tensor_count].memory);
    }
    return 0;
}

static int open_reference(void **state)
{
    (void)state;
    const char *text = getenv("TTM_TEST_SEED");
    const uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : 1;
    char *path = NULL;
    printf("TTM_TEST_SEED=%llu\n", (unsigned long long)seed);
    numbers = (ttm_random){.seed = seed};
    ttm_status status = target_find(&path, "reference");
    if (status == TTM_OK) {
        status = target_open(&reference, path, NULL);
    }
    free(path);
    if (status != TTM_OK) {
        fprintf(stderr, "%s\n", ttm_error_message());
    }
    return status == TTM_OK ? 0 : -1;
}

static int close_reference(void **state)
{
    (void)state;
    target_close(&reference);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(gelu_backward_is_the_derivative_of_gelu, free_tensors),
        cmocka_unit_test_teardown(dropout_is_its_own_backward, free_tensors),
        cmocka_unit_test_teardown(layer_norm_backward_is_the_derivative_of_layer_norm,
                                  free_tensors),
        cmocka_unit_test_teardown(attention_backward_is_the_derivative_of_attention, free_tensors),
        cmocka_unit_test_teardown(attention_backward_knows_keys_before_the_queries, free_tensors),
        cmocka_unit_test_teardown(attention_backward_drops_what_the_forward_pass_dropped,
                                  free_tensors),
        cmocka_unit_test_teardown(dlogits_are_the_derivative_of_the_loss, free_tensors),
        cmocka_unit_test_teardown(embedding_backward_is_the_derivative_of_embedding, free_tensors),
        cmocka_unit_test_teardown(matmul_gradients_are_products_with_transposed_views,
                                  free_tensors),
        cmocka_unit_test_teardown(matmul_epilogues_are_the_mlp_and_its_backward, free_tensors),
        cmocka_unit_test_teardown(tt_gradient_is_the_derivative_of_tt_build, free_tensors),
        cmocka_unit_test_teardown(tt_linear_backward_is_the_derivative_of_tt_linear, free_tensors),
    };
    return cmocka_run_group_tests(tests, open_reference, close_reference);
}
