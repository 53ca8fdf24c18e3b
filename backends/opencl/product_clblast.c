/* Products by CLBlast: f32, unit strides, large enough to be worth its launches. Bias, activation
 * and residual follow in one pass over out (epilogue.cl), unless the product alone gives the
 * result. */
#include "opencl/product.h"

#include <clblast_c.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static pthread_mutex_t clblast_lock = PTHREAD_MUTEX_INITIALIZER;

void opencl_clblast_lock(void)
{
    pthread_mutex_lock(&clblast_lock);
}

void opencl_clblast_unlock(void)
{
    pthread_mutex_unlock(&clblast_lock);
}

/* A matrix as a BLAS wants it. */
typedef struct blas_matrix {
    CLBlastTranspose transpose;
    size_t start;
    size_t ld;
    int64_t batch_stride;
} blas_matrix;

static int64_t at_least(int64_t value, int64_t least)
{
    return value > least ? value : least;
}

/* One batch dimension, or two that are one. Returns whether there is a single stride. */
static int read_batch(int64_t *stride, const ttm_tensor *tensor)
{
    const int32_t dims = tensor->rank - 2;
    *stride = dims > 0 ? tensor->stride[dims - 1] : 0;
    if (dims == 2 && tensor->shape[0] > 1) {
        if (tensor->shape[1] == 1) {
            *stride = tensor->stride[0];
        } else if (tensor->stride[0] != tensor->stride[1] * tensor->shape[1]) {
            return 0;
        }
    }
    return 1;
}

static int read_matrix(blas_matrix *matrix, const ttm_tensor *tensor)
{
    const int32_t rank = tensor->rank;
    const int64_t rows = tensor->shape[rank - 2];
    const int64_t cols = tensor->shape[rank - 1];
    const int64_t row_stride = rows > 1 ? tensor->stride[rank - 2] : 0;
    const int64_t col_stride = cols > 1 ? tensor->stride[rank - 1] : 0;
    matrix->start = tensor->offset / sizeof(float);
    if (col_stride <= 1 && (cols == 1 || col_stride == 1) && (rows == 1 || row_stride >= cols)) {
        matrix->transpose = CLBlastTransposeNo;
        matrix->ld = (size_t)at_least(row_stride, cols);
    } else if ((rows == 1 || row_stride == 1) && (cols == 1 || col_stride >= rows)) {
        matrix->transpose = CLBlastTransposeYes;
        matrix->ld = (size_t)at_least(col_stride, rows);
    } else {
        return 0;
    }
    return read_batch(&matrix->batch_stride, tensor);
}

/* Whether residual and out are the same elements. */
static int residual_is_out(const opencl_product *product)
{
    return ttm_tensor_present(&product->residual) &&
           product->residual.memory == product->out.memory &&
           product->residual.offset == product->out.offset;
}

static int is_large(const opencl_product *product, int64_t depth, int64_t least_multiplies)
{
    const ttm_tensor *out = &product->out;
    const int64_t rows = out->shape[out->rank - 2];
    const int64_t cols = out->shape[out->rank - 1];
    return rows >= 16 && cols >= 16 && rows * cols * depth >= least_multiplies;
}

static int fits(blas_matrix *a, blas_matrix *b, blas_matrix *c, const opencl_product *product)
{
    const ttm_tensor *out = &product->out;
    const int64_t depth = product->a.shape[product->a.rank - 1];
    if (product->a.dtype != TTM_F32 || out->dtype != TTM_F32 || depth < 1 ||
        (residual_is_out(product) && product->activation != TTM_ACTIVATION_NONE)) {
        return 0;
    }
    return read_matrix(a, &product->a) && read_matrix(b, &product->b) && read_matrix(c, out) &&
           c->transpose == CLBlastTransposeNo;
}

int opencl_product_fits_clblast(const opencl_product *product)
{
    blas_matrix a;
    blas_matrix b;
    blas_matrix c;
    return fits(&a, &b, &c, product);
}

