/* From OpenCL C to PTX by clang-15 and libclc, whose places PTX_DEVICE_CLANG and PTX_DEVICE_LIBCLC
 * change. */
#ifndef TESTS_PTX_DEVICE_COMPILE_H
#define TESTS_PTX_DEVICE_COMPILE_H

#include "device_object.h"

/* Options that the compiler gets: those of NVIDIA's compiler itself (-cl-nv-…) are taken and not
 * passed on. */
enum { DEVICE_MOST_OPTIONS = 256 };
typedef struct device_options {
    char *text; /* what the words point into */
    const char *words[DEVICE_MOST_OPTIONS];
    int count;
} device_options;

/* Reads build options; NULL is none. CL_INVALID_BUILD_OPTIONS with *log where one isn't known. The
 * caller frees both. */
cl_int device_options_read(device_options *options, char **log, const char *text);

/* Whether clang and libclc are installed. */
int device_can_compile(void);

/* *ptx and *log = what the compiler made and said; the caller frees them. *ptx is NULL where it
 * failed. */
cl_int device_compile(char **ptx, char **log, const char *source, const device_options *options);

/* Text made as by printf; NULL without memory. */
char *device_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
