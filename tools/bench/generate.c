/* ttm-bench generate: a prompt, then tokens one by one, unwatched and profiled in turn. */
#include "bench/commands.h"
#include "bench/measure.h"
#include "bench/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/generate.h>
#include <ttm/random.h>

typedef struct generate_work {
    bench_session *session;
    ttm_gpt2_config config;
    ttm_model *model;
    ttm_generator *generator;
    bench_steps steps;
    int32_t *prompt; /* [batch, prompt] */
    int32_t *next;   /* [batch] */
    uint64_t *draws; /* [batch] */
} generate_work;

static ttm_status open_work(generate_work *work, bench_session *session)
{
    const bench_arguments *arguments = session->arguments;
    *work = (generate_work){.session = session, .config = TTM_GPT2_CONFIG_EMPTY};
    ttm_status status = bench_configure(&work->config, arguments);
    if (status == TTM_OK) {
        ttm_model_options model_options = TTM_MODEL_OPTIONS_INIT;
        model_options.dtype = session->dtype;
        status = ttm_model_create(&work->model, session->device, &work->config, &model_options);
    }
    if (status == TTM_OK) {
        status = ttm_model_init_parameters(work->model, session->stream, NULL);
    }
    ttm_generator_options options = TTM_GENERATOR_OPTIONS_INIT;
    options.batch = arguments->batch;
    if (status == TTM_OK) {
        status = ttm_generator_create(&work->generator, work->model, session->stream, &options);
    }
    const size_t count = (size_t)(arguments->batch * arguments->prompt);
    work->prompt = calloc(count, sizeof *work->prompt);
    work->next = calloc((size_t)arguments->batch, sizeof *work->next);
    work->draws = calloc((size_t)arguments->batch, sizeof *work->draws);
    if (work->prompt == NULL || work->next == NULL || work->draws == NULL) {
        session->result.out_of_memory = true;
        return TTM_ERROR_OUT_OF_MEMORY;
    }
    ttm_random random = {.seed = 5};
    for (size_t k = 0; k < count && status == TTM_OK; k++) {
        work->prompt[k] = (int32_t)(ttm_random_u32(&random) % (uint32_t)work->config.vocab_size);
    }
    return status;
}

static void close_work(generate_work *work)
{
    ttm_stream_drain(work->session->stream); /* after a failure something may be queued */
    bench_steps_close(&work->steps);
    ttm_generator_destroy(work->generator);
    ttm_model_destroy(work->model);
    ttm_gpt2_config_free(&work->config);
    free(work->prompt);
    free(work->next);
    free(work->draws);
}

static ttm_status prefill(generate_work *work)
{
    const bench_arguments *arguments = work->session->arguments;
    const size_t count = (size_t)arguments->prompt;
    ttm_status status = TTM_OK;
    for (int64_t sequence = 0; sequence < arguments->batch && status == TTM_OK; sequence++) {
        status = ttm_generator_prefill(work->generator, sequence,
                                       work->prompt + (size_t)sequence * count, count);
    }
    return status;
}

/* The most probable token of each sequence, then one step. */
static ttm_status next_token(void *user)
{
    generate_work *work = user;
    ttm_sampling sampling = TTM_SAMPLING_INIT;
    sampling.temperature = 0.0;
    const ttm_status status =
        ttm_generator_sample(work->generator, work->next, &sampling, work->draws);
    return status == TTM_OK ? ttm_generator_step(work->generator, work->next) : status;
}

static ttm_status measure_prefill(generate_work *work)
{
    bench_result *result = &work->session->result;
    const bench_arguments *arguments = work->session->arguments;
    bench_entry *entry = bench_add_entry(result, "step", "prompt", "", "");
    ttm_status status = prefill(work); /* Builds matrices, compiles. */
    for (int k = 0; k < 5 && status == TTM_OK && entry != NULL; k++) {
        const double began = bench_now_ns();
        status = prefill(work);
        result->out_of_memory |= !bench_series_add(&entry->series, bench_now_ns() - began);
    }
    if (status == TTM_OK && entry != NULL) {
        entry->wall_ns = bench_entry_median(entry);
        bench_set_number(result, "step", "prompt_tokens_per_second",
                         (double)(arguments->batch * arguments->prompt) / entry->wall_ns * 1e9);
    }
    return status;
}

static ttm_status measure_tokens(generate_work *work)
{
    bench_session *session = work->session;
    ttm_status status = bench_steps_open(&work->steps, session, "token", next_token, work);
    if (status == TTM_OK) {
        status = bench_steps_warm_up(&work->steps);
    }
    return status == TTM_OK ? bench_steps_measure(&work->steps, session->arguments->tokens)
                            : status;
}

/* Every step reads all weights that it computes with: the floor of one token. */
static void note_speed(const generate_work *work, bench_entry *token)
{
    bench_session *session = work->session;
    bench_result *result = &session->result;
    const double batch = (double)session->arguments->batch;
    const double wall = token->wall_ns;
    double bytes = 0.0;
    for (size_t k = 0; k < result->entry_count; k++) {
        if (strcmp(result->entries[k].group, "op") == 0) {
            bytes += result->entries[k].bytes;
        }
    }
    token->bytes = bytes;
    if (session->roofs.read > 0.0) { /* Next to nothing is written. */
        token->floor_ns = bytes / session->roofs.read * 1e9;
        token->bound = BENCH_BOUND_MEMORY;
    }
    bench_set_number(result, "step", "tokens_per_second", batch / wall * 1e9);
    bench_set_number(result, "step", "memory_floor_tokens_per_second",
                     batch / token->floor_ns * 1e9);
    bench_set_number(result, "step", "of_memory_floor", token->floor_ns / wall);
    bench_set_number(result, "step", "parameters", (double)ttm_gpt2_parameter_count(&work->config));
    bench_set_number(result, "memory", "measured_peak_bytes",
                     (double)ttm_device_memory_used(session->device));
}

ttm_status bench_run_generate(bench_session *session)
{
    generate_work work;
    ttm_status status = bench_measure_roofs(session, false);
    if (status == TTM_OK) {
        status = bench_session_renew_stream(session);
    }
    if (status != TTM_OK) {
        return status;
    }
    status = open_work(&work, session);
    if (status == TTM_OK) {
        status = measure_prefill(&work);
    }
    if (status == TTM_OK) {
        status = measure_tokens(&work);
    }
    if (status == TTM_OK) {
        bench_entry *token = NULL;
        status = bench_steps_finish(&token, &work.steps);
        note_speed(&work, token);
    }
    close_work(&work);
    return status;
}
