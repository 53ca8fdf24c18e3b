/* What can be chosen of CLBlast's two product kernels: their parameters, the values that are tried,
 * and which combinations a device can run. */
#ifndef TTM_OPENCL_PRODUCT_SPACE_H
#define TTM_OPENCL_PRODUCT_SPACE_H

#include "opencl/platforms.h"

enum { OPENCL_MOST_PARAMETERS = 16 };

/** The kernels, as CLBlast's override interface counts them. */
typedef enum opencl_product_kernel {
    OPENCL_XGEMM,        /**< Large products: tiles of packed copies of a and b. */
    OPENCL_XGEMM_DIRECT, /**< Small ones: in one launch, from where a and b lie. */
    OPENCL_PRODUCT_KERNELS
} opencl_product_kernel;

/** One value for each parameter of a kernel, in the order of opencl_parameter_name. */
typedef struct opencl_parameters {
    uint32_t values[OPENCL_MOST_PARAMETERS];
} opencl_parameters;

/** Returns the kernel's name for CLBlastOverrideParameters: "Xgemm", "XgemmDirect". */
const char *opencl_product_kernel_name(opencl_product_kernel kernel);

/** Returns how many parameters a kernel has. */
int opencl_parameter_count(opencl_product_kernel kernel);

/** Returns the name of parameter `k`, such as "MWG". */
const char *opencl_parameter_name(opencl_product_kernel kernel, int k);

/** Returns whether every value is one that is tried, the kernel's divisions come out even, and a
 * group has no more work-items and local memory than the device gives. */
int opencl_parameters_valid(const opencl_parameters *parameters, opencl_product_kernel kernel,
                            const opencl_limits *limits);

/** *parameters = combination `number` of a few that are good on many GPUs. Returns 0 when there is
 * no such number. It may be invalid on a device. */
int opencl_parameters_known(opencl_parameters *parameters, opencl_product_kernel kernel,
                            int number);

/** *parameters = a random valid combination; with `near` one that differs from it in one or two
 * values. `state` is the generator's. Returns 0 when a thousand tries find none. */
int opencl_parameters_draw(opencl_parameters *parameters, const opencl_parameters *near,
                           opencl_product_kernel kernel, const opencl_limits *limits,
                           uint64_t *state);

#endif
