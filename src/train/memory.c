/* The memory plan of a run: the model's plan, and the trainer's own buffers on top. */
#include "core/error.h"
#include "train/buffers.h"
#include "train/process_memory.h"
#include "train/resolve.h"
#include "train/segments.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

/* What a process takes at least besides the device's buffers, measured on Linux with glibc: program
 * and libraries, and for each processor a thread's stack and the part of CBLAS's packing buffers
 * that products touch. */
#define PROCESS_BASE_BYTES       ((uint64_t)8 << 20)
#define PROCESS_BYTES_PER_THREAD ((uint64_t)2 << 20)

/* Runs the optimiser on a planning stream, which then knows the scratch that it needs. */
static ttm_status plan_optimiser(ttm_stream *stream, const ttm_gpt2_config *config,
                                 const ttm_trainer_options *options)
{
    ttm_status status = TTM_OK;
    ttm_parameter_table table = {0};
    ttm_segments segments = {0};
    const int64_t one = 1;
    const ttm_tensor scalar = ttm_tensor_describe(TTM_F32, 1, &one);
    const ttm_dtype dtype = ttm_trainer_model_options(options).dtype;
    TTM_TRY_OUT(ttm_parameter_table_for_device(&table, config, ttm_stream_device(stream), dtype));
    TTM_TRY_OUT(ttm_segments_new(&segments, &table, config, options));
    const ttm_adamw_params params = {.learning_rate = options->learning_rate,
                                     .beta1 = options->beta1,
                                     .beta2 = options->beta2,
                                     .epsilon = options->epsilon,
                                     .max_norm = options->clip_norm,
                                     .gradient_scale = 1.0,
                                     .step = 1};
    for (size_t span = 0; span < table.span_count; span++) {
        const int64_t count = table.spans[span].count;
        const ttm_tensor flat = ttm_tensor_describe(TTM_F32, 1, &count);
        const ttm_tensor moment = ttm_tensor_describe(ttm_trainer_moment_dtype(options), 1, &count);
        const ttm_tensor working = ttm_tensor_describe(TTM_BF16, 1, &count);
        const ttm_adamw_params span_params = ttm_segments_params(&segments, span, &params);
        TTM_TRY_OUT(ttm_sum_of_squares(stream, &scalar, span > 0 ? 1.0 : 0.0, &flat));
        TTM_TRY_OUT(ttm_adamw(stream, &flat, &flat, &moment, &moment, &scalar,
                              dtype == TTM_BF16 ? &working : NULL, &span_params));
    }
out:
    ttm_segments_free(&segments);
    ttm_parameter_table_free(&table);
    return status;
}

/* Returns what the process takes without what lies on the device. Libraries count for more than
 * everything else where a plugin that was tried brought a compiler (PoCL's LLVM: 80 MB). */
static uint64_t process_bytes(const ttm_device *device)
{
    const uint64_t resident = ttm_process_resident_bytes();
    const uint64_t used = ttm_device_memory_used(device);
    const uint64_t besides = resident > used ? resident - used : 0;
    return besides > PROCESS_BASE_BYTES ? besides : PROCESS_BASE_BYTES;
}

static void sum_up(ttm_trainer_memory *memory, const ttm_device *device,
                   const ttm_trainer_options *options)
{
    const uint64_t parameters = memory->model.parameter_bytes / sizeof(float);
    memory->moment_bytes = 2 * parameters * ttm_dtype_bytes(ttm_trainer_moment_dtype(options));
    memory->batch_bytes = ttm_train_buffers_batch_bytes(options->batch, options->seq);
    memory->device_bytes = memory->model.total_bytes + memory->moment_bytes + memory->batch_bytes;
    const ttm_device_info *info = ttm_device_get_info(device);
    const bool on_host = info->kind == TTM_DEVICE_CPU;
    memory->host_bytes = (on_host ? process_bytes(device) : PROCESS_BASE_BYTES) +
                         ttm_train_buffers_host_bytes(options->batch, options->seq);
    memory->memory_bytes = memory->device_bytes;
    if (on_host) {
        memory->host_bytes += info->compute_units * PROCESS_BYTES_PER_THREAD;
        memory->memory_bytes += memory->host_bytes;
    }
}

ttm_status ttm_trainer_plan_memory(ttm_trainer_memory *memory, ttm_device *device,
                                   const ttm_gpt2_config *config,
                                   const ttm_trainer_options *options)
{
    ttm_status status = TTM_OK;
    ttm_stream *stream = NULL;
    ttm_trainer_options resolved;
    TTM_TRY(ttm_gpt2_config_validate(config));
    TTM_TRY(ttm_trainer_options_resolve(&resolved, options, config, device));
    const ttm_model_options model_options = ttm_trainer_model_options(&resolved);
    ttm_memory_plan *model = &memory->model;
    if (memory->struct_size != sizeof *memory) {
        return ttm_fail(TTM_ERROR_ARGUMENT, "a memory plan of %zu bytes, %zu expected",
                        memory->struct_size, sizeof *memory);
    }
    model->struct_size = sizeof *model;
    TTM_TRY_OUT(ttm_stream_create_planning(&stream, device));
    TTM_TRY_OUT(ttm_model_memory_plan(model, stream, config, &model_options));
    TTM_TRY_OUT(plan_optimiser(stream, config, &resolved));
    /* The model's total counts its own scratch; the optimiser may have needed more. Streams take
     * whole units of the device's alignment. */
    const uint64_t unit = ttm_device_get_info(device)->alignment_bytes;
    const uint64_t needed = ttm_stream_workspace_bytes(stream);
    const uint64_t workspace = unit > 0 ? (needed + unit - 1) / unit * unit : needed;
    model->total_bytes += workspace - model->workspace_bytes;
    model->workspace_bytes = workspace;
    sum_up(memory, device, &resolved);
out:
    ttm_stream_destroy(stream);
    return status;
}
