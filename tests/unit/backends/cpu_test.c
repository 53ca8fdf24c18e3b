/* What conformance's small random cases don't reach in the cpu plugin: products larger than its
 * packing blocks, agreement of all instruction-set levels and thread counts, the same bits twice.
 */
#include "common/float_formats.h"

#include <ttm/backend.h>

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const levels[] = {"baseline", "avx2", "avx512", "avx512_bf16"};
static const char *const all_products[] = {"own", "blas", "onednn"};
static const char *const thread_counts[] = {"1", "2", "3", "4"};

static const ttm_backend *backend;
static uint64_t random_state;

/** An open device with a stream. */
typedef struct session {
    ttm_backend_device *device;
    ttm_backend_stream *stream;
} session;

/* Lines that quoted TTM_THREADS. */
static int lines_about_threads;

static void count_line(ttm_log_level level, const char *line)
{
    (void)level;
    lines_about_threads += strstr(line, "TTM_THREADS=many") != NULL;
}

static void ignore_message(const char *message)
{
    (void)message;
}

static float random_float(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (float)(random_state >> 40) * 0x1p-24F - 0.5F;
}

/** Opens the device as it comes up with `level`, `threads` and `products`: "own", "blas" for f32 or
 * "onednn" for bf16, which is "own" where that isn't installed. */
static session open_session(const char *level, const char *threads, const char *products)
{
    session opened = {NULL, NULL};
    setenv("TTM_CPU_LEVEL", level, 1);
    setenv("TTM_THREADS", threads, 1);
    setenv("TTM_CPU_PRODUCTS", strcmp(products, "blas") == 0 ? "blas" : "own", 1);
    setenv("TTM_CPU_BF16_PRODUCTS", strcmp(products, "onednn") == 0 ? "onednn" : "own", 1);
    assert_int_equal(backend->device_open(&opened.device, 0), TTM_OK);
    assert_int_equal(backend->stream_create(&opened.stream, opened.device), TTM_OK);
    return opened;
}

static void close_session(session *opened)
{
    backend->stream_destroy(opened->stream);
    backend->device_close(opened->device);
}

static float *elements(const session *opened, const ttm_tensor *tensor)
{
    return backend->memory_map(opened->device, tensor->memory);
}

/** A tensor's numbers, f32 or bf16, as floats; the caller frees them. */
static float *numbers(const session *opened, const ttm_tensor *tensor)
{
    const size_t count =
        tensor->memory_bytes / (tensor->dtype == TTM_F32 ? sizeof(float) : sizeof(uint16_t));
    float *copy = malloc(count * sizeof *copy);
    assert_non_null(copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] =
            tensor->dtype == TTM_F32
                ? elements(opened, tensor)[i]
                : bf16_to_float(((const uint16_t *)(const void *)elements(opened, tensor))[i]);
    }
    return copy;
}

static ttm_tensor make_typed_matrix(const session *opened, ttm_dtype dtype, int64_t rows,
                                    int64_t cols)
{
    ttm_tensor tensor = {.dtype = dtype,
                         .rank = 2,
                         .shape = {rows, cols},
                         .stride = {cols, 1},
                         .memory_bytes = (size_t)(rows * cols) * ttm_dtype_bytes(dtype)};
    assert_int_equal(backend->memory_alloc(&tensor.memory, opened->device, tensor.memory_bytes),
                     TTM_OK);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (dtype == TTM_F32) {
            elements(opened, &tensor)[i] = random_float();
        } else {
            ((uint16_t *)(void *)elements(opened, &tensor))[i] = bf16_from_float(random_float());
        }
    }
    return tensor;
}

static ttm_tensor make_matrix(const session *opened, int64_t rows, int64_t cols)
{
    return make_typed_matrix(opened, TTM_F32, rows, cols);
}

static ttm_tensor transposed(ttm_tensor tensor)
{
    const ttm_tensor before = tensor;
    tensor.shape[0] = before.shape[1];
    tensor.shape[1] = before.shape[0];
    tensor.stride[0] = before.stride[1];
    tensor.stride[1] = before.stride[0];
    return tensor;
}

