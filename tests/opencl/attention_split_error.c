/* f32 attention by six bf16 products on matrix units beside the plain f32 kernels and sums in
 * double: of every result the largest error, in units of 2^-24 of the absolute values that it is a
 * sum of, is at most twice that of the plain kernels. Or TF32 attention by three, whose errors may
 * be larger than these by 2^-16: what two parts of each operand leave is 3·2^-16 of a product at
 * the most, and its signs are random. Prints both. Heads lie beside each other in rows, as a model
 * has them, and between rows are NaN, which no result may read.
 *
 *     attention-split-error DEVICE [tf32] */
#include "split_error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <ttm/compute.h>
#include <ttm/device.h>

enum { SIZE = 64, HEADS = 2, MOST_ROWS = 100, PITCH = HEADS * SIZE + 4, START = 4, KINDS = 3 };

/* In the order of ATTENTION_BACKWARD; all of them rows of PITCH, but for LSE [HEADS, rows]. */
enum { DQ, DK, DV, DOUT, Q, K, V, OUT, LSE, TENSORS };

typedef struct sizes {
    int queries;
    int keys;
    int causal;
} sizes;

static const char *const kinds[KINDS] = {"uniform", "positive", "wide"};
static const char *const names[TENSORS] = {
    [DQ] = "dq", [DK] = "dk", [DV] = "dv", [OUT] = "out", [LSE] = "lse", [DOUT] = "dout"};

static int is_tf32;
static float values[TENSORS][START + MOST_ROWS * PITCH];
static double exact[TENSORS][HEADS * MOST_ROWS * SIZE];
static double absolute[TENSORS][HEADS * MOST_ROWS * SIZE];

static float draw(int kind)
{
    const double number = uniform();
    switch (kind) {
    case 1:
        return (float)fabs(number);
    case 2:
        return (float)ldexp(number, (int)(2.0 * uniform()));
    default:
        return (float)(3.0 * number);
    }
}

static int rows_of(const sizes *size, int tensor)
{
    return tensor == K || tensor == V || tensor == DK || tensor == DV ? size->keys : size->queries;
}

static float *element(int tensor, const sizes *size, int head, int row, int d)
{
    return tensor == LSE ? &values[LSE][head * size->queries + row]
                         : &values[tensor][START + row * PITCH + head * SIZE + d];
}

static void fill(int kind, const sizes *size)
{
    for (int tensor = DOUT; tensor <= V; tensor++) {
        for (int i = 0; i < START + MOST_ROWS * PITCH; i++) {
            values[tensor][i] = NAN;
        }
        for (int i = 0; i < HEADS * rows_of(size, tensor) * SIZE; i++) {
            *element(tensor, size, i / SIZE % HEADS, i / SIZE / HEADS, i % SIZE) = draw(kind);
        }
    }
}

static void add(int tensor, const sizes *size, int head, int row, int d, double term, double most)
{
    const int place = (head * rows_of(size, tensor) + row) * (tensor == LSE ? 1 : SIZE) + d;
    exact[tensor][place] += term;
    absolute[tensor][place] += most;
}

/* What one query adds to all results; out and lse are taken as the forward pass has left them. */
static void add_query(const sizes *size, int head, int i, int backward)
{
    double scores[MOST_ROWS];
    double total = 0.0;
    double delta = 0.0;
    double delta_size = 0.0;
    const double scale = 0.125;
    const int visible = size->causal ? i + size->keys - size->queries + 1 : size->keys;
    double largest = 0.0;
    for (int j = 0; j < visible; j++) {
        double sum = 0.0;
        double sum_size = 0.0;
        for (int d = 0; d < SIZE; d++) {
            const double product =
                (double)*element(Q, size, head, i, d) * (double)*element(K, size, head, j, d);
            sum += product;
            sum_size += fabs(product);
        }
        scores[j] = scale * sum;
        largest = fmax(largest, scale * sum_size);
        total += exp(scores[j]);
    }
    /* An error of a score counts as one of a weight. */
    const double size_of_one = 1.0 + largest;
    if (!backward) {
        add(LSE, size, head, i, 0, log(total), size_of_one);
    }
    for (int d = 0; d < SIZE; d++) {
        const double product =
            (double)*element(DOUT, size, head, i, d) * (double)*element(OUT, size, head, i, d);
        delta += product;
        delta_size += fabs(product);
    }
    const double lse = backward ? (double)*element(LSE, size, head, i, 0) : log(total);
    for (int j = 0; j < visible; j++) {
        const double p = exp(scores[j] - lse);
        double dp = 0.0;
        double dp_size = 0.0;
        for (int d = 0; d < SIZE; d++) {
            const double dout = (double)*element(DOUT, size, head, i, d);
            const double v = (double)*element(V, size, head, j, d);
            dp += dout * v;
            dp_size += fabs(dout * v);
            if (!backward) {
                add(OUT, size, head, i, d, p * v, p * fabs(v) * size_of_one);
            }
        }
        for (int d = 0; backward && d < SIZE; d++) {
            const double ds = scale * p * (dp - delta);
            const double ds_size = scale * p * (dp_size + delta_size) * size_of_one;
            const double q = (double)*element(Q, size, head, i, d);
            const double k = (double)*element(K, size, head, j, d);
            const double dout = (double)*element(DOUT, size, head, i, d);
            add(DQ, size, head, i, d, ds * k, ds_size * fabs(k));
            add(DK, size, head, j, d, ds * q, ds_size * fabs(q));
            add(DV, size, head, j, d, p * dout, p * fabs(dout) * size_of_one);
        }
    }
}

