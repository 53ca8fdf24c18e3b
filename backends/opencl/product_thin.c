/* Which kernel takes a product with few rows, and its launch: whole chunks of 16 bytes on GPUs
 * where b allows it, else vectors or elements. */
#include "opencl/product_thin.h"

enum { MOST_ROWS = 8, LEAST_EXTENT = 16, CHUNK_BYTES = 16 };

/* Items of a group, where a device takes so many: enough reads on their way for a multiprocessor.
 */
enum { WIDE_ITEMS = 512 };

/* Items side by side in a row of b: 2 read the 32 bytes that memory gives at least. */
enum { LEAST_COL_ITEMS = 2, MOST_COL_ITEMS = 32 };

/* How a product is read in chunks. */
typedef struct wide_shape {
    int by_rows;
    int width; /* elements of a chunk */
    int most_rows;
    int ahead; /* chunks on their way to an item */
    size_t cols;
    size_t parts;
} wide_shape;

int opencl_product_is_thin(const opencl_product *product)
{
    return opencl_product_rows(product) <= MOST_ROWS &&
           opencl_product_depth(product) >= LEAST_EXTENT &&
           opencl_product_cols(product) >= LEAST_EXTENT &&
           (opencl_matrix_stride(&product->b, 0) == 1 || opencl_matrix_stride(&product->b, 1) == 1);
}

static int most_rows_of(const opencl_product *product)
{
    int most_rows = 1;
    while (most_rows < opencl_product_rows(product)) {
        most_rows *= 2;
    }
    return most_rows;
}

/* Whether all runs of a tensor, its last dimension or the one before, begin at multiples of a chunk
 * and are whole chunks long. */
static int lies_in_chunks(const ttm_tensor *tensor, int run_from_last, int width)
{
    const int32_t run = tensor->rank - 1 - run_from_last;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        if (dim != run && tensor->shape[dim] > 1 && tensor->stride[dim] % width != 0) {
            return 0;
        }
    }
    return tensor->stride[run] == 1 && tensor->shape[run] % width == 0 &&
           tensor->offset % CHUNK_BYTES == 0;
}

/* As many columns a group as leave every second compute unit a group. */
static size_t items_across(const ttm_backend_device *device, const opencl_product *product,
                           const wide_shape *shape, size_t items)
{
    const int64_t wanted = (int64_t)device->description->limits.compute_units / 2;
    size_t cols = MOST_COL_ITEMS;
    while (cols > LEAST_COL_ITEMS &&
           (cols * (size_t)shape->width > items ||
            opencl_product_batches(product) *
                    opencl_parts(opencl_product_cols(product), (int64_t)cols * shape->width) <
                wanted)) {
        cols /= 2;
    }
    return cols;
}

/* As many items a column as its depth has chunks. */
static size_t items_along(const opencl_product *product, const wide_shape *shape)
{
    size_t cols = MOST_COL_ITEMS;
    while (cols > 1 && (int64_t)(cols / 2) * shape->width >= opencl_product_depth(product)) {
        cols /= 2;
    }
    return cols;
}

/* Returns whether b is read in whole chunks, and how. */
static int choose_wide(wide_shape *shape, const ttm_backend_device *device,
                       const opencl_product *product)
{
    const opencl_tuning *tuning = &device->tuning;
    const int width = CHUNK_BYTES / opencl_float_bytes(product->b.dtype);
    const int by_rows = opencl_matrix_stride(&product->b, 0) == 1;
    const int most_rows = most_rows_of(product);
    const size_t items = most_rows == 1 && tuning->group >= WIDE_ITEMS / 2 &&
                                 device->description->limits.group_items >= WIDE_ITEMS
                             ? WIDE_ITEMS
                             : tuning->group;
    if (tuning->is_cpu || items < LEAST_COL_ITEMS * (size_t)width ||
        !lies_in_chunks(&product->b, by_rows ? 0 : 1, width) ||
        (!by_rows && !lies_in_chunks(&product->a, 0, width))) {
        return 0;
    }
    *shape = (wide_shape){.by_rows = by_rows,
                          .width = width,
                          .most_rows = most_rows,
                          .ahead = most_rows == 1 ? 8 : 4};
    shape->cols =
        by_rows ? items_across(device, product, shape, items) : items_along(product, shape);
    shape->parts = items / shape->cols;
    return 1;
}

#define WIDE_OPTIONS \
    "-DDATA=%d -DRESULT=%d -DWIDTH=%d -DMOST_ROWS=%d -DCOLS=%zu -DPARTS=%zu -DAHEAD=%d "

