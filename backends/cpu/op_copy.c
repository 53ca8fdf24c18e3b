/* COPY: any permutation and cast. Runs of neighbours are copied or cast as they lie; where x's
 * neighbours are elsewhere in out, square tiles keep both sides' cache lines in use; everything
 * else goes element by element. */
#include "common/float_formats.h"
#include "cpu/op.h"
#include "cpu/strided.h"

#include <string.h>

/** Side of a transposition's tile. */
#define TILE 64
/** Elements that a cast between odd strides buffers. */
#define BUFFER 256

typedef struct copy_job {
    const ttm_backend_device *device;
    ttm_cpu_loops loops;
    unsigned char *out;
    const unsigned char *x;
    ttm_dtype out_dtype;
    ttm_dtype x_dtype;
    size_t out_bytes;
    size_t x_bytes;
    int across; /**< The dimension along which x is contiguous, in a transposition. */
} copy_job;

/* ---- Strided runs ---- */

static void copy_strided_2(uint16_t *out, int64_t out_step, const uint16_t *x, int64_t x_step,
                           int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i * out_step] = x[i * x_step];
    }
}

static void copy_strided_4(uint32_t *out, int64_t out_step, const uint32_t *x, int64_t x_step,
                           int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i * out_step] = x[i * x_step];
    }
}

static void copy_strided_8(uint64_t *out, int64_t out_step, const uint64_t *x, int64_t x_step,
                           int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i * out_step] = x[i * x_step];
    }
}

static void copy_strided(void *out, int64_t out_step, const void *x, int64_t x_step, int64_t count,
                         size_t bytes)
{
    if (out_step == 1 && x_step == 1) {
        memcpy(out, x, (size_t)count * bytes);
    } else if (bytes == 2) {
        copy_strided_2(out, out_step, x, x_step, count);
    } else if (bytes == 4) {
        copy_strided_4(out, out_step, x, x_step, count);
    } else {
        copy_strided_8(out, out_step, x, x_step, count);
    }
}

/* ---- Casts of contiguous runs ---- */

static void widen(float *out, const void *x, ttm_dtype dtype, const ttm_cpu_kernels *kernels,
                  int64_t count)
{
    if (dtype == TTM_BF16) {
        kernels->bf16_to_f32(out, x, (size_t)count);
    } else if (dtype == TTM_F16) {
        kernels->f16_to_f32(out, x, (size_t)count);
    } else {
        memcpy(out, x, (size_t)count * sizeof(float));
    }
}

static void narrow(void *out, const float *x, ttm_dtype dtype, const ttm_cpu_kernels *kernels,
                   int64_t count)
{
    if (dtype == TTM_BF16) {
        kernels->f32_to_bf16(out, x, (size_t)count);
    } else if (dtype == TTM_F16) {
        kernels->f32_to_f16(out, x, (size_t)count);
    } else {
        memcpy(out, x, (size_t)count * sizeof(float));
    }
}

static void cast_from_f64(void *out, const double *x, ttm_dtype dtype, int64_t count)
{
    uint16_t *halves = out;
    float *singles = out;
    for (int64_t i = 0; i < count; i++) {
        if (dtype == TTM_BF16) {
            halves[i] = bf16_from_double(x[i]);
        } else if (dtype == TTM_F16) {
            halves[i] = f16_from_double(x[i]);
        } else {
            singles[i] = (float)x[i];
        }
    }
}

/** Casts up to BUFFER neighbours. */
static void cast_buffer(const copy_job *job, void *out, const void *x, int64_t count)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    float wide[BUFFER];
    if (job->x_dtype == TTM_F64) {
        cast_from_f64(out, x, job->out_dtype, count);
    } else if (job->out_dtype == TTM_F64) {
        widen(wide, x, job->x_dtype, kernels, count);
        for (int64_t i = 0; i < count; i++) {
            ((double *)out)[i] = (double)wide[i];
        }
    } else if (job->x_dtype == TTM_F32) {
        narrow(out, x, job->out_dtype, kernels, count);
    } else if (job->out_dtype == TTM_F32) {
        widen(out, x, job->x_dtype, kernels, count);
    } else {
        widen(wide, x, job->x_dtype, kernels, count);
        narrow(out, wide, job->out_dtype, kernels, count);
    }
}

/** Copies or casts a run with any steps. */
static void copy_run(const copy_job *job, unsigned char *out, int64_t out_step,
                     const unsigned char *x, int64_t x_step, int64_t count)
{
    if (job->out_dtype == job->x_dtype) {
        copy_strided(out, out_step, x, x_step, count, job->out_bytes);
        return;
    }
    double from[BUFFER];
    double to[BUFFER];
    for (int64_t start = 0; start < count; start += BUFFER) {
        const int64_t now = count - start < BUFFER ? count - start : BUFFER;
        unsigned char *target = out + (size_t)(start * out_step) * job->out_bytes;
        const unsigned char *source = x + (size_t)(start * x_step) * job->x_bytes;
        if (x_step != 1) {
            copy_strided(from, 1, source, x_step, now, job->x_bytes);
            source = (const unsigned char *)from;
        }
        cast_buffer(job, out_step == 1 ? (void *)target : to, source, now);
        if (out_step != 1) {
            copy_strided(target, out_step, to, 1, now, job->out_bytes);
        }
    }
}

