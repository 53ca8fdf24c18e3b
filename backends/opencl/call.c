/* Kernel objects of a stream, their arguments and launches. */
#include "opencl/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Launches until the driver is told to begin: often enough that the device never waits. */
#define FLUSH_EVERY 16u

enum { KEY_BYTES = 512 };

struct opencl_stream_kernel {
    opencl_stream_kernel *next;
    uint64_t hash;
    char *key; /* family, name and options */
    cl_kernel kernel;
};

void opencl_stream_kernels_free(opencl_stream_kernel *kernels)
{
    while (kernels != NULL) {
        opencl_stream_kernel *old = kernels;
        kernels = old->next;
        clReleaseKernel(old->kernel);
        free(old->key);
        free(old);
    }
}

static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    }
    return hash;
}

static opencl_stream_kernel *find_known(const ttm_backend_stream *stream, const char *key)
{
    const uint64_t hash = hash_text(key);
    for (opencl_stream_kernel *known = stream->kernels; known != NULL; known = known->next) {
        if (known->hash == hash && strcmp(known->key, key) == 0) {
            return known;
        }
    }
    return NULL;
}

static ttm_status make_kernel(cl_kernel *kernel, ttm_backend_stream *stream, opencl_family family,
                              const char *name, const char *options, const char *key)
{
    cl_program program = NULL;
    const ttm_status status =
        opencl_programs_get(&program, stream->device->programs, family, options);
    if (status != TTM_OK) {
        return status;
    }
    cl_int error = CL_SUCCESS;
    cl_kernel made = clCreateKernel(program, name, &error);
    if (error != CL_SUCCESS) {
        return opencl_fail(TTM_ERROR_DEVICE, "can't make kernel %s of %s on %s: %s (%d)", name,
                           opencl_family_file(family), stream->device->description->name,
                           opencl_error_name(error), (int)error);
    }
    opencl_stream_kernel *entry = malloc(sizeof *entry);
    char *kept_key = strdup(key);
    if (entry == NULL || kept_key == NULL) {
        free(entry);
        free(kept_key);
        clReleaseKernel(made);
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a kernel's description");
    }
    *entry = (opencl_stream_kernel){
        .next = stream->kernels, .hash = hash_text(key), .key = kept_key, .kernel = made};
    stream->kernels = entry;
    *kernel = made;
    return TTM_OK;
}

static opencl_call start(ttm_backend_stream *stream, const opencl_shape *shape,
                         opencl_family family, const char *name, const char *options,
                         va_list arguments)
{
    char key[KEY_BYTES];
    opencl_call call = {.stream = stream, .name = name, .status = TTM_OK};
    /* The part of the key from `built_with` on is what the program is built with. */
    const int built_with = snprintf(key, sizeof key, "%d %s ", (int)family, name);
    int used = built_with + snprintf(key + built_with, sizeof key - (size_t)built_with,
                                     "-w -cl-std=CL1.2 -cl-mad-enable -DVECTOR=%u -DGROUP=%u %s",
                                     shape->vector, shape->group,
                                     shape->whole_rows ? "-DWHOLE_ROWS=1 " : "");
    used += vsnprintf(key + used, sizeof key - (size_t)used, options, arguments);
    if ((size_t)used >= sizeof key) {
        call.status =
            opencl_fail(TTM_ERROR_INTERNAL, "the options of kernel %s are too long", name);
        return call;
    }
    const opencl_stream_kernel *known = find_known(stream, key);
    if (known != NULL) {
        call.kernel = known->kernel;
    } else {
        call.status = make_kernel(&call.kernel, stream, family, name, key + built_with, key);
    }
    return call;
}

opencl_shape opencl_usual_shape(const ttm_backend_device *device)
{
    return (opencl_shape){.vector = device->tuning.vector, .group = device->tuning.group};
}