static ttm_status launch_wide(opencl_call *call, const opencl_product *product,
                              const wide_shape *shape)
{
    const int64_t group_cols =
        shape->by_rows ? (int64_t)shape->cols * shape->width : (int64_t)shape->parts;
    const size_t local[3] = {shape->cols, shape->parts, 1};
    const size_t global[3] = {(size_t)opencl_parts(opencl_product_cols(product), group_cols) *
                                  shape->cols,
                              shape->parts, (size_t)opencl_product_batches(product)};
    return opencl_call_run(call, 3, global, local);
}

static ttm_status run_wide(ttm_backend_stream *stream, const opencl_product *product,
                           const wide_shape *shape)
{
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL_THIN_WIDE, shape->by_rows ? "matmul_wide_rows" : "matmul_wide_cols",
        WIDE_OPTIONS "-DBY_ROWS=%d -DNORM=0", (int)product->a.dtype, (int)product->out.dtype,
        shape->width, shape->most_rows, shape->cols, shape->parts, shape->ahead, shape->by_rows);
    opencl_product_arguments(&call, product);
    return launch_wide(&call, product, shape);
}

/* ---- A layer norm before ---- */

/* Floats of local memory with a norm: sums of all items, and the normed rows. */
static uint64_t normed_floats(const wide_shape *shape, const opencl_product *product)
{
    return (uint64_t)shape->cols * shape->parts * (uint64_t)shape->width +
           (uint64_t)shape->most_rows * (uint64_t)opencl_product_depth(product);
}

static int choose_normed(wide_shape *shape, const ttm_backend_device *device,
                         const opencl_product *product)
{
    return opencl_product_is_thin(product) && choose_wide(shape, device, product) &&
           shape->by_rows && opencl_product_depth(product) <= INT32_MAX / MOST_ROWS &&
           normed_floats(shape, product) * sizeof(float) <= device->tuning.local_bytes;
}

int opencl_product_takes_norm(const ttm_backend_device *device, const opencl_product *product)
{
    wide_shape shape;
    return opencl_count(&product->out) > 0 && choose_normed(&shape, device, product);
}

ttm_status opencl_product_run_normed(ttm_backend_stream *stream, const opencl_product *product,
                                     const opencl_norm *norm)
{
    wide_shape shape;
    if (!choose_normed(&shape, stream->device, product)) {
        return opencl_fail(TTM_ERROR_INTERNAL, "no kernel takes this product with a layer norm");
    }
    opencl_call call =
        opencl_call_start(stream, OPENCL_MATMUL_THIN_WIDE, "matmul_wide_rows",
                          WIDE_OPTIONS "-DBY_ROWS=1 -DNORM=1 -DDEPTH=%d", (int)product->a.dtype,
                          (int)product->out.dtype, shape.width, shape.most_rows, shape.cols,
                          shape.parts, shape.ahead, (int)opencl_product_depth(product));
    opencl_product_arguments(&call, product);
    opencl_call_tensor(&call, &norm->gamma, &product->out);
    opencl_call_tensor(&call, &norm->beta, &product->out);
    opencl_call_long(&call, norm->gamma.stride[0]);
    opencl_call_long(&call, norm->beta.stride[0]);
    opencl_call_float(&call, norm->epsilon);
    return launch_wide(&call, product, &shape);
}

/* ---- Everything else ---- */

ttm_status opencl_product_run_thin(ttm_backend_stream *stream, const opencl_product *product)
{
    const opencl_tuning *tuning = &stream->device->tuning;
    wide_shape shape;
    if (choose_wide(&shape, stream->device, product)) {
        return run_wide(stream, product, &shape);
    }
    const int by_rows = opencl_matrix_stride(&product->b, 0) == 1;
    const size_t parts = tuning->is_cpu ? 1 : (tuning->group >= 256 ? 8 : 2);
    const size_t cols = tuning->is_cpu ? 1 : 32;
    opencl_call call = opencl_call_start(
        stream, OPENCL_MATMUL_THIN, by_rows ? "matmul_thin_rows" : "matmul_thin_cols",
        "-DDATA=%d -DRESULT=%d -DMOST_ROWS=%d -DCOLS=%zu -DPARTS=%zu", (int)product->a.dtype,
        (int)product->out.dtype, most_rows_of(product), cols, parts);
    opencl_product_arguments(&call, product);
    const int64_t group_cols = (int64_t)(by_rows ? cols * tuning->vector : parts);
    const size_t local[3] = {cols, parts, 1};
    const size_t global[3] = {(size_t)opencl_parts(opencl_product_cols(product), group_cols) * cols,
                              parts, (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}
