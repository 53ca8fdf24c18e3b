/* OpenCL programs of one device: built when first asked for, kept, and cached on disk. */
#ifndef TTM_OPENCL_PROGRAM_H
#define TTM_OPENCL_PROGRAM_H

#include "opencl/platforms.h"
#include "opencl/program_cache.h"

/** One source file of kernels_cl. */
typedef enum opencl_family {
    OPENCL_COPY,
    OPENCL_COPY_FLAT,
    OPENCL_ELEMENTWISE,
    OPENCL_MATMUL,
    OPENCL_MATMUL_CPU,
    OPENCL_MATMUL_THIN,
    OPENCL_MATMUL_THIN_WIDE,
    OPENCL_MATMUL_PIECES,
    OPENCL_EPILOGUE,
    OPENCL_REDUCE,
    OPENCL_SOFTMAX,
    OPENCL_LAYER_NORM,
    OPENCL_ATTENTION,
    OPENCL_ATTENTION_BACKWARD,
    OPENCL_ATTENTION_FEW,
    OPENCL_ATTENTION_UNITS,
    OPENCL_ATTENTION_UNITS_DQ,
    OPENCL_ATTENTION_UNITS_DKDV,
    OPENCL_CROSS_ENTROPY,
    OPENCL_SAMPLE,
    OPENCL_EMBEDDING,
    OPENCL_ADAMW,
    OPENCL_MATRIX_UNITS_MMA,
    OPENCL_MATRIX_UNITS_WGMMA,
    OPENCL_MATRIX_UNITS_PACKED,
    OPENCL_MATRIX_UNITS_PACKED_COPIES,
    OPENCL_PACK,
    OPENCL_PACK_LINES,
    OPENCL_LINE_MAXIMA,
    OPENCL_TENSOR_MAPS,
    OPENCL_MATRIX_UNITS_DPAS,
    OPENCL_MATRIX_UNITS_MFMA,
    OPENCL_FAMILY_COUNT
} opencl_family;

/** The programs of one device. */
typedef struct opencl_programs opencl_programs;

/** Makes an empty set. `context` must outlive it. NULL when memory runs out. */
opencl_programs *opencl_programs_new(const opencl_description *description, cl_context context);

/** Frees the set; NULL is allowed. */
void opencl_programs_free(opencl_programs *programs);

/** *program = the family built with `kernel_options` (macros), from memory, the disk cache or the
 * source. It belongs to the set. Thread-safe. A failed build is TTM_ERROR_DEVICE with the build
 * log. */
ttm_status opencl_programs_get(cl_program *program, opencl_programs *programs, opencl_family family,
                               const char *kernel_options);

/** Returns the key of a program on disk: source, options, device and driver. */
opencl_cache_key opencl_programs_key(const opencl_programs *programs, opencl_family family,
                                     const char *options);

/** Returns the family's source file, such as "attention.cl". */
const char *opencl_family_file(opencl_family family);

#endif
