/* Creating and freeing models. */
#include "model/model_internal.h"

#include "core/array.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "model/tt_groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

static ttm_status check_options(const ttm_model_options *options, const ttm_gpt2_config *config)
{
    if (options->dtype != TTM_F32 && options->dtype != TTM_F64 && options->dtype != TTM_BF16 &&
        options->dtype != TTM_TF32) {
        return ttm_fail(TTM_ERROR_UNSUPPORTED, "models are of type f32, tf32, bf16 or f64, not %s",
                        ttm_dtype_name(options->dtype));
    }
    if (options->batch < 0 || options->seq < 0 || options->logit_rows < 0 ||
        options->accumulation < 1 || (options->batch == 0) != (options->seq == 0)) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "batch %" PRId64 " and seq %" PRId64
                        " must both be positive or both 0, and accumulation %" PRId64 " at least 1",
                        options->batch, options->seq, options->accumulation);
    }
    if ((unsigned)options->recompute > TTM_RECOMPUTE_OFF) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "recompute is %d: give a TTM_RECOMPUTE_… value",
                        (int)options->recompute);
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

ttm_status ttm_model_allocate(ttm_tensor *tensor, ttm_model *model, const char *what,
                              ttm_dtype dtype, int64_t count)
{
    TTM_TRY(ttm_device_allocation_check(
        model->device, (uint64_t)count * ttm_dtype_bytes(dtype), what,
        "use a smaller model or vocabulary, or a device that allows larger allocations"));
    if (model->planning) {
        *tensor = ttm_tensor_describe(dtype, 1, &count);
        return TTM_OK;
    }
    const ttm_status status = ttm_tensor_alloc(tensor, model->device, dtype, 1, &count);
    return status == TTM_OK ? TTM_OK : ttm_fail_context(status, "%s", what);
}

ttm_tensor ttm_model_working_view(const ttm_model *model, int32_t span, const ttm_tensor *view)
{
    ttm_tensor working = *view;
    if (!model->has_working) {
        return working;
    }
    const ttm_tensor *base = &model->working[span];
    const size_t element =
        (view->offset - model->parameters[span].offset) / ttm_model_wide_bytes(model);
    working.dtype = base->dtype;
    working.memory = base->memory;
    working.memory_bytes = base->memory_bytes;
    working.offset = base->offset + element * ttm_dtype_bytes(working.dtype);
    return working;
}

ttm_status ttm_model_refresh_working(ttm_model *model, ttm_stream *stream)
{
    if (!model->has_working || model->working_is_current) {
        return TTM_OK;
    }
    ttm_stream_set_label(stream, "working parameters");
    for (size_t span = 0; span < model->table.span_count; span++) {
        TTM_TRY(ttm_copy(stream, &model->working[span], &model->parameters[span]));
    }
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
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_stream_create(&stream, model->device));
    for (size_t span = 0; span < model->table.span_count; span++) {
        TTM_TRY_OUT(ttm_tensor_zero(stream, &model->parameters[span]));
        if (model->options.training) {
            TTM_TRY_OUT(ttm_tensor_zero(stream, &model->gradients[span]));
        }
    }
    status = ttm_stream_synchronize(stream);
out:
    ttm_stream_destroy(stream);
    return status;
}

/* Allocates `buffers` for all spans. A span that is too large for an allocation is a single tensor,
 * but for its padding: the message names it. */
static ttm_status allocate_spans(ttm_tensor **buffers, ttm_model *model, const char *kind,
                                 ttm_dtype dtype)
{
    const ttm_parameter_table *table = &model->table;
    TTM_TRY(ttm_array_new(buffers, table->span_count, sizeof **buffers, kind));
    for (size_t span = 0, item = 0; span < table->span_count; span++) {
        const ttm_parameter *largest = &table->items[item];
        for (; item < table->count && table->items[item].span == (int32_t)span; item++) {
            largest = table->items[item].count > largest->count ? &table->items[item] : largest;
        }
        char what[160];
        snprintf(what, sizeof what, "the %s of '%s'%s", kind, largest->name,
                 largest->count < table->spans[span].count ? " and what lies beside it" : "");
        TTM_TRY(
            ttm_model_allocate(&(*buffers)[span], model, what, dtype, table->spans[span].count));
    }
    return TTM_OK;
}