/* Whether the product is worth CLBlast's launches. */
static int is_wanted(const opencl_product *product, const opencl_tuning *tuning)
{
    return tuning->clblast == OPENCL_CLBLAST_ALWAYS ||
           is_large(product, product->a.shape[product->a.rank - 1], tuning->clblast_multiplies);
}

/* What the product leaves to do. */
static ttm_status run_epilogue(ttm_backend_stream *stream, const opencl_product *product)
{
    opencl_product rest = *product;
    const ttm_tensor *out = &product->out;
    if (residual_is_out(product)) {
        memset(&rest.residual, 0, sizeof rest.residual); /* it was added as beta·out */
    }
    if (rest.activation == TTM_ACTIVATION_NONE && !ttm_tensor_present(&rest.bias) &&
        !ttm_tensor_present(&rest.residual)) {
        return TTM_OK;
    }
    rest.a = *out;
    rest.b = *out;
    rest.alpha = 1.0;
    rest.adds_out = 0;
    opencl_call call =
        opencl_call_start(stream, OPENCL_EPILOGUE, "epilogue", "-DDATA=1 -DRESULT=1");
    opencl_product_arguments(&call, &rest);
    const int64_t vectors = opencl_parts(out->shape[out->rank - 1], stream->device->tuning.vector);
    const size_t local[3] = {opencl_free_group(stream->device), 1, 1};
    const size_t global[3] = {
        (size_t)vectors, (size_t)opencl_least(out->shape[out->rank - 2], OPENCL_MOST_ROW_GROUPS),
        (size_t)opencl_product_batches(product)};
    return opencl_call_run(&call, 3, global, local);
}

static ttm_status fail(const ttm_backend_stream *stream, CLBlastStatusCode code)
{
    /* Codes of OpenCL keep their numbers; CLBlast's own are below −1000. */
    if (code > -1000) {
        return opencl_stream_fail(stream, (cl_int)code, "queue a product (CLBlast)");
    }
    return opencl_fail(TTM_ERROR_DEVICE,
                       "CLBlast refuses a product on %s with its status %d; set "
                       "TTM_OPENCL_PRODUCTS=own to do without it, and report this",
                       stream->device->description->name, (int)code);
}

ttm_status opencl_product_by_clblast(int *done, ttm_backend_stream *stream,
                                     const opencl_product *product)
{
    blas_matrix a;
    blas_matrix b;
    blas_matrix c;
    *done = 0;
    if (!is_wanted(product, &stream->device->tuning) || !fits(&a, &b, &c, product)) {
        return TTM_OK;
    }
    const ttm_tensor *out = &product->out;
    const size_t rows = (size_t)out->shape[out->rank - 2];
    const size_t cols = (size_t)out->shape[out->rank - 1];
    const size_t depth = (size_t)product->a.shape[product->a.rank - 1];
    const size_t batches = (size_t)opencl_product_batches(product);
    const float beta = product->adds_out || residual_is_out(product) ? 1.0F : 0.0F;
    CLBlastStatusCode code;
    opencl_clblast_lock();
    if (batches == 1) {
        code = CLBlastSgemm(CLBlastLayoutRowMajor, a.transpose, b.transpose, rows, cols, depth,
                            (float)product->alpha, product->a.memory->buffer, a.start, a.ld,
                            product->b.memory->buffer, b.start, b.ld, beta, out->memory->buffer,
                            c.start, c.ld, &stream->queue, NULL);
    } else {
        code = CLBlastSgemmStridedBatched(
            CLBlastLayoutRowMajor, a.transpose, b.transpose, rows, cols, depth,
            (float)product->alpha, product->a.memory->buffer, a.start, a.ld, (size_t)a.batch_stride,
            product->b.memory->buffer, b.start, b.ld, (size_t)b.batch_stride, beta,
            out->memory->buffer, c.start, c.ld, (size_t)c.batch_stride, batches, &stream->queue,
            NULL);
    }
    opencl_clblast_unlock();
    if (code != CLBlastSuccess) {
        return fail(stream, code);
    }
    *done = 1;
    return run_epilogue(stream, product);
}