static void run_op(const session *opened, ttm_op op)
{
    op.struct_size = sizeof op;
    assert_true(backend->op_supported(opened->device, &op));
    const size_t bytes = backend->op_workspace_bytes(opened->device, &op);
    if (bytes > 0) {
        op.workspace = (ttm_tensor){.dtype = TTM_F32,
                                    .rank = 1,
                                    .shape = {(int64_t)(bytes / sizeof(float))},
                                    .stride = {1},
                                    .memory_bytes = bytes};
        assert_int_equal(backend->memory_alloc(&op.workspace.memory, opened->device, bytes),
                         TTM_OK);
    }
    assert_int_equal(backend->op_run(opened->stream, &op), TTM_OK);
    assert_int_equal(backend->stream_synchronize(opened->stream), TTM_OK);
    if (bytes > 0) {
        backend->memory_free(opened->device, op.workspace.memory);
    }
}

/* ---- Products ---- */

/** A product and what surrounds it. */
typedef struct product_case {
    int64_t rows;
    int64_t cols;
    int64_t depth;
    double beta;
    int transpose_a;
    int transpose_b;
    ttm_activation activation;
    int bias;
    int residual; /**< 1: a tensor of its own; 2: out itself. */
    int pre;
    double alpha;
} product_case;

/** The types of a and b, and of everything else. */
typedef struct product_types {
    ttm_dtype operands;
    ttm_dtype out;
} product_types;

static const product_types all_types[] = {
    {TTM_F32, TTM_F32}, {TTM_BF16, TTM_BF16}, {TTM_BF16, TTM_F32}};

/** Blocks end inside, at and after the plugin's own edges (8 or 6 rows, 48 or 16 columns, blocks of
 * 96 × 1008, depth 768, or 1536 where bf16 elements come in pairs, of which odd depths have half a
 * one). */
static const product_case product_cases[] = {
    {97, 1057, 769, 0.0, 0, 0, TTM_ACTIVATION_NONE, 0, 0, 0, 1.0},
    {96, 96, 768, 1.0, 1, 0, TTM_ACTIVATION_NONE, 1, 0, 0, 1.0},
    {101, 49, 1600, 0.0, 0, 1, TTM_ACTIVATION_NONE, 1, 2, 0, 1.0},
    {31, 2017, 40, 1.0, 1, 1, TTM_ACTIVATION_NONE, 0, 1, 0, 1.0},
    {130, 200, 900, 0.0, 0, 0, TTM_ACTIVATION_GELU, 1, 0, 1, 1.0},
    {57, 61, 1537, 0.0, 0, 1, TTM_ACTIVATION_GELU, 1, 2, 0, 1.0},
    {64, 144, 800, 1.0, 0, 0, TTM_ACTIVATION_GELU, 0, 1, 1, 1.0},
    {77, 100, 777, 0.0, 0, 1, TTM_ACTIVATION_GELU_BACKWARD, 0, 2, 1, 1.0},
    {48, 48, 96, 1.0, 1, 0, TTM_ACTIVATION_GELU_BACKWARD, 1, 1, 1, 1.0},
    {1, 1000, 700, 0.0, 0, 0, TTM_ACTIVATION_NONE, 1, 2, 0, 1.0},
    {8, 301, 515, 1.0, 0, 1, TTM_ACTIVATION_GELU, 1, 0, 1, 1.0},
    {5, 1030, 77, 0.0, 0, 0, TTM_ACTIVATION_GELU_BACKWARD, 0, 0, 1, 1.0},
    {99, 145, 3073, 1.0, 1, 0, TTM_ACTIVATION_NONE, 1, 0, 0, -1.5},
    {40, 97, 1, 0.0, 1, 1, TTM_ACTIVATION_GELU, 0, 1, 1, 0.25},
    {200, 50, 3071, 0.0, 0, 0, TTM_ACTIVATION_GELU_BACKWARD, 0, 2, 1, 0.5},
    {12, 1200, 7201, 0.0, 0, 1, TTM_ACTIVATION_NONE, 1, 1, 0, 1.0}, /* too deep to pack at once */
};

