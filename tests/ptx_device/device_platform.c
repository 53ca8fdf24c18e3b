/* The platform and its only device: an NVIDIA GPU of compute capability 9.0, or 8.0 with
 * PTX_DEVICE_TARGET=80. Both say what NVIDIA's driver says of an H100 or A100, but for names,
 * memory and what only images and other functions that aren't here are about. */
#include "device_compile.h"
#include "device_object.h"
#include "device_report.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cl_nv_device_attribute_query. */
enum {
    COMPUTE_CAPABILITY_MAJOR_NV = 0x4000,
    COMPUTE_CAPABILITY_MINOR_NV = 0x4001,
    REGISTERS_PER_BLOCK_NV = 0x4002,
    WARP_SIZE_NV = 0x4003,
    GPU_OVERLAP_NV = 0x4004,
    KERNEL_EXEC_TIMEOUT_NV = 0x4005,
    INTEGRATED_MEMORY_NV = 0x4006
};

#define PLATFORM_EXTENSIONS                                                  \
    "cl_khr_global_int32_base_atomics cl_khr_global_int32_extended_atomics " \
    "cl_khr_local_int32_base_atomics cl_khr_local_int32_extended_atomics "   \
    "cl_khr_byte_addressable_store cl_khr_icd cl_nv_compiler_options "       \
    "cl_nv_device_attribute_query cl_nv_pragma_unroll"

struct _cl_platform_id {
    device_object object;
};

struct _cl_device_id {
    device_object object;
};

cl_icd_dispatch device_dispatch;
static struct _cl_platform_id platform;
static struct _cl_device_id device;
static int target; /* 0 after a wish for another one */
static pthread_once_t started = PTHREAD_ONCE_INIT;

static void read_target(void)
{
    const char *wish = getenv("PTX_DEVICE_TARGET");
    if (wish == NULL || wish[0] == '\0' || strcmp(wish, "90") == 0) {
        target = 90;
    } else if (strcmp(wish, "80") == 0) {
        target = 80;
    } else {
        device_report("PTX_DEVICE_TARGET is '%s'; use 80 or 90", wish);
    }
}

static void start(void)
{
    read_target();
    device_object_start(&platform.object, DEVICE_PLATFORM);
    device_object_start(&device.object, DEVICE_DEVICE);
    device_fill_platform(&device_dispatch);
    device_fill_context(&device_dispatch);
    device_fill_buffer(&device_dispatch);
    device_fill_transfer(&device_dispatch);
    device_fill_map(&device_dispatch);
    device_fill_event(&device_dispatch);
    device_fill_program(&device_dispatch);
    device_fill_kernel(&device_dispatch);
    device_fill_launch(&device_dispatch);
}

int device_target(void)
{
    return target;
}

cl_device_id device_only(void)
{
    return &device;
}

/* ---- The platform ---- */

static cl_int list_platforms(cl_uint room, cl_platform_id *platforms, cl_uint *count)
{
    pthread_once(&started, start);
    if ((platforms == NULL && count == NULL) || (platforms != NULL && room == 0)) {
        return CL_INVALID_VALUE;
    }
    if (platforms != NULL) {
        platforms[0] = &platform;
    }
    if (count != NULL) {
        *count = 1;
    }
    return CL_SUCCESS;
}

static cl_int platform_info(cl_platform_id asked, cl_platform_info what, size_t room, void *value,
                            size_t *needed)
{
    pthread_once(&started, start);
    if (asked != NULL && !device_is(asked, DEVICE_PLATFORM)) {
        return CL_INVALID_PLATFORM;
    }
    switch (what) {
    case CL_PLATFORM_PROFILE:
        return device_answer_text(room, value, needed, "FULL_PROFILE");
    case CL_PLATFORM_VERSION:
        return device_answer_text(room, value, needed, "OpenCL 3.0 CUDA");
    case CL_PLATFORM_NAME:
        return device_answer_text(room, value, needed, "Interpreted PTX");
    case CL_PLATFORM_VENDOR:
        return device_answer_text(room, value, needed, "NVIDIA Corporation");
    case CL_PLATFORM_EXTENSIONS:
        return device_answer_text(room, value, needed, PLATFORM_EXTENSIONS);
    case CL_PLATFORM_ICD_SUFFIX_KHR:
        return device_answer_text(room, value, needed, "PTX");
    default:
        return CL_INVALID_VALUE;
    }
}

