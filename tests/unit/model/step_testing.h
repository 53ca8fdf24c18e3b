/* What the tests of types share: a training model of two layers, and a step of two micro-batches on
 * data that is the same each time. */
#ifndef STEP_TESTING_H
#define STEP_TESTING_H

#include "model_testing.h"

enum { BATCH = 2, SEQ = 11, LAYERS = 2, LOGIT_ROWS = 5, MICRO_BATCHES = 2 };

/** One model on one device with one micro-batch. */
typedef struct step_testing {
    model_testing on;
    ttm_model *model;
    ttm_tensor tokens;
    ttm_tensor targets;
    ttm_tensor loss;
} step_testing;

/** A model on `device`, which whoever opened it closes after step_close. */
static inline void step_open(step_testing *made, ttm_device *device, const char *tt,
                             ttm_dtype dtype, ttm_tt_reduction reduction)
{
    const model_testing fresh = {.device = device, .random = {.seed = 5, .position = 0}};
    ttm_gpt2_config config = layered_config(LAYERS, tt);
    ttm_model_options options = TTM_MODEL_OPTIONS_INIT;
    ttm_model_init_options init = TTM_MODEL_INIT_OPTIONS_INIT;
    made->on = fresh;
    assert_ok(ttm_stream_create(&made->on.stream, device));
    options.training = true;
    options.dtype = dtype;
    options.reduction = reduction;
    options.logit_rows = LOGIT_ROWS;
    init.standard_deviation = 0.2;
    init.seed = 17;
    assert_ok(ttm_model_create(&made->model, device, &config, &options));
    assert_ok(ttm_model_init_parameters(made->model, made->on.stream, &init));
    made->tokens = random_tokens(&made->on, BATCH, SEQ, config.vocab_size);
    made->targets = random_tokens(&made->on, BATCH, SEQ, config.vocab_size);
    made->loss = new_tensor(&made->on, TTM_F32, 1, 0);
    ttm_gpt2_config_free(&config);
}

static inline void step_close(step_testing *made)
{
    ttm_model_destroy(made->model);
    ttm_tensor_free(&made->tokens, made->on.device);
    ttm_tensor_free(&made->targets, made->on.device);
    ttm_tensor_free(&made->loss, made->on.device);
    ttm_stream_destroy(made->on.stream);
    assert_int_equal(ttm_device_memory_used(made->on.device), 0);
}

/** The memory of a training model of `config` on `device`; sets the options that it is planned for,
 * but their type. */
static inline ttm_memory_plan step_plan(ttm_model_options *options, ttm_device *device,
                                        const ttm_gpt2_config *config)
{
    ttm_memory_plan plan = {.struct_size = sizeof plan};
    ttm_stream *planning = NULL;
    options->training = true;
    options->batch = BATCH;
    options->seq = SEQ;
    assert_ok(ttm_stream_create_planning(&planning, device));
    assert_ok(ttm_model_memory_plan(&plan, planning, config, options));
    ttm_stream_destroy(planning);
    return plan;
}

/** All micro-batches of one step; returns the loss. */
static inline float step_run(step_testing *made)
{
    float loss = 0.0F;
    assert_ok(ttm_model_begin_step(made->model, made->on.stream));
    for (int index = 0; index < MICRO_BATCHES; index++) {
        ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
        micro_batch.tokens = made->tokens;
        micro_batch.targets = made->targets;
        micro_batch.loss = made->loss;
        micro_batch.loss_scale = 1.0 / (MICRO_BATCHES * BATCH * SEQ);
        micro_batch.first = index == 0;
        assert_ok(ttm_model_forward_backward(made->model, made->on.stream, &micro_batch));
    }
    assert_ok(ttm_model_end_step(made->model, made->on.stream));
    assert_ok(ttm_tensor_read(made->on.stream, &loss, &made->loss));
    return loss;
}

#endif
