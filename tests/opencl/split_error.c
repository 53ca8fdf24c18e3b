/* f32 products by bf16 or f16 products on matrix units beside f32 multiply-adds in order and sums
 * in double. By six of bf16 every error is at most twice the bound of an f32 product, K·u·Σ|ab|; by
 * three of f16 (halves) too, but where a line has numbers that are far apart, which may cost
 * K·2^-38 of the largest of a's row times the largest of b's column more; by three of bf16, which
 * is what operands of TF32 get, at most what the parts leave out, 3·2^-16·Σ|ab|, and that bound.
 * Prints how large errors get. Numbers that would round to infinity as bf16 are among them;
 * infinities and NaN stay what they are.
 *
 *     split-error DEVICE f32|halves|tf32 DEPTH… */
#include "split_error.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/device.h>

enum { ROWS = 64, COLS = 64, MOST_DEPTH = 2048 };

enum { UNIFORM, POSITIVE, WIDE, CANCELLING, LARGE, SMALL, FAR_APART, KINDS };
static const char *const kinds[KINDS] = {"uniform", "positive", "wide",     "cancelling",
                                         "large",   "small",    "far apart"};

/* What is multiplied, and what is asked of it. */
typedef struct way {
    ttm_dtype type;
    double rounding; /* of Σ|ab|, beside an f32 product's bound */
    double bounds;   /* so many of these */
    double range;    /* K times as much of the lines' largest numbers, where they are far apart */
} way;

static const way by_six = {TTM_F32, 0.0, 2.0, 0.0};
static const way by_halves = {TTM_F32, 0.0, 2.0, 0x1p-38};
static const way of_tf32 = {TTM_TF32, 3.0 * 0x1p-16 * (1.0 + 0x1p-7), 1.0, 0.0};

static float a[ROWS * MOST_DEPTH];
static float b[MOST_DEPTH * COLS];
static float out[ROWS * COLS];

static float draw(int kind)
{
    const double number = uniform();
    switch (kind) {
    case POSITIVE:
        return (float)fabs(number);
    case WIDE:
        return (float)ldexp(number, (int)(20.0 * uniform()));
    case SMALL:
        return (float)(0x1p-60 * number);
    case LARGE:
        return (float)copysign(FLT_MAX * (1.0 - 0x1p-8 * fabs(number)), number);
    default:
        return (float)number;
    }
}

/* a [ROWS, depth], b [depth, COLS]. Where sums cancel, the second half of the depth is the first
 * with the other sign and a little more; where numbers are far apart, the largest of a row is
 * multiplied by next to nothing. */
static void fill(int kind, int depth)
{
    for (int i = 0; i < ROWS * depth; i++) {
        a[i] = draw(kind);
    }
    for (int i = 0; i < depth * COLS; i++) {
        b[i] = kind == LARGE ? (float)(0x1p-64 * uniform()) : draw(kind);
    }
    for (int i = 0; kind == FAR_APART && i < ROWS; i++) {
        a[i * depth + 7] = 0x1p30F;
    }
    for (int j = 0; kind == FAR_APART && j < COLS; j++) {
        b[7 * COLS + j] *= 0x1p-60F;
    }
    for (int k = depth / 2; kind == CANCELLING && k < depth / 2 * 2; k++) {
        for (int i = 0; i < ROWS; i++) {
            a[i * depth + k] = -a[i * depth + k - depth / 2];
        }
        for (int j = 0; j < COLS; j++) {
            b[k * COLS + j] = b[(k - depth / 2) * COLS + j] * (1.0F + 0x1p-12F);
        }
    }
}

static void multiply(ttm_device *device, ttm_stream *stream, int depth, ttm_dtype type)
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
    a_there.dtype = type;
    b_there.dtype = type;
    check(ttm_matmul(stream, &out_there, &a_there, &b_there, NULL));
    check(ttm_tensor_read(stream, out, &out_there));
    ttm_tensor_free(&a_there, device);
    ttm_tensor_free(&b_there, device);
    ttm_tensor_free(&out_there, device);
}

/* Returns whether all errors are within the bound. */
static int compare(int kind, int depth, const way *asked)
{
    const double f32_bound = depth * 0x1p-24;
    const double most = asked->bounds * f32_bound + asked->rounding;
    const double range = kind == FAR_APART ? depth * asked->range : 0.0;
    double split = 0.0;
    double plain = 0.0;
    int within = 1;
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLS; j++) {
            double sum = 0.0;
            double size = 0.0;
            double largest_a = 0.0;
            double largest_b = 0.0;
            float single = 0.0F;
            for (int k = 0; k < depth; k++) {
                const double product = (double)a[i * depth + k] * (double)b[k * COLS + j];
                sum += product;
                size += fabs(product);
                largest_a = fmax(largest_a, fabs((double)a[i * depth + k]));
                largest_b = fmax(largest_b, fabs((double)b[k * COLS + j]));
                single = fmaf(a[i * depth + k], b[k * COLS + j], single);
            }
            const double error = fabs((double)out[i * COLS + j] - sum);
            within = within && error <= most * size + range * largest_a * largest_b;
            split = fmax(split, error / size);
            plain = fmax(plain, fabs((double)single - sum) / size);
        }
    }
    printf("%-10s depth %4d: split %.4f, f32 %.4f of an f32 product's bound; split 2^%.1f of the "
           "size\n",
           kinds[kind], depth, split / f32_bound, plain / f32_bound, log2(split));
    return within;
}

/* Returns whether a row of a with a NaN gives NaN, one with an infinity no finite number, and
 * others are as without these. */
static int compare_special(ttm_device *device, ttm_stream *stream, int depth, ttm_dtype type)
{
    static float before[ROWS * COLS];
    int wrong = 0;
    fill(0, depth);
    multiply(device, stream, depth, type);
    memcpy(before, out, sizeof before);
    a[0 * depth + 5] = NAN;
    a[1 * depth + 6] = INFINITY;
    multiply(device, stream, depth, type);
    for (int j = 0; j < COLS; j++) {
        wrong += !isnan(out[j]) || isfinite(out[COLS + j]);
    }
    return wrong == 0 && memcmp(before + 2 * COLS, out + 2 * COLS, (ROWS - 2) * COLS * 4) == 0;
}

int main(int argc, char **argv)
{
    ttm_device *device = NULL;
    ttm_stream *stream = NULL;
    const char *name = argc > 2 ? argv[2] : "f32";
    const way *asked = strcmp(name, "tf32") == 0     ? &of_tf32
                       : strcmp(name, "halves") == 0 ? &by_halves
                                                     : &by_six;
    int failures = 0;
    check(ttm_device_open(&device, "opencl", argc > 1 ? argv[1] : NULL));
    check(ttm_stream_create(&stream, device));
    for (int d = 3; d < argc; d++) {
        const int depth = atoi(argv[d]);
        for (int kind = 0; kind < KINDS && depth >= 16 && depth <= MOST_DEPTH; kind++) {
            fill(kind, depth);
            multiply(device, stream, depth, asked->type);
            failures += !compare(kind, depth, asked);
        }
    }
    if (!compare_special(device, stream, 240, asked->type)) {
        fprintf(stderr, "FAILED: NaN or an infinity didn't stay what it was, or where it was\n");
        failures++;
    }
    ttm_stream_destroy(stream);
    ttm_device_close(device);
    return failures > 0;
}
