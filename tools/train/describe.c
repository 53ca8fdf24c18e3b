/* Plans and results. */
#include "train/describe.h"

#include "common/tool_json.h"
#include "common/tool_options.h"

#include <inttypes.h>
#include <math.h>
#include <sys/resource.h>

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

static void print_tt(FILE *stream, const ttm_gpt2_config *config)
{
    for (int matrix = 0; matrix < TTM_GPT2_MATRIX_COUNT; matrix++) {
        const ttm_tt_shape *before = NULL;
        for (int64_t layer = 0; layer < config->layers; layer++) {
            char text[TTM_TT_SHAPE_TEXT_BYTES];
            const ttm_tt_shape *shape = ttm_gpt2_config_tt(config, layer, (ttm_gpt2_matrix)matrix);
            const bool repeated =
                shape != NULL && before != NULL && ttm_tt_shape_equal(shape, before);
            before = shape;
            if (shape != NULL && !repeated &&
                ttm_tt_shape_print(text, sizeof text, shape) == TTM_OK) {
                fprintf(stream, "  %s from layer %" PRId64 ": %s, %" PRId64 " parameters\n",
                        ttm_gpt2_matrix_name((ttm_gpt2_matrix)matrix), layer, text,
                        ttm_tt_shape_elements(shape));
            }
        }
    }
}

void train_plan_print(FILE *stream, const train_plan *plan)
{
    const ttm_gpt2_config *config = plan->config;
    const ttm_trainer_options *options = plan->options;
    const ttm_trainer_memory *memory = &plan->memory;
    char dtype[8];
    fprintf(stream,
            "%s: %" PRId64 " parameters, %" PRId64 " layers, width %" PRId64 ", %" PRId64
            " heads, context %" PRId64 ", vocabulary %" PRId64 "\n",
            plan->name, ttm_gpt2_parameter_count(config), config->layers, config->width,
            config->heads, config->context, config->vocab_size);
    print_tt(stream, config);
    fprintf(stream,
            "%" PRId64 " steps of %" PRId64 " × %" PRId64 " sequences of %" PRId64
            " tokens in %s on %s: %s\n",
            options->steps, options->accumulation, options->batch,
            options->seq > 0 ? options->seq : config->context,
            ttm_trainer_options_get(dtype, sizeof dtype, options, "dtype"),
            ttm_device_backend_name(plan->device), ttm_device_get_info(plan->device)->name);
    fprintf(stream,
            "memory %.1f MiB: parameters %.1f, gradients %.1f, moments %.1f, activations %.1f, "
            "matrices %.1f, scratch %.1f, batches %.1f, process %.1f\n",
            mebibytes(memory->memory_bytes),
            mebibytes(memory->model.parameter_bytes + memory->model.working_bytes),
            mebibytes(memory->model.gradient_bytes), mebibytes(memory->moment_bytes),
            mebibytes(memory->model.activation_bytes), mebibytes(memory->model.matrix_bytes),
            mebibytes(memory->model.workspace_bytes), mebibytes(memory->batch_bytes),
            mebibytes(memory->host_bytes));
    const uint64_t there = ttm_device_get_info(plan->device)->memory_bytes;
    if (there > 0 && memory->memory_bytes > there) {
        fprintf(stream,
                "that is more than the %.1f MiB of %s: take a smaller --batch or --seq (and more "
                "--accumulation), or a smaller model\n",
                mebibytes(there), ttm_device_get_info(plan->device)->name);
    }
}

static void write_memory(ttm_json_writer *writer, const train_plan *plan)
{
    const ttm_trainer_memory *memory = &plan->memory;
    ttm_json_member_uint(writer, "memory_bytes", memory->memory_bytes);
    ttm_json_key(writer, "memory");
    ttm_json_begin_object(writer);
    ttm_json_member_uint(writer, "parameter_bytes", memory->model.parameter_bytes);
    ttm_json_member_uint(writer, "working_bytes", memory->model.working_bytes);
    ttm_json_member_uint(writer, "gradient_bytes", memory->model.gradient_bytes);
    ttm_json_member_uint(writer, "moment_bytes", memory->moment_bytes);
    ttm_json_member_uint(writer, "activation_bytes", memory->model.activation_bytes);
    ttm_json_member_uint(writer, "matrix_bytes", memory->model.matrix_bytes);
    ttm_json_member_uint(writer, "workspace_bytes", memory->model.workspace_bytes);
    ttm_json_member_uint(writer, "batch_bytes", memory->batch_bytes);
    ttm_json_member_uint(writer, "device_bytes", memory->device_bytes);
    ttm_json_member_uint(writer, "host_bytes", memory->host_bytes);
    ttm_json_member_uint(writer, "device_total_bytes",
                         ttm_device_get_info(plan->device)->memory_bytes);
    ttm_json_end_object(writer);
}