static ttm_status allocate_buffers(ttm_model *model)
{
    model->has_working = model->options.dtype != model->master_dtype;
    TTM_TRY(allocate_spans(&model->parameters, model, "parameters", model->master_dtype));
    if (model->has_working) {
        TTM_TRY(allocate_spans(&model->working, model, "working parameters", model->options.dtype));
    }
    if (model->options.training) {
        TTM_TRY(allocate_spans(&model->gradients, model, "gradients", model->master_dtype));
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
    model->master_dtype = model->options.dtype == TTM_F64 ? TTM_F64 : TTM_F32;
    model->alignment = ttm_model_alignment(model->device, model->options.dtype);
    const size_t layers = (size_t)config->layers;
    TTM_TRY(ttm_gpt2_config_copy(&model->config, config));
    TTM_TRY(
        ttm_parameter_table_for_device(&model->table, config, model->device, model->options.dtype));
    TTM_TRY(ttm_array_new(&model->layers, layers, sizeof *model->layers, "a model's layers"));
    TTM_TRY(ttm_array_new(&model->groups, layers * TTM_GPT2_MATRIX_COUNT, sizeof *model->groups,
                          "a model's TT-matrices"));
    TTM_TRY(ttm_array_new(&model->activations, layers, sizeof *model->activations,
                          "a model's activations"));
    TTM_TRY(ttm_arena_init(&model->arena, config->layers));
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
    made->rounds_operands = complete.dtype == TTM_TF32;
    if (made->rounds_operands) {
        made->options.dtype = TTM_F32;
    }
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

static void free_spans(ttm_model *model, ttm_tensor *buffers)
{
    for (size_t span = 0; buffers != NULL && span < model->table.span_count; span++) {
        ttm_tensor_free(&buffers[span], model->device);
    }
    free(buffers);
}

void ttm_model_destroy(ttm_model *model)
{
    if (model == NULL) {
        return;
    }
    for (size_t index = 0; index < model->group_count; index++) {
        ttm_tensor_free(&model->groups[index].w_storage, model->device);
        ttm_tensor_free(&model->groups[index].w_gradient_storage, model->device);
    }
    ttm_tensor_free(&model->matrix_gradients, model->device);
    ttm_arena_free(&model->arena, model->device);
    free_spans(model, model->gradients);
    free_spans(model, model->working);
    free_spans(model, model->parameters);
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

static ttm_tensor buffer_of(const ttm_tensor *buffers, size_t span)
{
    return buffers != NULL ? buffers[span] : (ttm_tensor){0};
}

ttm_tensor ttm_model_parameters(const ttm_model *model, size_t span)
{
    return buffer_of(model->parameters, span);
}

ttm_tensor ttm_model_working_parameters(const ttm_model *model, size_t span)
{
    return buffer_of(model->working, span);
}

ttm_tensor ttm_model_gradients(const ttm_model *model, size_t span)
{
    return buffer_of(model->gradients, span);
}

static ttm_tensor view_in(const ttm_model *model, const ttm_tensor *buffers,
                          const ttm_parameter *parameter)
{
    const ttm_tensor buffer = buffer_of(buffers, (size_t)parameter->span);
    return ttm_tensor_view(&buffer, parameter->offset - model->table.spans[parameter->span].offset,
                           model->master_dtype, parameter->rank, parameter->shape);
}

ttm_tensor ttm_model_parameter(const ttm_model *model, const ttm_parameter *parameter)
{
    return view_in(model, model->parameters, parameter);
}

ttm_tensor ttm_model_gradient(const ttm_model *model, const ttm_parameter *parameter)
{
    return view_in(model, model->gradients, parameter);
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
