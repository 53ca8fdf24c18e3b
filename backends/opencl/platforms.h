/* The OpenCL devices of this machine, best first: GPUs, then accelerators, then CPUs. */
#ifndef TTM_OPENCL_PLATFORMS_H
#define TTM_OPENCL_PLATFORMS_H

#include "opencl/report.h"

/** What a device offers, as far as this plugin cares. */
typedef struct opencl_limits {
    size_t group_items; /**< Most work-items of a group. */
    size_t group_items_of_dimension[3];
    uint64_t local_bytes; /**< Local memory of a group. */
    uint64_t memory_bytes;
    uint64_t cache_bytes;      /**< Of all memory; 0 where there is none, or none is told of. */
    uint64_t allocation_bytes; /**< Largest buffer. */
    uint64_t alignment_bytes;  /**< Of sub-buffers. */
    uint32_t compute_units;
    uint32_t vector_floats; /**< Native vector width; 1 where lanes are work-items. */
    int shares_host_memory;
} opencl_limits;

/** One device. */
typedef struct opencl_description {
    cl_platform_id platform;
    cl_device_id id;
    cl_device_type type;
    char name[128]; /**< "NVIDIA H100 80GB HBM3 [NVIDIA CUDA]": device and platform. */
    char vendor[128];
    char driver[256];  /**< Driver version and platform version: part of a cached program's key. */
    char version[128]; /**< "OpenCL C 1.2 …". */
    opencl_limits limits;
    int keeps_programs; /**< The driver has a cache of its own, and a binary costs a second build.
                         */
    int needs_blocking_writes; /**< Other writes may be missing in other queues. */
} opencl_description;

/** *list = all devices, *count how many (0 without platforms, which is no failure). The list
 * belongs to the plugin and is made once. */
ttm_status opencl_platforms_list(const opencl_description **list, int32_t *count);

/** Returns the bytes that are free on the device, 0 when the driver doesn't tell. */
uint64_t opencl_free_bytes(const opencl_description *description);

#endif
