/* Small GPT-2 models, dense and TTM with 3, 4 and 5 cores, against PyTorch in double precision:
 * logits, gradients of every parameter, and the loss over 20 AdamW steps. The data and what they
 * hold are described in tests/oracle/gpt2_pytorch.py.
 *
 *     pytorch_oracle BACKEND FOLDER-OF-THE-DATA */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/model.h>
#include <ttm/random.h>
#include <ttm/safetensors.h>

enum {
    LAYERS = 4,
    HEADS = 4,
    WIDTH = 128,
    VOCAB = 96,
    CONTEXT = 24,
    BATCH = 3,
    SEQ = 20,
    STEPS = 20,
    SAMPLES = 32
};

static const double logits_tolerance = 1e-5;
static const double gradient_tolerance = 1e-4;
static const double loss_tolerance = 1e-4;

static const struct {
    const char *name;
    const char *tt;
} models[] = {
    {"dense", "none"},
    {"tt3", "mlp=4x8,4x8,8x8:9"},
    {"tt4", "mlp=4x4,4x4,4x4,2x8:8,24,12"},
    {"tt5", "mlp=2x4,4x4,4x4,2x4,2x2:4,12,8,3 c_attn=4x4,4x8,8x12:6 attn.c_proj=8x8,16x16:10"},
};

