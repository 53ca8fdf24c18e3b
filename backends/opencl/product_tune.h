/* Tuning of products by measurement. */
#ifndef TTM_OPENCL_PRODUCT_TUNE_H
#define TTM_OPENCL_PRODUCT_TUNE_H

#include "opencl/device.h"

#include <ttm/ops.h>

/** device_tune of the plugin's table: finds the fastest plans for products on matrix units,
 * CLBlast's fastest parameters for the f32 products among `ops`, and from which size CLBlast beats
 * our own kernels, and keeps them. */
ttm_status opencl_device_tune(ttm_backend_device *device, const ttm_op *ops, size_t op_count,
                              double seconds);

#endif
