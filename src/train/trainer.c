/* Opening and closing a run: new ones and resumed ones share everything but where weights and state
 * come from. */
#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"
#include "train/options.h"
#include "train/resolve.h"
#include "train/run.h"
#include "train/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static ttm_status check_setup(const ttm_trainer_setup *setup)
{
    if (setup->struct_size != sizeof *setup) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a trainer setup of %zu bytes, %zu expected: initialise it with "
                        "TTM_TRAINER_SETUP_INIT",
                        setup->struct_size, sizeof *setup);
    }
    if (setup->device == NULL || setup->directory == NULL || setup->training_data == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "a trainer needs a device, a directory and training data");
    }
    return TTM_OK;
}

/* Every token that a model will see must be in its vocabulary. */
static ttm_status check_vocabulary(const ttm_dataset *data, const char *what,
                                   const ttm_gpt2_config *config)
{
    const size_t used = ttm_dataset_vocab_used(data);
    if (used > (size_t)config->vocab_size) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the %s data holds token %zu, the model's vocabulary has %" PRId64
                        " tokens: use the model's tokenizer, or a model of a larger vocabulary",
                        what, used - 1, config->vocab_size);
    }
    return TTM_OK;
}

static ttm_status check_data(const ttm_trainer_setup *setup, const ttm_gpt2_config *config,
                             const ttm_trainer_options *options)
{
    TTM_TRY(check_vocabulary(setup->training_data, "training", config));
    const uint64_t tokens = ttm_dataset_token_count(setup->training_data);
    if (tokens <= (uint64_t)options->seq) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the training data has %" PRIu64 " tokens, a sequence needs %" PRId64
                        ": give more data or a smaller seq",
                        tokens, options->seq + 1);
    }
    if (setup->validation_data != NULL) {
        TTM_TRY(check_vocabulary(setup->validation_data, "validation", config));
    }
    if (setup->tokenizer != NULL &&
        ttm_tokenizer_vocab_size(setup->tokenizer) > (size_t)config->vocab_size) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the tokenizer has %zu tokens, the model's vocabulary %" PRId64
                        ": use the model's tokenizer, or a model of a larger vocabulary",
                        ttm_tokenizer_vocab_size(setup->tokenizer), config->vocab_size);
    }
    if (options->sample_interval > 0 && setup->tokenizer == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "sample-interval is %" PRId64
                        ", but without a tokenizer samples can't become text: give a tokenizer or "
                        "sample-interval 0",
                        options->sample_interval);
    }
    return TTM_OK;
}

/* The model's texts begin and end as those of the tokenizer do, where it doesn't know. */
static ttm_status create_model(ttm_trainer *trainer, const ttm_gpt2_config *config)
{
    const ttm_tokenizer *tokenizer = trainer->setup.tokenizer;
    const ttm_model_options options = ttm_trainer_model_options(&trainer->options);
    const int64_t end_of_text = tokenizer != NULL ? ttm_tokenizer_end_of_text(tokenizer) : -1;
    ttm_gpt2_config told = TTM_GPT2_CONFIG_EMPTY;
    TTM_TRY(ttm_gpt2_config_copy(&told, config));
    told.bos_token = told.bos_token < 0 ? end_of_text : told.bos_token;
    told.eos_token = told.eos_token < 0 ? end_of_text : told.eos_token;
    const ttm_status status =
        ttm_model_create(&trainer->model, trainer->setup.device, &told, &options);
    ttm_gpt2_config_free(&told);
    return status;
}

/* Model, stream and memory. The stream's scratch is taken at once, so that the peak is the planned
 * one and an error for lack of memory comes before the first step. */
static ttm_status open_model(ttm_trainer *trainer, const ttm_gpt2_config *config)
{
    const ttm_trainer_options *options = &trainer->options;
    ttm_device *device = trainer->setup.device;
    ttm_trainer_memory memory = {.struct_size = sizeof memory};
    TTM_TRY(ttm_trainer_plan_memory(&memory, device, config, options));
    TTM_TRY(ttm_stream_create(&trainer->stream, device));
    TTM_TRY(create_model(trainer, config));
    const ttm_parameter_table *table = ttm_model_parameter_table(trainer->model);
    TTM_TRY(ttm_train_buffers_new(&trainer->buffers, trainer->stream,
                                  ttm_trainer_moment_dtype(options), table, options->batch,
                                  options->seq));
    TTM_TRY(ttm_stream_reserve_workspace(trainer->stream, memory.model.workspace_bytes));
    return ttm_segments_new(&trainer->segments, table, config, options);
}

