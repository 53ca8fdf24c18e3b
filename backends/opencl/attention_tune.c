/* Each class is measured by the other kernels and then by each unit; a way must be faster than the
 * one before it by more than times vary. Results need no check: a kernel runs only once its probe
 * has passed. */
#include "opencl/attention_tune.h"

#include "opencl/attention_units.h"
#include "opencl/clock.h"
#include "opencl/measure.h"
#include "opencl/product.h"
#include "opencl/stream.h"

#include <math.h>

/* An op with memory. */
typedef struct placed {
    ttm_backend_device *device;
    ttm_backend_stream *stream;
    ttm_op op;
    ttm_tensor tensors[TTM_OP_MAX_TENSORS];
    ttm_memory *memory[TTM_OP_MAX_TENSORS];
    ttm_memory *scratch;
} placed;

static const opencl_op *functions_of(const ttm_op *op)
{
    return op->opcode == TTM_OP_ATTENTION ? &opencl_op_attention : &opencl_op_attention_backward;
}

/* ---- Memory ---- */

/* Numbers in ±1 are so small as scores that all results are finite, whatever lse is. */
static ttm_status place_tensors(placed *state)
{
    ttm_status status = opencl_stream_create(&state->stream, state->device);
    for (uint32_t slot = 0; slot < state->op.tensor_count && status == TTM_OK; slot++) {
        ttm_tensor *tensor = &state->tensors[slot];
        if (!ttm_tensor_present(tensor)) {
            continue;
        }
        const size_t count = opencl_product_extent(tensor);
        status = opencl_memory_alloc(&state->memory[slot], state->device, count * sizeof(float));
        if (status == TTM_OK) {
            tensor->memory = state->memory[slot];
            tensor->offset = 0;
            status = opencl_fill_random(state->stream, state->memory[slot], tensor->dtype, count);
        }
    }
    return status;
}

/* Scratch as the op wants it now. */
static ttm_status place_scratch(placed *state)
{
    size_t (*wanted)(const ttm_backend_device *device, const ttm_op *op) =
        functions_of(&state->op)->workspace_bytes;
    const size_t bytes = wanted != NULL ? wanted(state->device, &state->op) : 0;
    opencl_memory_free(state->device, state->scratch);
    state->scratch = NULL;
    state->op.workspace = (ttm_tensor){.dtype = TTM_DTYPE_NONE};
    if (bytes == 0) {
        return TTM_OK;
    }
    const ttm_status status = opencl_memory_alloc(&state->scratch, state->device, bytes);
    state->op.workspace = (ttm_tensor){.dtype = TTM_F32,
                                       .rank = 1,
                                       .shape = {(int64_t)(bytes / sizeof(float))},
                                       .stride = {1},
                                       .memory = state->scratch};
    return status;
}

static void clean_up(placed *state)
{
    opencl_stream_destroy(state->stream);
    for (int slot = 0; slot < TTM_OP_MAX_TENSORS; slot++) {
        opencl_memory_free(state->device, state->memory[slot]);
    }
    opencl_memory_free(state->device, state->scratch);
}

/* ---- Measuring ---- */

static ttm_status run(int *done, const void *context)
{
    const placed *state = context;
    *done = 1;
    return functions_of(&state->op)->run(state->stream, &state->op);
}

/* *seconds = the time of the op by a unit; by other kernels where the unit fails its probe. */
static ttm_status measure(double *seconds, placed *state, opencl_unit unit)
{
    const opencl_measured measured = {state->stream, run, state};
    opencl_attention_try(state->device->attention_units, unit);
    const ttm_status status = place_scratch(state);
    return status == TTM_OK ? opencl_measure(seconds, &measured, INFINITY) : status;
}

static ttm_status tune_class(opencl_tuned_attention *tuned, ttm_backend_device *device,
                             const opencl_attention_ways *ways, const ttm_op *op)
{
    char text[OPENCL_TUNED_ATTENTION_BYTES];
    double seconds[OPENCL_MOST_ATTENTION_WAYS];
    placed state = {.device = device, .op = *op};
    for (uint32_t slot = 0; slot < op->tensor_count; slot++) {
        state.tensors[slot] = op->tensors[slot];
    }
    state.op.tensors = state.tensors;
    ttm_status status = place_tensors(&state);
    int best = 0;
    for (int way = 0; way < ways->count && status == TTM_OK; way++) {
        status = measure(&seconds[way], &state, ways->units[way]);
        best =
            status == TTM_OK && OPENCL_WORTH_CHANGING * seconds[way] <= seconds[best] ? way : best;
    }
    clean_up(&state);
    if (status != TTM_OK) {
        return status;
    }
    const opencl_attention_choice choice = {.what = ways->what, .unit = ways->units[best]};
    opencl_tuned_attention_print(text, &choice);
    for (int way = 0; way < ways->count; way++) {
        const opencl_unit unit = ways->units[way];
        opencl_log(TTM_LOG_INFO, "%s: %.3f ms by %s", text, seconds[way] * 1e3,
                   unit == OPENCL_UNIT_NONE ? "other kernels" : opencl_unit_name(unit));
    }
    if (!opencl_tuned_attention_set(tuned, &choice)) {
        opencl_log(TTM_LOG_INFO, "no more than %d classes of attention are kept",
                   OPENCL_MOST_TUNED_ATTENTION);
    }
    return TTM_OK;
}

ttm_status opencl_attention_tune(opencl_tuned_attention *tuned, ttm_backend_device *device,
                                 const ttm_op *ops, size_t op_count, double seconds)
{
    opencl_attention_units *units = device->attention_units;
    opencl_tuned_attention seen = {.count = 0}; /* in this call */
    ttm_status status = TTM_OK;
    const double end = opencl_seconds() + seconds;
    for (size_t k = 0; k < op_count && status == TTM_OK && opencl_seconds() < end; k++) {
        opencl_attention_ways ways;
        opencl_attention_find_ways(&ways, units, &ops[k]);
        const opencl_attention_choice next = {.what = ways.what};
        if (ways.count > 1 && opencl_tuned_attention_find(&seen, &next.what) == NULL &&
            opencl_tuned_attention_set(&seen, &next)) {
            status = tune_class(tuned, device, &ways, &ops[k]);
        }
    }
    opencl_attention_end_trial(units);
    opencl_attention_use(units, tuned);
    return status;
}
