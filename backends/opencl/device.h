/* An open device: its context, how kernels are shaped for it, its programs, its memory. */
#ifndef TTM_OPENCL_DEVICE_H
#define TTM_OPENCL_DEVICE_H

#include "opencl/platforms.h"
#include "opencl/program.h"

#include <pthread.h>
#include <stdatomic.h>

/** Which f32 products go to CLBlast. */
typedef enum opencl_clblast_use {
    OPENCL_CLBLAST_NEVER,
    OPENCL_CLBLAST_LARGE,
    OPENCL_CLBLAST_ALWAYS /**< All that it takes: for tests. */
} opencl_clblast_use;

/** How attention_few.h splits keys, where no number is given. */
enum { OPENCL_FEW_BY_RULE = 0, OPENCL_FEW_OFF = -1 };

/** How kernels are shaped for a device. */
typedef struct opencl_tuning {
    int is_cpu;           /**< Work-items are loops: one a group, over explicit vectors. */
    uint32_t vector;      /**< VECTOR of the kernels: floats that one work-item takes at once. */
    uint32_t group;       /**< GROUP of the kernels: work-items that share a row. */
    uint64_t local_bytes; /**< Local memory that a kernel may use. */
    opencl_clblast_use clblast;
    int few_splits; /**< Groups that share the keys of few queries, or OPENCL_FEW_…. */
    int64_t clblast_multiplies; /**< OPENCL_CLBLAST_LARGE: from so many multiply-adds on. */
} opencl_tuning;

/** A device's matrix units; see matrix_units.h. */
typedef struct opencl_units opencl_units;

/** What of them attention uses; see attention_units.h. */
typedef struct opencl_attention_units opencl_attention_units;

struct ttm_backend_device {
    const opencl_description *description;
    cl_context context;
    cl_command_queue queue; /**< For questions to CLBlast and for clearing new memory. */
    opencl_tuning tuning;
    opencl_programs *programs;
    opencl_units *units;
    opencl_attention_units *attention_units;
    atomic_size_t allocated_bytes;
};

struct ttm_memory {
    cl_mem buffer;
    size_t bytes;
};

ttm_status opencl_device_count(int32_t *count);
ttm_status opencl_device_info(int32_t index, ttm_device_info *info);
ttm_status opencl_device_open(ttm_backend_device **device, int32_t index);
void opencl_device_close(ttm_backend_device *device);

ttm_status opencl_memory_alloc(ttm_memory **memory, ttm_backend_device *device, size_t bytes);
void opencl_memory_free(ttm_backend_device *device, ttm_memory *memory);

#endif
