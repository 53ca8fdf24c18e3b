/* Buffers, sub-buffers, and the list of those that live. */
#include "device_buffer.h"

#include <stdlib.h>
#include <string.h>

static cl_mem first_buffer;
static cl_ulong used_bytes;

/* ---- The list ---- */

static void list_buffer(cl_mem buffer)
{
    cl_mem *place = &first_buffer;
    while (*place != NULL && (*place)->data < buffer->data) {
        place = &(*place)->next;
    }
    buffer->next = *place;
    *place = buffer;
}

static void unlist_buffer(cl_mem buffer)
{
    cl_mem *place = &first_buffer;
    while (*place != buffer) {
        place = &(*place)->next;
    }
    *place = buffer->next;
}

cl_int device_buffer_regions(ptx_region **regions, size_t *count, cl_context context)
{
    size_t all = 0;
    device_lock();
    for (cl_mem buffer = first_buffer; buffer != NULL; buffer = buffer->next) {
        all += buffer->context == context;
    }
    ptx_region *made = malloc((all + 1) * sizeof *made);
    *count = 0;
    for (cl_mem buffer = first_buffer; made != NULL && buffer != NULL; buffer = buffer->next) {
        if (buffer->context == context) {
            const uintptr_t begin = (uintptr_t)buffer->data;
            made[(*count)++] = (ptx_region){.begin = begin, .end = begin + buffer->bytes};
        }
    }
    device_unlock();
    *regions = made;
    return made != NULL ? CL_SUCCESS : CL_OUT_OF_HOST_MEMORY;
}

/* ---- Memory ---- */

/* Buffers don't touch each other: behind each is one more unit of alignment. */
static cl_int allocate(cl_mem buffer)
{
    const size_t alignment = DEVICE_ALIGNMENT_BYTES;
    const size_t room = (buffer->bytes + alignment - 1) / alignment * alignment + alignment;
    device_lock();
    const int fits = buffer->bytes <= DEVICE_MEMORY_BYTES - used_bytes;
    buffer->data = fits ? aligned_alloc(alignment, room) : NULL;
    if (buffer->data != NULL) {
        used_bytes += buffer->bytes;
        list_buffer(buffer);
    }
    device_unlock();
    return buffer->data != NULL ? CL_SUCCESS : CL_MEM_OBJECT_ALLOCATION_FAILURE;
}

static void give_back(cl_mem buffer)
{
    device_lock();
    used_bytes -= buffer->bytes;
    unlist_buffer(buffer);
    device_unlock();
    free(buffer->data);
}

/* ---- Buffers ---- */

static int more_than_one(cl_mem_flags flags)
{
    return (flags & (flags - 1)) != 0;
}

static const cl_mem_flags kernel_access = CL_MEM_READ_WRITE | CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY;
static const cl_mem_flags host_access =
    CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS;

/* CL_MEM_USE_HOST_PTR isn't taken: nothing here needs it. */
static cl_int check_flags(cl_mem_flags flags, const void *host)
{
    const cl_mem_flags placing = CL_MEM_ALLOC_HOST_PTR | CL_MEM_COPY_HOST_PTR;
    if ((flags & ~(kernel_access | host_access | placing)) != 0 ||
        more_than_one(flags & kernel_access) || more_than_one(flags & host_access)) {
        return CL_INVALID_VALUE;
    }
    return ((flags & CL_MEM_COPY_HOST_PTR) != 0) == (host != NULL) ? CL_SUCCESS
                                                                   : CL_INVALID_HOST_PTR;
}

static cl_int check_buffer(cl_context context, cl_mem_flags flags, size_t bytes, const void *host)
{
    if (!device_is(context, DEVICE_CONTEXT)) {
        return CL_INVALID_CONTEXT;
    }
    if (bytes == 0 || bytes > DEVICE_ALLOCATION_BYTES) {
        return CL_INVALID_BUFFER_SIZE;
    }
    return check_flags(flags, host);
}

static cl_mem create_buffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host,
                            cl_int *error)
{
    cl_int status = check_buffer(context, flags, bytes, host);
    cl_mem made = status == CL_SUCCESS ? calloc(1, sizeof *made) : NULL;
    if (status != CL_SUCCESS || made == NULL) {
        device_set_error(error, status != CL_SUCCESS ? status : CL_OUT_OF_HOST_MEMORY);
        return NULL;
    }
    made->context = context;
    made->flags = (flags & kernel_access) != 0 ? flags : flags | CL_MEM_READ_WRITE;
    made->bytes = bytes;
    status = allocate(made);
    device_set_error(error, status);
    if (status != CL_SUCCESS) {
        free(made);
        return NULL;
    }
    if (host != NULL) {
        memcpy(made->data, host, bytes);
    } else {
        memset(made->data, DEVICE_UNWRITTEN, bytes);
    }
    device_object_start(&made->object, DEVICE_BUFFER);
    device_retain(context);
    return made;
}

