/* Shortest times, and random numbers. */
#include "opencl/measure.h"

#include "opencl/clock.h"
#include "opencl/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_SECONDS 2e-3
#define SAMPLES        3
#define LONG_SECONDS   0.1

static ttm_status run(const opencl_measured *measured, int repeats, int *done)
{
    ttm_status status = TTM_OK;
    *done = 1;
    for (int k = 0; k < repeats && status == TTM_OK && *done; k++) {
        status = measured->run(done, measured->context);
    }
    return status == TTM_OK ? opencl_stream_synchronize(measured->stream) : status;
}

ttm_status opencl_measure(double *seconds, const opencl_measured *measured, double most)
{
    int done = 0;
    *seconds = INFINITY;
    ttm_status status = run(measured, 1, &done);
    double start = opencl_seconds();
    if (status == TTM_OK && done) {
        status = run(measured, 1, &done);
        *seconds = opencl_seconds() - start;
    }
    const int repeats = (int)fmin(fmax(ceil(SAMPLE_SECONDS / *seconds), 1.0), 64.0);
    const int samples = *seconds > LONG_SECONDS ? 1 : SAMPLES;
    for (int k = 0; k < samples && status == TTM_OK && done && *seconds < 2.0 * most; k++) {
        start = opencl_seconds();
        status = run(measured, repeats, &done);
        *seconds = fmin(*seconds, (opencl_seconds() - start) / repeats);
    }
    return status;
}

ttm_status opencl_fill_random(ttm_backend_stream *stream, ttm_memory *memory, ttm_dtype dtype,
                              size_t count)
{
    const size_t width = dtype == TTM_F32 ? 4 : 2;
    unsigned char *bytes = malloc(count * width);
    uint64_t random = 0x9e3779b97f4a7c15u ^ count;
    if (bytes == NULL) {
        return opencl_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %zu random numbers", count);
    }
    for (size_t k = 0; k < count; k++) {
        uint32_t bits;
        random = random * 6364136223846793005u + 1442695040888963407u;
        const float number = (float)(int32_t)(random >> 32) * 0x1p-31F;
        memcpy(&bits, &number, sizeof bits);
        bits = width == 2 ? bits >> 16 : bits;
        memcpy(bytes + k * width, &bits, width);
    }
    const ttm_status status = opencl_memory_write(stream, memory, 0, bytes, count * width);
    free(bytes);
    return status;
}
