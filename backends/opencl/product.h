/* Products of matrices on a stream: the op MATMUL, and what the TT ops are made of. */
#ifndef TTM_OPENCL_PRODUCT_H
#define TTM_OPENCL_PRODUCT_H

#include "opencl/op.h"

/** out = epilogue(alpha·a·b), as in the contract of MATMUL. Absent tensors are zeroed. */
typedef struct opencl_product {
    ttm_tensor out;
    ttm_tensor a;
    ttm_tensor b;
    ttm_tensor bias;
    ttm_tensor residual;
    ttm_tensor pre;
    ttm_tensor workspace; /**< Scratch for partial sums, f32 [n]; products do without, too. */
    double alpha;
    int adds_out;        /**< beta = 1. */
    int rounds_operands; /**< a and b are f32 that may be rounded to 11 bits: TF32. */
    ttm_activation activation;
} opencl_product;

/** Returns the bytes of scratch that make the product faster. Looks at no memory. */
size_t opencl_product_workspace_bytes(const ttm_backend_device *device,
                                      const opencl_product *product);

/** Makes f32 operands that may be rounded of TF32 ones. */
static inline void opencl_product_take_tf32(opencl_product *product)
{
    if (product->a.dtype == TTM_TF32) {
        product->rounds_operands = 1;
        product->a.dtype = TTM_F32;
        product->b.dtype = TTM_F32;
    }
}

/** Queues the product by whichever kernel is best for its shape. */
ttm_status opencl_product_run(ttm_backend_stream *stream, const opencl_product *product);

/** Every call of CLBlast is between these, whatever its device: until 1.5.3 the first one of a
 * process fills a table that others read, without a lock. */
void opencl_clblast_lock(void);
void opencl_clblast_unlock(void);

/** Queues it through CLBlast where that takes it; *done says whether. */
ttm_status opencl_product_by_clblast(int *done, ttm_backend_stream *stream,
                                     const opencl_product *product);

/** Returns whether CLBlast can compute the product: f32, strides of a BLAS, whatever its size. */
int opencl_product_fits_clblast(const opencl_product *product);

/** Adds the arguments of product.cl's PRODUCT_PARAMETERS. */
void opencl_product_arguments(opencl_call *call, const opencl_product *product);

/** Returns the stride of a matrix's last dimension (from_last 0) or the one before; 0 where the
 * tensor is absent. */
static inline int64_t opencl_matrix_stride(const ttm_tensor *tensor, int from_last)
{
    return ttm_tensor_present(tensor) ? tensor->stride[tensor->rank - 1 - from_last] : 0;
}

static inline int64_t opencl_product_rows(const opencl_product *product)
{
    return product->out.shape[product->out.rank - 2];
}

static inline int64_t opencl_product_cols(const opencl_product *product)
{
    return product->out.shape[product->out.rank - 1];
}

static inline int64_t opencl_product_depth(const opencl_product *product)
{
    return product->a.shape[product->a.rank - 1];
}

/** Returns the number of matrices. */
int64_t opencl_product_batches(const opencl_product *product);

/** Returns the elements from a tensor's first to its last, those between its rows included. */
size_t opencl_product_extent(const ttm_tensor *tensor);

#endif
