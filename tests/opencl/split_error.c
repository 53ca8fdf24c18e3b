/* f32 products by six bf16 products on matrix units beside f32 multiply-adds in order and sums in
 * double: every error is at most twice the bound of an f32 product, K·u·Σ|ab|. Prints how large
 * both get.
 *
 *     split-error DEVICE */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ttm/compute.h>
#include <ttm/device.h>

enum { ROWS = 64, COLS = 64, MOST_DEPTH = 2048, KINDS = 4 };

static const char *const kinds[KINDS] = {"uniform", "positive", "wide", "cancelling"};

static float a[ROWS * MOST_DEPTH];
static float b[MOST_DEPTH * COLS];
static float out[ROWS * COLS];

static void check(ttm_status status)
{
    if (status != TTM_OK) {
        fprintf(stderr, "FAILED: %s\n", ttm_error_message());
        exit(1);
    }
}

static double uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int32_t)(state >> 32) / 2147483648.0;
}

static float draw(int kind)
{
    const double number = uniform();
    switch (kind) {
    case 1:
        return (float)fabs(number);
    case 2:
        return (float)ldexp(number, (int)(20.0 * uniform()));
    default:
        return (float)number;
    }
}

/* a [ROWS, depth], b [depth, COLS]. Where sums cancel, the second half of the depth is the first
 * with the other sign and a little more. */
static void fill(int kind, int depth)
{
    for (int i = 0; i < ROWS * depth; i++) {
        a[i] = draw(kind);
    }
    for (int i = 0; i < depth * COLS; i++) {
        b[i] = draw(kind);
    }
    for (int k = depth / 2; kind == 3 && k < depth / 2 * 2; k++) {
        for (int i = 0; i < ROWS; i++) {
            a[i * depth + k] = -a[i * depth + k - depth / 2];
        }
        for (int j = 0; j < COLS; j++) {
            b[k * COLS + j] = b[(k - depth / 2) * COLS + j] * (1.0F + 0x1p-12F);
        }
    }
}

static void multiply(ttm_device *device, ttm_stream *stream, int depth)
{
    const int64_t a_shape[] = {ROWS, depth};
    const int64_t b_shape[] = {depth, COLS};
    const int64_t out_shape[] = {ROWS, COLS};
    ttm_tensor a_there;
    ttm_tensor b_there;
    ttm_tensor out_there;
    check(ttm_tensor_alloc(&a_there, device, TTM_F32, 2, a_shape));
    check(ttm_tensor_alloc(&b_there, device, TTM_F32, 2, b_shape));
    check(ttm_tensor_alloc(&out_there, device, TTM_F32, 2, out_shape));
    check(ttm_tensor_write(stream, &a_there, a));
    check(ttm_tensor_write(stream, &b_there, b));
    check(ttm_matmul(stream, &out_there, &a_there, &b_there, NULL));
    check(ttm_tensor_read(stream, out, &out_there));
    ttm_tensor_free(&a_there, device);
    ttm_tensor_free(&b_there, device);
    ttm_tensor_free(&out_there, device);
}

/* Returns whether all errors are within twice the bound. */
static int compare(int kind, int depth)
{
    double split = 0.0;
    double plain = 0.0;
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double sum = 0.0;
            double size = 0.0;
            float single = 0.0F;
            for (int k = 0; k < depth; k++) {
                const double product = (double)a[i * depth + k] * (double)b[k * COLS + j];
                sum += product;
                size += fabs(product);
                single = fmaf(a[i * depth + k], b[k * COLS + j], single);
            }
            const double bound = depth * 0x1p-24 * size;
            split = fmax(split, fabs((double)out[i * COLS + j] - sum) / bound);
            plain = fmax(plain, fabs((double)single - sum) / bound);
        }
    }
    printf("%-10s depth %4d: split %.4f, f32 %.4f of an f32 product's bound\n", kinds[kind], depth,
           split, plain);
    return split <= 2.0;
}

int main(int argc, char **argv)
{
    static const int depths[] = {240, 251, 512, 1024, MOST_DEPTH};
    ttm_device *device = NULL;
    ttm_stream *stream = NULL;
    int failures = 0;
    check(ttm_device_open(&device, "opencl", argc > 1 ? argv[1] : NULL));
    check(ttm_stream_create(&stream, device));
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
            fill(kind, depths[d]);
            multiply(device, stream, depths[d]);
            failures += !compare(kind, depths[d]);
        }
    }
    ttm_stream_destroy(stream);
    ttm_device_close(device);
    return failures > 0;
}
