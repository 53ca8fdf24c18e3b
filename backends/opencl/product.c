/* Which kernel a product goes to, and its launch. */
#include "opencl/product.h"

#include "opencl/matrix_units.h"
#include "opencl/product_thin.h"

enum { FLAG_BETA = 1, FLAG_BIAS = 2, FLAG_RESIDUAL = 4, FLAG_PRE = 8 };

int64_t opencl_product_batches(const opencl_product *product)
{
    int64_t batches = 1;
    for (int32_t dim = 0; dim < product->out.rank - 2; dim++) {
        batches *= product->out.shape[dim];
    }
    return batches;
}

size_t opencl_product_extent(const ttm_tensor *tensor)
{
    int64_t last = 0;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        last += (tensor->shape[dim] - 1) * tensor->stride[dim];
    }
    return (size_t)(last + 1);
}

/* The stride of batch dimension `from_inner`, counted from the innermost; 0 where there is none. */
static int64_t batch_stride(const ttm_tensor *tensor, int from_inner)
{
    const int32_t dim = tensor->rank - 3 - from_inner;
    return ttm_tensor_present(tensor) && dim >= 0 ? tensor->stride[dim] : 0;
}

static int flags_of(const opencl_product *product)
{
    return (product->adds_out ? FLAG_BETA : 0) |
           (ttm_tensor_present(&product->bias) ? FLAG_BIAS : 0) |
           (ttm_tensor_present(&product->residual) ? FLAG_RESIDUAL : 0) |
           (ttm_tensor_present(&product->pre) ? FLAG_PRE : 0);
}

void opencl_product_arguments(opencl_call *call, const opencl_product *product)
{
    const ttm_tensor *out = &product->out;
    const ttm_tensor *batched[5] = {out, &product->a, &product->b, &product->residual,
                                    &product->pre};
    const int64_t inner_batches = out->rank > 2 ? out->shape[out->rank - 3] : 1;
    const int64_t strides[8] = {opencl_matrix_stride(&product->a, 1),
                                opencl_matrix_stride(&product->a, 0),
                                opencl_matrix_stride(&product->b, 1),
                                opencl_matrix_stride(&product->b, 0),
                                opencl_matrix_stride(out, 1),
                                opencl_matrix_stride(out, 0),
                                opencl_matrix_stride(&product->bias, 0),
                                inner_batches > 0 ? inner_batches : 1};
    const int64_t more[8] = {
        opencl_matrix_stride(&product->residual, 1), opencl_matrix_stride(&product->residual, 0),
        opencl_matrix_stride(&product->pre, 1), opencl_matrix_stride(&product->pre, 0)};
    int64_t outer[8] = {0};
    int64_t inner[8] = {0};
    for (int i = 0; i < 5; i++) {
        inner[i] = batch_stride(batched[i], 0);
        outer[i] = batch_stride(batched[i], 1);
    }
    opencl_call_tensor(call, out, out);
    opencl_call_tensor(call, &product->a, out);
    opencl_call_tensor(call, &product->b, out);
    opencl_call_tensor(call, &product->bias, out);
    opencl_call_tensor(call, &product->residual, out);
    opencl_call_tensor(call, &product->pre, out);
    opencl_call_long(call, opencl_product_rows(product));
    opencl_call_long(call, opencl_product_cols(product));
    opencl_call_long(call, opencl_product_depth(product));
    opencl_call_longs8(call, strides);
    opencl_call_longs8(call, more);
    opencl_call_longs8(call, outer);
    opencl_call_longs8(call, inner);
    opencl_call_float(call, product->alpha);
    opencl_call_int(call, flags_of(product));
    opencl_call_int(call, (int32_t)product->activation);
}

/* ---- Launches ---- */

static ttm_status run_tiled(ttm_backend_stream *stream, const opencl_product *product)
{
    const int64_t least = opencl_least(opencl_product_rows(product), opencl_product_cols(product));
    const size_t items = stream->device->tuning.group >= 256 ? 16 : 8;
    const size_t each = least >= (int64_t)items * 3 ? 4 : 2;
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL, "matmul", "-DDATA=%d -DRESULT=%d -DITEMS=%zu -DEACH=%zu -DDEPTH=16",
        (int)product->a.dtype, (int)product->out.dtype, items, each);
    opencl_product_arguments(&call, product);
    const size_t local[3] = {items, items, 1};
    const size_t global[3] = {
        (size_t)opencl_parts(opencl_product_cols(product), (int64_t)(items * each)) * items,
        (size_t)opencl_parts(opencl_product_rows(product), (int64_t)(items * each)) * items,
        (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

static ttm_status run_on_cpu(ttm_backend_stream *stream, const opencl_product *product)
{
    const opencl_tuning *tuning = &stream->device->tuning;
    const int64_t block_cols = 2 * (int64_t)tuning->vector;
    const int64_t blocks = opencl_parts(opencl_product_rows(product), 128) *
                           opencl_parts(opencl_product_cols(product), block_cols) *
                           opencl_product_batches(product);
    const int64_t block_rows =
        blocks >= 2 * (int64_t)stream->device->description->limits.compute_units &&
                opencl_product_rows(product) > 32
            ? 128
            : 32;
    int64_t depth = 256;
    while (depth > 32 && (uint64_t)((depth + block_rows) * block_cols) * 4 > tuning->local_bytes) {
        depth /= 2;
    }
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL_CPU, "matmul_cpu",
        "-DDATA=%d -DRESULT=%d -DROWS=%d -DBLOCK_ROWS=%d -DDEPTH=%d", (int)product->a.dtype,
        (int)product->out.dtype, tuning->vector >= 16 ? 8 : 4, (int)block_rows, (int)depth);
    opencl_product_arguments(&call, product);
    const size_t local[3] = {1, 1, 1};
    const size_t global[3] = {(size_t)opencl_parts(opencl_product_rows(product), block_rows),
                              (size_t)opencl_parts(opencl_product_cols(product), block_cols),
                              (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

size_t opencl_product_workspace_bytes(const ttm_backend_device *device,
                                      const opencl_product *product)
{
    return opencl_count(&product->out) == 0 || opencl_product_is_thin(product)
               ? 0
               : opencl_units_workspace_bytes(device, product);
}

ttm_status opencl_product_run(ttm_backend_stream *stream, const opencl_product *product)
{
    int done = 0;
    if (opencl_count(&product->out) == 0) {
        return TTM_OK;
    }
    const opencl_clblast_use clblast = stream->device->tuning.clblast;
    if (opencl_product_is_thin(product) && clblast != OPENCL_CLBLAST_ALWAYS) {
        return opencl_product_run_thin(stream, product);
    }
    const ttm_status unit_status = opencl_product_by_matrix_units(&done, stream, product);
    if (unit_status != TTM_OK || done) {
        return unit_status;
    }
    if (clblast != OPENCL_CLBLAST_NEVER) {
        const ttm_status status = opencl_product_by_clblast(&done, stream, product);
        if (status != TTM_OK || done) {
            return status;
        }
    }
    return stream->device->tuning.is_cpu ? run_on_cpu(stream, product) : run_tiled(stream, product);
}
