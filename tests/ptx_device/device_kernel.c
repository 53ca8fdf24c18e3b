/* Making kernels, setting their arguments, and what they say of themselves. */
#include "device_kernel.h"

#include "device_buffer.h"

#include <stdlib.h>
#include <string.h>

static const ptx_kernel *find_code(const ptx_module *module, const char *name)
{
    for (int i = 0; i < ptx_module_kernel_count(module); i++) {
        const ptx_kernel *code = ptx_module_kernel(module, i);
        if (strcmp(ptx_kernel_name(code), name) == 0) {
            return code;
        }
    }
    return NULL;
}

static void free_kernel(cl_kernel kernel)
{
    free(kernel->block);
    free(kernel->arguments);
    free(kernel);
}

static cl_kernel new_kernel(cl_program program, const ptx_kernel *code)
{
    cl_kernel made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->program = program;
    made->code = code;
    /* One more, since nothing may be NULL. */
    made->block = calloc(ptx_kernel_argument_bytes(code) + 1, 1);
    made->arguments = calloc((size_t)ptx_kernel_parameter_count(code) + 1, sizeof *made->arguments);
    if (made->block == NULL || made->arguments == NULL) {
        free_kernel(made);
        return NULL;
    }
    device_object_start(&made->object, DEVICE_KERNEL);
    device_retain(program);
    device_lock();
    program->kernels++;
    device_unlock();
    return made;
}

static cl_kernel create_kernel(cl_program program, const char *name, cl_int *error)
{
    cl_int status = CL_SUCCESS;
    const ptx_kernel *code = NULL;
    if (!device_is(program, DEVICE_PROGRAM)) {
        status = CL_INVALID_PROGRAM;
    } else if (program->module == NULL) {
        status = CL_INVALID_PROGRAM_EXECUTABLE;
    } else if (name == NULL) {
        status = CL_INVALID_VALUE;
    } else {
        code = find_code(program->module, name);
        status = code != NULL ? CL_SUCCESS : CL_INVALID_KERNEL_NAME;
    }
    cl_kernel made = status == CL_SUCCESS ? new_kernel(program, code) : NULL;
    if (status == CL_SUCCESS && made == NULL) {
        status = CL_OUT_OF_HOST_MEMORY;
    }
    device_set_error(error, status);
    return made;
}

static cl_int retain_kernel(cl_kernel kernel)
{
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    device_retain(kernel);
    return CL_SUCCESS;
}

static cl_int release_kernel(cl_kernel kernel)
{
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    if (device_release(kernel)) {
        device_lock();
        kernel->program->kernels--;
        device_unlock();
        device_program_release(kernel->program);
        free_kernel(kernel);
    }
    return CL_SUCCESS;
}

/* ---- Arguments ---- */

static cl_int set_buffer(cl_kernel kernel, const ptx_parameter *parameter, size_t bytes,
                         const void *value)
{
    cl_mem buffer = NULL;
    if (bytes != sizeof buffer) {
        return CL_INVALID_ARG_SIZE;
    }
    if (value != NULL) {
        memcpy((void *)&buffer, value, sizeof buffer);
    }
    if (buffer != NULL && !device_is(buffer, DEVICE_BUFFER)) {
        return CL_INVALID_MEM_OBJECT;
    }
    if (buffer != NULL && buffer->context != kernel->program->context) {
        return CL_INVALID_MEM_OBJECT;
    }
    const uint64_t address = buffer != NULL ? (uint64_t)(uintptr_t)buffer->data : 0;
    memcpy(kernel->block + parameter->offset, &address, sizeof address);
    return CL_SUCCESS;
}

static cl_int set_argument(cl_kernel kernel, cl_uint index, size_t bytes, const void *value)
{
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    if (index >= (cl_uint)ptx_kernel_parameter_count(kernel->code)) {
        return CL_INVALID_ARG_INDEX;
    }
    const ptx_parameter *parameter = ptx_kernel_parameter(kernel->code, (int)index);
    device_argument *argument = &kernel->arguments[index];
    if (parameter->kind == PTX_PARAMETER_GLOBAL) {
        const cl_int error = set_buffer(kernel, parameter, bytes, value);
        if (error != CL_SUCCESS) {
            return error;
        }
    } else if (parameter->kind == PTX_PARAMETER_SHARED) {
        if (value != NULL) {
            return CL_INVALID_ARG_VALUE;
        }
        if (bytes == 0) {
            return CL_INVALID_ARG_SIZE;
        }
        argument->local_bytes = bytes;
    } else {
        if (bytes != parameter->bytes) {
            return CL_INVALID_ARG_SIZE;
        }
        if (value == NULL) {
            return CL_INVALID_ARG_VALUE;
        }
        memcpy(kernel->block + parameter->offset, value, bytes);
    }
    argument->is_set = 1;
    return CL_SUCCESS;
}