/* ---- The device ---- */

static cl_int list_devices(cl_platform_id asked, cl_device_type type, cl_uint room,
                           cl_device_id *devices, cl_uint *count)
{
    const cl_device_type known = CL_DEVICE_TYPE_DEFAULT | CL_DEVICE_TYPE_CPU | CL_DEVICE_TYPE_GPU |
                                 CL_DEVICE_TYPE_ACCELERATOR | CL_DEVICE_TYPE_CUSTOM;
    if (!device_is(asked, DEVICE_PLATFORM)) {
        return CL_INVALID_PLATFORM;
    }
    if (type != CL_DEVICE_TYPE_ALL && (type == 0 || (type & ~known) != 0)) {
        return CL_INVALID_DEVICE_TYPE;
    }
    if ((devices == NULL && count == NULL) || (devices != NULL && room == 0)) {
        return CL_INVALID_VALUE;
    }
    if (target == 0) {
        return CL_OUT_OF_RESOURCES;
    }
    /* Without a compiler there is no device, as there is none without a driver. */
    const int fits = (type == CL_DEVICE_TYPE_ALL ||
                      (type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_DEFAULT)) != 0) &&
                     device_can_compile();
    if (count != NULL) {
        *count = (cl_uint)fits;
    }
    if (!fits) {
        return CL_DEVICE_NOT_FOUND;
    }
    if (devices != NULL) {
        devices[0] = &device;
    }
    return CL_SUCCESS;
}

static const char *text_of(cl_device_info what)
{
    switch (what) {
    case CL_DEVICE_NAME:
        return target == 80 ? "PTX sm_80 (interpreted)" : "PTX sm_90 (interpreted)";
    case CL_DEVICE_VENDOR:
        return "NVIDIA Corporation";
    case CL_DRIVER_VERSION:
        return "1.0";
    case CL_DEVICE_PROFILE:
        return "FULL_PROFILE";
    case CL_DEVICE_VERSION:
        return "OpenCL 3.0 CUDA";
    case CL_DEVICE_OPENCL_C_VERSION:
        return "OpenCL C 1.2 ";
    case CL_DEVICE_EXTENSIONS:
        return PLATFORM_EXTENSIONS;
    case CL_DEVICE_BUILT_IN_KERNELS:
        return "";
    default:
        return NULL;
    }
}

