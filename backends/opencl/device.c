/* Opening devices, choosing the shape of kernels, and device memory. */
#include "opencl/device.h"

#include "opencl/attention_few.h"
#include "opencl/attention_units.h"
#include "opencl/matrix_units.h"
#include "opencl/matrix_units_policy.h"
#include "opencl/product_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the kernels can't do without. */
#define LEAST_GROUP_ITEMS 64u
#define LEAST_LOCAL_BYTES 16384u

#define MOST_GROUP_ITEMS 256u
#define MOST_VECTOR      16u

/* Below this many multiply-adds our own product, which needs one launch, is as fast as CLBlast's,
 * until a device's tuning says otherwise. */
#define LEAST_CLBLAST_MULTIPLIES ((int64_t)64 * 64 * 64)

ttm_status opencl_device_count(int32_t *count)
{
    const opencl_description *list = NULL;
    return opencl_platforms_list(&list, count);
}

static ttm_status find_description(const opencl_description **description, int32_t index)
{
    const opencl_description *list = NULL;
    int32_t count = 0;
    const ttm_status status = opencl_platforms_list(&list, &count);
    if (status != TTM_OK) {
        return status;
    }
    if (list == NULL || index < 0 || index >= count) {
        (void)opencl_fail(TTM_ERROR_NOT_FOUND, "opencl has %d devices; there is no number %d",
                          (int)count, (int)index);
        return TTM_ERROR_NOT_FOUND;
    }
    *description = &list[index];
    return TTM_OK;
}

/* For tests TTM_OPENCL_STYLE=cpu|gpu has a device taken for one or the other. */
static int is_style(const char *name)
{
    const char *style = getenv("TTM_OPENCL_STYLE");
    return style != NULL && strcmp(style, name) == 0;
}

static ttm_device_kind kind_of(cl_device_type type)
{
    if (is_style("gpu")) {
        return TTM_DEVICE_GPU;
    }
    if (is_style("cpu")) {
        return TTM_DEVICE_CPU;
    }
    if ((type & CL_DEVICE_TYPE_GPU) != 0) {
        return TTM_DEVICE_GPU;
    }
    return (type & CL_DEVICE_TYPE_CPU) != 0 ? TTM_DEVICE_CPU : TTM_DEVICE_ACCELERATOR;
}

static uint64_t planned_alignment(const opencl_limits *limits)
{
    uint64_t alignment = 64;
    while (alignment < limits->alignment_bytes && alignment < 4096) {
        alignment *= 2;
    }
    return alignment;
}

static void copy_info(ttm_device_info *target, const ttm_device_info *source)
{
    const size_t room = target->struct_size;
    const size_t bytes = room < sizeof *source ? room : sizeof *source;
    if (bytes > sizeof room) {
        memcpy((unsigned char *)target + sizeof room, (const unsigned char *)source + sizeof room,
               bytes - sizeof room);
    }
}

ttm_status opencl_device_info(int32_t index, ttm_device_info *info)
{
    const opencl_description *description = NULL;
    const ttm_status status = find_description(&description, index);
    if (status != TTM_OK) {
        return status;
    }
    const opencl_limits *limits = &description->limits;
    opencl_unit_policy policy;
    const int has_tf32 =
        opencl_unit_policy_read(&policy, description) == TTM_OK && opencl_unit_splits(policy.unit);
    ttm_device_info told = {.kind = kind_of(description->type),
                            .memory_bytes = limits->memory_bytes,
                            .memory_free_bytes = opencl_free_bytes(description),
                            .max_allocation_bytes = limits->allocation_bytes,
                            .alignment_bytes = planned_alignment(limits),
                            .compute_units = limits->compute_units,
                            .dtype_mask = 1u << TTM_F32 | 1u << TTM_BF16 | 1u << TTM_F16 |
                                          1u << TTM_I32 | (uint32_t)has_tf32 << TTM_TF32};
    snprintf(told.name, sizeof told.name, "%s", description->name);
    snprintf(told.vendor, sizeof told.vendor, "%.63s", description->vendor);
    snprintf(told.driver, sizeof told.driver, "%.127s", description->driver);
    snprintf(told.details, sizeof told.details,
             "%s; groups of %zu, %llu KiB local memory, native vectors of %u floats",
             description->version, limits->group_items,
             (unsigned long long)(limits->local_bytes / 1024), limits->vector_floats);
    copy_info(info, &told);
    return TTM_OK;
}

