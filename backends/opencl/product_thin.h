/* Products with few rows, as in generation: bound by reading b. */
#ifndef TTM_OPENCL_PRODUCT_THIN_H
#define TTM_OPENCL_PRODUCT_THIN_H

#include "opencl/product.h"

/** A layer norm of a's rows before the product. */
typedef struct opencl_norm {
    ttm_tensor gamma;
    ttm_tensor beta;
    double epsilon;
} opencl_norm;

/** Returns whether the product has few rows, and the kernels for these take it. */
int opencl_product_is_thin(const opencl_product *product);

/** Queues such a product. */
ttm_status opencl_product_run_thin(ttm_backend_stream *stream, const opencl_product *product);

/** Returns whether the product's kernel takes a layer norm of a's rows along. Looks at no memory.
 */
int opencl_product_takes_norm(const ttm_backend_device *device, const opencl_product *product);

/** Queues such a product with a layer norm. */
ttm_status opencl_product_run_normed(ttm_backend_stream *stream, const opencl_product *product,
                                     const opencl_norm *norm);

#endif
