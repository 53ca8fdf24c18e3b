/* Enumeration. A platform without devices, and one that fails, are passed over: the others must
 * stay usable. */
#include "opencl/platforms.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* cl_amd_device_attribute_query: free memory in KiB, and the largest free block. */
#define DEVICE_GLOBAL_FREE_MEMORY_AMD 0x4039

#define MAX_DEVICES            64
#define PLATFORM_NOT_FOUND_KHR (-1001)

static pthread_once_t listed_once = PTHREAD_ONCE_INIT;
static opencl_description devices[MAX_DEVICES];
static int32_t device_count;
static cl_int listing_error;

static void device_text(char *text, size_t text_bytes, cl_device_id id, cl_device_info what)
{
    text[0] = '\0';
    if (clGetDeviceInfo(id, what, text_bytes, text, NULL) != CL_SUCCESS) {
        snprintf(text, text_bytes, "unknown");
    }
    text[text_bytes - 1] = '\0';
}

static uint64_t device_u64(cl_device_id id, cl_device_info what)
{
    cl_ulong value = 0;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint32_t device_u32(cl_device_id id, cl_device_info what)
{
    cl_uint value = 0;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

static size_t device_size(cl_device_id id, cl_device_info what)
{
    size_t value = 0;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS ? value : 0;
}

/* What people call a platform: it becomes part of the device's name, so that
 * TTM_BACKEND=opencl:PoCL works. */
static const char *short_platform_name(const char *name)
{
    static const struct {
        const char *part;
        const char *called;
    } known[] = {{"Portable Computing Language", "PoCL"},
                 {"AMD Accelerated Parallel", "AMD ROCm"},
                 {"Intel(R) OpenCL", "Intel OpenCL"}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strstr(name, known[i].part) != NULL) {
            return known[i].called;
        }
    }
    return name;
}

/* Removes blanks in front, behind and doubled: some drivers pad names. */
static void tidy(char *text)
{
    size_t length = 0;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != ' ' || (length > 0 && text[length - 1] != ' ')) {
            text[length++] = *from;
        }
    }
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    text[length] = '\0';
}