static void copy_loop_run(void *context, const ttm_cpu_run *run)
{
    const copy_job *job = context;
    const int inner = job->loops.rank - 1;
    copy_run(job, job->out + (size_t)run->offset[0] * job->out_bytes, job->loops.stride[0][inner],
             job->x + (size_t)run->offset[1] * job->x_bytes, job->loops.stride[1][inner],
             run->count);
}

/* ---- Transpositions ---- */

/** Copies one tile of `rows` (along `across`) × `cols` (along the innermost dimension). */
static void copy_tile(const copy_job *job, int64_t out_offset, int64_t x_offset, int64_t rows,
                      int64_t cols)
{
    const int inner = job->loops.rank - 1;
    const int64_t out_step = job->loops.stride[0][job->across];
    const int64_t x_step = job->loops.stride[1][inner];
    if (job->out_dtype == job->x_dtype && job->out_bytes == sizeof(float)) {
        job->device->kernels->transpose((float *)(void *)job->out + out_offset, out_step,
                                        (const float *)(const void *)job->x + x_offset, x_step,
                                        (size_t)cols, (size_t)rows);
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        copy_run(job, job->out + (size_t)(out_offset + i * out_step) * job->out_bytes, 1,
                 job->x + (size_t)(x_offset + i) * job->x_bytes, x_step, cols);
    }
}

static int64_t tiles_along(const copy_job *job, int dimension)
{
    return (job->loops.shape[dimension] + TILE - 1) / TILE;
}

static void copy_tiles(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    const copy_job *job = context;
    const ttm_cpu_loops *loops = &job->loops;
    const int inner = loops->rank - 1;
    for (int64_t item = first; item < last; item++) {
        int64_t rest = item;
        int64_t out_offset = 0;
        int64_t x_offset = 0;
        int64_t rows = 0;
        int64_t cols = 0;
        for (int i = inner; i >= 0; i--) {
            const int tiled = i == inner || i == job->across;
            const int64_t extents = tiled ? tiles_along(job, i) : loops->shape[i];
            const int64_t index = rest % extents * (tiled ? TILE : 1);
            const int64_t left = loops->shape[i] - index;
            rest /= extents;
            out_offset += index * loops->stride[0][i];
            x_offset += index * loops->stride[1][i];
            if (i == inner) {
                cols = left < TILE ? left : TILE;
            } else if (i == job->across) {
                rows = left < TILE ? left : TILE;
            }
        }
        copy_tile(job, out_offset, x_offset, rows, cols);
    }
}

/** Returns the dimension along which x is contiguous when out is so along another, else −1. */
static int find_across(const ttm_cpu_loops *loops)
{
    const int inner = loops->rank - 1;
    if (loops->stride[0][inner] != 1 || loops->stride[1][inner] == 1) {
        return -1;
    }
    for (int i = 0; i < inner; i++) {
        if (loops->stride[1][i] == 1 && loops->shape[i] > 1) {
            return i;
        }
    }
    return -1;
}

static int copy_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_dtype out = op->tensors[TTM_COPY_OUT].dtype;
    const ttm_dtype x = op->tensors[TTM_COPY_X].dtype;
    return out == x || (out != TTM_I32 && x != TTM_I32);
}

static void copy_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *tensors[] = {&op->tensors[TTM_COPY_OUT], &op->tensors[TTM_COPY_X]};
    copy_job job = {
        .device = device,
        .out = host_tensor_data(tensors[0]),
        .x = host_tensor_data(tensors[1]),
        .out_dtype = tensors[0]->dtype,
        .x_dtype = tensors[1]->dtype,
        .out_bytes = ttm_dtype_bytes(tensors[0]->dtype),
        .x_bytes = ttm_dtype_bytes(tensors[1]->dtype),
    };
    ttm_cpu_loops_plan(&job.loops, tensors, 2, 1);
    if (job.loops.count == 0) {
        return;
    }
    job.across = find_across(&job.loops);
    if (job.across < 0) {
        ttm_cpu_loops_run(device, &job.loops, copy_loop_run, &job);
        return;
    }
    int64_t items = 1;
    for (int i = 0; i < job.loops.rank; i++) {
        const int tiled = i == job.loops.rank - 1 || i == job.across;
        items *= tiled ? tiles_along(&job, i) : job.loops.shape[i];
    }
    ttm_cpu_parallel(device, items, ttm_cpu_piece(device, items, 8), copy_tiles, &job);
}

const ttm_cpu_op ttm_cpu_op_copy = {copy_supported, NULL, copy_op_run};
