/* EMBEDDING and EMBEDDING_BACKWARD; the latter sorts rows by token in the workspace. */
#include "opencl/op.h"

static int embedding_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return opencl_all_floats(op);
}

static int64_t stride_of(const ttm_tensor *tensor, int dim)
{
    return ttm_tensor_present(tensor) ? tensor->stride[dim] : 0;
}

/* A launch over columns and rows. */
static ttm_status run_matrix(opencl_call *call, int64_t rows, int64_t cols)
{
    const ttm_backend_device *device = call->stream->device;
    const size_t local[2] = {opencl_free_group(device), 1};
    const size_t global[2] = {(size_t)opencl_parts(cols, device->tuning.vector),
                              (size_t)opencl_least(rows, OPENCL_MOST_ROW_GROUPS)};
    return opencl_call_run(call, 2, global, local);
}

static ttm_status embedding_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_embedding_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_EMBEDDING_OUT];
    const ttm_tensor *tokens = &op->tensors[TTM_EMBEDDING_TOKENS];
    const ttm_tensor *table = &op->tensors[TTM_EMBEDDING_TABLE];
    const ttm_tensor *positions = &op->tensors[TTM_EMBEDDING_POSITIONS];
    const int64_t strides[8] = {out->stride[0],   out->stride[1],          table->stride[0],
                                table->stride[1], stride_of(positions, 0), stride_of(positions, 1)};
    if (opencl_count(out) == 0) {
        return TTM_OK;
    }
    opencl_call call = opencl_call_start(stream, OPENCL_EMBEDDING, "embedding",
                                         "-DDATA=%d -DRESULT=%d", (int)out->dtype, (int)out->dtype);
    opencl_call_tensor(&call, out, out);
    opencl_call_tensor(&call, tokens, out);
    opencl_call_tensor(&call, table, out);
    opencl_call_tensor(&call, positions, out);
    opencl_call_long(&call, out->shape[0]);
    opencl_call_long(&call, out->shape[1]);
    opencl_call_long(&call, table->shape[0]);
    opencl_call_longs8(&call, strides);
    opencl_call_long(&call, tokens->stride[0]);
    opencl_call_long(&call, params->sequence_length);
    opencl_call_long(&call, params->position_start);
    opencl_call_int(&call, ttm_tensor_present(positions));
    return run_matrix(&call, out->shape[0], out->shape[1]);
}

/* ---- EMBEDDING_BACKWARD ---- */

static int64_t sort_items(const ttm_backend_device *device)
{
    return device->tuning.is_cpu ? 64 : device->tuning.group;
}

/* The keys' count: a power of two, at least a block. */
static int64_t padded_rows(const ttm_backend_device *device, int64_t rows)
{
    int64_t padded = 2 * sort_items(device);
    while (padded < rows) {
        padded *= 2;
    }
    return padded;
}

static size_t embedding_backward_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    const int64_t rows = op->tensors[TTM_EMBEDDING_BACKWARD_DOUT].shape[0];
    return (size_t)padded_rows(device, rows) * sizeof(uint64_t);
}

static opencl_call start_backward(ttm_backend_stream *stream, const ttm_op *op, const char *name)
{
    return opencl_call_start(
        stream, OPENCL_EMBEDDING, name, "-DDATA=%d -DRESULT=%d -DSORT_ITEMS=%d",
        (int)op->tensors[TTM_EMBEDDING_BACKWARD_DOUT].dtype,
        (int)op->tensors[TTM_EMBEDDING_BACKWARD_DTABLE].dtype, (int)sort_items(stream->device));
}

/* The workspace as 64-bit keys; its offset is a multiple of 8. */
static void add_keys(opencl_call *call, const ttm_op *op)
{
    opencl_call_buffer(call, op->workspace.memory->buffer,
                       (int64_t)(op->workspace.offset / sizeof(uint64_t)));
}

