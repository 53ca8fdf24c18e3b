/* ATTENTION and ATTENTION_BACKWARD: the shape of the tiles, and their launches. */
#include "opencl/attention_call.h"
#include "opencl/attention_few.h"
#include "opencl/attention_units.h"

#include <stdio.h>

enum { MOST_HEAD_SIZE = 256, OPTIONS_BYTES = 192 };

/** How a kernel is cut: see attention_tile.cl. */
typedef struct attention_shape {
    int items; /**< Along each edge of a group. */
    int each_rows;
    int each_cols; /**< Vectors. */
    int steps;
} attention_shape;

/* From the largest blocks to the smallest; the first that fits into local memory is taken. */
static const attention_shape gpu_shapes[] = {
    {16, 4, 2, 1}, {16, 2, 2, 1}, {16, 2, 1, 1}, {16, 1, 1, 1}, {8, 1, 1, 1}};
static const attention_shape cpu_shapes[] = {{1, 4, 2, 16}, {1, 4, 2, 4}, {1, 4, 1, 1}};

static int block_rows(const attention_shape *shape)
{
    return shape->items * shape->each_rows * shape->steps;
}

/* Bytes of local memory of the largest kernel: attention_dkdv, or attention alone. */
static uint64_t local_bytes(const attention_shape *shape, int64_t head_size, int vector,
                            int backward)
{
    const int64_t padded = (head_size + 3) / 4 * 4 + 4;
    const int64_t cols = (int64_t)shape->items * shape->each_cols * vector;
    const int64_t step_rows = (int64_t)shape->items * shape->each_rows;
    const int64_t row_tile = block_rows(shape) * (vector == 1 ? padded : head_size);
    const int64_t col_tile = cols * (vector == 1 ? padded : head_size);
    const int64_t weights = cols * (vector == 1 ? step_rows + shape->each_rows : step_rows);
    const int64_t keys = vector == 1 && col_tile < weights ? weights : col_tile;
    const int64_t beside = vector == 1 ? col_tile + step_rows * shape->items : weights;
    const int64_t floats =
        backward ? 2 * (row_tile + col_tile + weights + cols) : row_tile + keys + beside;
    return (uint64_t)floats * sizeof(float);
}

/* Chooses a shape; returns whether there is one. */
static int choose_shape(attention_shape *shape, const ttm_backend_device *device, int64_t head_size,
                        int backward)
{
    const opencl_tuning *tuning = &device->tuning;
    const attention_shape *shapes = tuning->is_cpu ? cpu_shapes : gpu_shapes;
    const size_t count =
        tuning->is_cpu ? sizeof cpu_shapes / sizeof *shapes : sizeof gpu_shapes / sizeof *shapes;
    for (size_t i = 0; i < count; i++) {
        if ((uint32_t)(shapes[i].items * shapes[i].items) <= tuning->group &&
            local_bytes(&shapes[i], head_size, (int)tuning->vector, backward) <=
                tuning->local_bytes) {
            *shape = shapes[i];
            return 1;
        }
    }
    return 0;
}

static int unit_last(const ttm_tensor *tensor)
{
    return tensor->shape[tensor->rank - 1] <= 1 || tensor->stride[tensor->rank - 1] == 1;
}

static int attention_supported(const ttm_backend_device *device, const ttm_op *op)
{
    attention_shape shape = {1, 1, 1, 1};
    const int backward = op->opcode == TTM_OP_ATTENTION_BACKWARD;
    const ttm_tensor *q = &op->tensors[backward ? TTM_ATTENTION_BACKWARD_Q : TTM_ATTENTION_Q];
    const int wide = backward ? TTM_ATTENTION_BACKWARD_LSE : TTM_ATTENTION_LSE;
    for (int i = 0; i < wide; i++) {
        if (!unit_last(&op->tensors[i])) {
            return 0;
        }
    }
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    const int has_tf32 = ttm_op_without_tf32(&plain, slots, op);
    return (!has_tf32 || opencl_attention_takes_tf32(device->attention_units)) &&
           opencl_all_floats(&plain) && q->shape[3] >= 1 && q->shape[3] <= MOST_HEAD_SIZE &&
           choose_shape(&shape, device, q->shape[3], backward);
}

/* Queues the op on matrix units where they take it; *done says whether. Where they don't take TF32
 * they may take f32: *plain = the op without TF32, for all other kernels. */
