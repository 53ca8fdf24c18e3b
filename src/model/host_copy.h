/* Copies of parameters between host arrays and the device, whatever the model's type. */
#ifndef TTM_MODEL_HOST_COPY_H
#define TTM_MODEL_HOST_COPY_H

#include <ttm/tensor.h>

/** Elements that the functions which copy in pieces take at once. */
#define TTM_HOST_PIECE INT64_C(262144)

/** Elements start … start + count − 1 of a contiguous f32 or f64 tensor = values[count], converted.
 */
TTM_CHECKED ttm_status ttm_host_write_f32(ttm_stream *stream, const ttm_tensor *tensor,
                                          int64_t start, const float *values, int64_t count);

/** values = bytes of elements start … start + count − 1 of a contiguous tensor, of its own type. */
TTM_CHECKED ttm_status ttm_host_read(ttm_stream *stream, void *values, const ttm_tensor *tensor,
                                     int64_t start, int64_t count);

#endif
