/* Kernels are looked up by the numbers in their options. Writing these out for each launch took
 * longer than all else that libttm does for one. */
#include "opencl/stream_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 12, OPTIONS_BYTES = 512 };

/* What a kernel is asked for with. */
typedef struct request {
    opencl_shape shape;
    opencl_family family;
    const char *name;
    const char *format; /* of its options */
    const char *text;   /* the format's %s, or NULL */
    int64_t values[MOST_VALUES];
    int count;
} request;

struct opencl_stream_kernel {
    opencl_stream_kernel *next;
    request known; /* with texts of its own */
    uint64_t hash; /* of the numbers */
    cl_kernel kernel;
};

static void free_entry(opencl_stream_kernel *entry)
{
    if (entry->kernel != NULL) {
        clReleaseKernel(entry->kernel);
    }
    free((void *)entry->known.name);
    free((void *)entry->known.format);
    free((void *)entry->known.text);
    free(entry);
}

void opencl_stream_kernels_free(opencl_stream_kernel *kernels)
{
    while (kernels != NULL) {
        opencl_stream_kernel *old = kernels;
        kernels = old->next;
        free_entry(old);
    }
}

/* Takes the format's arguments; returns whether it is of the form that the header allows. */
static int read_arguments(request *asked, va_list arguments)
{
    for (const char *place = strchr(asked->format, '%'); place != NULL;
         place = strchr(place + 1, '%')) {
        if (place[1] == 's' && asked->text == NULL) {
            asked->text = va_arg(arguments, const char *);
        } else if (asked->count == MOST_VALUES) {
            return 0;
        } else if (place[1] == 'd') {
            asked->values[asked->count++] = va_arg(arguments, int);
        } else if (place[1] == 'z' && place[2] == 'u') {
            asked->values[asked->count++] = (int64_t)va_arg(arguments, size_t);
        } else {
            return 0;
        }
    }
    return 1;
}

static uint64_t hash_numbers(const request *asked)
{
    uint64_t hash = 0xcbf29ce484222325u ^ (uint64_t)asked->family;
    for (int i = 0; i < asked->count; i++) {
        hash = (hash ^ (uint64_t)asked->values[i]) * 0x100000001b3u;
    }
    return hash;
}

static int is_same_text(const char *known, const char *asked)
{
    return known == NULL || asked == NULL ? known == asked : strcmp(known, asked) == 0;
}

static int is_same(const request *known, const request *asked)
{
    return known->family == asked->family && known->count == asked->count &&
           known->shape.vector == asked->shape.vector && known->shape.group == asked->shape.group &&
           known->shape.whole_rows == asked->shape.whole_rows &&
           memcmp(known->values, asked->values, (size_t)asked->count * sizeof asked->values[0]) ==
               0 &&
           strcmp(known->name, asked->name) == 0 && strcmp(known->format, asked->format) == 0 &&
           is_same_text(known->text, asked->text);
}

/* *kernel is made of a program with these options. */
static ttm_status make_kernel(cl_kernel *kernel, ttm_backend_stream *stream, const request *asked,
                              va_list arguments)
{
    char options[OPTIONS_BYTES];
    cl_program program = NULL;
    cl_int error = CL_SUCCESS;
    const int own = snprintf(
        options, sizeof options, "-w -cl-std=CL1.2 -cl-mad-enable -DVECTOR=%u -DGROUP=%u %s",
        asked->shape.vector, asked->shape.group, asked->shape.whole_rows ? "-DWHOLE_ROWS=1 " : "");
    const int more =
        vsnprintf(options + own, sizeof options - (size_t)own, asked->format, arguments);
    if ((size_t)own + (size_t)more >= sizeof options) {
        return opencl_fail(TTM_ERROR_INTERNAL, "the options of kernel %s are too long",
                           asked->name);
    }
    const ttm_status status =
        opencl_programs_get(&program, stream->device->programs, asked->family, options);
    if (status != TTM_OK) {
        return status;
    }
    *kernel = clCreateKernel(program, asked->name, &error);
    if (error != CL_SUCCESS) {
        return opencl_fail(TTM_ERROR_DEVICE, "can't make kernel %s of %s on %s: %s (%d)",
                           asked->name, opencl_family_file(asked->family),
                           stream->device->description->name, opencl_error_name(error), (int)error);
    }
    return TTM_OK;
}

/* Makes an entry of `kernel`, which then belongs to it, and which a failure releases. */
static ttm_status keep(ttm_backend_stream *stream, const request *asked, uint64_t hash,
                       cl_kernel kernel)
{
    opencl_stream_kernel *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        clReleaseKernel(kernel);
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a kernel's description");
    }
    entry->next = stream->kernels;
    entry->known = *asked;
    entry->known.name = strdup(asked->name);
    entry->known.format = strdup(asked->format);
    entry->known.text = asked->text != NULL ? strdup(asked->text) : NULL;
    entry->hash = hash;
    entry->kernel = kernel;
    if (entry->known.name == NULL || entry->known.format == NULL ||
        (asked->text != NULL && entry->known.text == NULL)) {
        free_entry(entry);
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a kernel's description");
    }
    stream->kernels = entry;
    return TTM_OK;
}

ttm_status opencl_stream_kernel_get(cl_kernel *kernel, ttm_backend_stream *stream,
                                    const opencl_shape *shape, opencl_family family,
                                    const char *name, const char *options, va_list arguments)
{
    request asked = {.shape = *shape, .family = family, .name = name, .format = options};
    va_list again;
    va_copy(again, arguments);
    const int is_readable = read_arguments(&asked, again);
    va_end(again);
    if (!is_readable) {
        return opencl_fail(TTM_ERROR_INTERNAL, "kernel %s can't be asked for with '%s'", name,
                           options);
    }
    const uint64_t hash = hash_numbers(&asked);
    for (const opencl_stream_kernel *entry = stream->kernels; entry != NULL; entry = entry->next) {
        if (entry->hash == hash && is_same(&entry->known, &asked)) {
            *kernel = entry->kernel;
            return TTM_OK;
        }
    }
    cl_kernel made = NULL;
    ttm_status status = make_kernel(&made, stream, &asked, arguments);
    if (status == TTM_OK) {
        status = keep(stream, &asked, hash, made);
    }
    *kernel = status == TTM_OK ? made : NULL;
    return status;
}