static ttm_status open_data(ttm_trainer *trainer)
{
    const ttm_trainer_options *options = &trainer->options;
    ttm_sampler_options sampler = TTM_SAMPLER_OPTIONS_INIT;
    sampler.batch = (size_t)options->batch;
    sampler.seq = (size_t)options->seq;
    sampler.seed = options->seed;
    TTM_TRY(ttm_sampler_open(&trainer->sampler, trainer->setup.training_data, &sampler));
    if (trainer->setup.validation_data != NULL && options->validation_interval > 0) {
        TTM_TRY(ttm_validation_set_init(&trainer->validation, trainer->setup.validation_data,
                                        options->batch, options->seq, options->validation_windows));
    }
    return TTM_OK;
}

/* What a checkpoint remembers of the objects it was made with. */
static void describe_inputs(ttm_train_state *state, const ttm_trainer_setup *setup)
{
    snprintf(state->training_hash, sizeof state->training_hash, "%s",
             ttm_dataset_hash(setup->training_data));
    snprintf(state->validation_hash, sizeof state->validation_hash, "%s",
             setup->validation_data != NULL ? ttm_dataset_hash(setup->validation_data) : "");
    snprintf(state->tokenizer_hash, sizeof state->tokenizer_hash, "%s",
             setup->tokenizer != NULL ? ttm_tokenizer_hash(setup->tokenizer) : "");
    snprintf(state->device, sizeof state->device, "%s: %s", ttm_device_backend_name(setup->device),
             ttm_device_get_info(setup->device)->name);
}

static ttm_status new_trainer(ttm_trainer **out, const ttm_trainer_setup *setup)
{
    TTM_TRY(check_setup(setup));
    ttm_trainer *trainer = NULL;
    TTM_TRY(ttm_array_new(&trainer, 1, sizeof *trainer, "a trainer"));
    trainer->setup = *setup;
    trainer->metrics.descriptor = -1;
    trainer->last_loss = NAN;
    trainer->last_validation_loss = (double)NAN;
    trainer->last_bits_per_byte = (double)NAN;
    trainer->state.best_validation_loss = (double)NAN;
    *out = trainer;
    return TTM_OK;
}

static ttm_status begin_weights(ttm_trainer *trainer)
{
    if (trainer->setup.weights != NULL) {
        return ttm_model_read_weights(trainer->model, trainer->stream, trainer->setup.weights);
    }
    ttm_model_init_options init = trainer->setup.init;
    init.seed = trainer->options.seed;
    return ttm_model_init_parameters(trainer->model, trainer->stream, &init);
}

static ttm_status open_new(ttm_trainer *trainer, const ttm_trainer_options *options)
{
    const ttm_trainer_setup *setup = &trainer->setup;
    if (setup->config == NULL) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a new run needs a model configuration");
    }
    TTM_TRY(ttm_trainer_options_resolve(&trainer->options, options, setup->config, setup->device));
    TTM_TRY(check_data(setup, setup->config, &trainer->options));
    TTM_TRY(ttm_run_folder_create(&trainer->folder, setup->directory));
    TTM_TRY(open_data(trainer));
    TTM_TRY(open_model(trainer, setup->config));
    TTM_TRY(begin_weights(trainer));
    describe_inputs(&trainer->state, setup);
    trainer->state.options = trainer->options;
    TTM_TRY(ttm_trainer_write_checkpoint(trainer));
    return ttm_metrics_open(&trainer->metrics, trainer->folder.path, 0);
}

ttm_status ttm_trainer_open(ttm_trainer **trainer, const ttm_trainer_setup *setup,
                            const ttm_trainer_options *options)
{
    *trainer = NULL;
    ttm_trainer *made = NULL;
    TTM_TRY(new_trainer(&made, setup));
    const ttm_status status = open_new(made, options);
    if (status != TTM_OK) {
        ttm_run_folder_close(&made->folder, true);
        ttm_trainer_close(made);
        return status;
    }
    *trainer = made;
    return TTM_OK;
}

/* ---- Resuming ---- */

static ttm_status check_folder(const char *directory)
{
    struct stat information;
    if (stat(directory, &information) != 0 && errno == ENOENT) {
        return ttm_fail(TTM_ERROR_NOT_FOUND, "there is no run in '%s': the folder doesn't exist",
                        directory);
    }
    return TTM_OK;
}

