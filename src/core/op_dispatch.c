/* Dispatch: validates an op, decides how it is done, provides its scratch memory, and counts it.
 *
 * An op that the backend supports runs there as it is. Otherwise it is decomposed, if the simpler
 * ops run on the device where it matters (no product of it may end on the host, and something of it
 * must not); else it is computed on the host. The decision is made by running the decomposition on
 * a planning stream, which costs microseconds and also tells the scratch that is needed. */
#include "core/op_dispatch.h"

#include "core/checked.h"
#include "core/device_internal.h"
#include "core/device_memory.h"
#include "core/error.h"
#include "core/host_clock.h"
#include "core/op_table.h"
#include "core/op_validate.h"
#include "core/plugin_host.h"
#include "core/profile_hook.h"
#include "core/stream_workspace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    MAX_DEPTH = 8,           /* Decompositions nest at most so deep; more is a bug. */
    SCRATCH_ALIGNMENT = 4096 /* The largest alignment that a device may ask for. */
};

typedef enum route { ROUTE_NATIVE, ROUTE_DECOMPOSED, ROUTE_HOST } route;

size_t ttm_scratch_mark(const ttm_stream *stream)
{
    return stream->workspace_used;
}

void ttm_scratch_release(ttm_stream *stream, size_t mark)
{
    stream->workspace_used = mark;
}

ttm_status ttm_scratch_take(ttm_tensor *tensor, ttm_stream *stream, ttm_dtype dtype, int32_t rank,
                            const int64_t *shape)
{
    *tensor = ttm_tensor_describe(dtype, rank, shape);
    size_t bytes = 0;
    size_t end = 0;
    if (!ttm_tensor_present(tensor) ||
        !ttm_checked_align(&bytes, (size_t)ttm_tensor_count(tensor) * ttm_dtype_bytes(dtype),
                           SCRATCH_ALIGNMENT) ||
        !ttm_checked_add(&end, stream->workspace_used, bytes)) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY,
                        "the scratch memory of an op is too large to be counted");
    }
    if (stream->handle != NULL) {
        if (end > stream->workspace.memory_bytes) {
            return ttm_fail(TTM_ERROR_INTERNAL,
                            "an op takes %zu bytes of scratch where %zu were planned", end,
                            stream->workspace.memory_bytes);
        }
        tensor->memory = stream->workspace.memory;
        tensor->memory_bytes = stream->workspace.memory_bytes;
        tensor->offset = stream->workspace_used;
    }
    stream->workspace_used = end;
    if (end > stream->workspace_needed) {
        stream->workspace_needed = end;
    }
    return TTM_OK;
}

ttm_decomposition ttm_decomposition_of(ttm_opcode opcode)
{
    switch (opcode) {
    case TTM_OP_MATMUL:
        return ttm_decompose_matmul;
    case TTM_OP_LAYER_NORM:
        return ttm_decompose_layer_norm;
    case TTM_OP_DROPOUT:
        return ttm_decompose_dropout;
    case TTM_OP_NORM_MATMUL:
        return ttm_decompose_norm_matmul;
    case TTM_OP_TT_BUILD:
        return ttm_decompose_tt_build;
    case TTM_OP_TT_GRADIENT:
        return ttm_decompose_tt_gradient;
    case TTM_OP_TT_LINEAR:
        return ttm_decompose_tt_linear;
    case TTM_OP_TT_LINEAR_BACKWARD:
        return ttm_decompose_tt_linear_backward;
    default:
        return NULL;
    }
}

static bool is_native(const ttm_stream *stream, const ttm_op *op)
{
    const ttm_device *device = stream->device;
    return device->backend->op_supported != NULL &&
           device->backend->abi_minor >= ttm_op_since_minor(op) &&
           device->backend->op_supported(device->handle, op) != 0;
}

/* TF32 is a permission: where the backend makes no use of it, but takes the op otherwise, operands
 * are f32. `slots` are the op's then. */
static void withdraw_tf32(ttm_op *op, ttm_tensor slots[TTM_OP_MAX_TENSORS],
                          const ttm_stream *stream)
{
    if (!ttm_op_has_tf32(op) || is_native(stream, op)) {
        return;
    }
    ttm_op plain;
    (void)ttm_op_without_tf32(&plain, slots, op);
    if (is_native(stream, &plain)) {
        *op = plain;
    }
}

static size_t native_workspace(const ttm_stream *stream, const ttm_op *op)
{
    const ttm_device *device = stream->device;
    return device->backend->op_workspace_bytes != NULL
               ? device->backend->op_workspace_bytes(device->handle, op)
               : 0;
}

/* Whether a decomposition that ran on a planning stream is worth it. */
static bool is_worth_it(const ttm_stream *plan)
{
    uint64_t native = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        const ttm_op_statistics *statistics = &plan->statistics[opcode];
        native += statistics->calls - statistics->decomposed_calls - statistics->fallback_calls;
    }
    return native > 0 && plan->statistics[TTM_OP_MATMUL].fallback_calls == 0;
}

/* Decides how an op is done, and what scratch it needs: in all, and, where it is native, as the
 * backend asks for it. */
static route choose_route(size_t *workspace_bytes, size_t *native_bytes, const ttm_stream *stream,
                          const ttm_op *op)
{
    *workspace_bytes = 0;
    *native_bytes = 0;
    if (is_native(stream, op)) {
        *native_bytes = native_workspace(stream, op);
        return ttm_checked_align(workspace_bytes, *native_bytes, SCRATCH_ALIGNMENT) ? ROUTE_NATIVE
                                                                                    : ROUTE_HOST;
    }
    const ttm_decomposition decompose = ttm_decomposition_of(op->opcode);
    if (decompose == NULL || stream->depth >= MAX_DEPTH) {
        return ROUTE_HOST;
    }
    ttm_stream plan = {.device = stream->device, .depth = stream->depth + 1};
    if (decompose(&plan, op) != TTM_OK || !is_worth_it(&plan)) {
        return ROUTE_HOST;
    }
    *workspace_bytes = plan.workspace_needed;
    return ROUTE_DECOMPOSED;
}