/* Answers that are a cl_uint; returns whether `what` is one. */
static int small_number(cl_uint *number, cl_device_info what)
{
    switch (what) {
    case COMPUTE_CAPABILITY_MAJOR_NV:
        *number = (cl_uint)target / 10;
        return 1;
    case COMPUTE_CAPABILITY_MINOR_NV:
        *number = (cl_uint)target % 10;
        return 1;
    case REGISTERS_PER_BLOCK_NV:
        *number = 65536;
        return 1;
    case WARP_SIZE_NV:
        *number = DEVICE_WARP_ITEMS;
        return 1;
    case CL_DEVICE_VENDOR_ID:
        *number = 0x10de;
        return 1;
    case CL_DEVICE_MAX_COMPUTE_UNITS:
        *number = 132;
        return 1;
    case CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS:
        *number = 3;
        return 1;
    case CL_DEVICE_MAX_CLOCK_FREQUENCY:
        *number = 1000;
        return 1;
    case CL_DEVICE_ADDRESS_BITS:
        *number = 64;
        return 1;
    case CL_DEVICE_MEM_BASE_ADDR_ALIGN:
        *number = 8 * DEVICE_ALIGNMENT_BYTES;
        return 1;
    case CL_DEVICE_MIN_DATA_TYPE_ALIGN_SIZE:
        *number = 128;
        return 1;
    case CL_DEVICE_GLOBAL_MEM_CACHE_TYPE:
        *number = CL_READ_WRITE_CACHE;
        return 1;
    case CL_DEVICE_GLOBAL_MEM_CACHELINE_SIZE:
        *number = 128;
        return 1;
    case CL_DEVICE_LOCAL_MEM_TYPE:
        *number = CL_LOCAL;
        return 1;
    case CL_DEVICE_MAX_CONSTANT_ARGS:
        *number = 9;
        return 1;
    case CL_DEVICE_PARTITION_MAX_SUB_DEVICES:
        *number = 0;
        return 1;
    case CL_DEVICE_REFERENCE_COUNT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_CHAR:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_SHORT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_INT:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_LONG:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_CHAR:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_SHORT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_INT:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_LONG:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_FLOAT:
        *number = 1;
        return 1;
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_DOUBLE:
    case CL_DEVICE_NATIVE_VECTOR_WIDTH_HALF:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_DOUBLE:
    case CL_DEVICE_PREFERRED_VECTOR_WIDTH_HALF:
    case CL_DEVICE_MAX_READ_IMAGE_ARGS:
    case CL_DEVICE_MAX_WRITE_IMAGE_ARGS:
    case CL_DEVICE_MAX_SAMPLERS:
        *number = 0;
        return 1;
    default:
        return 0;
    }
}

static int large_number(cl_ulong *number, cl_device_info what)
{
    switch (what) {
    case CL_DEVICE_TYPE:
        *number = CL_DEVICE_TYPE_GPU;
        return 1;
    case CL_DEVICE_GLOBAL_MEM_SIZE:
        *number = DEVICE_MEMORY_BYTES;
        return 1;
    case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
        *number = DEVICE_ALLOCATION_BYTES;
        return 1;
    case CL_DEVICE_GLOBAL_MEM_CACHE_SIZE:
        *number = (cl_ulong)132 * 32 * 1024;
        return 1;
    case CL_DEVICE_LOCAL_MEM_SIZE:
        *number = DEVICE_SHARED_BYTES;
        return 1;
    case CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE:
        *number = 65536;
        return 1;
    case CL_DEVICE_SINGLE_FP_CONFIG:
        *number = CL_FP_DENORM | CL_FP_INF_NAN | CL_FP_ROUND_TO_NEAREST | CL_FP_ROUND_TO_ZERO |
                  CL_FP_ROUND_TO_INF | CL_FP_FMA | CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT;
        return 1;
    case CL_DEVICE_DOUBLE_FP_CONFIG:
    case CL_DEVICE_HALF_FP_CONFIG:
        *number = 0;
        return 1;
    case CL_DEVICE_EXECUTION_CAPABILITIES:
        *number = CL_EXEC_KERNEL;
        return 1;
    case CL_DEVICE_QUEUE_PROPERTIES:
        *number = CL_QUEUE_PROFILING_ENABLE;
        return 1;
    default:
        return 0;
    }
}

static int truth(cl_bool *answer, cl_device_info what)
{
    switch (what) {
    case CL_DEVICE_AVAILABLE:
    case CL_DEVICE_COMPILER_AVAILABLE:
    case CL_DEVICE_LINKER_AVAILABLE:
    case CL_DEVICE_ENDIAN_LITTLE:
    case CL_DEVICE_PREFERRED_INTEROP_USER_SYNC:
    case GPU_OVERLAP_NV:
        *answer = CL_TRUE;
        return 1;
    case CL_DEVICE_IMAGE_SUPPORT:
    case CL_DEVICE_HOST_UNIFIED_MEMORY:
    case CL_DEVICE_ERROR_CORRECTION_SUPPORT:
    case KERNEL_EXEC_TIMEOUT_NV:
    case INTEGRATED_MEMORY_NV:
        *answer = CL_FALSE;
        return 1;
    default:
        return 0;
    }
}

