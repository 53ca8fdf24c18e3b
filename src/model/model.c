/* Creating and freeing models. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/error.h"
#include "model/tt_groups.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* Elements that tensors begin at multiples of, even where a device doesn't ask for it. */
#define LEAST_ALIGNMENT 64

static ttm_status check_options(const ttm_model_options *options, const ttm_gpt2_config *config)
{
    if (options->dtype != TTM_F32 && options->dtype != TTM_F64 && options->dtype != TTM_BF16) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "models are of type f32, bf16 or f64, not %s",
                        ttm_dtype_name(options->dtype));
    }
    if (options->batch < 0 || options->seq < 0 || options->logit_rows < 0 ||
        options->accumulation < 1 || (options->batch == 0) != (options->seq == 0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "batch %" PRId64 " and seq %" PRId64
                        " must both be positive or both 0, and accumulation %" PRId64 " at least 1",
                        options->batch, options->seq, options->accumulation);
    }
    if (options->seq > config->context) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "sequences of %" PRId64 " tokens exceed the model's context of %" PRId64,
                        options->seq, config->context);
    }
    return TTM_OK;
}

/* Copies as much of the caller's options as it knows of. */
static ttm_model_options complete_options(const ttm_model_options *options)
{
    ttm_model_options complete = TTM_MODEL_OPTIONS_INIT;
    if (options != NULL) {
        const size_t known =
            options->struct_size < sizeof complete ? options->struct_size : sizeof complete;
        memcpy(&complete, options, known);
        complete.struct_size = sizeof complete;
    }
    return complete;
}

int64_t ttm_model_align(const ttm_model *model, int64_t count)
{
    return (count + model->alignment - 1) & ~(model->alignment - 1);
}

ttm_status ttm_model_allocate(ttm_tensor *tensor, ttm_model *model, ttm_dtype dtype, int64_t count)
{
    if (model->planning) {
        *tensor = ttm_tensor_describe(dtype, 1, &count);
        return TTM_OK;
    }
    return ttm_tensor_alloc(tensor, model->device, dtype, 1, &count);
}

ttm_tensor ttm_model_working_view(const ttm_model *model, const ttm_tensor *view)
{
    ttm_tensor working = *view;
    if (!ttm_tensor_present(&model->working)) {
        return working;
    }
    const size_t element = (view->offset - model->parameters.offset) / ttm_dtype_bytes(view->dtype);
    working.dtype = model->working.dtype;
    working.memory = model->working.memory;
    working.memory_bytes = model->working.memory_bytes;
    working.offset = model->working.offset + element * ttm_dtype_bytes(working.dtype);
    return working;
}

ttm_status ttm_model_refresh_working(ttm_model *model, ttm_stream *stream)
{
    if (!ttm_tensor_present(&model->working) || model->working_is_current) {
        return TTM_OK;
    }
    ttm_stream_set_label(stream, "working parameters");
    TTM_TRY(ttm_copy(stream, &model->working, &model->parameters));
    model->working_is_current = true;
    return TTM_OK;
}

/* Sets parameters, gradients and their padding to 0: norms of a flat buffer include the padding. */
static ttm_status clear_buffers(ttm_model *model)
{
    ttm_stream *stream = NULL;
    if (model->planning) {
        return TTM_OK;
    }
    TTM_TRY(ttm_stream_create(&stream, model->device));
    ttm_status status = ttm_tensor_zero(stream, &model->parameters);
    if (status == TTM_OK && model->options.training) {
        status = ttm_tensor_zero(stream, &model->gradients);
    }
    if (status == TTM_OK) {
        status = ttm_stream_synchronize(stream);
    }
    ttm_stream_destroy(stream);
    return status;
}

static ttm_status allocate_buffers(ttm_model *model)
{
    const int64_t count = model->table.buffer_count;
    TTM_TRY(ttm_model_allocate(&model->parameters, model, model->master_dtype, count));
    if (model->options.dtype != model->master_dtype) {
        TTM_TRY(ttm_model_allocate(&model->working, model, model->options.dtype, count));
    }
    if (model->options.training) {
        TTM_TRY(ttm_model_allocate(&model->gradients, model, model->master_dtype, count));
    }
    TTM_TRY(clear_buffers(model));
    TTM_TRY(ttm_model_bind_parameters(model));
    if (model->options.training) {
        for (size_t index = 0; index < model->group_count; index++) {
            TTM_TRY(ttm_tt_group_allocate(model, &model->groups[index]));
        }
        TTM_TRY(ttm_tt_groups_allocate_gradients(model));
    }
    return TTM_OK;
}