static void compute(const sizes *size, int backward)
{
    for (int i = 0; i < HEADS * size->queries; i++) {
        add_query(size, i % HEADS, i / HEADS, backward);
    }
}

static void clear(void)
{
    for (int tensor = 0; tensor < TENSORS; tensor++) {
        for (int i = 0; i < HEADS * MOST_ROWS * SIZE; i++) {
            exact[tensor][i] = absolute[tensor][i] = 0.0;
        }
    }
}

/* Runs a pass on the device, on operands of TF32 or as f32; results are in `values` afterwards. */
static void attend(ttm_device *device, ttm_stream *stream, const sizes *size, int backward,
                   int rounds)
{
    ttm_tensor memory[TENSORS];
    ttm_tensor t[TENSORS];
    const ttm_attention_params params = {.scale = 0.125, .causal = size->causal};
    for (int tensor = 0; tensor < TENSORS; tensor++) {
        const int64_t all[] = {START + MOST_ROWS * PITCH};
        const int64_t shape[] = {1, HEADS, rows_of(size, tensor), SIZE};
        check(ttm_tensor_alloc(&memory[tensor], device, TTM_F32, 1, all));
        check(ttm_tensor_write(stream, &memory[tensor], values[tensor]));
        if (tensor == LSE) {
            t[LSE] = ttm_tensor_at3(&memory[LSE], 0, 1, HEADS, size->queries);
        } else {
            const ttm_dtype dtype = rounds && tensor >= DOUT && tensor <= V ? TTM_TF32 : TTM_F32;
            t[tensor] = ttm_tensor_view(&memory[tensor], START, dtype, 4, shape);
            t[tensor].stride[1] = SIZE;
            t[tensor].stride[2] = PITCH;
        }
    }
    if (backward) {
        check(ttm_attention_backward(stream, &t[DQ], &t[DK], &t[DV], &t[DOUT], &t[Q], &t[K], &t[V],
                                     &t[OUT], &t[LSE], &params));
    } else {
        check(ttm_attention(stream, &t[OUT], &t[LSE], &t[Q], &t[K], &t[V], &params));
    }
    for (int tensor = 0; tensor < TENSORS; tensor++) {
        check(ttm_tensor_read(stream, values[tensor], &memory[tensor]));
        ttm_tensor_free(&memory[tensor], device);
    }
}

static double largest_error(const sizes *size, int tensor)
{
    double largest = 0.0;
    const int width = tensor == LSE ? 1 : SIZE;
    for (int i = 0; i < HEADS * rows_of(size, tensor) * width; i++) {
        const int row = i / width % rows_of(size, tensor);
        const int head = i / width / rows_of(size, tensor);
        const double got = (double)*element(tensor, size, head, row, i % width);
        const double error = fabs(got - exact[tensor][i]) / (absolute[tensor][i] * 0x1p-24);
        largest = !(error <= largest) ? error : largest;
    }
    return largest;
}

/* Returns how many of the pass's results the units compute too badly. */
static int compare(ttm_device *const devices[2], ttm_stream *const streams[2], const char *kind,
                   const sizes *size, int backward)
{
    double errors[2][TENSORS];
    int failures = 0;
    const int first = backward ? DQ : OUT;
    const int last = backward ? DV : LSE;
    compute(size, backward);
    /* The plain kernels, the second, leave what the backward pass is given. */
    for (int i = 0; i < 2; i++) {
        attend(devices[i], streams[i], size, backward, is_tf32 && i == 0);
        for (int tensor = first; tensor <= last; tensor++) {
            errors[i][tensor] = largest_error(size, tensor);
        }
    }
    for (int tensor = first; tensor <= last; tensor++) {
        const double left_out = is_tf32 ? 0x1p8 : 0.0;
        const int good = errors[0][tensor] <= 2.0 * errors[1][tensor] + left_out;
        printf("%-8s %3d x %3d %s %-3s: split %.3f, plain %.3f units%s\n", kind, size->queries,
               size->keys, size->causal ? "causal" : "      ", names[tensor], errors[0][tensor],
               errors[1][tensor], good ? "" : "  FAILED");
        failures += !good;
    }
    return failures;
}

int main(int argc, char **argv)
{
    static const sizes tried[] = {{70, 70, 1}, {33, 99, 1}, {45, 67, 0}};
    ttm_device *devices[2] = {NULL, NULL};
    ttm_stream *streams[2] = {NULL, NULL};
    int failures = 0;
    is_tf32 = argc > 2 && strcmp(argv[2], "tf32") == 0;
    for (int i = 0; i < 2; i++) {
        check(ttm_device_open(&devices[i], "opencl", argc > 1 ? argv[1] : NULL));
        check(ttm_stream_create(&streams[i], devices[i]));
        setenv("TTM_OPENCL_ATTENTION", "off", 1);
        setenv("TTM_OPENCL_STYLE", "gpu", 1);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof tried / sizeof tried[0]; i++) {
            clear();
            fill(kind, &tried[i]);
            failures += compare(devices, streams, kinds[kind], &tried[i], 0);
            failures += compare(devices, streams, kinds[kind], &tried[i], 1);
        }
    }
    for (int i = 0; i < 2; i++) {
        ttm_stream_destroy(streams[i]);
        ttm_device_close(devices[i]);
    }
    return failures > 0;
}