ttm_status ttm_trainer_latest_checkpoint(char **path, const char *directory)
{
    int64_t *steps = NULL;
    size_t count = 0;
    char name[TTM_CHECKPOINT_NAME_BYTES];
    *path = NULL;
    TTM_TRY(check_folder(directory));
    TTM_TRY(ttm_run_folder_checkpoints(&steps, &count, directory));
    if (count == 0) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "there is no run in '%s': it holds no complete checkpoint", directory);
    }
    ttm_checkpoint_name(name, steps[count - 1]);
    free(steps);
    return ttm_path_join(path, directory, name);
}

ttm_status ttm_trainer_read_options(ttm_trainer_options *options, const char *directory)
{
    char *checkpoint = NULL;
    ttm_train_state state;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_trainer_latest_checkpoint(&checkpoint, directory));
    TTM_TRY_OUT(ttm_train_state_read(&state, checkpoint));
    *options = state.options;
out:
    free(checkpoint);
    return status;
}

ttm_status ttm_trainer_read_notes(ttm_trainer_note **notes, size_t *count, const char *directory)
{
    char *checkpoint = NULL;
    *notes = NULL;
    *count = 0;
    TTM_TRY(ttm_trainer_latest_checkpoint(&checkpoint, directory));
    const ttm_status status = ttm_train_notes_read(notes, count, checkpoint);
    free(checkpoint);
    return status;
}

static ttm_status check_same(const char *what, const char *now, const char *before,
                             const char *directory)
{
    if (strcmp(now, before) == 0) {
        return TTM_OK;
    }
    return ttm_fail(TTM_ERROR_ARGUMENT,
                    "the %s isn't the one that the run in '%s' was started with (fingerprint %s, "
                    "then %s): give the same, or start a new run in another folder",
                    what, directory, now[0] != '\0' ? now : "none",
                    before[0] != '\0' ? before : "none");
}

static ttm_status check_inputs(const ttm_train_state *saved, const ttm_trainer_setup *setup)
{
    ttm_train_state now = {0};
    describe_inputs(&now, setup);
    TTM_TRY(check_same("tokenizer", now.tokenizer_hash, saved->tokenizer_hash, setup->directory));
    TTM_TRY(check_same("training data", now.training_hash, saved->training_hash, setup->directory));
    TTM_TRY(check_same("validation data", now.validation_hash, saved->validation_hash,
                       setup->directory));
    if (strcmp(now.device, saved->device) != 0) {
        ttm_log(TTM_LOG_WARNING,
                "the run was on '%s' and goes on on '%s': the results are as good, but not the "
                "same bits",
                saved->device, now.device);
    }
    return TTM_OK;
}

/* *config = the configuration of a checkpoint, which must be setup's if that has one. */
static ttm_status read_config(ttm_gpt2_config *config, const ttm_trainer_setup *setup,
                              const char *checkpoint)
{
    TTM_TRY(ttm_gpt2_config_read(config, checkpoint));
    if (setup->config != NULL && !ttm_gpt2_config_equal(config, setup->config)) {
        ttm_gpt2_config_free(config);
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "the model isn't the one that the run in '%s' was started with: leave out "
                        "what describes it, or start a new run in another folder",
                        setup->directory);
    }
    return TTM_OK;
}

/* A run may be made longer or shorter, but not shorter than it is already. */
static ttm_status check_steps_left(const ttm_train_state *state, const ttm_trainer_options *options)
{
    if (options->steps < state->step) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "steps is %" PRId64 ", but the run has done %" PRId64
                        " already: give at least as many",
                        options->steps, state->step);
    }
    return TTM_OK;
}