static double gelu(double x)
{
    return x / 2 * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static double gelu_derivative(double x)
{
    const double step = 1e-5;
    return (gelu(x + step) - gelu(x - step)) / (2 * step);
}

/** Returns whether a row is compared: under sanitizers, where sums in double take minutes, one in
 * nine is. */
static int is_compared(int64_t row)
{
    return getenv("TTM_TEST_SANITIZED") == NULL || row % 9 == 0;
}

/** Computes the case in double from what the tensors hold now; the caller frees it. */
static double *expected_product(const session *opened, const product_case *given,
                                const ttm_tensor *tensors)
{
    float *slots[TTM_MATMUL_TENSORS] = {NULL};
    for (int i = 0; i < TTM_MATMUL_TENSORS; i++) {
        slots[i] = ttm_tensor_present(&tensors[i]) ? numbers(opened, &tensors[i]) : NULL;
    }
    const int64_t *a_stride = tensors[TTM_MATMUL_A].stride;
    const int64_t *b_stride = tensors[TTM_MATMUL_B].stride;
    double *result = malloc((size_t)(given->rows * given->cols) * sizeof *result);
    assert_non_null(result);
    for (int64_t i = 0; i < given->rows * given->cols; i++) {
        const int64_t row = i / given->cols;
        const int64_t col = i % given->cols;
        if (!is_compared(row)) {
            continue;
        }
        double sum = 0.0;
        for (int64_t k = 0; k < given->depth; k++) {
            sum += (double)slots[TTM_MATMUL_A][row * a_stride[0] + k * a_stride[1]] *
                   (double)slots[TTM_MATMUL_B][k * b_stride[0] + col * b_stride[1]];
        }
        double value = given->alpha * sum + given->beta * (double)slots[TTM_MATMUL_OUT][i];
        if (given->bias) {
            value += (double)slots[TTM_MATMUL_BIAS][col];
        }
        if (given->activation == TTM_ACTIVATION_GELU) {
            value = gelu(value);
        } else if (given->activation == TTM_ACTIVATION_GELU_BACKWARD) {
            value *= gelu_derivative((double)slots[TTM_MATMUL_PRE][i]);
        }
        if (given->residual) {
            value += (double)slots[TTM_MATMUL_RESIDUAL][i];
        }
        result[i] = value;
    }
    for (int i = 0; i < TTM_MATMUL_TENSORS; i++) {
        free(slots[i]);
    }
    return result;
}

static void make_operands(const session *opened, const product_case *given, product_types types,
                          ttm_tensor *tensors)
{
    const ttm_dtype in = types.operands;
    tensors[TTM_MATMUL_OUT] = make_typed_matrix(opened, types.out, given->rows, given->cols);
    tensors[TTM_MATMUL_A] =
        given->transpose_a ? transposed(make_typed_matrix(opened, in, given->depth, given->rows))
                           : make_typed_matrix(opened, in, given->rows, given->depth);
    tensors[TTM_MATMUL_B] =
        given->transpose_b ? transposed(make_typed_matrix(opened, in, given->cols, given->depth))
                           : make_typed_matrix(opened, in, given->depth, given->cols);
    if (given->bias) {
        tensors[TTM_MATMUL_BIAS] = make_typed_matrix(opened, types.out, 1, given->cols);
        tensors[TTM_MATMUL_BIAS].rank = 1;
        tensors[TTM_MATMUL_BIAS].shape[0] = given->cols;
        tensors[TTM_MATMUL_BIAS].stride[0] = 1;
    }
    if (given->residual == 1) {
        tensors[TTM_MATMUL_RESIDUAL] =
            make_typed_matrix(opened, types.out, given->rows, given->cols);
    } else if (given->residual == 2) {
        tensors[TTM_MATMUL_RESIDUAL] = tensors[TTM_MATMUL_OUT];
    }
    if (given->pre) {
        tensors[TTM_MATMUL_PRE] = make_typed_matrix(opened, types.out, given->rows, given->cols);
    }
}

static void free_operands(const session *opened, const product_case *given, ttm_tensor *tensors)
{
    for (int i = 0; i < TTM_MATMUL_TENSORS; i++) {
        if (i != TTM_MATMUL_RESIDUAL || given->residual == 1) {
            backend->memory_free(opened->device, tensors[i].memory);
        }
    }
}

static void check_product(const session *opened, const product_case *given, product_types types,
                          const char *what)
{
    ttm_tensor tensors[TTM_MATMUL_TENSORS] = {0};
    const ttm_matmul_params params = {
        .alpha = given->alpha, .beta = given->beta, .activation = given->activation};
    make_operands(opened, given, types, tensors);
    double *expected = expected_product(opened, given, tensors);
    run_op(opened, (ttm_op){.opcode = TTM_OP_MATMUL,
                            .tensor_count = TTM_MATMUL_TENSORS,
                            .tensors = tensors,
                            .params = &params,
                            .params_bytes = sizeof params});
    float *out = numbers(opened, &tensors[TTM_MATMUL_OUT]);
    for (int64_t i = 0; i < given->rows * given->cols; i++) {
        if (!is_compared(i / given->cols)) {
            continue;
        }
        /* Sums of `depth` products of numbers below 1/2: rounding grows with its root. */
        const double rounding = types.out == TTM_BF16 ? 0x1p-8 * fabs(expected[i]) : 0.0;
        const double bound = 1e-6 * (1.0 + sqrt((double)given->depth)) + rounding;
        if (!(fabs((double)out[i] - expected[i]) <= bound)) {
            fail_msg("%s, product %lld x %lld x %lld: element %lld is %.9g instead of %.9g", what,
                     (long long)given->rows, (long long)given->cols, (long long)given->depth,
                     (long long)i, (double)out[i], expected[i]);
        }
    }
    free(out);
    free(expected);
    free_operands(opened, given, tensors);
}

static void products_of_all_forms_are_right(void **state)
{
    (void)state;
    for (size_t level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        for (size_t way = 0; way < sizeof all_products / sizeof all_products[0]; way++) {
            char what[64];
            const char *products = all_products[way];
            session opened = open_session(levels[level], thread_counts[level], products);
            snprintf(what, sizeof what, "%s, %s, %s threads", levels[level], products,
                     thread_counts[level]);
            for (size_t i = 0; i < sizeof product_cases / sizeof product_cases[0]; i++) {
                for (size_t t = 0; t < sizeof all_types / sizeof all_types[0]; t++) {
                    check_product(&opened, &product_cases[i], all_types[t], what);
                }
            }
            close_session(&opened);
        }
    }
}

/* ---- Products of a layer norm ---- */

static const double norm_epsilon = 1e-3;

static ttm_tensor as_vector(ttm_tensor tensor)
{
    tensor.rank = 1;
    tensor.shape[0] = tensor.shape[1];
    tensor.stride[0] = 1;
    return tensor;
}

static ttm_tensor widened(const session *opened, const ttm_tensor *tensor)
{
    ttm_tensor copy = make_matrix(opened, tensor->shape[0], tensor->shape[1]);
    float *values = numbers(opened, tensor);
    memcpy(elements(opened, &copy), values, copy.memory_bytes);
    free(values);
    return copy;
}

static void run_norm_product(const session *opened, const ttm_tensor *tensors)
{
    const ttm_norm_matmul_params params = {norm_epsilon, TTM_ACTIVATION_GELU};
    const ttm_tensor slots[TTM_NORM_MATMUL_TENSORS] = {
        tensors[0],
        tensors[1],
        as_vector(tensors[2]),
        as_vector(tensors[3]),
        tensors[4],
        as_vector(tensors[5]),
    };
    run_op(opened, (ttm_op){.opcode = TTM_OP_NORM_MATMUL,
                            .tensor_count = TTM_NORM_MATMUL_TENSORS,
                            .tensors = slots,
                            .params = &params,
                            .params_bytes = sizeof params});
}

/** The same by two ops, with a place for what is between them. */
static void run_norm_and_product(const session *opened, const ttm_tensor *tensors,
                                 const ttm_tensor *normed)
{
    const ttm_layer_norm_params norm_params = {norm_epsilon};
    const ttm_tensor norm[TTM_LAYER_NORM_TENSORS] = {*normed, tensors[1], as_vector(tensors[2]),
                                                     as_vector(tensors[3])};
    run_op(opened, (ttm_op){.opcode = TTM_OP_LAYER_NORM,
                            .tensor_count = TTM_LAYER_NORM_TENSORS,
                            .tensors = norm,
                            .params = &norm_params,
                            .params_bytes = sizeof norm_params});
    const ttm_matmul_params product_params = {.alpha = 1.0, .activation = TTM_ACTIVATION_GELU};
    const ttm_tensor product[TTM_MATMUL_TENSORS] = {tensors[0], *normed, tensors[4],
                                                    as_vector(tensors[5])};
    run_op(opened, (ttm_op){.opcode = TTM_OP_MATMUL,
                            .tensor_count = TTM_MATMUL_TENSORS,
                            .tensors = product,
                            .params = &product_params,
                            .params_bytes = sizeof product_params});
}

/** In f32 both ways give the same bits; in bf16 normalised rows aren't rounded on their way into
 * the product, so that it is the f32 product of the same numbers. */
static void check_norm_product(const session *opened, int64_t rows, int64_t cols, int64_t depth,
                               const char *what)
{
    enum { TENSORS = TTM_NORM_MATMUL_TENSORS };
    const int64_t shapes[TENSORS][2] = {{rows, cols}, {rows, depth}, {1, depth},
                                        {1, depth},   {depth, cols}, {1, cols}};
    ttm_tensor narrow[TENSORS];
    ttm_tensor wide[TENSORS];
    for (int i = 0; i < TENSORS; i++) {
        const int is_result = i == TTM_NORM_MATMUL_OUT || i == TTM_NORM_MATMUL_BIAS;
        narrow[i] =
            make_typed_matrix(opened, is_result ? TTM_F32 : TTM_BF16, shapes[i][0], shapes[i][1]);
        wide[i] = widened(opened, &narrow[i]);
    }
    const ttm_tensor normed = make_matrix(opened, rows, depth);
    run_norm_product(opened, narrow);
    run_norm_product(opened, wide);
    float *from_bf16 = numbers(opened, &narrow[0]);
    float *from_f32 = numbers(opened, &wide[0]);
    run_norm_and_product(opened, wide, &normed);
    assert_memory_equal(from_f32, elements(opened, &wide[0]), wide[0].memory_bytes);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (!(fabsf(from_bf16[i] - from_f32[i]) <= 1e-5F * (1.0F + fabsf(from_f32[i])))) {
            fail_msg("%s, %lld x %lld x %lld: element %lld is %.9g in bf16 and %.9g in f32", what,
                     (long long)rows, (long long)cols, (long long)depth, (long long)i,
                     (double)from_bf16[i], (double)from_f32[i]);
        }
    }
    free(from_f32);
    free(from_bf16);
    backend->memory_free(opened->device, normed.memory);
    for (int i = 0; i < TENSORS; i++) {
        backend->memory_free(opened->device, narrow[i].memory);
        backend->memory_free(opened->device, wide[i].memory);
    }
}

