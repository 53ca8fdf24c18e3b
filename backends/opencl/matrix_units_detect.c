/* Which matrix units a device has: by extensions, compute capability and name. */
#include "opencl/matrix_units.h"

#include <string.h>

/* cl_nv_device_attribute_query. */
#define COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define COMPUTE_CAPABILITY_MINOR_NV 0x4001

/* cl_intel_required_subgroup_size. */
#define SUB_GROUP_SIZES_INTEL 0x4108

int opencl_unit_is_tried(opencl_unit unit)
{
    return unit == OPENCL_UNIT_MMA || unit == OPENCL_UNIT_WGMMA;
}

/* Whether instructions for sub-groups of 8 are there; GPUs with sub-groups of 16 and more have
 * others. */
static int has_dpas(const opencl_description *description, const char *extensions)
{
    size_t sizes[16];
    size_t bytes = 0;
    int found = 0;
    if (strstr(extensions, "cl_intel_subgroup_matrix_multiply_accumulate") == NULL ||
        clGetDeviceInfo(description->id, SUB_GROUP_SIZES_INTEL, sizeof sizes, sizes, &bytes) !=
            CL_SUCCESS) {
        return 0;
    }
    for (size_t k = 0; k < bytes / sizeof sizes[0]; k++) {
        found = found || sizes[k] == 8;
    }
    return found;
}

opencl_unit opencl_unit_of_device(const opencl_description *description)
{
    char extensions[8192] = "";
    cl_uint major = 0;
    cl_uint minor = 0;
    if (clGetDeviceInfo(description->id, CL_DEVICE_EXTENSIONS, sizeof extensions, extensions,
                        NULL) != CL_SUCCESS) {
        return OPENCL_UNIT_NONE;
    }
    if (has_dpas(description, extensions)) {
        return OPENCL_UNIT_DPAS;
    }
    /* Without a name of ROCm's there is no compiler that knows these builtins. */
    if (strncmp(description->name, "gfx90a", 6) == 0 ||
        strncmp(description->name, "gfx94", 5) == 0) {
        return OPENCL_UNIT_MFMA;
    }
    if (strstr(extensions, "cl_nv_device_attribute_query") == NULL ||
        clGetDeviceInfo(description->id, COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) !=
            CL_SUCCESS ||
        clGetDeviceInfo(description->id, COMPUTE_CAPABILITY_MINOR_NV, sizeof minor, &minor, NULL) !=
            CL_SUCCESS) {
        return OPENCL_UNIT_NONE;
    }
    if (major == 9 && minor == 0) {
        return OPENCL_UNIT_WGMMA;
    }
    return major >= 8 ? OPENCL_UNIT_MMA : OPENCL_UNIT_NONE;
}
