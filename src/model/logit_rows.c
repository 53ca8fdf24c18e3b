#include "model/logit_rows.h"

#include "core/device_memory.h"

#include <ttm/tensor.h>

/* Chunks have a multiple of so many rows: tiles of products divide it. */
#define ROW_UNIT 128

/* Logits that are many for speed take no more than this part of a device's memory. */
#define MEMORY_PART 32

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* How many rows keep a chunk's products large. Beside them, for each number of the embedding's
 * gradient, it moves 8 bytes, and its three products have 6 operations a row: where a device does
 * `intensity` operations in the time of a byte, moving takes 8·intensity / (6·rows) of the time of
 * the products. An intensity of some 7 (f32) and 15 (bf16) on processors, 30 and 200 on GPUs with
 * matrix units makes that 2 to 3 %. */
static int64_t rows_for_speed(const ttm_device *device, ttm_dtype dtype, bool training)
{
    const bool narrow = ttm_dtype_bytes(dtype) < sizeof(float);
    if (!training || ttm_device_get_info(device)->kind == TTM_DEVICE_CPU) {
        return narrow ? 1024 : 512;
    }
    return narrow ? 8192 : 2048;
}

int64_t ttm_logit_rows_choose(const ttm_device *device, const ttm_gpt2_config *config,
                              ttm_dtype dtype, bool training, int64_t rows)
{
    const uint64_t row_bytes =
        (uint64_t)config->vocab_size * ttm_dtype_bytes(dtype) + TTM_LOGIT_ROW_BYTES;
    const uint64_t memory = ttm_device_get_info(device)->memory_bytes;
    int64_t most = rows_for_speed(device, dtype, training);
    if (memory > 0) {
        most = smaller(most, larger((int64_t)(memory / MEMORY_PART / row_bytes), ROW_UNIT));
    }
    /* The buffers that the logits share memory with have room for so many in any case. */
    const double room = (double)rows * (double)config->inner_width / (double)config->vocab_size;
    most = larger(most, (int64_t)room);
    const uint64_t fit = ttm_device_allocation_limit(device) / row_bytes;
    most = fit < (uint64_t)most ? larger((int64_t)fit, 1) : most;
    if (most >= rows) {
        return rows;
    }
    /* As few chunks as that allows, all but the last of one size. */
    const int64_t chunks = (rows + most - 1) / most;
    const int64_t even = (rows + chunks - 1) / chunks;
    return smaller(most, (even + ROW_UNIT - 1) / ROW_UNIT * ROW_UNIT);
}