#define CHECK(expression)                                                                    \
    do {                                                                                     \
        if ((expression) != TTM_OK) {                                                        \
            fprintf(stderr, "pytorch_oracle: line %d: %s\n", __LINE__, ttm_error_message()); \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

static uint64_t fnv1a(const char *name)
{
    uint64_t value = 0xCBF29CE484222325u;
    for (const char *byte = name; *byte != '\0'; byte++) {
        value = (value ^ (unsigned char)*byte) * 0x100000001B3u;
    }
    return value;
}

static int ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    const size_t tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* The rule of `parameters` in the script. */
static void draw_parameter(float *values, const ttm_parameter *parameter)
{
    const char *name = parameter->name;
    double scale = 0.2;
    double shift = 0.0;
    if (parameter->kind == TTM_PARAMETER_EMBEDDING) {
        scale = 0.4;
    } else if (parameter->kind == TTM_PARAMETER_MATRIX) {
        scale = 0.3;
    } else if (parameter->kind == TTM_PARAMETER_CORE) {
        scale = 1.6 / sqrt((double)parameter->shape[0]);
    } else if (parameter->kind == TTM_PARAMETER_NORM) {
        const int last = strstr(name, "ln_f") != NULL;
        const int gain = ends_with(name, ".weight");
        shift = gain ? 1.0 : 0.0;
        scale = last ? 0.3 : gain ? 0.4 : 0.2;
    }
    for (int64_t i = 0; i < parameter->count; i++) {
        const double unit = (double)ttm_philox_u32(fnv1a(name), (uint64_t)i) / 4294967296.0;
        values[i] = (float)(shift + scale * (unit - 0.5));
    }
}

static double *read_expected(const ttm_safetensors *file, const char *name, size_t count)
{
    for (size_t i = 0; i < ttm_safetensors_count(file); i++) {
        const ttm_safetensors_tensor *tensor = ttm_safetensors_at(file, i);
        if (strcmp(tensor->name, name) == 0 && tensor->count == count &&
            tensor->dtype == TTM_SAFETENSORS_F64) {
            double *values = malloc(tensor->bytes);
            memcpy(values, tensor->data, tensor->bytes);
            return values;
        }
    }
    fprintf(stderr, "pytorch_oracle: the data have no %s of %zu doubles\n", name, count);
    exit(1);
}

/* A model in training: what one run needs. */
typedef struct oracle_run {
    ttm_device *device;
    ttm_stream *stream;
    ttm_model *model;
    const ttm_safetensors *expected;
    ttm_tensor tokens;
    ttm_tensor targets;
    ttm_tensor loss;
    ttm_tensor moments[2];
    ttm_tensor norm_squared;
    ttm_adamw_segment *segments;
    int failures;
} oracle_run;

static void report(oracle_run *run, const char *what, double error, double tolerance)
{
    if (!(error <= tolerance)) {
        printf("  FAILED %s: error %.3g exceeds %.3g\n", what, error, tolerance);
        run->failures++;
    }
}

static void load_weights(oracle_run *run)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(run->model);
    for (size_t i = 0; i < table->count; i++) {
        const ttm_parameter *parameter = &table->items[i];
        float *values = malloc((size_t)parameter->count * sizeof *values);
        draw_parameter(values, parameter);
        const ttm_tensor target = ttm_model_parameter(run->model, parameter);
        CHECK(ttm_tensor_write(run->stream, &target, values));
        free(values);
    }
    ttm_model_parameters_changed(run->model);
}

static void load_tokens(oracle_run *run)
{
    int32_t tokens[BATCH * SEQ];
    int32_t targets[BATCH * SEQ];
    for (int b = 0; b < BATCH; b++) {
        for (int t = 0; t < SEQ; t++) {
            const uint64_t place = (uint64_t)(b * (SEQ + 1) + t);
            tokens[b * SEQ + t] = (int32_t)(ttm_philox_u32(fnv1a("tokens"), place) % VOCAB);
            targets[b * SEQ + t] = (int32_t)(ttm_philox_u32(fnv1a("tokens"), place + 1) % VOCAB);
        }
    }
    CHECK(ttm_tensor_write(run->stream, &run->tokens, tokens));
    CHECK(ttm_tensor_write(run->stream, &run->targets, targets));
}

static void check_logits(oracle_run *run)
{
    const int64_t shape[2] = {BATCH * SEQ, VOCAB};
    ttm_tensor logits;
    CHECK(ttm_tensor_alloc(&logits, run->device, TTM_F32, 2, shape));
    CHECK(ttm_model_logits(run->model, run->stream, &logits, &run->tokens));
    float *values = malloc(sizeof(float) * BATCH * SEQ * VOCAB);
    CHECK(ttm_tensor_read(run->stream, values, &logits));
    double *wanted = read_expected(run->expected, "logits", SEQ * VOCAB);
    double error = 0.0;
    double largest = 0.0;
    for (int i = 0; i < SEQ * VOCAB; i++) {
        error = fmax(error, fabs((double)values[i] - wanted[i]));
        largest = fmax(largest, fabs(wanted[i]));
    }
    printf("  logits: relative error %.2g\n", error / largest);
    report(run, "logits", error / largest, logits_tolerance);
    free(wanted);
    free(values);
    ttm_tensor_free(&logits, run->device);
}

/* Relative to the root mean square of the gradient's elements: norm and samples. */
static double gradient_error(oracle_run *run, const ttm_parameter *parameter)
{
    char name[160];
    snprintf(name, sizeof name, "gradient.%s", parameter->name);
    double *wanted = read_expected(run->expected, name, 1 + SAMPLES);
    float *values = malloc((size_t)parameter->count * sizeof *values);
    const ttm_tensor gradient = ttm_model_gradient(run->model, parameter);
    CHECK(ttm_tensor_read(run->stream, values, &gradient));
    double square = 0.0;
    for (int64_t i = 0; i < parameter->count; i++) {
        square += (double)values[i] * values[i];
    }
    double error = fabs(sqrt(square) - wanted[0]) / wanted[0];
    const double typical = wanted[0] / sqrt((double)parameter->count);
    for (int64_t i = 0; i < SAMPLES; i++) {
        const double sample = (double)values[i * 2654435761 % parameter->count];
        error = fmax(error, fabs(sample - wanted[1 + i]) / fmax(typical, fabs(wanted[1 + i])));
    }
    free(values);
    free(wanted);
    return error;
}

static void check_gradients(oracle_run *run)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(run->model);
    double worst = 0.0;
    for (size_t i = 0; i < table->count; i++) {
        const double error = gradient_error(run, &table->items[i]);
        worst = fmax(worst, error);
        report(run, table->items[i].name, error, gradient_tolerance);
    }
    printf("  gradients of %zu parameters: largest relative error %.2g\n", table->count, worst);
}

