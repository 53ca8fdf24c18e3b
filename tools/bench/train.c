/* ttm-bench train: whole optimiser steps on random tokens, unwatched and profiled in turn. */
#include "bench/commands.h"
#include "bench/steps.h"
#include "common/tool_dtype.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/model.h>
#include <ttm/random.h>
#include <ttm/trainer.h>

/* Everything that a step needs. */
typedef struct train_work {
    bench_session *session;
    ttm_gpt2_config config;
    ttm_model *model;
    ttm_tensor tokens;
    ttm_tensor targets;
    ttm_tensor *moments[2]; /* One for each span of the model's parameters. */
    ttm_tensor scalars;     /* [2]: loss, squared norm. */
    int32_t *host_tokens;
    int64_t batch;
    int64_t seq;
    int64_t step;
    bench_steps steps;
} train_work;

static ttm_status open_moments(ttm_tensor **moments, train_work *work)
{
    const ttm_parameter_table *table = ttm_model_parameter_table(work->model);
    ttm_status status = TTM_OK;
    *moments = calloc(table->span_count, sizeof **moments);
    if (*moments == NULL) {
        work->session->result.out_of_memory = true;
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    for (size_t span = 0; span < table->span_count && status == TTM_OK; span++) {
        ttm_tensor *moment = &(*moments)[span];
        status =
            ttm_tensor_alloc(moment, work->session->device, TTM_F32, 1, &table->spans[span].count);
        if (status == TTM_OK) {
            status = ttm_tensor_zero(work->session->stream, moment);
        }
    }
    return status;
}

static void close_moments(ttm_tensor *moments, const train_work *work)
{
    const size_t count = moments != NULL ? ttm_model_parameter_table(work->model)->span_count : 0;
    for (size_t span = 0; span < count; span++) {
        ttm_tensor_free(&moments[span], work->session->device);
    }
    free(moments);
}

static ttm_status open_buffers(train_work *work)
{
    ttm_device *device = work->session->device;
    const int64_t tokens[] = {work->batch, work->seq};
    const int64_t two = 2;
    ttm_status status = ttm_tensor_alloc(&work->tokens, device, TTM_I32, 2, tokens);
    if (status == TTM_OK) {
        status = ttm_tensor_alloc(&work->targets, device, TTM_I32, 2, tokens);
    }
    for (int k = 0; k < 2 && status == TTM_OK; k++) {
        status = open_moments(&work->moments[k], work);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_alloc(&work->scalars, device, TTM_F32, 1, &two);
    }
    work->host_tokens = calloc((size_t)(work->batch * work->seq) + 1, sizeof *work->host_tokens);
    if (work->host_tokens == NULL) {
        work->session->result.out_of_memory = true;
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    ttm_random random = {.seed = 3};
    for (int64_t k = 0; k <= work->batch * work->seq; k++) {
        work->host_tokens[k] =
            (int32_t)(ttm_random_u32(&random) % (uint32_t)work->config.vocab_size);
    }
    return status;
}

static ttm_status update(train_work *work)
{
    ttm_stream *stream = work->session->stream;
    const ttm_parameter_table *table = ttm_model_parameter_table(work->model);
    const int64_t one = 1;
    const ttm_tensor norm = ttm_tensor_view(&work->scalars, 1, TTM_F32, 1, &one);
    ttm_status status = TTM_OK;
    work->step++;
    for (size_t span = 0; span < table->span_count && status == TTM_OK; span++) {
        const ttm_tensor gradients = ttm_model_gradients(work->model, span);
        status = ttm_sum_of_squares(stream, &norm, span > 0 ? 1.0 : 0.0, &gradients);
    }
    for (size_t span = 0; span < table->span_count && status == TTM_OK; span++) {
        const ttm_tensor parameters = ttm_model_parameters(work->model, span);
        const ttm_tensor gradients = ttm_model_gradients(work->model, span);
        const ttm_tensor working = ttm_model_working_parameters(work->model, span);
        const ttm_adamw_segment segment = {0, table->spans[span].count, 1.0, 0.1};
        const ttm_adamw_params params = {.learning_rate = 1e-4,
                                         .beta1 = 0.9,
                                         .beta2 = 0.95,
                                         .epsilon = 1e-8,
                                         .max_norm = 1.0,
                                         .gradient_scale = 1.0,
                                         .step = work->step,
                                         .segments = &segment,
                                         .segment_count = 1};
        status = ttm_adamw(stream, &parameters, &gradients, &work->moments[0][span],
                           &work->moments[1][span], &norm,
                           ttm_tensor_present(&working) ? &working : NULL, &params);
    }
    ttm_model_parameters_stepped(work->model);
    return status;
}

/* One step as the trainer takes it: batch in, passes, optimiser, loss out. */
static ttm_status take_step(void *user)
{
    train_work *work = user;
    ttm_stream *stream = work->session->stream;
    const int64_t one = 1;
    float scalars[2];
    ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
    micro_batch.tokens = work->tokens;
    micro_batch.targets = work->targets;
    micro_batch.loss = ttm_tensor_view(&work->scalars, 0, TTM_F32, 1, &one);
    micro_batch.dropout_index = (uint64_t)work->step;
    ttm_status status = ttm_model_begin_step(work->model, stream);
    if (status == TTM_OK) {
        status = ttm_tensor_write(stream, &work->tokens, work->host_tokens);
    }
    if (status == TTM_OK) {
        status = ttm_tensor_write(stream, &work->targets, work->host_tokens + 1);
    }
    if (status == TTM_OK) {
        status = ttm_model_forward_backward(work->model, stream, &micro_batch);
    }
    if (status == TTM_OK) {
        status = ttm_model_end_step(work->model, stream);
    }
    if (status == TTM_OK) {
        status = update(work);
    }
    return status == TTM_OK ? ttm_tensor_read(stream, scalars, &work->scalars) : status;
}

/* The command line has checked that it is one of the three. */
static ttm_recompute recompute_of(const char *name)
{
    return strcmp(name, "on") == 0    ? TTM_RECOMPUTE_ON
           : strcmp(name, "off") == 0 ? TTM_RECOMPUTE_OFF
                                      : TTM_RECOMPUTE_AUTO;
}

static ttm_status open_work(train_work *work, bench_session *session)
{
    const bench_arguments *arguments = session->arguments;
    *work = (train_work){.session = session, .config = TTM_GPT2_CONFIG_EMPTY};
    ttm_status status = bench_configure(&work->config, arguments);
    if (status != TTM_OK) {
        return status;
    }
    work->batch = arguments->batch;
    work->seq = arguments->seq;
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    options.training = true;
    options.dtype = session->dtype;
    options.recompute = recompute_of(arguments->recompute);
    options.logit_rows = arguments->logit_rows;
    options.batch = work->batch;
    options.seq = work->seq;
    status = ttm_model_create(&work->model, session->device, &work->config, &options);
    if (status == TTM_OK) {
        status = ttm_model_init_parameters(work->model, session->stream, NULL);
    }
    if (status == TTM_OK) {
        status = open_buffers(work);
    }
    return status == TTM_OK
               ? bench_steps_open(&work->steps, session, "training step", take_step, work)
               : status;
}

static void close_work(train_work *work)
{
    ttm_device *device = work->session->device;
    ttm_stream_drain(work->session->stream); /* after a failure something may be queued */
    bench_steps_close(&work->steps);
    ttm_tensor_free(&work->tokens, device);
    ttm_tensor_free(&work->targets, device);
    close_moments(work->moments[0], work);
    close_moments(work->moments[1], work);
    ttm_tensor_free(&work->scalars, device);
    ttm_model_destroy(work->model);
    ttm_gpt2_config_free(&work->config);
    free(work->host_tokens);
}

/* Floating-point operations that a token needs, forward and backward: 6 for each element of a
 * matrix (a TT-matrix counts as the dense one that it stands for) and of the head, and 6·T·C a
 * layer for causal attention. */
static double model_flops(const train_work *work)
{
    const ttm_gpt2_config *config = &work->config;
    double elements = (double)config->vocab_size * (double)config->width;
    for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
        int64_t in = 0;
        int64_t out = 0;
        ttm_gpt2_matrix_size(&in, &out, config, (ttm_gpt2_matrix)matrix);
        elements += (double)config->layers * (double)in * (double)out;
    }
    return 6.0 * elements +
           6.0 * (double)config->layers * (double)work->seq * (double)config->width;
}

static ttm_status note_memory(train_work *work)
{
    bench_result *result = &work->session->result;
    ttm_trainer_options options = TTM_TRAINER_OPTIONS_INIT;
    ttm_trainer_memory memory = {.struct_size = sizeof memory};
    options.recompute = recompute_of(work->session->arguments->recompute);
    options.logit_rows = work->session->arguments->logit_rows;
    options.batch = work->batch;
    options.seq = work->seq;
    ttm_status status =
        ttm_trainer_options_set(&options, "dtype", tool_dtype_name(work->session->dtype));
    if (status == TTM_OK) {
        status = ttm_trainer_plan_memory(&memory, work->session->device, &work->config, &options);
    }
    if (status != TTM_OK) {
        return status;
    }
    bench_set_number(result, "memory", "parameters_bytes", (double)memory.model.parameter_bytes);
    bench_set_number(result, "memory", "gradients_bytes", (double)memory.model.gradient_bytes);
    bench_set_number(result, "memory", "optimiser_bytes", (double)memory.moment_bytes);
    bench_set_number(result, "memory", "activations_bytes", (double)memory.model.activation_bytes);
    bench_set_number(result, "memory", "tt_matrices_bytes", (double)memory.model.matrix_bytes);
    bench_set_number(result, "memory", "workspace_bytes", (double)memory.model.workspace_bytes);
    bench_set_number(result, "memory", "batch_bytes", (double)memory.batch_bytes);
    bench_set_number(result, "memory", "planned_peak_bytes", (double)memory.device_bytes);
    return TTM_OK;
}

static void note_speed(const train_work *work, bench_entry *step)
{
    bench_session *session = work->session;
    bench_result *result = &session->result;
    const double tokens = (double)(work->batch * work->seq);
    const double wall = step->wall_ns;
    const double flops = model_flops(work);
    step->operations = flops * tokens;
    bench_set_number(result, "step", "tokens", tokens);
    bench_set_number(result, "step", "tokens_per_second", tokens / wall * 1e9);
    bench_set_number(result, "step", "model_operations_per_token", flops);
    bench_set_number(result, "step", "model_flops", flops * tokens / wall * 1e9);
    const double roof = bench_product_roof(session, session->dtype);
    if (roof > 0.0) {
        bench_set_number(result, "step", "model_flop_utilisation",
                         flops * tokens / wall * 1e9 / roof);
    }
    bench_set_number(result, "step", "parameters", (double)ttm_gpt2_parameter_count(&work->config));
}

ttm_status bench_run_train(bench_session *session)
{
    train_work work;
    ttm_status status = bench_measure_roofs(session, false);
    if (status == TTM_OK) {
        status = bench_session_renew_stream(session);
    }
    if (status != TTM_OK) {
        return status;
    }
    status = open_work(&work, session);
    if (status == TTM_OK) {
        status = bench_steps_warm_up(&work.steps);
    }
    if (status == TTM_OK) {
        status = bench_steps_measure(&work.steps, session->arguments->steps);
    }
    if (status == TTM_OK) {
        bench_set_number(&session->result, "memory", "measured_peak_bytes",
                         (double)ttm_device_memory_used(session->device));
        status = note_memory(&work);
    }
    if (status == TTM_OK) {
        bench_entry *step = NULL;
        status = bench_steps_finish(&step, &work.steps);
        note_speed(&work, step);
    }
    close_work(&work);
    return status;
}
