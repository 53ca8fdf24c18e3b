/* Launching kernels: all that NVIDIA's driver checks, and then the interpreter. What it finds wrong
 * is printed, appended to the file that PTX_DEVICE_REPORT names, and ends the context, as errors of
 * kernels end CUDA's. */
#include "device_buffer.h"
#include "device_event.h"
#include "device_kernel.h"
#include "device_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_GROUPS_BEHIND_FIRST = 65535 };
#define MOST_GROUPS ((size_t)0x7fffffff)

/* ---- The shape ---- */

/* Without the caller's wish: a whole warp and more of the first dimension, as far as that divides
 * it. */
static size_t choose_items(size_t global)
{
    size_t items = DEVICE_MOST_ITEMS / 4;
    while (global % items != 0) {
        items--;
    }
    return items;
}

/* A kernel that says how large its groups are has to be launched so. */
static cl_int choose_local(size_t local[3], cl_kernel kernel, cl_uint dimensions,
                           const size_t global[3], const size_t *wished)
{
    uint32_t required[3];
    ptx_kernel_required_items(kernel->code, required);
    for (cl_uint i = 0; i < 3; i++) {
        local[i] = 1;
        if (wished != NULL && i < dimensions) {
            local[i] = wished[i];
        } else if (wished == NULL && i == 0) {
            local[i] = choose_items(global[0]);
        }
        if (required[0] != 0 && (wished == NULL || local[i] != required[i])) {
            return CL_INVALID_WORK_GROUP_SIZE;
        }
    }
    return CL_SUCCESS;
}

static cl_int check_items(const size_t global[3], const size_t local[3])
{
    static const size_t most[3] = {DEVICE_MOST_ITEMS, DEVICE_MOST_ITEMS,
                                   DEVICE_MOST_ITEMS_IN_DEPTH};
    for (int i = 0; i < 3; i++) {
        if (local[i] == 0 || global[i] % local[i] != 0) {
            return CL_INVALID_WORK_GROUP_SIZE;
        }
        if (local[i] > most[i]) {
            return CL_INVALID_WORK_ITEM_SIZE;
        }
        if (global[i] / local[i] > (i == 0 ? MOST_GROUPS : MOST_GROUPS_BEHIND_FIRST)) {
            return CL_INVALID_GLOBAL_WORK_SIZE;
        }
    }
    return local[0] * local[1] * local[2] <= DEVICE_MOST_ITEMS ? CL_SUCCESS
                                                               : CL_INVALID_WORK_GROUP_SIZE;
}

/* A launch that isn't made of the kernel's clusters is no launch, as one of wrong groups; the
 * context lives on. */
static cl_int check_clusters(const ptx_launch *launch, cl_kernel kernel)
{
    char message[400];
    if (ptx_kernel_may_cluster(kernel->code, launch->groups, message, sizeof message)) {
        return CL_SUCCESS;
    }
    device_report("%s", message);
    return CL_INVALID_WORK_GROUP_SIZE;
}

/* Offsets other than 0 aren't known: PTX has no register for them. */
static cl_int read_shape(ptx_launch *launch, cl_kernel kernel, cl_uint dimensions,
                         const size_t *offset, const size_t *global, const size_t *wished)
{
    size_t local[3];
    size_t all[3] = {1, 1, 1};
    if (dimensions < 1 || dimensions > 3) {
        return CL_INVALID_WORK_DIMENSION;
    }
    if (global == NULL) {
        return CL_INVALID_GLOBAL_WORK_SIZE;
    }
    for (cl_uint i = 0; i < dimensions; i++) {
        all[i] = global[i];
        if (global[i] == 0) {
            return CL_INVALID_GLOBAL_WORK_SIZE;
        }
        if (offset != NULL && offset[i] != 0) {
            return CL_INVALID_GLOBAL_OFFSET;
        }
    }
    cl_int error = choose_local(local, kernel, dimensions, all, wished);
    if (error == CL_SUCCESS) {
        error = check_items(all, local);
    }
    for (int i = 0; error == CL_SUCCESS && i < 3; i++) {
        launch->items[i] = (uint32_t)local[i];
        launch->groups[i] = (uint32_t)(all[i] / local[i]);
    }
    return error == CL_SUCCESS ? check_clusters(launch, kernel) : error;
}