static void a_product_of_a_layer_norm_is_that_of_both_ops(void **state)
{
    (void)state;
    for (size_t level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        session opened = open_session(levels[level], thread_counts[level], "own");
        check_norm_product(&opened, 1, 301, 768, levels[level]);
        check_norm_product(&opened, 3, 40, 1027, levels[level]);
        check_norm_product(&opened, 8, 530, 77, levels[level]);
        close_session(&opened);
    }
}

/* ---- The same bits ---- */

/** Runs attention and its gradient on fixed numbers; the caller frees the results. */
static float *attention_bits(const char *level, const char *threads, size_t *count)
{
    enum { HEADS = 3, QUERIES = 200, SIZE = 40, TENSORS = TTM_ATTENTION_BACKWARD_TENSORS };
    const int64_t matrix = (int64_t)QUERIES * SIZE;
    session opened = open_session(level, threads, "own");
    const ttm_attention_params params = {.scale = 0.5, .dropout = 0.25, .seed = 11, .causal = 1};
    ttm_tensor slots[TENSORS];
    random_state = 5;
    for (int i = 0; i < TENSORS; i++) {
        slots[i] = make_matrix(&opened, HEADS * QUERIES, SIZE);
        slots[i].rank = i == TTM_ATTENTION_BACKWARD_LSE ? 3 : 4;
        const int64_t shape[] = {1, HEADS, QUERIES, SIZE};
        const int64_t stride[] = {HEADS * matrix, matrix, SIZE, 1};
        memcpy(slots[i].shape, shape, sizeof shape);
        memcpy(slots[i].stride, stride, sizeof stride);
    }
    ttm_tensor forward[TTM_ATTENTION_TENSORS] = {
        slots[TTM_ATTENTION_BACKWARD_OUT], slots[TTM_ATTENTION_BACKWARD_Q],
        slots[TTM_ATTENTION_BACKWARD_K], slots[TTM_ATTENTION_BACKWARD_V],
        slots[TTM_ATTENTION_BACKWARD_LSE]};
    run_op(&opened, (ttm_op){.opcode = TTM_OP_ATTENTION,
                             .tensor_count = TTM_ATTENTION_TENSORS,
                             .tensors = forward,
                             .params = &params,
                             .params_bytes = sizeof params});
    run_op(&opened, (ttm_op){.opcode = TTM_OP_ATTENTION_BACKWARD,
                             .tensor_count = TENSORS,
                             .tensors = slots,
                             .params = &params,
                             .params_bytes = sizeof params});
    const size_t each = (size_t)(HEADS * matrix);
    float *bits = malloc(3 * each * sizeof *bits);
    assert_non_null(bits);
    for (size_t i = 0; i < 3; i++) {
        memcpy(bits + i * each, elements(&opened, &slots[i]), each * sizeof *bits);
    }
    for (int i = 0; i < TENSORS; i++) {
        backend->memory_free(opened.device, slots[i].memory);
    }
    close_session(&opened);
    *count = 3 * each;
    return bits;
}