static uint32_t power_of_two_below(size_t value, uint32_t most)
{
    uint32_t result = 1;
    while (result * 2 <= most && result * 2 <= value) {
        result *= 2;
    }
    return result;
}

/* A CPU whose runtime offers vectors runs one work-item a group over explicit vectors: loops over
 * the items of a group cost more there than they bring. llvmpipe calls itself a CPU, but its lanes
 * are work-items as on a GPU, and it offers no vectors. For tests TTM_OPENCL_PRODUCTS=clblast|own
 * decides who multiplies. */
static opencl_tuning choose_tuning(const opencl_description *description)
{
    const opencl_limits *limits = &description->limits;
    opencl_tuning tuning = {.local_bytes = limits->local_bytes,
                            .clblast_multiplies = LEAST_CLBLAST_MULTIPLIES};
    const char *products = getenv("TTM_OPENCL_PRODUCTS");
    tuning.is_cpu = (description->type & CL_DEVICE_TYPE_CPU) != 0 && limits->vector_floats >= 4;
    if (is_style("gpu") || is_style("cpu")) {
        tuning.is_cpu = is_style("cpu");
    }
    const uint32_t group = power_of_two_below(limits->group_items, MOST_GROUP_ITEMS);
    tuning.group = tuning.is_cpu ? 1 : group;
    tuning.vector =
        tuning.is_cpu
            ? power_of_two_below(limits->vector_floats > 4 ? limits->vector_floats : 4, MOST_VECTOR)
            : 1;
    tuning.clblast = tuning.is_cpu ? OPENCL_CLBLAST_NEVER : OPENCL_CLBLAST_LARGE;
    if (products != NULL) {
        tuning.clblast =
            strcmp(products, "clblast") == 0 ? OPENCL_CLBLAST_ALWAYS : OPENCL_CLBLAST_NEVER;
    }
    return tuning;
}

static ttm_status check_limits(const opencl_description *description)
{
    const opencl_limits *limits = &description->limits;
    if (limits->group_items < LEAST_GROUP_ITEMS || limits->local_bytes < LEAST_LOCAL_BYTES) {
        return opencl_fail(TTM_ERROR_UNSUPPORTED,
                           "%s: groups of %zu work-items and %llu bytes of local memory, but the "
                           "kernels need %u and %u; choose another device",
                           description->name, limits->group_items,
                           (unsigned long long)limits->local_bytes, LEAST_GROUP_ITEMS,
                           LEAST_LOCAL_BYTES);
    }
    return TTM_OK;
}

ttm_status opencl_device_open(ttm_backend_device **device, int32_t index)
{
    const opencl_description *description = NULL;
    ttm_status status = find_description(&description, index);
    if (status == TTM_OK) {
        status = check_limits(description);
    }
    if (status != TTM_OK) {
        return status;
    }
    ttm_backend_device *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device");
    }
    cl_int error = CL_SUCCESS;
    const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                                (cl_context_properties)description->platform, 0};
    made->description = description;
    made->tuning = choose_tuning(description);
    made->context = clCreateContext(properties, 1, &description->id, NULL, NULL, &error);
    if (error == CL_SUCCESS) {
        made->queue = clCreateCommandQueue(made->context, description->id, 0, &error);
    }
    if (error != CL_SUCCESS) {
        status = opencl_fail_call(error, description->name, "open a context");
        goto fail;
    }
    made->programs = opencl_programs_new(description, made->context);
    if (made->programs == NULL) {
        status = opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a device");
        goto fail;
    }
    status = opencl_attention_few_open(&made->tuning);
    if (status == TTM_OK) {
        status = opencl_units_open(&made->units, made, index);
    }
    if (status == TTM_OK) {
        status = opencl_attention_units_open(&made->attention_units, made, index);
    }
    if (status != TTM_OK) {
        goto fail;
    }
    if (made->tuning.clblast != OPENCL_CLBLAST_NEVER || opencl_units_present(made->units) ||
        opencl_attention_can_tune(made->attention_units)) {
        opencl_product_settings_load(made);
    }
    opencl_log(TTM_LOG_DEBUG, "%s opened: %s kernels, group %u, vector %u, products by %s",
               description->name, made->tuning.is_cpu ? "cpu" : "gpu", made->tuning.group,
               made->tuning.vector,
               made->tuning.clblast != OPENCL_CLBLAST_NEVER ? "CLBlast" : "own kernels");
    *device = made;
    return TTM_OK;