static int size_number(size_t *number, cl_device_info what)
{
    switch (what) {
    case CL_DEVICE_MAX_WORK_GROUP_SIZE:
        *number = DEVICE_MOST_ITEMS;
        return 1;
    case CL_DEVICE_MAX_PARAMETER_SIZE:
        *number = 4352;
        return 1;
    case CL_DEVICE_PROFILING_TIMER_RESOLUTION:
        *number = 1;
        return 1;
    case CL_DEVICE_PRINTF_BUFFER_SIZE:
        *number = 1 << 20;
        return 1;
    default:
        return 0;
    }
}

static cl_int device_info(cl_device_id asked, cl_device_info what, size_t room, void *value,
                          size_t *needed)
{
    static const size_t most_items[3] = {DEVICE_MOST_ITEMS, DEVICE_MOST_ITEMS,
                                         DEVICE_MOST_ITEMS_IN_DEPTH};
    const cl_platform_id answer_platform = &platform;
    const void *none = NULL;
    cl_uint small = 0;
    cl_ulong large = 0;
    cl_bool yes = CL_FALSE;
    size_t size = 0;
    if (!device_is(asked, DEVICE_DEVICE)) {
        return CL_INVALID_DEVICE;
    }
    if (text_of(what) != NULL) {
        return device_answer_text(room, value, needed, text_of(what));
    }
    if (small_number(&small, what)) {
        return device_answer(room, value, needed, &small, sizeof small);
    }
    if (large_number(&large, what)) {
        return device_answer(room, value, needed, &large, sizeof large);
    }
    if (truth(&yes, what)) {
        return device_answer(room, value, needed, &yes, sizeof yes);
    }
    if (size_number(&size, what)) {
        return device_answer(room, value, needed, &size, sizeof size);
    }
    switch (what) {
    case CL_DEVICE_MAX_WORK_ITEM_SIZES:
        return device_answer(room, value, needed, most_items, sizeof most_items);
    case CL_DEVICE_PLATFORM:
        return device_answer(room, value, needed, (const void *)&answer_platform,
                             sizeof answer_platform);
    case CL_DEVICE_PARENT_DEVICE:
        return device_answer(room, value, needed, (const void *)&none, sizeof none);
    default:
        return CL_INVALID_VALUE;
    }
}

/* The device is there for as long as the process: counting is for sub-devices, which it hasn't. */
static cl_int keep_device(cl_device_id asked)
{
    return device_is(asked, DEVICE_DEVICE) ? CL_SUCCESS : CL_INVALID_DEVICE;
}

/* ---- What the loader looks for ---- */

#define EXPORTED __attribute__((visibility("default")))

EXPORTED cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id *platforms,
                                                   cl_uint *count);
EXPORTED cl_int CL_API_CALL clIcdGetPlatformIDsKHR(cl_uint room, cl_platform_id *platforms,
                                                   cl_uint *count)
{
    return list_platforms(room, platforms, count);
}

EXPORTED cl_int CL_API_CALL clGetPlatformInfo(cl_platform_id asked, cl_platform_info what,
                                              size_t room, void *value, size_t *needed)
{
    return platform_info(asked, what, room, value, needed);
}

EXPORTED void *CL_API_CALL clGetExtensionFunctionAddress(const char *name)
{
    if (name != NULL && strcmp(name, "clIcdGetPlatformIDsKHR") == 0) {
        return (void *)clIcdGetPlatformIDsKHR;
    }
    return NULL;
}

static void *extension_for_platform(cl_platform_id asked, const char *name)
{
    return device_is(asked, DEVICE_PLATFORM) ? clGetExtensionFunctionAddress(name) : NULL;
}

void device_fill_platform(cl_icd_dispatch *table)
{
    table->clGetPlatformIDs = list_platforms;
    table->clGetPlatformInfo = platform_info;
    table->clGetDeviceIDs = list_devices;
    table->clGetDeviceInfo = device_info;
    table->clRetainDevice = keep_device;
    table->clReleaseDevice = keep_device;
    table->clGetExtensionFunctionAddress = clGetExtensionFunctionAddress;
    table->clGetExtensionFunctionAddressForPlatform = extension_for_platform;
}
