/* Tensors: allocation, views, and copies between host and device. The type itself is in
 * ttm/types.h.
 *
 * View functions return a tensor by value. Given arguments that don't fit (a dimension that isn't
 * there, a slice that reaches beyond its tensor, a shape with another number of elements, more
 * elements than an int64_t counts) they return an absent tensor, which every op and copy refuses.
 */
#ifndef TTM_TENSOR_H
#define TTM_TENSOR_H

#include <ttm/device.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Allocates a contiguous tensor [shape[0], …] on `device`, content undefined. On success the
 * caller owns it and frees it with ttm_tensor_free; on failure *tensor is absent. Thread-safe. */
TTM_API TTM_CHECKED ttm_status ttm_tensor_alloc(ttm_tensor *tensor, ttm_device *device,
                                                ttm_dtype dtype, int32_t rank,
                                                const int64_t *shape);

/** Frees the allocation behind a tensor that ttm_tensor_alloc made, and makes the tensor absent. An
 * absent one is allowed. Work that uses it must have finished. */
TTM_API void ttm_tensor_free(ttm_tensor *tensor, ttm_device *device);

/** Copies a contiguous tensor's elements from the host, in stream order; `source` may be reused on
 * return. */
TTM_API TTM_CHECKED ttm_status ttm_tensor_write(ttm_stream *stream, const ttm_tensor *tensor,
                                                const void *source);

/** Copies a contiguous tensor's elements to the host and waits for them. */
TTM_API TTM_CHECKED ttm_status ttm_tensor_read(ttm_stream *stream, void *target,
                                               const ttm_tensor *tensor);

/** Sets all bytes of a contiguous tensor to 0, in stream order. */
TTM_API TTM_CHECKED ttm_status ttm_tensor_zero(ttm_stream *stream, const ttm_tensor *tensor);

/** *pointer = host address of element (0, …, 0), or NULL where host and device don't share memory.
 * Synchronise the stream that wrote it before reading. */
TTM_API TTM_CHECKED ttm_status ttm_tensor_map(void **pointer, ttm_device *device,
                                              const ttm_tensor *tensor);

/** Returns a tensor without memory of a contiguous shape, for planning. */
TTM_API ttm_tensor ttm_tensor_describe(ttm_dtype dtype, int32_t rank, const int64_t *shape);

/** Returns a contiguous tensor of `shape` inside contiguous `base`, beginning `start` elements of
 * `base` after its first. The dtype may differ; then the byte offset must suit it. */
TTM_API ttm_tensor ttm_tensor_view(const ttm_tensor *base, int64_t start, ttm_dtype dtype,
                                   int32_t rank, const int64_t *shape);

/** Like ttm_tensor_view with base's dtype and the shape as arguments: ttm_tensor_at2(t, start,
 * rows, cols) and so on. */
TTM_API ttm_tensor ttm_tensor_at1(const ttm_tensor *base, int64_t start, int64_t d0);
TTM_API ttm_tensor ttm_tensor_at2(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1);
TTM_API ttm_tensor ttm_tensor_at3(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1,
                                  int64_t d2);
TTM_API ttm_tensor ttm_tensor_at4(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1,
                                  int64_t d2, int64_t d3);

/** Returns elements [start, start + count) of dimension `dim`. */
TTM_API ttm_tensor ttm_tensor_slice(const ttm_tensor *tensor, int32_t dim, int64_t start,
                                    int64_t count);

/** Returns the tensor with dimensions `a` and `b` exchanged. */
TTM_API ttm_tensor ttm_tensor_transpose(const ttm_tensor *tensor, int32_t a, int32_t b);

/** Returns a contiguous tensor under another shape with the same number of elements. */
TTM_API ttm_tensor ttm_tensor_reshape(const ttm_tensor *tensor, int32_t rank, const int64_t *shape);

/** Returns a tensor whose dimension `dim` (of any extent) is split into two of extents outer·inner
 * = its extent. */
TTM_API ttm_tensor ttm_tensor_split(const ttm_tensor *tensor, int32_t dim, int64_t outer,
                                    int64_t inner);

/** Returns the tensor with a new dimension `dim` of extent `count` and stride 0 in front of the old
 * one: a broadcast. */
TTM_API ttm_tensor ttm_tensor_broadcast(const ttm_tensor *tensor, int32_t dim, int64_t count);

/** Returns the number of elements, 0 for an absent tensor. */
TTM_API int64_t ttm_tensor_count(const ttm_tensor *tensor);

/** Returns 1 when the elements lie in row-major order without gaps. */
TTM_API int ttm_tensor_is_contiguous(const ttm_tensor *tensor);

/** Writes a tensor's type and shape, such as "f32 [64, 768]", to `text`; returns `text`. */
TTM_API const char *ttm_tensor_print(char *text, size_t text_bytes, const ttm_tensor *tensor);

#ifdef __cplusplus
}
#endif

#endif
