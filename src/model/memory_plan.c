/* Predicts a model's memory by running its own code on a planning stream. */
#include "model/model_internal.h"

#include "core/error.h"

/* Runs every pass that such a model is used for. */
static ttm_status run_passes(ttm_model *model, ttm_stream *stream)
{
    const ttm_model_options *options = &model->options;
    const int64_t shape[2] = {options->batch, options->seq};
    const int64_t rows = options->batch * options->seq;
    const int64_t one = 1;
    const ttm_dtype loss_dtype = model->master_dtype;
    const ttm_tensor tokens = ttm_tensor_describe(TTM_I32, 2, shape);
    if (options->training) {
        ttm_micro_batch micro_batch = TTM_MICRO_BATCH_INIT;
        micro_batch.tokens = tokens;
        micro_batch.targets = tokens;
        micro_batch.loss = ttm_tensor_describe(loss_dtype, 1, &one);
        TTM_TRY(ttm_model_begin_step(model, stream));
        TTM_TRY(ttm_model_forward_backward(model, stream, &micro_batch));
        TTM_TRY(ttm_model_end_step(model, stream));
    }
    const ttm_tensor losses = ttm_tensor_describe(loss_dtype, 1, &rows);
    return ttm_model_losses(model, stream, &losses, &tokens, &tokens);
}

ttm_status ttm_model_memory_plan(ttm_memory_plan *plan, ttm_stream *stream,
                                 const ttm_gpt2_config *config, const ttm_model_options *options)
{
    ttm_model *model = NULL;
    ttm_status status = TTM_OK;
    const ttm_memory_plan nothing = {.struct_size = sizeof *plan};
    *plan = nothing;
    if (!ttm_stream_is_planning(stream)) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "planning needs a planning stream");
    }
    if (options == NULL || options->batch < 1 || options->seq < 1) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "planning needs batch and seq in the model's options");
    }
    TTM_TRY_OUT(ttm_model_create_for(&model, ttm_stream_device(stream), config, options, true));
    TTM_TRY_OUT(run_passes(model, stream));
    const uint64_t element_bytes = ttm_dtype_bytes(model->master_dtype);
    const uint64_t parameters = (uint64_t)model->table.buffer_count;
    plan->parameter_bytes = parameters * element_bytes;
    plan->gradient_bytes = options->training ? parameters * element_bytes : 0;
    plan->activation_bytes = (uint64_t)ttm_arena_count(&model->arena) * element_bytes;
    plan->matrix_bytes = model->matrix_bytes;
    plan->working_bytes =
        model->has_working ? parameters * ttm_dtype_bytes(model->options.dtype) : 0;
    plan->workspace_bytes = ttm_stream_workspace_bytes(stream);
    plan->total_bytes = plan->parameter_bytes + plan->working_bytes + plan->gradient_bytes +
                        plan->activation_bytes + plan->matrix_bytes + plan->workspace_bytes;
out:
    ttm_model_destroy(model);
    return status;
}