opencl_call opencl_call_start_in(ttm_backend_stream *stream, const opencl_shape *shape,
                                 opencl_family family, const char *name, const char *options, ...)
{
    va_list arguments;
    va_start(arguments, options);
    const opencl_call call = start(stream, shape, family, name, options, arguments);
    va_end(arguments);
    return call;
}

opencl_call opencl_call_start(ttm_backend_stream *stream, opencl_family family, const char *name,
                              const char *options, ...)
{
    const opencl_shape shape = opencl_usual_shape(stream->device);
    va_list arguments;
    va_start(arguments, options);
    const opencl_call call = start(stream, &shape, family, name, options, arguments);
    va_end(arguments);
    return call;
}

static void add(opencl_call *call, size_t bytes, const void *value)
{
    if (call->status == TTM_OK && call->error == CL_SUCCESS) {
        call->error = clSetKernelArg(call->kernel, call->next++, bytes, value);
    }
}

void opencl_call_buffer(opencl_call *call, cl_mem buffer, int64_t first)
{
    add(call, sizeof(cl_mem), (const void *)&buffer);
    opencl_call_long(call, first);
}

void opencl_call_tensor(opencl_call *call, const ttm_tensor *tensor, const ttm_tensor *instead)
{
    /* A tensor without elements may have no memory either; it is never looked at. */
    const ttm_tensor *passed =
        ttm_tensor_present(tensor) && tensor->memory != NULL ? tensor : instead;
    const size_t element_bytes = ttm_dtype_bytes(passed->dtype);
    opencl_call_buffer(call, passed->memory != NULL ? passed->memory->buffer : NULL,
                       element_bytes > 0 ? (int64_t)(passed->offset / element_bytes) : 0);
}

void opencl_call_long(opencl_call *call, int64_t value)
{
    const cl_long argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_longs8(opencl_call *call, const int64_t values[8])
{
    cl_long8 argument;
    for (int i = 0; i < 8; i++) {
        argument.s[i] = values[i];
    }
    add(call, sizeof argument, &argument);
}

void opencl_call_ulong(opencl_call *call, uint64_t value)
{
    const cl_ulong argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_int(opencl_call *call, int32_t value)
{
    const cl_int argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_uint(opencl_call *call, uint32_t value)
{
    const cl_uint argument = value;
    add(call, sizeof argument, &argument);
}

void opencl_call_uints8(opencl_call *call, const uint32_t values[8])
{
    cl_uint8 argument;
    for (int i = 0; i < 8; i++) {
        argument.s[i] = values[i];
    }
    add(call, sizeof argument, &argument);
}

void opencl_call_float(opencl_call *call, double value)
{
    const cl_float argument = (cl_float)value;
    add(call, sizeof argument, &argument);
}

void opencl_call_float8(opencl_call *call, cl_float8 value)
{
    add(call, sizeof value, &value);
}

ttm_status opencl_call_run(opencl_call *call, int dimensions, const size_t *global,
                           const size_t *local)
{
    char doing[96];
    size_t rounded[3] = {0};
    if (call->status != TTM_OK) {
        return call->status;
    }
    snprintf(doing, sizeof doing, "queue kernel %s", call->name);
    for (int i = 0; i < dimensions; i++) {
        rounded[i] = (global[i] + local[i] - 1) / local[i] * local[i];
        if (rounded[i] == 0) {
            return TTM_OK;
        }
    }
    ttm_backend_stream *stream = call->stream;
    cl_int error = call->error;
    if (error == CL_SUCCESS) {
        error = clEnqueueNDRangeKernel(stream->queue, call->kernel, (cl_uint)dimensions, NULL,
                                       rounded, local, 0, NULL, NULL);
    }
    if (error == CL_SUCCESS && ++stream->unflushed >= FLUSH_EVERY) {
        stream->unflushed = 0;
        error = clFlush(stream->queue);
    }
    return error == CL_SUCCESS ? TTM_OK : opencl_stream_fail(stream, error, doing);
}
