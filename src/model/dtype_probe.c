/* Which type a device multiplies faster in. Products take nine tenths of a step, so one product of
 * a GPT-2's shape, timed in both types, says enough. */
#include <ttm/model.h>

#include "core/error.h"
#include "core/host_clock.h"

#include <string.h>
#include <ttm/compute.h>

/* Rows of the first try, and of the largest. */
#define LEAST_ROWS 256
#define MOST_ROWS  8192
#define DEPTH      768
#define COLS       3072
/* A product that takes less than this says more of launching it than of computing it. */
#define LEAST_SECONDS 5e-3
/* bf16 has to win by this much: it costs accuracy. */
#define WORTHWHILE 1.2

enum { ROUNDS = 3 };

/* out = a·b in one type. */
typedef struct probe_product {
    ttm_tensor a;
    ttm_tensor b;
    ttm_tensor out;
} probe_product;

static void free_product(probe_product *product, ttm_device *device)
{
    ttm_tensor_free(&product->a, device);
    ttm_tensor_free(&product->b, device);
    ttm_tensor_free(&product->out, device);
}

static ttm_status new_product(probe_product *product, ttm_stream *stream, ttm_dtype dtype,
                              int64_t rows)
{
    ttm_device *device = ttm_stream_device(stream);
    const int64_t a[2] = {rows, DEPTH};
    const int64_t b[2] = {DEPTH, COLS};
    const int64_t out[2] = {rows, COLS};
    TTM_TRY(ttm_tensor_alloc(&product->a, device, dtype, 2, a));
    TTM_TRY(ttm_tensor_alloc(&product->b, device, dtype, 2, b));
    TTM_TRY(ttm_tensor_alloc(&product->out, device, dtype, 2, out));
    TTM_TRY(ttm_fill(stream, &product->a, 0.5));
    return ttm_fill(stream, &product->b, 0.25);
}

static ttm_status time_once(double *seconds, ttm_stream *stream, const probe_product *product)
{
    const uint64_t start = ttm_host_clock_ns();
    TTM_TRY(ttm_matmul(stream, &product->out, &product->a, &product->b, NULL));
    TTM_TRY(ttm_stream_synchronize(stream));
    *seconds = (double)(ttm_host_clock_ns() - start) * 1e-9;
    return TTM_OK;
}

/* seconds[0], seconds[1] = the least time of an f32 and a bf16 product of `rows` rows, taken in
 * turn. The first round isn't counted: it compiles kernels and wakes threads. */
static ttm_status time_both(double seconds[2], ttm_stream *stream, int64_t rows)
{
    static const ttm_dtype types[2] = {TTM_F32, TTM_BF16};
    probe_product products[2];
    ttm_status status = TTM_OK;
    memset(products, 0, sizeof products);
    for (int type = 0; type < 2; type++) {
        TTM_TRY_OUT(new_product(&products[type], stream, types[type], rows));
    }
    for (int round = 0; round <= ROUNDS; round++) {
        for (int type = 0; type < 2; type++) {
            double now = 0.0;
            TTM_TRY_OUT(time_once(&now, stream, &products[type]));
            seconds[type] = round <= 1 || now < seconds[type] ? now : seconds[type];
        }
    }
out:
    ttm_stream_drain(stream); /* after a failure something may be queued */
    for (int type = 0; type < 2; type++) {
        free_product(&products[type], ttm_stream_device(stream));
    }
    return status;
}

ttm_status ttm_model_choose_dtype(ttm_dtype *dtype, ttm_device *device)
{
    const ttm_device_info *info = ttm_device_get_info(device);
    ttm_stream *stream = NULL;
    double seconds[2] = {0.0, 0.0};
    int64_t rows = LEAST_ROWS;
    ttm_status status = TTM_OK;
    *dtype = TTM_F32;
    TTM_TRY(ttm_stream_create(&stream, device));
    TTM_TRY_OUT(time_both(seconds, stream, rows));
    while (seconds[0] < LEAST_SECONDS && rows < MOST_ROWS) {
        rows *= 2;
        TTM_TRY_OUT(time_both(seconds, stream, rows));
    }
    *dtype = seconds[0] > WORTHWHILE * seconds[1] ? TTM_BF16 : TTM_F32;
    const double operations = 2.0 * (double)rows * DEPTH * COLS;
    ttm_log(TTM_LOG_INFO,
            "dtype auto: %s, since %s multiplies at %.0f GFLOP/s in fp32 and %.0f in bf16",
            *dtype == TTM_BF16 ? "bf16" : "fp32", info->name, operations / seconds[0] * 1e-9,
            operations / seconds[1] * 1e-9);
out:
    ttm_stream_destroy(stream);
    return status;
}