static cl_int check_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type,
                               const cl_buffer_region *region)
{
    if (!device_is(parent, DEVICE_BUFFER) || parent->parent != NULL) {
        return CL_INVALID_MEM_OBJECT;
    }
    const cl_mem_flags asked = flags & kernel_access;
    const int widens =
        asked != 0 && (parent->flags & CL_MEM_READ_WRITE) == 0 && (asked & ~parent->flags) != 0;
    if ((flags & ~(kernel_access | host_access)) != 0 || more_than_one(asked) ||
        more_than_one(flags & host_access) || widens || type != CL_BUFFER_CREATE_TYPE_REGION ||
        region == NULL || region->origin > parent->bytes ||
        region->size > parent->bytes - region->origin) {
        return CL_INVALID_VALUE;
    }
    if (region->size == 0) {
        return CL_INVALID_BUFFER_SIZE;
    }
    return region->origin % DEVICE_ALIGNMENT_BYTES == 0 ? CL_SUCCESS
                                                        : CL_MISALIGNED_SUB_BUFFER_OFFSET;
}

static cl_mem create_sub_buffer(cl_mem parent, cl_mem_flags flags, cl_buffer_create_type type,
                                const void *information, cl_int *error)
{
    const cl_buffer_region *region = information;
    cl_int status = check_sub_buffer(parent, flags, type, region);
    cl_mem made = status == CL_SUCCESS ? calloc(1, sizeof *made) : NULL;
    if (status == CL_SUCCESS && made == NULL) {
        status = CL_OUT_OF_HOST_MEMORY;
    }
    device_set_error(error, status);
    if (made == NULL) {
        return NULL;
    }
    const cl_mem_flags missing = ((flags & kernel_access) == 0 ? kernel_access : 0) |
                                 ((flags & host_access) == 0 ? host_access : 0);
    device_object_start(&made->object, DEVICE_BUFFER);
    device_retain(parent);
    device_retain(parent->context);
    made->context = parent->context;
    made->parent = parent;
    made->flags = flags | (parent->flags & missing);
    made->offset = region->origin;
    made->bytes = region->size;
    made->data = parent->data + region->origin;
    return made;
}

static cl_int retain_buffer(cl_mem buffer)
{
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    device_retain(buffer);
    return CL_SUCCESS;
}

static void release_last(cl_mem buffer)
{
    while (buffer->mappings != NULL) {
        device_mapping *old = buffer->mappings;
        buffer->mappings = old->next;
        free(old->copy);
        free(old);
    }
    if (buffer->parent == NULL) {
        give_back(buffer);
    }
    device_context_release(buffer->context);
    free(buffer);
}

static cl_int release_buffer(cl_mem buffer)
{
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    cl_mem parent = buffer->parent;
    if (device_release(buffer)) {
        release_last(buffer);
        if (parent != NULL && device_release(parent)) {
            release_last(parent);
        }
    }
    return CL_SUCCESS;
}

static cl_int buffer_info(cl_mem buffer, cl_mem_info what, size_t room, void *value, size_t *needed)
{
    const cl_mem_object_type type = CL_MEM_OBJECT_BUFFER;
    const void *no_host = NULL;
    cl_uint number = 0;
    if (!device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    switch (what) {
    case CL_MEM_TYPE:
        return device_answer(room, value, needed, &type, sizeof type);
    case CL_MEM_FLAGS:
        return device_answer(room, value, needed, &buffer->flags, sizeof buffer->flags);
    case CL_MEM_SIZE:
        return device_answer(room, value, needed, &buffer->bytes, sizeof buffer->bytes);
    case CL_MEM_HOST_PTR:
        return device_answer(room, value, needed, (const void *)&no_host, sizeof no_host);
    case CL_MEM_MAP_COUNT:
        device_lock();
        for (const device_mapping *each = buffer->mappings; each != NULL; each = each->next) {
            number++;
        }
        device_unlock();
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_MEM_REFERENCE_COUNT:
        number = device_references(buffer);
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_MEM_CONTEXT:
        return device_answer(room, value, needed, (const void *)&buffer->context,
                             sizeof buffer->context);
    case CL_MEM_ASSOCIATED_MEMOBJECT:
        return device_answer(room, value, needed, (const void *)&buffer->parent,
                             sizeof buffer->parent);
    case CL_MEM_OFFSET:
        return device_answer(room, value, needed, &buffer->offset, sizeof buffer->offset);
    default:
        return CL_INVALID_VALUE;
    }
}

void device_fill_buffer(cl_icd_dispatch *table)
{
    table->clCreateBuffer = create_buffer;
    table->clCreateSubBuffer = create_sub_buffer;
    table->clRetainMemObject = retain_buffer;
    table->clReleaseMemObject = release_buffer;
    table->clGetMemObjectInfo = buffer_info;
}
