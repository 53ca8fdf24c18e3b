/* REDUCE_ROWS and SUM_OF_SQUARES: parts in the workspace, then their total. */
#include "opencl/op.h"

/* Rows that one item adds. */
#define LEAST_CHUNK_ROWS 32
#define MOST_CHUNKS      256

/* Elements of a group's part of a sum of squares, and the most groups. */
#define LEAST_SQUARES      16384
#define MOST_SQUARE_GROUPS 1024

static int64_t chunk_rows(int64_t rows)
{
    const int64_t chunk = opencl_parts(rows, MOST_CHUNKS);
    return chunk > LEAST_CHUNK_ROWS ? chunk : LEAST_CHUNK_ROWS;
}

static int reduce_rows_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return opencl_all_floats(op);
}

static size_t reduce_rows_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *x = &op->tensors[TTM_REDUCE_ROWS_X];
    const int64_t chunks = opencl_parts(x->shape[0], chunk_rows(x->shape[0]));
    return (size_t)(chunks > 0 ? chunks : 1) * (size_t)x->shape[1] * sizeof(float);
}

static ttm_status reduce_rows_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_reduce_rows_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_REDUCE_ROWS_OUT];
    const ttm_tensor *x = &op->tensors[TTM_REDUCE_ROWS_X];
    const int64_t rows = x->shape[0];
    const int64_t cols = x->shape[1];
    const int64_t chunk = chunk_rows(rows);
    const int64_t chunks = opencl_parts(rows, chunk);
    const size_t local[2] = {opencl_free_group(stream->device), 1};
    const size_t global[2] = {(size_t)opencl_parts(cols, stream->device->tuning.vector),
                              (size_t)chunks};
    if (cols == 0) {
        return TTM_OK;
    }
    opencl_call parts = opencl_call_start(stream, OPENCL_REDUCE, "column_parts",
                                          "-DDATA=%d -DRESULT=%d", (int)x->dtype, (int)out->dtype);
    opencl_call_tensor(&parts, &op->workspace, &op->workspace);
    opencl_call_tensor(&parts, x, &op->workspace);
    opencl_call_long(&parts, rows);
    opencl_call_long(&parts, cols);
    opencl_call_long(&parts, x->stride[0]);
    opencl_call_long(&parts, x->stride[1]);
    opencl_call_long(&parts, chunk);
    const ttm_status status = opencl_call_run(&parts, 2, global, local);
    if (status != TTM_OK) {
        return status;
    }
    size_t group[2];
    opencl_column_group(group, stream->device);
    opencl_call totals = opencl_call_start(stream, OPENCL_REDUCE, "column_totals",
                                           "-DDATA=%d -DRESULT=%d " OPENCL_COLUMN_OPTIONS,
                                           (int)x->dtype, (int)out->dtype, group[0], group[1]);
    opencl_call_tensor(&totals, out, out);
    opencl_call_tensor(&totals, &op->workspace, &op->workspace);
    opencl_call_long(&totals, chunks);
    opencl_call_long(&totals, cols);
    opencl_call_long(&totals, out->stride[0]);
    opencl_call_float(&totals, params->alpha);
    opencl_call_float(&totals, params->beta);
    return opencl_run_columns(&totals, cols);
}

static int64_t square_chunk(int64_t count)
{
    const int64_t chunk = opencl_parts(count, MOST_SQUARE_GROUPS);
    /* A multiple of every vector, so that groups begin at vectors. */
    return chunk > LEAST_SQUARES ? opencl_parts(chunk, 64) * 64 : LEAST_SQUARES;
}

static int sum_of_squares_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_tensor *x = &op->tensors[TTM_SUM_OF_SQUARES_X];
    return opencl_all_floats(op) && (x->shape[0] <= 1 || x->stride[0] == 1);
}

static size_t sum_of_squares_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const int64_t count = op->tensors[TTM_SUM_OF_SQUARES_X].shape[0];
    return (size_t)(opencl_parts(count, square_chunk(count)) + 1) * sizeof(float);
}

static ttm_status sum_of_squares_run(ttm_backend_stream *stream, const ttm_op *op)
{
    const ttm_sum_of_squares_params *params = op->params;
    const ttm_tensor *out = &op->tensors[TTM_SUM_OF_SQUARES_OUT];
    const ttm_tensor *x = &op->tensors[TTM_SUM_OF_SQUARES_X];
    const int64_t count = x->shape[0];
    const int64_t chunk = square_chunk(count);
    const int64_t groups = opencl_parts(count, chunk);
    const size_t group = stream->device->tuning.group;
    const size_t global = (size_t)groups * group;
    opencl_call parts = opencl_call_start(stream, OPENCL_REDUCE, "square_parts",
                                          "-DDATA=%d -DRESULT=1", (int)x->dtype);
    opencl_call_tensor(&parts, &op->workspace, &op->workspace);
    opencl_call_tensor(&parts, x, &op->workspace);
    opencl_call_long(&parts, count);
    opencl_call_long(&parts, chunk);
    const ttm_status status = opencl_call_run(&parts, 1, &global, &group);
    if (status != TTM_OK) {
        return status;
    }
    opencl_call total = opencl_call_start(stream, OPENCL_REDUCE, "square_total",
                                          "-DDATA=%d -DRESULT=1", (int)x->dtype);
    opencl_call_tensor(&total, out, out);
    opencl_call_tensor(&total, &op->workspace, &op->workspace);
    opencl_call_long(&total, groups);
    opencl_call_float(&total, params->beta);
    return opencl_call_run(&total, 1, &group, &group);
}

const opencl_op opencl_op_reduce_rows = {reduce_rows_supported, reduce_rows_workspace,
                                         reduce_rows_run};
const opencl_op opencl_op_sum_of_squares = {sum_of_squares_supported, sum_of_squares_workspace,
                                            sum_of_squares_run};