static void write_plan(ttm_json_writer *writer, const void *planned)
{
    const train_plan *plan = planned;
    const ttm_trainer_options *options = plan->options;
    char dtype[8];
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "model", plan->name);
    ttm_json_member_int(writer, "parameters", ttm_gpt2_parameter_count(plan->config));
    write_memory(writer, plan);
    ttm_json_key(writer, "tt");
    ttm_gpt2_config_write_tt(writer, plan->config);
    ttm_json_member_int(writer, "steps", options->steps);
    ttm_json_member_int(writer, "batch", options->batch);
    ttm_json_member_int(writer, "seq", options->seq > 0 ? options->seq : plan->config->context);
    ttm_json_member_int(writer, "accumulation", options->accumulation);
    ttm_json_member_string(writer, "dtype",
                           ttm_trainer_options_get(dtype, sizeof dtype, options, "dtype"));
    ttm_json_member_string(writer, "backend", ttm_device_backend_name(plan->device));
    ttm_json_member_string(writer, "device", ttm_device_get_info(plan->device)->name);
    ttm_json_key(writer, "config");
    ttm_json_begin_object(writer);
    ttm_gpt2_config_write_members(writer, plan->config);
    ttm_json_end_object(writer);
    ttm_json_end_object(writer);
}

int train_plan_print_json(const train_plan *plan)
{
    return tool_print_json(TTM_JSON_INDENTED, write_plan, plan);
}

static void print_result(const train_result *result)
{
    const ttm_trainer_summary *summary = result->summary;
    printf("%" PRId64 " of %" PRId64 " steps, %" PRIu64 " tokens in %.1f s (%.0f tokens/s)",
           summary->step, summary->steps, summary->tokens, summary->seconds,
           (double)summary->tokens / fmax(summary->seconds, 1e-9));
    if (isfinite(summary->loss)) {
        printf(", loss %.4f", (double)summary->loss);
    }
    if (isfinite(summary->validation_loss)) {
        printf(", validation loss %.4f (perplexity %.4g)", summary->validation_loss,
               exp(summary->validation_loss));
    }
    if (summary->best_step > 0) {
        printf(", best %.4f after step %" PRId64, summary->best_validation_loss,
               summary->best_step);
    }
    printf("; model in %s\n", result->directory);
}

/* Returns the most memory that this process has had, as the operating system counts it. */
static uint64_t process_peak_bytes(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (uint64_t)usage.ru_maxrss * 1024;
}

static void write_result(ttm_json_writer *writer, const void *reached)
{
    const train_result *result = reached;
    const ttm_trainer_summary *summary = result->summary;
    const train_plan *plan = result->plan;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "out", result->directory);
    ttm_json_member_bool(writer, "interrupted", result->interrupted);
    ttm_json_member_int(writer, "step", summary->step);
    ttm_json_member_int(writer, "steps", summary->steps);
    ttm_json_member_uint(writer, "tokens", summary->tokens);
    ttm_json_member_double(writer, "seconds", summary->seconds);
    ttm_json_member_double(writer, "tokens_per_second",
                           (double)summary->tokens / fmax(summary->seconds, 1e-9));
    ttm_json_member_float(writer, "loss", summary->loss);
    ttm_json_member_double(writer, "validation_loss", summary->validation_loss);
    ttm_json_member_double(writer, "perplexity", exp(summary->validation_loss));
    ttm_json_member_double(writer, "bits_per_byte", summary->bits_per_byte);
    ttm_json_member_double(writer, "best_validation_loss", summary->best_validation_loss);
    ttm_json_member_int(writer, "best_step", summary->best_step);
    ttm_json_member_int(writer, "parameters", ttm_gpt2_parameter_count(plan->config));
    ttm_json_member_uint(writer, "memory_bytes", plan->memory.memory_bytes);
    ttm_json_member_uint(writer, "device_memory_bytes", plan->memory.device_bytes);
    ttm_json_member_uint(writer, "device_memory_peak_bytes", summary->device_memory_bytes);
    ttm_json_member_uint(writer, "process_memory_peak_bytes", process_peak_bytes());
    ttm_json_member_string(writer, "backend", ttm_device_backend_name(plan->device));
    ttm_json_member_string(writer, "device", ttm_device_get_info(plan->device)->name);
    tool_profile_write(writer, result->profile);
    ttm_json_end_object(writer);
}

int train_result_print(const train_result *result, bool json)
{
    if (json) {
        return tool_print_json(TTM_JSON_COMPACT, write_result, result);
    }
    print_result(result);
    tool_profile_print_fallback(result->profile);
    return tool_done();
}