static ttm_status run_on_units(int *done, ttm_op *plain, ttm_tensor slots[TTM_OP_MAX_TENSORS],
                               ttm_backend_stream *stream, const ttm_op *op)
{
    const int has_tf32 = ttm_op_without_tf32(plain, slots, op);
    const ttm_status status = opencl_attention_by_matrix_units(done, stream, op);
    return status == TTM_OK && !*done && has_tf32
               ? opencl_attention_by_matrix_units(done, stream, plain)
               : status;
}

static void write_options(char *options, const attention_shape *shape, const ttm_tensor *q,
                          const ttm_attention_params *params)
{
    snprintf(options, OPTIONS_BYTES,
             "-DDATA=%d -DHEAD_SIZE=%d -DCOL_ITEMS=%d -DROW_ITEMS=%d -DEACH_ROWS=%d "
             "-DEACH_COLS=%d -DSTEPS=%d -DDROPOUT=%d",
             (int)q->dtype, (int)q->shape[3], shape->items, shape->items, shape->each_rows,
             shape->each_cols, shape->steps, !opencl_keeps_all(params->dropout));
}

/* One group a block of rows of a head. */
static ttm_status run_blocks(opencl_call *call, const attention_shape *shape, int64_t rows,
                             int64_t heads)
{
    const size_t items = (size_t)shape->items;
    const size_t local[2] = {items, items};
    const size_t global[2] = {(size_t)opencl_parts(rows, block_rows(shape)) * items,
                              (size_t)heads * items};
    return opencl_call_run(call, 2, global, local);
}

static size_t attention_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    ttm_op_without_tf32(&plain, slots, op);
    return opencl_attention_few_workspace(device, &plain);
}

static ttm_status run_tiles(ttm_backend_stream *stream, const ttm_op *op)
{
    char options[OPTIONS_BYTES];
    attention_shape shape = {1, 1, 1, 1};
    const ttm_attention_params *params = op->params;
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    choose_shape(&shape, stream->device, q->shape[3], 0);
    write_options(options, &shape, q, params);
    opencl_call call = opencl_call_start(stream, OPENCL_ATTENTION, "attention", "%s", options);
    opencl_attention_arguments(&call, op);
    opencl_attention_dropout_arguments(&call, params);
    return run_blocks(&call, &shape, q->shape[2], q->shape[0] * q->shape[1]);
}

static ttm_status attention_run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    int done = opencl_count(&op->tensors[TTM_ATTENTION_Q]) == 0;
    ttm_status status = done ? TTM_OK : run_on_units(&done, &plain, slots, stream, op);
    if (status == TTM_OK && !done) {
        status = opencl_attention_of_few(&done, stream, &plain);
    }
    return status == TTM_OK && !done ? run_tiles(stream, &plain) : status;
}

/* ---- Backward ---- */

static size_t attention_backward_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_BACKWARD_Q];
    const size_t deltas = (size_t)(q->shape[0] * q->shape[1] * q->shape[2]) * sizeof(float);
    const size_t statistics = opencl_attention_units_workspace(device, op);
    return statistics > deltas ? statistics : deltas;
}

static ttm_status compute_delta(ttm_backend_stream *stream, const ttm_op *op,
                                const attention_shape *shape, const char *options)
{
    const ttm_tensor *dout = &op->tensors[TTM_ATTENTION_BACKWARD_DOUT];
    const ttm_tensor *out = &op->tensors[TTM_ATTENTION_BACKWARD_OUT];
    const int64_t strides[8] = {dout->stride[0], dout->stride[1], dout->stride[2],
                                out->stride[0],  out->stride[1],  out->stride[2]};
    opencl_call call =
        opencl_call_start(stream, OPENCL_ATTENTION_BACKWARD, "attention_delta", "%s", options);
    opencl_call_tensor(&call, &op->workspace, &op->workspace);
    opencl_call_tensor(&call, dout, dout);
    opencl_call_tensor(&call, out, dout);
    opencl_call_long(&call, dout->shape[1]);
    opencl_call_long(&call, dout->shape[2]);
    opencl_call_longs8(&call, strides);
    const size_t items = (size_t)shape->items;
    const size_t heads = (size_t)(dout->shape[0] * dout->shape[1]);
    if (items == 1) {
        const size_t local[2] = {opencl_free_group(stream->device), 1};
        const size_t global[2] = {(size_t)dout->shape[2], heads};
        return opencl_call_run(&call, 2, global, local);
    }
    const size_t local[2] = {items, items};
    const size_t global[2] = {(size_t)opencl_parts(dout->shape[2], shape->items) * items,
                              heads * items};
    return opencl_call_run(&call, 2, global, local);
}

