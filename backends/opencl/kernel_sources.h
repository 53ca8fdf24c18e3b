/* The files of kernels_cl, embedded by embed_kernels.py. */
#ifndef TTM_OPENCL_KERNEL_SOURCES_H
#define TTM_OPENCL_KERNEL_SOURCES_H

/** One file. */
typedef struct opencl_kernel_source {
    const char *name; /**< "copy.cl"; NULL ends the list. */
    const char *text;
} opencl_kernel_source;

extern const opencl_kernel_source opencl_kernel_sources[];

#endif
