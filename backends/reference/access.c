/* Loading and storing rows of doubles: the only place that knows element types and strides. */
#include "reference/access.h"

#include "common/float_formats.h"
#include "common/host_plugin.h"

/* One loop a type, so that the type is looked at once a row and not once an element. */
static void load(double *target, const ttm_tensor *tensor, int64_t first, int64_t stride,
                 int64_t count)
{
    const void *data = host_tensor_data(tensor);
    switch (tensor->dtype) {
    case TTM_F64:
        for (int64_t i = 0; i < count; i++) {
            target[i] = ((const double *)data)[first + i * stride];
        }
        break;
    case TTM_F32:
        for (int64_t i = 0; i < count; i++) {
            target[i] = ((const float *)data)[first + i * stride];
        }
        break;
    case TTM_BF16:
        for (int64_t i = 0; i < count; i++) {
            target[i] = bf16_to_float(((const uint16_t *)data)[first + i * stride]);
        }
        break;
    case TTM_F16:
        for (int64_t i = 0; i < count; i++) {
            target[i] = f16_to_float(((const uint16_t *)data)[first + i * stride]);
        }
        break;
    case TTM_I32:
        for (int64_t i = 0; i < count; i++) {
            target[i] = ((const int32_t *)data)[first + i * stride];
        }
        break;
    case TTM_TF32:
    case TTM_DTYPE_NONE:
        break;
    }
}

static void store(const ttm_tensor *tensor, int64_t first, int64_t stride, int64_t count,
                  const double *source)
{
    void *data = host_tensor_data(tensor);
    switch (tensor->dtype) {
    case TTM_F64:
        for (int64_t i = 0; i < count; i++) {
            ((double *)data)[first + i * stride] = source[i];
        }
        break;
    case TTM_F32:
        for (int64_t i = 0; i < count; i++) {
            ((float *)data)[first + i * stride] = (float)source[i];
        }
        break;
    case TTM_BF16:
        for (int64_t i = 0; i < count; i++) {
            ((uint16_t *)data)[first + i * stride] = bf16_from_double(source[i]);
        }
        break;
    case TTM_F16:
        for (int64_t i = 0; i < count; i++) {
            ((uint16_t *)data)[first + i * stride] = f16_from_double(source[i]);
        }
        break;
    case TTM_I32:
        for (int64_t i = 0; i < count; i++) {
            ((int32_t *)data)[first + i * stride] = (int32_t)source[i];
        }
        break;
    case TTM_TF32:
    case TTM_DTYPE_NONE:
        break;
    }
}

int64_t row_length(const ttm_tensor *tensor)
{
    return tensor->rank == 0 ? 1 : tensor->shape[tensor->rank - 1];
}

int64_t row_count(const ttm_tensor *tensor)
{
    int64_t rows = 1;
    for (int32_t k = 0; k < tensor->rank - 1; k++) {
        rows *= tensor->shape[k];
    }
    return rows;
}

static int64_t row_stride(const ttm_tensor *tensor)
{
    return tensor->rank == 0 ? 0 : tensor->stride[tensor->rank - 1];
}

/* The element number, relative to the tensor's first, of the first element of a row. */
static int64_t row_start(const ttm_tensor *tensor, int64_t row)
{
    int64_t first = 0;
    for (int32_t k = tensor->rank - 2; k >= 0; k--) {
        first += row % tensor->shape[k] * tensor->stride[k];
        row /= tensor->shape[k];
    }
    return first;
}

void load_row(double *target, const ttm_tensor *tensor, int64_t row)
{
    load(target, tensor, row_start(tensor, row), row_stride(tensor), row_length(tensor));
}

void store_row(const ttm_tensor *tensor, int64_t row, const double *source)
{
    store(tensor, row_start(tensor, row), row_stride(tensor), row_length(tensor), source);
}

bool next_span(struct span *span, const ttm_tensor *shape)
{
    const int64_t length = row_length(shape);
    span->start += span->count;
    if (span->start == length && span->count > 0) {
        span->row++;
        span->start = 0;
    }
    const int64_t left = length - span->start;
    span->count = left < SPAN_LENGTH ? left : SPAN_LENGTH;
    return span->count > 0 && span->row < row_count(shape);
}

void load_span(double *target, const ttm_tensor *tensor, const struct span *span)
{
    const int64_t stride = row_stride(tensor);
    load(target, tensor, row_start(tensor, span->row) + span->start * stride, stride, span->count);
}

void store_span(const ttm_tensor *tensor, const struct span *span, const double *source)
{
    const int64_t stride = row_stride(tensor);
    store(tensor, row_start(tensor, span->row) + span->start * stride, stride, span->count, source);
}

void load_contiguous(double *target, const ttm_tensor *tensor, int64_t first, int64_t count)
{
    load(target, tensor, first, 1, count);
}

void store_contiguous(const ttm_tensor *tensor, int64_t first, int64_t count, const double *source)
{
    store(tensor, first, 1, count, source);
}

double load_scalar(const ttm_tensor *tensor)
{
    double value = 0.0;
    load(&value, tensor, 0, 0, 1);
    return value;
}

void store_scalar(const ttm_tensor *tensor, double value)
{
    store(tensor, 0, 0, 1, &value);
}
