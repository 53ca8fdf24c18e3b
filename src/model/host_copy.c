/* Conversion on the way to and from the device. */
#include "model/host_copy.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>

static ttm_status write_as_f64(ttm_stream *stream, const ttm_tensor *tensor, int64_t start,
                               const float *values, int64_t count)
{
    double *wide = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_array_new(&wide, (size_t)TTM_HOST_PIECE, sizeof *wide, "a copy of a parameter"));
    for (int64_t done = 0; done < count && status == TTM_OK; done += TTM_HOST_PIECE) {
        const int64_t left = count - done;
        const int64_t piece = left < TTM_HOST_PIECE ? left : TTM_HOST_PIECE;
        const ttm_tensor part = ttm_tensor_at1(tensor, start + done, piece);
        for (int64_t index = 0; index < piece; index++) {
            wide[index] = (double)values[done + index];
        }
        status = ttm_tensor_write(stream, &part, wide);
    }
    free(wide);
    return status;
}

ttm_status ttm_host_write_f32(ttm_stream *stream, const ttm_tensor *tensor, int64_t start,
                              const float *values, int64_t count)
{
    if (tensor->dtype == TTM_F64) {
        return write_as_f64(stream, tensor, start, values, count);
    }
    const ttm_tensor part = ttm_tensor_at1(tensor, start, count);
    return ttm_tensor_write(stream, &part, values);
}

ttm_status ttm_host_read(ttm_stream *stream, void *values, const ttm_tensor *tensor, int64_t start,
                         int64_t count)
{
    const ttm_tensor part = ttm_tensor_at1(tensor, start, count);
    return ttm_tensor_read(stream, values, &part);
}
