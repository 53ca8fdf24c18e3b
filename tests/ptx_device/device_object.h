/* What all objects of the device have in common: a dispatch table in front, as the loader wants it,
 * a kind by which a wrong pointer is told from a right one, and a reference count. One mutex guards
 * all counts. */
#ifndef TESTS_PTX_DEVICE_OBJECT_H
#define TESTS_PTX_DEVICE_OBJECT_H

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <CL/cl_icd.h>

#include <stddef.h>

typedef enum {
    DEVICE_NO_OBJECT,
    DEVICE_PLATFORM,
    DEVICE_DEVICE,
    DEVICE_CONTEXT,
    DEVICE_QUEUE,
    DEVICE_BUFFER,
    DEVICE_PROGRAM,
    DEVICE_KERNEL,
    DEVICE_EVENT,
} device_kind;

typedef struct device_object {
    const cl_icd_dispatch *dispatch;
    device_kind kind;
    cl_uint references;
} device_object;

/* Each file fills in the functions that it has; the others stay NULL. */
extern cl_icd_dispatch device_dispatch;
void device_fill_platform(cl_icd_dispatch *table);
void device_fill_context(cl_icd_dispatch *table);
void device_fill_buffer(cl_icd_dispatch *table);
void device_fill_transfer(cl_icd_dispatch *table);
void device_fill_map(cl_icd_dispatch *table);
void device_fill_event(cl_icd_dispatch *table);
void device_fill_program(cl_icd_dispatch *table);
void device_fill_kernel(cl_icd_dispatch *table);
void device_fill_launch(cl_icd_dispatch *table);

/* What the device is. */
enum {
    DEVICE_MOST_ITEMS = 1024,
    DEVICE_MOST_ITEMS_IN_DEPTH = 64,
    DEVICE_SHARED_BYTES = 48 * 1024,
    DEVICE_ALIGNMENT_BYTES = 512,
    DEVICE_WARP_ITEMS = 32
};
#define DEVICE_MEMORY_BYTES     ((cl_ulong)2 << 30)
#define DEVICE_ALLOCATION_BYTES (DEVICE_MEMORY_BYTES / 4)

/* 80 or 90: sm_80 or sm_90. */
int device_target(void);
/* The only device. */
cl_device_id device_only(void);

void device_object_start(device_object *object, device_kind kind);
/* NULL is no object of any kind. */
int device_is(const void *object, device_kind kind);
cl_uint device_references(const void *object);
void device_retain(void *object);
/* Whether that was the last reference; from then on it is no object. */
int device_release(void *object);

/* One lock for what isn't a count, too: the buffers that live and what is mapped. Don't retain or
 * release while it is held. */
void device_lock(void);
void device_unlock(void);

/* Answers a query: CL_INVALID_VALUE where there is too little room. */
cl_int device_answer(size_t room, void *value, size_t *needed, const void *answer, size_t bytes);
cl_int device_answer_text(size_t room, void *value, size_t *needed, const char *text);

/* *error = status where the caller wants to know. */
void device_set_error(cl_int *error, cl_int status);

#endif