/* Allocates the arena of the largest pass announced, so that no later one has to. */
static ttm_status allocate_arena(ttm_model *model)
{
    ttm_pass pass;
    if (model->options.batch == 0) {
        return TTM_OK;
    }
    return ttm_pass_begin(&pass, model, NULL, model->options.training, model->options.batch,
                          model->options.seq, 0);
}

static ttm_status prepare(ttm_model *model, const ttm_gpt2_config *config)
{
    const uint64_t device_alignment = ttm_device_get_info(model->device)->alignment_bytes;
    model->master_dtype = model->options.dtype == TTM_F64 ? TTM_F64 : TTM_F32;
    /* The narrowest type decides: offsets in elements are the same in all flat buffers. */
    model->alignment = (int64_t)device_alignment / (int64_t)ttm_dtype_bytes(model->options.dtype);
    if (model->alignment < LEAST_ALIGNMENT) {
        model->alignment = LEAST_ALIGNMENT;
    }
    model->reduce_per_step =
        model->options.reduction == TTM_TT_REDUCE_PER_STEP ||
        (model->options.reduction == TTM_TT_REDUCE_AUTO && model->options.accumulation > 1);
    const size_t layers = (size_t)config->layers;
    TTM_TRY(ttm_gpt2_config_copy(&model->config, config));
    TTM_TRY(ttm_parameter_table_new(&model->table, config, model->alignment));
    TTM_TRY(ttm_array_new(&model->layers, layers, sizeof *model->layers, "a model's layers"));
    TTM_TRY(ttm_array_new(&model->groups, layers * TTM_GPT2_MATRIX_COUNT, sizeof *model->groups,
                          "a model's TT-matrices"));
    TTM_TRY(ttm_array_new(&model->activations, layers, sizeof *model->activations,
                          "a model's activations"));
    TTM_TRY(allocate_buffers(model));
    return allocate_arena(model);
}

ttm_status ttm_model_create_for(ttm_model **model, ttm_device *device,
                                const ttm_gpt2_config *config, const ttm_model_options *options,
                                bool planning)
{
    ttm_model *made = NULL;
    *model = NULL;
    const ttm_model_options complete = complete_options(options);
    TTM_TRY(ttm_gpt2_config_validate(config));
    TTM_TRY(check_options(&complete, config));
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a model"));
    made->device = device;
    made->options = complete;
    made->planning = planning;
    const ttm_status status = prepare(made, config);
    if (status != TTM_OK) {
        ttm_model_destroy(made);
        return status;
    }
    *model = made;
    return TTM_OK;
}

ttm_status ttm_model_create(ttm_model **model, ttm_device *device, const ttm_gpt2_config *config,
                            const ttm_model_options *options)
{
    return ttm_model_create_for(model, device, config, options, false);
}

void ttm_model_destroy(ttm_model *model)
{
    if (model == NULL) {
        return;
    }
    for (size_t index = 0; index < model->group_count; index++) {
        ttm_tensor_free(&model->groups[index].w_storage, model->device);
    }
    ttm_tensor_free(&model->matrix_gradients, model->device);
    ttm_tensor_free(&model->arena, model->device);
    ttm_tensor_free(&model->gradients, model->device);
    ttm_tensor_free(&model->working, model->device);
    ttm_tensor_free(&model->parameters, model->device);
    free(model->activations);
    free(model->groups);
    free(model->layers);
    ttm_parameter_table_free(&model->table);
    ttm_gpt2_config_free(&model->config);
    free(model);
}

const ttm_gpt2_config *ttm_model_config(const ttm_model *model)
{
    return &model->config;
}

const ttm_parameter_table *ttm_model_parameter_table(const ttm_model *model)
{
    return &model->table;
}

ttm_device *ttm_model_device(const ttm_model *model)
{
    return model->device;
}

ttm_tensor ttm_model_parameters(const ttm_model *model)
{
    return model->parameters;
}

ttm_tensor ttm_model_working_parameters(const ttm_model *model)
{
    return model->working;
}

ttm_tensor ttm_model_gradients(const ttm_model *model)
{
    return model->gradients;
}

ttm_tensor ttm_model_parameter(const ttm_model *model, const ttm_parameter *parameter)
{
    return ttm_tensor_view(&model->parameters, parameter->offset, model->master_dtype,
                           parameter->rank, parameter->shape);
}

ttm_tensor ttm_model_gradient(const ttm_model *model, const ttm_parameter *parameter)
{
    return ttm_tensor_view(&model->gradients, parameter->offset, model->master_dtype,
                           parameter->rank, parameter->shape);
}

void ttm_model_parameters_changed(ttm_model *model)
{
    model->working_is_current = false;
    for (size_t index = 0; index < model->group_count; index++) {
        model->groups[index].built = false;
    }
}

void ttm_model_parameters_stepped(ttm_model *model)
{
    ttm_model_parameters_changed(model);
    model->working_is_current = true;
}