/* The arguments that attention_dq and attention_dkdv share. */
static void add_inputs(opencl_call *call, const ttm_op *op, const int64_t result_strides[8])
{
    const ttm_attention_params *params = op->params;
    const ttm_tensor *dout = &op->tensors[TTM_ATTENTION_BACKWARD_DOUT];
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_BACKWARD_Q];
    const ttm_tensor *k = &op->tensors[TTM_ATTENTION_BACKWARD_K];
    const ttm_tensor *v = &op->tensors[TTM_ATTENTION_BACKWARD_V];
    const ttm_tensor *lse = &op->tensors[TTM_ATTENTION_BACKWARD_LSE];
    const int64_t strides[8] = {q->stride[0], q->stride[1], q->stride[2],
                                k->stride[0], k->stride[1], k->stride[2]};
    const int64_t more[8] = {v->stride[0],    v->stride[1],    v->stride[2],
                             dout->stride[0], dout->stride[1], dout->stride[2]};
    const int64_t lse_strides[8] = {lse->stride[0], lse->stride[1], lse->stride[2]};
    opencl_call_tensor(call, dout, &op->workspace);
    opencl_call_tensor(call, q, &op->workspace);
    opencl_call_tensor(call, k, &op->workspace);
    opencl_call_tensor(call, v, &op->workspace);
    opencl_call_tensor(call, lse, &op->workspace);
    opencl_call_tensor(call, &op->workspace, &op->workspace);
    opencl_call_long(call, q->shape[1]);
    opencl_call_long(call, q->shape[2]);
    opencl_call_long(call, k->shape[2]);
    opencl_call_longs8(call, strides);
    opencl_call_longs8(call, more);
    opencl_call_longs8(call, lse_strides);
    opencl_call_longs8(call, result_strides);
    opencl_call_float(call, params->scale);
    opencl_call_int(call, params->causal != 0);
    opencl_attention_dropout_arguments(call, params);
}

static ttm_status run_backward_tiles(ttm_backend_stream *stream, const ttm_op *op)
{
    char options[OPTIONS_BYTES];
    attention_shape shape = {1, 1, 1, 1};
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_BACKWARD_Q];
    const ttm_tensor *dq = &op->tensors[TTM_ATTENTION_BACKWARD_DQ];
    const ttm_tensor *dk = &op->tensors[TTM_ATTENTION_BACKWARD_DK];
    const ttm_tensor *dv = &op->tensors[TTM_ATTENTION_BACKWARD_DV];
    const int64_t heads = q->shape[0] * q->shape[1];
    const int64_t dq_strides[8] = {dq->stride[0], dq->stride[1], dq->stride[2]};
    const int64_t dkdv_strides[8] = {dk->stride[0], dk->stride[1], dk->stride[2],
                                     dv->stride[0], dv->stride[1], dv->stride[2]};
    ttm_status status = TTM_OK;
    choose_shape(&shape, stream->device, q->shape[3], 1);
    write_options(options, &shape, q, op->params);
    if (opencl_count(q) > 0) {
        status = compute_delta(stream, op, &shape, options);
    }
    if (status == TTM_OK && opencl_count(dq) > 0) {
        opencl_call call =
            opencl_call_start(stream, OPENCL_ATTENTION_BACKWARD, "attention_dq", "%s", options);
        opencl_call_tensor(&call, dq, dq);
        add_inputs(&call, op, dq_strides);
        status = run_blocks(&call, &shape, q->shape[2], heads);
    }
    if (status == TTM_OK && opencl_count(dk) > 0) {
        opencl_call call =
            opencl_call_start(stream, OPENCL_ATTENTION_BACKWARD, "attention_dkdv", "%s", options);
        opencl_call_tensor(&call, dk, dk);
        opencl_call_tensor(&call, dv, dv);
        add_inputs(&call, op, dkdv_strides);
        status = run_blocks(&call, &shape, dk->shape[2], heads);
    }
    return status;
}

static ttm_status attention_backward_run(ttm_backend_stream *stream, const ttm_op *op)
{
    ttm_op plain;
    ttm_tensor slots[TTM_OP_MAX_TENSORS];
    int done = 0;
    const ttm_status status = run_on_units(&done, &plain, slots, stream, op);
    return status == TTM_OK && !done ? run_backward_tiles(stream, &plain) : status;
}

const opencl_op opencl_op_attention = {attention_supported, attention_workspace, attention_run};
const opencl_op opencl_op_attention_backward = {attention_supported, attention_backward_workspace,
                                                attention_backward_run};
