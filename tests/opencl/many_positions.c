/* Gradients of more positions than a launch has groups: each position gets the sum of its rows,
 * also where drivers refuse 65536 groups (TTM_TEST_CL_GRID of failing_opencl.c).
 *
 *     many-positions DEVICE */
#include <stdio.h>
#include <stdlib.h>
#include <ttm/compute.h>
#include <ttm/device.h>

enum { POSITIONS = 70000, ROWS = POSITIONS + 5, COLS = 2, TOKENS = 3 };

static float gradients[ROWS * COLS];
static float sums[POSITIONS * COLS];
static int32_t numbers[ROWS];

static void check(ttm_status status)
{
    if (status != TTM_OK) {
        fprintf(stderr, "FAILED: %s\n", ttm_error_message());
        exit(1);
    }
}

static ttm_tensor matrix(ttm_stream *stream, int64_t rows)
{
    const int64_t shape[] = {rows, COLS};
    ttm_tensor made;
    check(ttm_tensor_alloc(&made, ttm_stream_device(stream), TTM_F32, 2, shape));
    check(ttm_tensor_zero(stream, &made));
    return made;
}

/* What a position gets: the gradient of its row, and of that of the second sequence where that has
 * one. */
static float wanted(int position, int col)
{
    const int second = position + POSITIONS;
    return gradients[position * COLS + col] + (second < ROWS ? gradients[second * COLS + col] : 0);
}

int main(int argc, char **argv)
{
    const int64_t rows = ROWS;
    ttm_device *device = NULL;
    ttm_stream *stream = NULL;
    ttm_tensor tokens;
    int wrong = 0;
    check(ttm_device_open(&device, argc > 1 ? argv[1] : NULL, NULL));
    check(ttm_stream_create(&stream, device));
    ttm_tensor dtable = matrix(stream, TOKENS);
    ttm_tensor dpositions = matrix(stream, POSITIONS);
    ttm_tensor dout = matrix(stream, ROWS);
    check(ttm_tensor_alloc(&tokens, device, TTM_I32, 1, &rows));
    for (int i = 0; i < ROWS * COLS; i++) {
        gradients[i] = (float)(i % 1000);
    }
    for (int i = 0; i < ROWS; i++) {
        numbers[i] = i % TOKENS;
    }
    check(ttm_tensor_write(stream, &dout, gradients));
    check(ttm_tensor_write(stream, &tokens, numbers));
    check(ttm_embedding_backward(stream, &dtable, &dpositions, &dout, &tokens, POSITIONS, 0));
    check(ttm_tensor_read(stream, sums, &dpositions));
    for (int i = 0; i < POSITIONS * COLS; i++) {
        wrong += sums[i] != wanted(i / COLS, i % COLS);
    }
    ttm_tensor_free(&dtable, device);
    ttm_tensor_free(&dpositions, device);
    ttm_tensor_free(&dout, device);
    ttm_tensor_free(&tokens, device);
    ttm_stream_destroy(stream);
    ttm_device_close(device);
    printf("%d of %d sums are wrong\n", wrong, POSITIONS * COLS);
    return wrong != 0;
}