static ttm_status run_native(ttm_stream *stream, ttm_op *op, size_t bytes)
{
    const size_t mark = ttm_scratch_mark(stream);
    if (bytes > 0) {
        const int64_t words = (int64_t)((bytes + 3) / 4);
        TTM_TRY(ttm_scratch_take(&op->workspace, stream, TTM_F32, 1, &words));
    }
    ttm_status status = TTM_OK;
    if (stream->handle != NULL) {
        const ttm_backend *backend = stream->device->backend;
        status = TTM_PLUGIN_CALL(backend, op_run, stream->handle, op);
    }
    ttm_scratch_release(stream, mark);
    if (status != TTM_OK) {
        return ttm_fail_context(status, "%s on %s%s%s", ttm_op_name(op->opcode),
                                stream->device->info.name, op->label != NULL ? ", " : "",
                                op->label != NULL ? op->label : "");
    }
    return TTM_OK;
}

static ttm_status run_decomposed(ttm_stream *stream, const ttm_op *op)
{
    const size_t mark = ttm_scratch_mark(stream);
    stream->statistics[op->opcode].decomposed_calls++;
    stream->depth++;
    const ttm_status status = ttm_decomposition_of(op->opcode)(stream, op);
    stream->depth--;
    ttm_scratch_release(stream, mark);
    return status;
}

static ttm_status run_on_host(ttm_stream *stream, const ttm_op *op)
{
    stream->statistics[op->opcode].fallback_calls++;
    if (stream->handle == NULL) {
        return TTM_OK;
    }
    size_t staged = 0;
    const uint64_t start = ttm_host_clock_ns();
    const ttm_status status = ttm_op_run_on_host(&staged, stream, op);
    ttm_op_statistics *statistics = &stream->statistics[op->opcode];
    statistics->fallback_bytes += staged;
    statistics->fallback_ns += ttm_host_clock_ns() - start;
    return status;
}

/* The scratch of an op is one allocation. */
static ttm_status check_workspace(const ttm_stream *stream, const ttm_op *op, size_t bytes)
{
    char what[128];
    if (bytes <= ttm_device_allocation_limit(stream->device)) {
        return TTM_OK;
    }
    snprintf(what, sizeof what, "the scratch of %s%s%s%s", ttm_op_name(op->opcode),
             op->label != NULL ? " (" : "", op->label != NULL ? op->label : "",
             op->label != NULL ? ")" : "");
    return ttm_device_allocation_check(
        stream->device, bytes, what, "use a smaller batch, a shorter sequence or a smaller model");
}

ttm_status ttm_op_run(ttm_stream *stream, const ttm_op *op)
{
    TTM_TRY(ttm_op_validate(op, stream->handle == NULL));
    ttm_op full = *op;
    full.struct_size = sizeof full;
    full.label = op->label != NULL ? op->label : stream->label;
    memset(&full.workspace, 0, sizeof full.workspace);
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    withdraw_tf32(&full, slots, stream);
    size_t workspace_bytes = 0;
    size_t native_bytes = 0;
    const route chosen = choose_route(&workspace_bytes, &native_bytes, stream, &full);
    if (stream->depth == 0) {
        TTM_TRY(check_workspace(stream, &full, workspace_bytes));
    }
    if (stream->handle != NULL && stream->depth == 0) {
        TTM_TRY(ttm_stream_workspace_ensure(stream, workspace_bytes));
    }
    ttm_op_statistics *statistics = &stream->statistics[op->opcode];
    statistics->calls++;
    if (chosen == ROUTE_DECOMPOSED) {
        const size_t call = ttm_profile_begin_op(stream, &full, TTM_PROFILE_DECOMPOSED);
        const ttm_status status = run_decomposed(stream, &full);
        ttm_profile_end(stream, call);
        return status;
    }
    double operations = 0.0;
    double bytes = 0.0;
    ttm_op_cost(&operations, &bytes, &full);
    statistics->operations += operations;
    statistics->bytes += bytes;
    const bool native = chosen == ROUTE_NATIVE;
    const size_t call =
        ttm_profile_begin_op(stream, &full, native ? TTM_PROFILE_NATIVE : TTM_PROFILE_HOST);
    const ttm_status status =
        native ? run_native(stream, &full, native_bytes) : run_on_host(stream, &full);
    ttm_profile_end(stream, call);
    return status;
}

/* Ops, error messages and profiles see "layer 3 mlp.c_fc". */
static void compose_label(ttm_stream *stream)
{
    stream->label = stream->label_set;
    if (stream->layer > 0) {
        snprintf(stream->label_text, sizeof stream->label_text, "layer %" PRId64 "%s%s",
                 stream->layer - 1, stream->label_set != NULL ? " " : "",
                 stream->label_set != NULL ? stream->label_set : "");
        stream->label = stream->label_text;
    }
}

void ttm_stream_set_label(ttm_stream *stream, const char *label)
{
    stream->label_set = label;
    compose_label(stream);
}

void ttm_stream_set_layer(ttm_stream *stream, int64_t layer)
{
    stream->layer = layer < 0 ? 0 : layer + 1;
    compose_label(stream);
}