static void attention_gives_the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    for (size_t level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        size_t count = 0;
        float *alone = attention_bits(levels[level], "1", &count);
        float *together = attention_bits(levels[level], "4", &count);
        assert_memory_equal(alone, together, count * sizeof *alone);
        free(alone);
        free(together);
    }
}

static void attention_agrees_between_levels(void **state)
{
    (void)state;
    size_t count = 0;
    float *plain = attention_bits("baseline", "1", &count);
    for (size_t level = 1; level < sizeof levels / sizeof levels[0]; level++) {
        float *other = attention_bits(levels[level], "2", &count);
        for (size_t i = 0; i < count; i++) {
            assert_true(fabsf(plain[i] - other[i]) <= 1e-4F * (1.0F + fabsf(plain[i])));
        }
        free(other);
    }
    free(plain);
}

/* ---- GELU ---- */

/** gelu(x), and gelu'(x) in *slope. */
static double exact_gelu(double x, double *slope)
{
    const double root = sqrt(2.0 / acos(-1.0));
    const double tangent = tanh(root * (x + 0.044715 * x * x * x));
    const double inner = root * (1.0 + 3.0 * 0.044715 * x * x);
    const double rest = 1.0 - tangent * tangent;
    *slope = 0.5 * (1.0 + tangent) + (rest > 0.0 ? 0.5 * x * rest * inner : 0.0);
    return 0.5 * x * (1.0 + tangent);
}