static ttm_status sort_stage(ttm_backend_stream *stream, const ttm_op *op, int64_t padded,
                             int64_t size)
{
    const size_t local = (size_t)sort_items(stream->device);
    const size_t global = (size_t)padded / 2;
    for (int64_t distance = size / 2; distance >= 2 * (int64_t)local; distance /= 2) {
        opencl_call step = start_backward(stream, op, "sort_step");
        add_keys(&step, op);
        opencl_call_ulong(&step, (uint64_t)size);
        opencl_call_ulong(&step, (uint64_t)distance);
        const ttm_status status = opencl_call_run(&step, 1, &global, &local);
        if (status != TTM_OK) {
            return status;
        }
    }
    opencl_call blocks = start_backward(stream, op, "sort_blocks");
    add_keys(&blocks, op);
    opencl_call_ulong(&blocks, (uint64_t)size);
    return opencl_call_run(&blocks, 1, &global, &local);
}

static ttm_status sort_rows(ttm_backend_stream *stream, const ttm_op *op, int64_t rows)
{
    const ttm_tensor *tokens = &op->tensors[TTM_EMBEDDING_BACKWARD_TOKENS];
    const int64_t padded = padded_rows(stream->device, rows);
    const size_t local = (size_t)sort_items(stream->device);
    const size_t global = (size_t)padded / 2;
    opencl_call start = start_backward(stream, op, "sort_start");
    add_keys(&start, op);
    opencl_call_tensor(&start, tokens, tokens);
    opencl_call_long(&start, rows);
    opencl_call_long(&start, tokens->stride[0]);
    opencl_call_long(&start, op->tensors[TTM_EMBEDDING_BACKWARD_DTABLE].shape[0]);
    ttm_status status = opencl_call_run(&start, 1, &global, &local);
    for (int64_t size = 4 * (int64_t)local; status == TTM_OK && size <= padded; size *= 2) {
        status = sort_stage(stream, op, padded, size);
    }
    return status;
}

static ttm_status embedding_backward_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_embedding_params *params = op->params;
    const ttm_tensor *dtable = &op->tensors[TTM_EMBEDDING_BACKWARD_DTABLE];
    const ttm_tensor *dpositions = &op->tensors[TTM_EMBEDDING_BACKWARD_DPOSITIONS];
    const ttm_tensor *dout = &op->tensors[TTM_EMBEDDING_BACKWARD_DOUT];
    const int64_t rows = dout->shape[0];
    const int64_t cols = dout->shape[1];
    const int64_t strides[8] = {dtable->stride[0],        dtable->stride[1],
                                stride_of(dpositions, 0), stride_of(dpositions, 1),
                                dout->stride[0],          dout->stride[1]};
    if (opencl_count(dout) == 0) {
        return TTM_OK;
    }
    ttm_status status = sort_rows(stream, op, rows);
    if (status == TTM_OK && opencl_count(dtable) > 0) {
        opencl_call call = start_backward(stream, op, "add_rows");
        opencl_call_tensor(&call, dtable, dtable);
        opencl_call_tensor(&call, dout, dout);
        add_keys(&call, op);
        opencl_call_long(&call, rows);
        opencl_call_long(&call, cols);
        opencl_call_long(&call, dtable->shape[0]);
        opencl_call_longs8(&call, strides);
        status = run_matrix(&call, rows, cols);
    }
    if (status != TTM_OK || !ttm_tensor_present(dpositions)) {
        return status;
    }
    const int64_t positions = opencl_least(rows, params->sequence_length);
    opencl_call call = start_backward(stream, op, "add_positions");
    opencl_call_tensor(&call, dpositions, dpositions);
    opencl_call_tensor(&call, dout, dout);
    opencl_call_long(&call, rows);
    opencl_call_long(&call, cols);
    opencl_call_longs8(&call, strides);
    opencl_call_long(&call, params->sequence_length);
    opencl_call_long(&call, params->position_start);
    opencl_call_long(&call, positions);
    const size_t local[2] = {opencl_free_group(stream->device), 1};
    const size_t global[2] = {(size_t)opencl_parts(cols, stream->device->tuning.vector),
                              (size_t)opencl_least(positions, OPENCL_MOST_ROW_GROUPS)};
    return opencl_call_run(&call, 2, global, local);
}

const opencl_op opencl_op_embedding = {embedding_supported, NULL, embedding_run};
const opencl_op opencl_op_embedding_backward = {embedding_supported, embedding_backward_workspace,
                                                embedding_backward_run};
