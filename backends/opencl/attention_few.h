/* ATTENTION of few queries that meet many keys, as in decoding: the keys of a head split over
 * groups (kernels_cl/attention_few.cl). */
#ifndef TTM_OPENCL_ATTENTION_FEW_H
#define TTM_OPENCL_ATTENTION_FEW_H

#include "opencl/op.h"

/** Reads TTM_OPENCL_ATTENTION_FEW into the tuning of a device that is being opened.
 * TTM_ERROR_ARGUMENT for a value that isn't one. */
ttm_status opencl_attention_few_open(opencl_tuning *tuning);

/** Returns the bytes of scratch that the op wants here; 0 where its keys aren't split. */
size_t opencl_attention_few_workspace(const ttm_backend_device *device, const ttm_op *op);

/** Queues ATTENTION where its queries are few; *done says whether. */
ttm_status opencl_attention_of_few(int *done, ttm_backend_stream *stream, const ttm_op *op);

#endif
