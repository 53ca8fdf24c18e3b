/* Buffers and sub-buffers. */
#ifndef TESTS_PTX_DEVICE_BUFFER_H
#define TESTS_PTX_DEVICE_BUFFER_H

#include "device_context.h"
#include "ptx.h"

/* What clEnqueueMapBuffer gave out: memory of its own, as a GPU's buffer isn't the host's. It goes
 * to the buffer when it is unmapped. */
typedef struct device_mapping {
    struct device_mapping *next;
    unsigned char *copy;
    size_t offset;
    size_t bytes;
    cl_map_flags flags;
} device_mapping;

/* Keeps its context and, of a sub-buffer, the buffer that it lies in, which has the memory. */
struct _cl_mem {
    device_object object;
    cl_context context;
    cl_mem parent; /* NULL but for sub-buffers */
    cl_mem_flags flags;
    size_t offset; /* in the parent */
    size_t bytes;
    unsigned char *data;
    cl_mem next; /* all buffers with memory of their own, by address */
    device_mapping *mappings;
};

/* What isn't written yet reads as NaN in every type of floating point. */
enum { DEVICE_UNWRITTEN = 0xff };

/* The memory of a context's buffers, by address. *regions is the caller's; CL_OUT_OF_HOST_MEMORY
 * where there is no memory for it. */
cl_int device_buffer_regions(ptx_region **regions, size_t *count, cl_context context);

#endif
