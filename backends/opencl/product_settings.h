/* What was measured to be fast for products on a device, kept as a few lines of text in
 * $TTM_TUNE_DIR, else $XDG_CACHE_HOME/ttm, else ~/.cache/ttm (an empty TTM_TUNE_DIR: nowhere), one
 * file for each device, driver and version of CLBlast. */
#ifndef TTM_OPENCL_PRODUCT_SETTINGS_H
#define TTM_OPENCL_PRODUCT_SETTINGS_H

#include "opencl/attention_tuned.h"
#include "opencl/matrix_units_tuned.h"
#include "opencl/product_space.h"

/** The settings. */
typedef struct opencl_product_settings {
    int is_chosen[OPENCL_PRODUCT_KERNELS]; /**< Else CLBlast's own parameters are. */
    opencl_parameters parameters[OPENCL_PRODUCT_KERNELS];
    uint64_t large_size;              /**< Products from this size on, the cube root of their
                                         multiply-adds, go to OPENCL_XGEMM, smaller ones to
                                         OPENCL_XGEMM_DIRECT. 0: as CLBlast decides. */
    int64_t clblast_multiplies;       /**< Below, our own kernels are used. */
    opencl_tuned_units units;         /**< What products on matrix units use. */
    opencl_tuned_attention attention; /**< Which attention is split. */
} opencl_product_settings;

/** *settings = the device's file, where there is one that opencl_product_settings_load would use;
 * else what holds without. Says nothing. */
void opencl_product_settings_read(opencl_product_settings *settings,
                                  const ttm_backend_device *device);

/** Reads the device's file, if there is one, and uses what it says from now on. One that is
 * damaged, of another device or driver, not the user's own, or refused by CLBlast is ignored, with
 * one log line. */
void opencl_product_settings_load(ttm_backend_device *device);

/** Writes the device's file: whole or not at all, for its user alone. */
ttm_status opencl_product_settings_save(const ttm_backend_device *device,
                                        const opencl_product_settings *settings);

/** Gives CLBlast parameters for one kernel on this device, for the whole process: CLBlast keeps
 * them by device. */
ttm_status opencl_product_settings_use(const ttm_backend_device *device,
                                       opencl_product_kernel kernel,
                                       const opencl_parameters *parameters);

/** The same for the size from which products are large. */
ttm_status opencl_product_settings_use_size(const ttm_backend_device *device, uint64_t size);

#endif