static ttm_status resume_checkpoint(ttm_trainer *trainer, const ttm_trainer_options *options,
                                    const char *checkpoint)
{
    const ttm_trainer_setup *setup = &trainer->setup;
    ttm_train_state *state = &trainer->state;
    ttm_gpt2_config config = TTM_GPT2_CONFIG_EMPTY;
    ttm_trainer_options wanted;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(ttm_train_state_read(state, checkpoint));
    TTM_TRY_OUT(read_config(&config, setup, checkpoint));
    wanted = options != NULL ? *options : state->options;
    if (wanted.dtype == TTM_PRECISION_AUTO) {
        wanted.dtype = state->options.dtype; /* settled when the run began */
    }
    if (wanted.recompute == TTM_RECOMPUTE_AUTO) {
        wanted.recompute = state->options.recompute;
    }
    TTM_TRY_OUT(ttm_trainer_options_resolve(&trainer->options, &wanted, &config, setup->device));
    TTM_TRY_OUT(ttm_train_options_compatible(&state->options, &trainer->options));
    TTM_TRY_OUT(check_steps_left(state, &trainer->options));
    TTM_TRY_OUT(check_inputs(state, setup));
    TTM_TRY_OUT(check_data(setup, &config, &trainer->options));
    describe_inputs(state, setup);
    state->options = trainer->options;
    TTM_TRY_OUT(open_data(trainer));
    TTM_TRY_OUT(open_model(trainer, &config));
    TTM_TRY_OUT(ttm_trainer_read_checkpoint(trainer, checkpoint));
    TTM_TRY_OUT(ttm_metrics_open(&trainer->metrics, trainer->folder.path, state->step));
    /* Who stopped between a checkpoint and its links left those of the one before, and `best` would
     * point to nothing once that is removed. */
    status = ttm_trainer_link_checkpoint(trainer);
out:
    ttm_gpt2_config_free(&config);
    return status;
}

ttm_status ttm_trainer_resume(ttm_trainer **trainer, const ttm_trainer_setup *setup,
                              const ttm_trainer_options *options)
{
    *trainer = NULL;
    ttm_trainer *made = NULL;
    char *checkpoint = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(new_trainer(&made, setup));
    TTM_TRY_OUT(check_folder(setup->directory));
    TTM_TRY_OUT(ttm_run_folder_open(&made->folder, setup->directory));
    /* Not before: another process may have written one until it gave up its lock, and the newest
     * may have been moved aside when the machine stopped. */
    TTM_TRY_OUT(ttm_trainer_latest_checkpoint(&checkpoint, setup->directory));
    TTM_TRY_OUT(resume_checkpoint(made, options, checkpoint));
    *trainer = made;
    made = NULL;
out:
    free(checkpoint);
    ttm_trainer_close(made);
    return status;
}

/* ---- Looking at and closing a trainer ---- */

void ttm_trainer_summarise(ttm_trainer_summary *summary, const ttm_trainer *trainer)
{
    const ttm_train_state *state = &trainer->state;
    const ttm_trainer_summary full = {
        .struct_size = sizeof full,
        .step = state->step,
        .steps = trainer->options.steps,
        .tokens = state->tokens,
        .seconds = state->seconds,
        .loss = trainer->last_loss,
        .validation_loss = trainer->last_validation_loss,
        .bits_per_byte = trainer->last_bits_per_byte,
        .best_validation_loss = state->best_validation_loss,
        .best_step = state->best_step,
        .device_memory_bytes = ttm_device_memory_peak(trainer->setup.device),
    };
    const size_t bytes = summary->struct_size < sizeof full ? summary->struct_size : sizeof full;
    memcpy((char *)summary + sizeof full.struct_size, (const char *)&full + sizeof full.struct_size,
           bytes - sizeof full.struct_size);
}

ttm_model *ttm_trainer_model(const ttm_trainer *trainer)
{
    return trainer->model;
}

ttm_stream *ttm_trainer_stream(const ttm_trainer *trainer)
{
    return trainer->stream;
}

const ttm_trainer_options *ttm_trainer_get_options(const ttm_trainer *trainer)
{
    return &trainer->options;
}

/* Waits for what is queued. A device that broke fails here again: that isn't told twice. */
static void finish_work(ttm_stream *stream)
{
    char told[512];
    snprintf(told, sizeof told, "%s", ttm_error_message());
    if (ttm_stream_synchronize(stream) != TTM_OK &&
        strncmp(told, ttm_error_message(), sizeof told - 1) != 0) {
        ttm_log(TTM_LOG_WARNING, "closing a run: %s", ttm_error_message());
    }
}

void ttm_trainer_close(ttm_trainer *trainer)
{
    if (trainer == NULL) {
        return;
    }
    if (trainer->stream != NULL) {
        finish_work(trainer->stream);
    }
    ttm_metrics_close(&trainer->metrics);
    ttm_segments_free(&trainer->segments);
    ttm_sampler_close(trainer->sampler);
    ttm_train_buffers_free(&trainer->buffers);
    ttm_model_destroy(trainer->model);
    ttm_stream_destroy(trainer->stream);
    ttm_run_folder_close(&trainer->folder, false);
    free(trainer);
}