/** Half a unit in bf16's last place, and what is lost before rounding. */
static void check_rounded(float found, double exact, double scale)
{
    const double bound = 0x1.01p-8 * fabs(exact) + 0x1p-18 * scale + 0x1p-126;
    if (!(fabs((double)found - exact) <= bound)) {
        print_error("%.9g instead of %.17g\n", (double)found, exact);
        fail();
    }
}

static void gelu_of_every_bf16_number_is_rounded_once(void **state)
{
    (void)state;
    for (size_t level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        session opened = open_session(levels[level], "2", "own");
        /* x, gelu(x), dy, dx */
        ttm_tensor all[4];
        for (int i = 0; i < 4; i++) {
            all[i] = make_typed_matrix(&opened, TTM_BF16, 256, 256);
        }
        for (size_t i = 0; i < 65536; i++) {
            ((uint16_t *)(void *)elements(&opened, &all[0]))[i] = (uint16_t)i;
            ((uint16_t *)(void *)elements(&opened, &all[2]))[i] = bf16_from_float(1.0F);
        }
        const ttm_tensor forward[] = {all[1], all[0]};
        const ttm_tensor backward[] = {all[3], all[2], all[0]};
        run_op(&opened, (ttm_op){.opcode = TTM_OP_GELU, .tensor_count = 2, .tensors = forward});
        run_op(&opened,
               (ttm_op){.opcode = TTM_OP_GELU_BACKWARD, .tensor_count = 3, .tensors = backward});
        float *x = numbers(&opened, &all[0]);
        float *y = numbers(&opened, &all[1]);
        float *dx = numbers(&opened, &all[3]);
        for (size_t i = 0; i < 65536; i++) {
            double slope = 0.0;
            const double exact = exact_gelu((double)x[i], &slope);
            if (isnan(x[i])) {
                assert_true(isnan(y[i]) && isnan(dx[i]));
            } else if (fabsf(x[i]) < 1e30F) {
                check_rounded(y[i], exact, fabs((double)x[i]));
                check_rounded(dx[i], slope, 1.0);
            }
        }
        free(x);
        free(y);
        free(dx);
        for (int i = 0; i < 4; i++) {
            backend->memory_free(opened.device, all[i].memory);
        }
        close_session(&opened);
    }
}