/* ---- The launch ---- */

static cl_int check_arguments(cl_kernel kernel)
{
    for (int i = 0; i < ptx_kernel_parameter_count(kernel->code); i++) {
        if (!kernel->arguments[i].is_set) {
            return CL_INVALID_KERNEL_ARGS;
        }
    }
    return CL_SUCCESS;
}

/* *most = what PTX_DEVICE_MOST_INSTRUCTIONS says; 0, the interpreter's own limit, where it isn't
 * set. What is no number launches nothing, and the context lives on. */
static cl_int read_most_instructions(uint64_t *most)
{
    const char *wish = getenv("PTX_DEVICE_MOST_INSTRUCTIONS");
    char *rest = NULL;
    *most = 0;
    if (wish == NULL || wish[0] == '\0') {
        return CL_SUCCESS;
    }
    errno = 0;
    if (wish[0] >= '0' && wish[0] <= '9') {
        *most = strtoull(wish, &rest, 10);
    }
    if (*most == 0 || *rest != '\0' || errno != 0) {
        device_report("PTX_DEVICE_MOST_INSTRUCTIONS is '%s'; use a number from 1 on", wish);
        return CL_OUT_OF_RESOURCES;
    }
    return CL_SUCCESS;
}

/* Runs it; the launch has its shape and its kernel. */
static cl_int run(ptx_launch *launch, cl_kernel kernel)
{
    char message[1024] = "";
    ptx_region *regions = NULL;
    cl_int error = device_buffer_regions(&regions, &launch->region_count, kernel->program->context);
    if (error != CL_SUCCESS) {
        return error;
    }
    const size_t bytes = ptx_kernel_argument_bytes(kernel->code);
    unsigned char *block = malloc(bytes + 1);
    if (block == NULL) {
        free(regions);
        return CL_OUT_OF_HOST_MEMORY;
    }
    memcpy(block, kernel->block, bytes);
    device_kernel_place_local(&launch->shared_bytes, block, kernel);
    launch->arguments = block;
    launch->regions = regions;
    if (launch->shared_bytes > DEVICE_SHARED_BYTES) {
        error = CL_OUT_OF_RESOURCES;
    } else if (ptx_run(launch, message, sizeof message) != 0) {
        device_report("%s", message);
        atomic_store(&kernel->program->context->lost, 1);
        error = CL_OUT_OF_RESOURCES;
    }
    free(block);
    free(regions);
    return error;
}

static cl_int enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                             const size_t *offset, const size_t *global, const size_t *local,
                             cl_uint count, const cl_event *events, cl_event *event)
{
    device_command command;
    ptx_launch launch = {0};
    cl_int error = device_command_begin(&command, queue, CL_COMMAND_NDRANGE_KERNEL, count, events);
    if (error != CL_SUCCESS) {
        return error;
    }
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    if (kernel->program->context != queue->context) {
        return CL_INVALID_CONTEXT;
    }
    launch.kernel = kernel->code;
    error = check_arguments(kernel);
    if (error == CL_SUCCESS) {
        error = read_shape(&launch, kernel, dimensions, offset, global, local);
    }
    if (error == CL_SUCCESS) {
        error = read_most_instructions(&launch.most_instructions);
    }
    if (error == CL_SUCCESS) {
        error = run(&launch, kernel);
    }
    return error == CL_SUCCESS ? device_command_end(&command, event) : error;
}

void device_fill_launch(cl_icd_dispatch *table)
{
    table->clEnqueueNDRangeKernel = enqueue_kernel;
}
