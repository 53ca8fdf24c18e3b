/* Views: other descriptions of the same elements. A view that doesn't fit is an absent tensor. */
#include <ttm/tensor.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const ttm_tensor absent;

/* *count = elements of a tensor that is there; false when they are more than can be counted. An
 * extent of 0 makes none of them, however large the others are. */
static bool count_elements(int64_t *count, const ttm_tensor *tensor)
{
    bool countable = true;
    *count = 1;
    for (int32_t dim = 0; dim < tensor->rank; dim++) {
        if (tensor->shape[dim] == 0) {
            *count = 0;
            return true;
        }
        countable = countable && !__builtin_mul_overflow(*count, tensor->shape[dim], count);
    }
    return countable;
}

ttm_tensor ttm_tensor_describe(ttm_dtype dtype, int32_t rank, const int64_t *shape)
{
    ttm_tensor tensor = {.dtype = dtype, .rank = rank};
    int64_t element_bytes = (int64_t)ttm_dtype_bytes(dtype);
    if (element_bytes == 0 || rank < 0 || rank > TTM_MAX_RANK) {
        return absent;
    }
    int64_t count = 1;
    for (int32_t dim = rank - 1; dim >= 0; dim--) {
        tensor.shape[dim] = shape[dim];
        tensor.stride[dim] = count;
        if (shape[dim] < 0 || __builtin_mul_overflow(count, shape[dim], &count)) {
            return absent;
        }
    }
    int64_t bytes = 0;
    if (__builtin_mul_overflow(count, element_bytes, &bytes)) {
        return absent;
    }
    return tensor;
}

int64_t ttm_tensor_count(const ttm_tensor *tensor)
{
    if (!ttm_tensor_present(tensor)) {
        return 0;
    }
    int64_t count = 0;
    return count_elements(&count, tensor) ? count : INT64_MAX;
}

int ttm_tensor_is_contiguous(const ttm_tensor *tensor)
{
    if (tensor->layout != TTM_LAYOUT_STRIDED) {
        return 0;
    }
    int64_t expected = 1;
    for (int32_t dim = tensor->rank - 1; dim >= 0; dim--) {
        if (tensor->shape[dim] == 0) {
            return 1;
        }
        if (tensor->shape[dim] != 1 && tensor->stride[dim] != expected) {
            return 0;
        }
        expected *= tensor->shape[dim];
    }
    return 1;
}

ttm_tensor ttm_tensor_view(const ttm_tensor *base, int64_t start, ttm_dtype dtype, int32_t rank,
                           const int64_t *shape)
{
    ttm_tensor view = ttm_tensor_describe(dtype, rank, shape);
    if (!ttm_tensor_present(base) || !ttm_tensor_present(&view) ||
        !ttm_tensor_is_contiguous(base)) {
        return absent;
    }
    int64_t base_count = ttm_tensor_count(base);
    if (start < 0 || start > base_count) {
        return absent;
    }
    size_t available = (size_t)(base_count - start) * ttm_dtype_bytes(base->dtype);
    size_t needed = (size_t)ttm_tensor_count(&view) * ttm_dtype_bytes(dtype);
    view.offset = base->offset + (size_t)start * ttm_dtype_bytes(base->dtype);
    if (needed > available || view.offset % ttm_dtype_bytes(dtype) != 0) {
        return absent;
    }
    view.memory = base->memory;
    view.memory_bytes = base->memory_bytes;
    return view;
}

ttm_tensor ttm_tensor_at1(const ttm_tensor *base, int64_t start, int64_t d0)
{
    return ttm_tensor_view(base, start, base->dtype, 1, (int64_t[]){d0});
}

ttm_tensor ttm_tensor_at2(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1)
{
    return ttm_tensor_view(base, start, base->dtype, 2, (int64_t[]){d0, d1});
}

ttm_tensor ttm_tensor_at3(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1, int64_t d2)
{
    return ttm_tensor_view(base, start, base->dtype, 3, (int64_t[]){d0, d1, d2});
}

ttm_tensor ttm_tensor_at4(const ttm_tensor *base, int64_t start, int64_t d0, int64_t d1, int64_t d2,
                          int64_t d3)
{
    return ttm_tensor_view(base, start, base->dtype, 4, (int64_t[]){d0, d1, d2, d3});
}