/* ---- Limits ---- */

static void more_memory_than_there_is_is_refused(void **state)
{
    (void)state;
    session opened = open_session("", "1", "own");
    ttm_memory *memory = NULL;
    assert_int_equal(backend->memory_alloc(&memory, opened.device, (size_t)1 << 50),
                     TTM_ERROR_OUT_OF_MEMORY);
    assert_null(memory);
    close_session(&opened);
}

static void an_op_without_its_workspace_is_refused(void **state)
{
    (void)state;
    session opened = open_session("", "1", "own");
    ttm_tensor tensors[2] = {make_matrix(&opened, 1, 64), make_matrix(&opened, 100, 64)};
    tensors[0].rank = 1;
    tensors[0].shape[0] = 64;
    tensors[0].stride[0] = 1;
    const ttm_reduce_rows_params params = {1.0, 0.0};
    const ttm_op op = {.struct_size = sizeof op,
                       .opcode = TTM_OP_REDUCE_ROWS,
                       .tensor_count = 2,
                       .tensors = tensors,
                       .params = &params,
                       .params_bytes = sizeof params};
    assert_int_equal(backend->op_run(opened.stream, &op), TTM_ERROR_ARGUMENT);
    backend->memory_free(opened.device, tensors[0].memory);
    backend->memory_free(opened.device, tensors[1].memory);
    close_session(&opened);
}

static void settings_that_make_no_sense_are_ignored(void **state)
{
    (void)state;
    ttm_device_info info = {.struct_size = sizeof info};
    setenv("TTM_THREADS", "many", 1);
    setenv("TTM_CPU_LEVEL", "mmx", 1);
    assert_int_equal(backend->device_info(0, &info), TTM_OK);
    assert_true(info.compute_units >= 1);
    assert_non_null(strstr(info.details, "thread"));
    assert_int_equal(backend->device_info(1, &info), TTM_ERROR_NOT_FOUND);
    assert_int_equal(backend->device_info(0, &info), TTM_OK);
    assert_int_equal(lines_about_threads, 1); /* told, and told once */
}

static int load_plugin(void **state)
{
    static const ttm_backend_host host = {sizeof host, count_line, ignore_message};
    const char *seed = getenv("TTM_TEST_SEED");
    char path[4096];
    (void)state;
    random_state = seed != NULL ? strtoull(seed, NULL, 10) : 1;
    print_message("TTM_TEST_SEED=%llu\n", (unsigned long long)random_state);
    const char *folder = getenv("TTM_BACKEND_PATH");
    snprintf(path, sizeof path, "%s/libttm-backend-cpu.so", folder != NULL ? folder : ".");
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL) {
        print_error("%s\n", dlerror());
        return -1;
    }
    ttm_backend_entry_function entry = NULL;
    *(void **)&entry = dlsym(module, TTM_BACKEND_ENTRY_NAME);
    backend = entry != NULL ? entry(&host) : NULL;
    return backend != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_of_all_forms_are_right),
        cmocka_unit_test(a_product_of_a_layer_norm_is_that_of_both_ops),
        cmocka_unit_test(attention_gives_the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(attention_agrees_between_levels),
        cmocka_unit_test(gelu_of_every_bf16_number_is_rounded_once),
        cmocka_unit_test(more_memory_than_there_is_is_refused),
        cmocka_unit_test(an_op_without_its_workspace_is_refused),
        cmocka_unit_test(settings_that_make_no_sense_are_ignored),
    };
    return cmocka_run_group_tests(tests, load_plugin, NULL);
}
