/* Which kernel a product goes to, and its launch. */
#include "opencl/product.h"

#include "opencl/matrix_units.h"

enum { FLAG_BETA = 1, FLAG_BIAS = 2, FLAG_RESIDUAL = 4, FLAG_PRE = 8, MOST_THIN_ROWS = 8 };

static int64_t rows_of(const opencl_product *product)
{
    return product->out.shape[product->out.rank - 2];
}

static int64_t cols_of(const opencl_product *product)
{
    return product->out.shape[product->out.rank - 1];
}

static int64_t depth_of(const opencl_product *product)
{
    return product->a.shape[product->a.rank - 1];
}

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

static int64_t matrix_stride(const ttm_tensor *tensor, int from_last)
{
    return ttm_tensor_present(tensor) ? tensor->stride[tensor->rank - 1 - from_last] : 0;
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
    const int64_t strides[8] = {matrix_stride(&product->a, 1),
                                matrix_stride(&product->a, 0),
                                matrix_stride(&product->b, 1),
                                matrix_stride(&product->b, 0),
                                matrix_stride(out, 1),
                                matrix_stride(out, 0),
                                matrix_stride(&product->bias, 0),
                                inner_batches > 0 ? inner_batches : 1};
    const int64_t more[8] = {matrix_stride(&product->residual, 1),
                             matrix_stride(&product->residual, 0), matrix_stride(&product->pre, 1),
                             matrix_stride(&product->pre, 0)};
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
    opencl_call_long(call, rows_of(product));
    opencl_call_long(call, cols_of(product));
    opencl_call_long(call, depth_of(product));
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
    const int64_t least = opencl_least(rows_of(product), cols_of(product));
    const size_t items = stream->device->tuning.group >= 256 ? 16 : 8;
    const size_t each = least >= (int64_t)items * 3 ? 4 : 2;
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL, "matmul", "-DDATA=%d -DRESULT=%d -DITEMS=%zu -DEACH=%zu -DDEPTH=16",
        (int)product->a.dtype, (int)product->out.dtype, items, each);
    opencl_product_arguments(&call, product);
    const size_t local[3] = {items, items, 1};
    const size_t global[3] = {
        (size_t)opencl_parts(cols_of(product), (int64_t)(items * each)) * items,
        (size_t)opencl_parts(rows_of(product), (int64_t)(items * each)) * items,
        (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

static ttm_status run_on_cpu(ttm_backend_stream *stream, const opencl_product *product)
{
    const opencl_tuning *tuning = &stream->device->tuning;
    const int64_t block_cols = 2 * (int64_t)tuning->vector;
    const int64_t blocks = opencl_parts(rows_of(product), 128) *
                           opencl_parts(cols_of(product), block_cols) *
                           opencl_product_batches(product);
    const int64_t block_rows =
        blocks >= 2 * (int64_t)stream->device->description->limits.compute_units &&
                rows_of(product) > 32
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
    const size_t global[3] = {(size_t)opencl_parts(rows_of(product), block_rows),
                              (size_t)opencl_parts(cols_of(product), block_cols),
                              (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

static int is_thin(const opencl_product *product)
{
    const int64_t depth = depth_of(product);
    return rows_of(product) <= MOST_THIN_ROWS && depth >= 16 && cols_of(product) >= 16 &&
           (matrix_stride(&product->b, 0) == 1 || matrix_stride(&product->b, 1) == 1);
}

static ttm_status run_thin(ttm_backend_stream *stream, const opencl_product *product)
{
    const opencl_tuning *tuning = &stream->device->tuning;
    const int by_rows = matrix_stride(&product->b, 0) == 1;
    const size_t parts = tuning->is_cpu ? 1 : (tuning->group >= 256 ? 8 : 2);
    const size_t cols = tuning->is_cpu ? 1 : 32;
    int most_rows = 1;
    while (most_rows < rows_of(product)) {
        most_rows *= 2;
    }
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL_THIN, by_rows ? "matmul_thin_rows" : "matmul_thin_cols",
        "-DDATA=%d -DRESULT=%d -DMOST_ROWS=%d -DCOLS=%zu -DPARTS=%zu", (int)product->a.dtype,
        (int)product->out.dtype, most_rows, cols, parts);
    opencl_product_arguments(&call, product);
    const int64_t group_cols = (int64_t)(by_rows ? cols * tuning->vector : parts);
    const size_t local[3] = {cols, parts, 1};
    const size_t global[3] = {(size_t)opencl_parts(cols_of(product), group_cols) * cols, parts,
                              (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

size_t opencl_product_workspace_bytes(const ttm_backend_device *device,
                                      const opencl_product *product)
{
    return opencl_count(&product->out) == 0 || is_thin(product)
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
    if (is_thin(product) && clblast != OPENCL_CLBLAST_ALWAYS) {
        return run_thin(stream, product);
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