static void read_limits(opencl_limits *limits, cl_device_id id)
{
    limits->group_items = device_size(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    size_t sizes[16] = {0};
    if (clGetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof sizes, sizes, NULL) ==
        CL_SUCCESS) {
        memcpy(limits->group_items_of_dimension, sizes, sizeof limits->group_items_of_dimension);
    }
    limits->local_bytes = device_u64(id, CL_DEVICE_LOCAL_MEM_SIZE);
    limits->memory_bytes = device_u64(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    limits->cache_bytes = device_u64(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    limits->allocation_bytes = device_u64(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    limits->alignment_bytes = device_u32(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    limits->compute_units = device_u32(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    limits->vector_floats = device_u32(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    cl_bool shared = CL_FALSE;
    clGetDeviceInfo(id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof shared, &shared, NULL);
    limits->shares_host_memory = shared == CL_TRUE;
}

static void describe(opencl_description *device, cl_platform_id platform, cl_device_id id)
{
    char platform_name[256] = "";
    char platform_version[256] = "";
    char device_name[256];
    char driver[256];
    clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof platform_name, platform_name, NULL);
    clGetPlatformInfo(platform, CL_PLATFORM_VERSION, sizeof platform_version, platform_version,
                      NULL);
    device_text(device_name, sizeof device_name, id, CL_DEVICE_NAME);
    tidy(device_name);
    tidy(platform_name);
    *device = (opencl_description){.platform = platform, .id = id};
    snprintf(device->name, sizeof device->name, "%.90s [%.32s]", device_name,
             short_platform_name(platform_name));
    device_text(device->vendor, sizeof device->vendor, id, CL_DEVICE_VENDOR);
    tidy(device->vendor);
    device_text(driver, sizeof driver, id, CL_DRIVER_VERSION);
    snprintf(device->driver, sizeof device->driver, "%.120s, %.120s", driver, platform_version);
    device_text(device->version, sizeof device->version, id, CL_DEVICE_OPENCL_C_VERSION);
    clGetDeviceInfo(id, CL_DEVICE_TYPE, sizeof device->type, &device->type, NULL);
    /* PoCL compiles a kernel for each size of group that it is launched with, and keeps that; for a
     * binary it compiles every kernel once more, for any size. */
    device->keeps_programs = strstr(platform_name, "Portable Computing Language") != NULL;
    /* Mesa 22.3: a write that didn't block is still missing in another queue after its event, a
     * marker behind it and clFinish. */
    device->needs_blocking_writes = strcmp(platform_name, "rusticl") == 0;
    read_limits(&device->limits, id);
}

static void list_platform(cl_platform_id platform)
{
    cl_device_id ids[MAX_DEVICES];
    cl_uint count = 0;
    const cl_int error = clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, MAX_DEVICES, ids, &count);
    if (error != CL_SUCCESS) {
        if (error != CL_DEVICE_NOT_FOUND) {
            opencl_log(TTM_LOG_WARNING, "a platform is passed over: %s (%d)",
                       opencl_error_name(error), (int)error);
        }
        return;
    }
    for (cl_uint i = 0; i < count && i < MAX_DEVICES && device_count < MAX_DEVICES; i++) {
        cl_bool available = CL_FALSE;
        cl_bool compiles = CL_FALSE;
        clGetDeviceInfo(ids[i], CL_DEVICE_AVAILABLE, sizeof available, &available, NULL);
        clGetDeviceInfo(ids[i], CL_DEVICE_COMPILER_AVAILABLE, sizeof compiles, &compiles, NULL);
        opencl_description found;
        describe(&found, platform, ids[i]);
        if (!available || !compiles) {
            opencl_log(TTM_LOG_INFO, "%s is passed over: %s", found.name,
                       available ? "its platform has no compiler" : "it isn't available");
            continue;
        }
        devices[device_count++] = found;
    }
}

/* GPUs before accelerators before CPUs; among one kind those with memory of their own first. */
static int preference(const opencl_description *device)
{
    int place = 3;
    if ((device->type & CL_DEVICE_TYPE_GPU) != 0) {
        place = 0;
    } else if ((device->type & CL_DEVICE_TYPE_ACCELERATOR) != 0) {
        place = 1;
    } else if ((device->type & CL_DEVICE_TYPE_CPU) != 0) {
        place = 2;
    }
    return 2 * place + device->limits.shares_host_memory;
}

static void sort_devices(void)
{
    for (int32_t i = 1; i < device_count; i++) {
        const opencl_description moved = devices[i];
        int32_t place = i;
        while (place > 0 && preference(&devices[place - 1]) > preference(&moved)) {
            devices[place] = devices[place - 1];
            place--;
        }
        devices[place] = moved;
    }
}

static void list_devices(void)
{
    cl_platform_id platforms[MAX_DEVICES];
    cl_uint count = 0;
    listing_error = clGetPlatformIDs(MAX_DEVICES, platforms, &count);
    if (listing_error == PLATFORM_NOT_FOUND_KHR) {
        listing_error = CL_SUCCESS;
        opencl_log(TTM_LOG_INFO, "no OpenCL platform is installed (no ICD file in "
                                 "/etc/OpenCL/vendors, or none whose library loads)");
        return;
    }
    for (cl_uint i = 0; listing_error == CL_SUCCESS && i < count && i < MAX_DEVICES; i++) {
        list_platform(platforms[i]);
    }
    sort_devices();
}

ttm_status opencl_platforms_list(const opencl_description **list, int32_t *count)
{
    pthread_once(&listed_once, list_devices);
    if (listing_error != CL_SUCCESS) {
        return opencl_fail(TTM_ERROR_DEVICE, "can't list OpenCL platforms: %s (%d)",
                           opencl_error_name(listing_error), (int)listing_error);
    }
    *list = devices;
    *count = device_count;
    return TTM_OK;
}

uint64_t opencl_free_bytes(const opencl_description *description)
{
    cl_ulong kibibytes[2] = {0, 0};
    size_t bytes = 0;
    if (clGetDeviceInfo(description->id, DEVICE_GLOBAL_FREE_MEMORY_AMD, sizeof kibibytes, kibibytes,
                        &bytes) != CL_SUCCESS ||
        bytes < sizeof kibibytes[0]) {
        return 0;
    }
    return kibibytes[0] * 1024u;
}