/* Whether `dim` is a dimension of a strided tensor. */
static int has_dim(const ttm_tensor *tensor, int32_t dim)
{
    return ttm_tensor_present(tensor) && tensor->layout == TTM_LAYOUT_STRIDED && dim >= 0 &&
           dim < tensor->rank;
}

ttm_tensor ttm_tensor_slice(const ttm_tensor *tensor, int32_t dim, int64_t start, int64_t count)
{
    if (!has_dim(tensor, dim) || start < 0 || count < 0 || count > tensor->shape[dim] ||
        start > tensor->shape[dim] - count) {
        return absent;
    }
    ttm_tensor slice = *tensor;
    slice.shape[dim] = count;
    if (count > 0) {
        slice.offset += (size_t)(start * tensor->stride[dim]) * ttm_dtype_bytes(tensor->dtype);
    }
    return slice;
}

ttm_tensor ttm_tensor_transpose(const ttm_tensor *tensor, int32_t a, int32_t b)
{
    if (!has_dim(tensor, a) || !has_dim(tensor, b)) {
        return absent;
    }
    ttm_tensor view = *tensor;
    view.shape[a] = tensor->shape[b];
    view.stride[a] = tensor->stride[b];
    view.shape[b] = tensor->shape[a];
    view.stride[b] = tensor->stride[a];
    return view;
}

ttm_tensor ttm_tensor_reshape(const ttm_tensor *tensor, int32_t rank, const int64_t *shape)
{
    ttm_tensor view = ttm_tensor_view(tensor, 0, tensor->dtype, rank, shape);
    return ttm_tensor_count(&view) == ttm_tensor_count(tensor) ? view : absent;
}

/* Makes room for one more dimension at `dim`. */
static void insert_dim(ttm_tensor *tensor, int32_t dim)
{
    for (int32_t later = tensor->rank; later > dim; later--) {
        tensor->shape[later] = tensor->shape[later - 1];
        tensor->stride[later] = tensor->stride[later - 1];
    }
    tensor->rank++;
}

ttm_tensor ttm_tensor_split(const ttm_tensor *tensor, int32_t dim, int64_t outer, int64_t inner)
{
    int64_t product = 0;
    if (!has_dim(tensor, dim) || tensor->rank == TTM_MAX_RANK || outer < 0 || inner < 0 ||
        __builtin_mul_overflow(outer, inner, &product) || product != tensor->shape[dim]) {
        return absent;
    }
    ttm_tensor view = *tensor;
    insert_dim(&view, dim);
    view.shape[dim] = outer;
    view.shape[dim + 1] = inner;
    return __builtin_mul_overflow(tensor->stride[dim], inner, &view.stride[dim]) ? absent : view;
}

ttm_tensor ttm_tensor_broadcast(const ttm_tensor *tensor, int32_t dim, int64_t count)
{
    if (!ttm_tensor_present(tensor) || tensor->layout != TTM_LAYOUT_STRIDED ||
        tensor->rank == TTM_MAX_RANK || dim < 0 || dim > tensor->rank || count < 0) {
        return absent;
    }
    ttm_tensor view = *tensor;
    insert_dim(&view, dim);
    view.shape[dim] = count;
    view.stride[dim] = 0;
    int64_t elements = 0;
    return count_elements(&elements, &view) ? view : absent;
}

const char *ttm_tensor_print(char *text, size_t text_bytes, const ttm_tensor *tensor)
{
    if (text_bytes == 0) {
        return text;
    }
    if (!ttm_tensor_present(tensor)) {
        snprintf(text, text_bytes, "an absent tensor");
        return text;
    }
    size_t used = (size_t)snprintf(text, text_bytes, "%s [", ttm_dtype_name(tensor->dtype));
    for (int32_t dim = 0; dim < tensor->rank && dim < TTM_MAX_RANK && used < text_bytes; dim++) {
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%" PRId64, dim > 0 ? ", " : "",
                                 tensor->shape[dim]);
    }
    if (used < text_bytes) {
        snprintf(text + used, text_bytes - used, "]");
    }
    return text;
}