void device_kernel_place_local(size_t *shared_bytes, unsigned char *block, cl_kernel kernel)
{
    size_t end = ptx_kernel_shared_bytes(kernel->code);
    for (int i = 0; i < ptx_kernel_parameter_count(kernel->code); i++) {
        const ptx_parameter *parameter = ptx_kernel_parameter(kernel->code, i);
        if (parameter->kind == PTX_PARAMETER_SHARED) {
            const size_t alignment = parameter->alignment;
            end = (end + alignment - 1) / alignment * alignment;
            const uint64_t address = PTX_SHARED_BASE + end;
            if (block != NULL) {
                memcpy(block + parameter->offset, &address, sizeof address);
            }
            end += kernel->arguments[i].local_bytes;
        }
    }
    *shared_bytes = end;
}

/* ---- Queries ---- */

static cl_int kernel_info(cl_kernel kernel, cl_kernel_info what, size_t room, void *value,
                          size_t *needed)
{
    cl_uint number = 0;
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    switch (what) {
    case CL_KERNEL_FUNCTION_NAME:
        return device_answer_text(room, value, needed, ptx_kernel_name(kernel->code));
    case CL_KERNEL_NUM_ARGS:
        number = (cl_uint)ptx_kernel_parameter_count(kernel->code);
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_KERNEL_REFERENCE_COUNT:
        number = device_references(kernel);
        return device_answer(room, value, needed, &number, sizeof number);
    case CL_KERNEL_CONTEXT:
        return device_answer(room, value, needed, (const void *)&kernel->program->context,
                             sizeof kernel->program->context);
    case CL_KERNEL_PROGRAM:
        return device_answer(room, value, needed, (const void *)&kernel->program,
                             sizeof kernel->program);
    case CL_KERNEL_ATTRIBUTES:
        return device_answer_text(room, value, needed, "");
    default:
        return CL_INVALID_VALUE;
    }
}

static cl_int work_group_info(cl_kernel kernel, cl_device_id device, cl_kernel_work_group_info what,
                              size_t room, void *value, size_t *needed)
{
    uint32_t required[3];
    if (!device_is(kernel, DEVICE_KERNEL)) {
        return CL_INVALID_KERNEL;
    }
    if (device != NULL && !device_is(device, DEVICE_DEVICE)) {
        return CL_INVALID_DEVICE;
    }
    ptx_kernel_required_items(kernel->code, required);
    const size_t required_items[3] = {required[0], required[1], required[2]};
    const size_t all_required = required_items[0] * required_items[1] * required_items[2];
    const size_t most_items = all_required > 0 ? all_required : DEVICE_MOST_ITEMS;
    const size_t multiple = DEVICE_WARP_ITEMS;
    const cl_ulong private_bytes = 0;
    size_t shared_bytes = 0;
    device_kernel_place_local(&shared_bytes, NULL, kernel);
    const cl_ulong local_bytes = shared_bytes;
    switch (what) {
    case CL_KERNEL_WORK_GROUP_SIZE:
        return device_answer(room, value, needed, &most_items, sizeof most_items);
    case CL_KERNEL_COMPILE_WORK_GROUP_SIZE:
        return device_answer(room, value, needed, required_items, sizeof required_items);
    case CL_KERNEL_LOCAL_MEM_SIZE:
        return device_answer(room, value, needed, &local_bytes, sizeof local_bytes);
    case CL_KERNEL_PREFERRED_WORK_GROUP_SIZE_MULTIPLE:
        return device_answer(room, value, needed, &multiple, sizeof multiple);
    case CL_KERNEL_PRIVATE_MEM_SIZE:
        return device_answer(room, value, needed, &private_bytes, sizeof private_bytes);
    default:
        return CL_INVALID_VALUE;
    }
}

void device_fill_kernel(cl_icd_dispatch *table)
{
    table->clCreateKernel = create_kernel;
    table->clRetainKernel = retain_kernel;
    table->clReleaseKernel = release_kernel;
    table->clSetKernelArg = set_argument;
    table->clGetKernelInfo = kernel_info;
    table->clGetKernelWorkGroupInfo = work_group_info;
}