fail:
    opencl_device_close(made);
    return status;
}

void opencl_device_close(ttm_backend_device *device)
{
    if (device == NULL) {
        return;
    }
    opencl_attention_units_close(device->attention_units);
    opencl_units_close(device->units);
    opencl_programs_free(device->programs);
    if (device->queue != NULL) {
        clReleaseCommandQueue(device->queue);
    }
    if (device->context != NULL) {
        clReleaseContext(device->context);
    }
    free(device);
}

/* ---- Memory ---- */

/* libttm says before it what was asked of which device, how much is in use, and of how much. */
static ttm_status fail_allocation(const ttm_backend_device *device, cl_int error)
{
    const opencl_description *description = device->description;
    const uint64_t used = atomic_load(&device->allocated_bytes);
    const uint64_t total = description->limits.memory_bytes;
    uint64_t left = opencl_free_bytes(description);
    if (left == 0) {
        left = total > used ? total - used : 0;
    }
    return opencl_fail(TTM_ERROR_OUT_OF_MEMORY,
                       "%s (%d), with about %llu bytes free; use a smaller batch, a shorter "
                       "sequence or a smaller model",
                       opencl_error_name(error), (int)error, (unsigned long long)left);
}

/* Drivers allocate on first use, when nobody can be told any more. Writing a byte makes them do it
 * now. */
static cl_int touch(const ttm_backend_device *device, cl_mem buffer)
{
    static const unsigned char zero = 0;
    if (device->description->limits.shares_host_memory) {
        return CL_SUCCESS;
    }
    return clEnqueueWriteBuffer(device->queue, buffer, CL_TRUE, 0, 1, &zero, 0, NULL, NULL);
}

ttm_status opencl_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes)
{
    const opencl_description *description = device->description;
    const uint64_t used = atomic_load(&device->allocated_bytes);
    if (bytes > description->limits.allocation_bytes) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY,
                           "a single allocation may have %llu bytes there "
                           "(CL_DEVICE_MAX_MEM_ALLOC_SIZE); use a smaller batch, a shorter "
                           "sequence or a smaller model",
                           (unsigned long long)description->limits.allocation_bytes);
    }
    if (used > description->limits.memory_bytes ||
        bytes > description->limits.memory_bytes - used) {
        return fail_allocation(device, CL_MEM_OBJECT_ALLOCATION_FAILURE);
    }
    ttm_memory *made = malloc(sizeof *made);
    if (made == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for an allocation's description");
    }
    cl_int error = CL_SUCCESS;
    made->bytes = bytes;
    made->buffer = clCreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &error);
    if (error == CL_SUCCESS) {
        error = touch(device, made->buffer);
        if (error != CL_SUCCESS) {
            clReleaseMemObject(made->buffer);
        }
    }
    if (error != CL_SUCCESS) {
        free(made);
        return fail_allocation(device, error);
    }
    atomic_fetch_add(&device->allocated_bytes, bytes);
    *memory = made;
    return TTM_OK;
}

void opencl_memory_free(ttm_backend_device *device, ttm_memory *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&device->allocated_bytes, memory->bytes);
        clReleaseMemObject(memory->buffer);
        free(memory);
    }
}