static void step(oracle_run *run, int64_t number)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(run->model); /* of one span */
    const ttm_tensor parameters = ttm_model_parameters(run->model, 0);
    const ttm_tensor gradients = ttm_model_gradients(run->model, 0);
    for (size_t i = 0; i < table->count; i++) {
        run->segments[i] = (ttm_adamw_segment){table->items[i].offset, table->items[i].count, 1.0,
                                               table->items[i].weight_decay ? 0.1 : 0.0};
    }
    const ttm_adamw_params adamw = {.learning_rate = 1e-3,
                                    .beta1 = 0.9,
                                    .beta2 = 0.95,
                                    .epsilon = 1e-8,
                                    .max_norm = 1.0,
                                    .gradient_scale = 1.0,
                                    .step = number,
                                    .segments = run->segments,
                                    .segment_count = (int64_t)table->count};
    CHECK(ttm_sum_of_squares(run->stream, &run->norm_squared, 0.0, &gradients));
    CHECK(ttm_adamw(run->stream, &parameters, &gradients, &run->moments[0], &run->moments[1],
                    &run->norm_squared, NULL, &adamw));
    ttm_model_parameters_changed(run->model);
}

static void check_training(oracle_run *run)
{
    double *wanted = read_expected(run->expected, "losses", STEPS);
    double worst = 0.0;
    for (int64_t number = 1; number <= STEPS; number++) {
        ttm_micro_batch batch = TTM_MICRO_BATCH_INIT;
        batch.tokens = run->tokens;
        batch.targets = run->targets;
        batch.loss = run->loss;
        CHECK(ttm_model_begin_step(run->model, run->stream));
        CHECK(ttm_model_forward_backward(run->model, run->stream, &batch));
        CHECK(ttm_model_end_step(run->model, run->stream));
        if (number == 1) {
            check_gradients(run);
        }
        step(run, number);
        float loss = 0.0F;
        CHECK(ttm_tensor_read(run->stream, &loss, &run->loss));
        worst = fmax(worst, fabs((double)loss - wanted[number - 1]));
    }
    printf("  loss over %d AdamW steps: largest error %.2g\n", STEPS, worst);
    report(run, "loss", worst, loss_tolerance);
    free(wanted);
}

static int run_model(ttm_device *device, const char *folder, size_t index)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, models[index].name);
    ttm_safetensors *expected = NULL;
    CHECK(ttm_safetensors_open(&expected, path));
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    CHECK(ttm_gpt2_config_init(&config, VOCAB, CONTEXT, LAYERS, HEADS, WIDTH));
    CHECK(ttm_gpt2_config_apply_tt_spec(&config, models[index].tt));
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.training = true;
    options.batch = BATCH;
    options.seq = SEQ;
    oracle_run run = {.device = device, .expected = expected};
    CHECK(ttm_stream_create(&run.stream, device));
    CHECK(ttm_model_create(&run.model, device, &config, &options));
    const ttm_parameter_table *table = ttm_model_parameter_table(run.model);
    const int64_t shape[2] = {BATCH, SEQ};
    const int64_t one = 1;
    CHECK(ttm_tensor_alloc(&run.tokens, device, TTM_I32, 2, shape));
    CHECK(ttm_tensor_alloc(&run.targets, device, TTM_I32, 2, shape));
    CHECK(ttm_tensor_alloc(&run.loss, device, TTM_F32, 1, &one));
    CHECK(ttm_tensor_alloc(&run.norm_squared, device, TTM_F32, 1, &one));
    for (int i = 0; i < 2; i++) {
        CHECK(ttm_tensor_alloc(&run.moments[i], device, TTM_F32, 1, &table->buffer_count));
        CHECK(ttm_tensor_zero(run.stream, &run.moments[i]));
    }
    run.segments = calloc(table->count, sizeof *run.segments);
    printf("%s on %s\n", models[index].name, ttm_device_backend_name(device));
    load_weights(&run);
    load_tokens(&run);
    check_logits(&run);
    check_training(&run);
    free(run.segments);
    ttm_tensor *tensors[] = {&run.tokens,       &run.targets,    &run.loss,
                             &run.norm_squared, &run.moments[0], &run.moments[1]};
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        ttm_tensor_free(tensors[i], device);
    }
    ttm_model_destroy(run.model);
    ttm_stream_destroy(run.stream);
    ttm_gpt2_config_free(&config);
    ttm_safetensors_close(expected);
    return run.failures;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: pytorch_oracle BACKEND FOLDER\n");
        return 2;
    }
    ttm_device *device = NULL;
    CHECK(ttm_device_open(&device, argv[1], NULL));
    int failures = 0;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        failures += run_model(device, argv[2], i);
    }
    ttm_device_close(device);
    printf("%s\n", failures == 0 ? "all within tolerance" : "FAILED");
    return failures == 0 ? 0 : 1;
}
