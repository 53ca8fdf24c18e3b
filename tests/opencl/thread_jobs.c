/* The jobs. Inputs follow from their places alone, so that a job always has the same. */
#include "thread_jobs.h"

#include <stdlib.h>
#include <string.h>
#include <ttm/compute.h>

enum { MOST_TENSORS = 24 };

/* A job under way. On a planning stream tensors have no memory, and no result is kept. */
typedef struct run {
    ttm_stream *stream;
    ttm_device *device;
    job_result *result;
    ttm_status status; /* the first failure: what follows is left out */
    ttm_tensor tensors[MOST_TENSORS];
    int tensor_count;
} run;

#define DO(job, call)                  \
    do {                               \
        if ((job)->status == TTM_OK) { \
            (job)->status = (call);    \
        }                              \
    } while (0)

/* ---- Tensors ---- */

/* Without content. */
static ttm_tensor *make(run *job, ttm_dtype dtype, int32_t rank, const int64_t *shape)
{
    ttm_tensor *made = &job->tensors[job->tensor_count++];
    if (ttm_stream_is_planning(job->stream)) {
        *made = ttm_tensor_describe(dtype, rank, shape);
    } else {
        DO(job, ttm_tensor_alloc(made, job->device, dtype, rank, shape));
    }
    return made;
}

/* Multiples of 1/8 between -1 and 1, which every type has. */
static float value_of(size_t place, uint32_t seed)
{
    const uint32_t mixed = ((uint32_t)place + 977u * seed) * 2654435761u;
    return (float)((int)(mixed >> 16) % 17 - 8) / 8.0F;
}

static ttm_tensor *make_f32(run *job, int32_t rank, const int64_t *shape)
{
    ttm_tensor *made = make(job, TTM_F32, rank, shape);
    if (job->status != TTM_OK || ttm_stream_is_planning(job->stream)) {
        return made;
    }
    const size_t count = (size_t)ttm_tensor_count(made);
    float *values = malloc(count * sizeof *values);
    if (values == NULL) {
        job->status = TTM_ERROR_OUT_OF_MEMORY;
        return made;
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = value_of(i, (uint32_t)job->tensor_count);
    }
    DO(job, ttm_tensor_write(job->stream, made, values));
    free(values);
    return made;
}

/* Other types are converted on the device. */
static ttm_tensor *make_input(run *job, ttm_dtype dtype, int32_t rank, const int64_t *shape)
{
    ttm_tensor *written = make_f32(job, rank, shape);
    if (dtype == TTM_F32) {
        return written;
    }
    if (dtype == TTM_TF32) {
        written->dtype = TTM_TF32; /* in memory an f32 */
        return written;
    }
    ttm_tensor *made = make(job, dtype, rank, shape);
    DO(job, ttm_copy(job->stream, made, written));
    return made;
}

/* Appends what the tensor holds to the result. */
static void keep(run *job, const ttm_tensor *tensor)
{
    if (job->status != TTM_OK || ttm_stream_is_planning(job->stream)) {
        return;
    }
    job_result *result = job->result;
    const size_t more = (size_t)ttm_tensor_count(tensor) * ttm_dtype_bytes(tensor->dtype);
    unsigned char *bytes = realloc(result->bytes, result->count + more);
    if (bytes == NULL) {
        job->status = TTM_ERROR_OUT_OF_MEMORY;
        return;
    }
    result->bytes = bytes;
    DO(job, ttm_tensor_read(job->stream, bytes + result->count, tensor));
    result->count += more;
}

/* ---- Jobs ---- */

static void multiply(run *job, ttm_dtype dtype, int64_t rows, int64_t cols, int64_t depth)
{
    const ttm_dtype result = dtype == TTM_TF32 ? TTM_F32 : dtype;
    const ttm_tensor *a = make_input(job, dtype, 2, (const int64_t[]){rows, depth});
    const ttm_tensor *b = make_input(job, dtype, 2, (const int64_t[]){depth, cols});
    const ttm_tensor *out = make(job, result, 2, (const int64_t[]){rows, cols});
    DO(job, ttm_matmul(job->stream, out, a, b, NULL));
    keep(job, out);
}

/* Of f32, which CLBlast does. */
static void multiply_f32(run *job)
{
    multiply(job, TTM_F32, 64, 64, 64);
}

/* By other kernels of CLBlast: one of its own for products that aren't whole tiles. */
static void multiply_f32_edges(run *job)
{
    multiply(job, TTM_F32, 72, 65, 67);
}

static void multiply_bf16(run *job)
{
    multiply(job, TTM_BF16, 64, 64, 64);
}

/* With TTM_OPENCL_PIECES=3 by pieces of the depth, which are added up from the scratch. */
static void multiply_bf16_deep(run *job)
{
    multiply(job, TTM_BF16, 32, 32, 256);
}

static void multiply_tf32(run *job)
{
    multiply(job, TTM_TF32, 64, 64, 64);
}

static void multiply_f16(run *job)
{
    multiply(job, TTM_F16, 24, 40, 32);
}

static void multiply_few_rows(run *job)
{
    multiply(job, TTM_F32, 2, 64, 64);
}

static void attend(run *job, ttm_dtype dtype, double dropout, int goes_back)
{
    /* Scratch is counted in pages: what few heads want wouldn't show. */
    const int64_t heads = ttm_stream_is_planning(job->stream) ? 64 : 2;
    const int64_t shape[] = {1, heads, 16, 64};
    const ttm_attention_params params = {
        .scale = 0.125, .dropout = dropout, .seed = 3, .causal = 1};
    const ttm_dtype result = dtype == TTM_TF32 ? TTM_F32 : dtype;
    const ttm_tensor *q = make_input(job, dtype, 4, shape);
    const ttm_tensor *k = make_input(job, dtype, 4, shape);
    const ttm_tensor *v = make_input(job, dtype, 4, shape);
    const ttm_tensor *out = make(job, result, 4, shape);
    const ttm_tensor *lse = make(job, TTM_F32, 3, shape);
    DO(job, ttm_attention(job->stream, out, lse, q, k, v, &params));
    keep(job, out);
    keep(job, lse);
    if (goes_back) {
        const ttm_tensor *dout = make_input(job, dtype, 4, shape);
        const ttm_tensor *dq = make(job, result, 4, shape);
        const ttm_tensor *dk = make(job, result, 4, shape);
        const ttm_tensor *dv = make(job, result, 4, shape);
        DO(job, ttm_attention_backward(job->stream, dq, dk, dv, dout, q, k, v, out, lse, &params));
        keep(job, dq);
        keep(job, dk);
        keep(job, dv);
    }
}

static void attend_bf16(run *job)
{
    attend(job, TTM_BF16, 0.0, 0);
}

static void attend_bf16_and_back(run *job)
{
    attend(job, TTM_BF16, 0.0, 1);
}

static void attend_tf32(run *job)
{
    attend(job, TTM_TF32, 0.0, 0);
}

static void elementwise(run *job)
{
    const int64_t shape[] = {9, 33};
    const ttm_dropout_params params = {.probability = 0.25, .seed = 11, .start = 5};
    const ttm_tensor *x = make_input(job, TTM_BF16, 2, shape);
    const ttm_tensor *y = make_input(job, TTM_BF16, 2, shape);
    const ttm_tensor *sum = make(job, TTM_BF16, 2, shape);
    const ttm_tensor *gelu = make(job, TTM_BF16, 2, shape);
    const ttm_tensor *dropped = make(job, TTM_BF16, 2, shape);
    DO(job, ttm_add(job->stream, sum, 0.5, x, 2.0, y));
    DO(job, ttm_gelu(job->stream, gelu, sum));
    DO(job, ttm_dropout(job->stream, dropped, gelu, x, &params));
    keep(job, sum);
    keep(job, gelu);
    keep(job, dropped);
}

static void permute(run *job)
{
    const ttm_tensor *x = make_input(job, TTM_F32, 2, (const int64_t[]){19, 31});
    const ttm_tensor *out = make(job, TTM_F16, 2, (const int64_t[]){31, 19});
    const ttm_tensor turned = ttm_tensor_transpose(x, 0, 1);
    DO(job, ttm_copy(job->stream, out, &turned));
    keep(job, out);
}

/* Both take scratch, or go through what rows share. */
static void reduce(run *job)
{
    const ttm_tensor *x = make_input(job, TTM_F32, 2, (const int64_t[]){300, 40});
    const ttm_tensor *rows = make(job, TTM_F32, 1, (const int64_t[]){40});
    const ttm_tensor *squares = make(job, TTM_F32, 1, (const int64_t[]){1});
    const ttm_tensor *soft = make(job, TTM_F32, 2, (const int64_t[]){300, 40});
    const ttm_tensor all = ttm_tensor_reshape(x, 1, (const int64_t[]){300 * 40});
    DO(job, ttm_reduce_rows(job->stream, rows, 0.0, 1.0, x));
    DO(job, ttm_sum_of_squares(job->stream, squares, 0.0, &all));
    DO(job, ttm_softmax(job->stream, soft, x, 0.5, 0));
    keep(job, rows);
    keep(job, squares);
    keep(job, soft);
}

/* Up and down again, by several of a stream's pinned slots and by none. */
static void transfer(run *job)
{
    const ttm_tensor *large = make_input(job, TTM_F32, 1, (const int64_t[]){300000});
    const ttm_tensor *small = make_input(job, TTM_F32, 1, (const int64_t[]){7});
    const ttm_tensor *zeros = make_input(job, TTM_F32, 1, (const int64_t[]){1001});
    if (!ttm_stream_is_planning(job->stream)) {
        DO(job, ttm_tensor_zero(job->stream, zeros));
    }
    keep(job, large);
    keep(job, small);
    keep(job, zeros);
}

/* Memory that is taken and given back at once, in sizes that change. */
static void allocate(run *job)
{
    for (int64_t i = 0; i < 40 && !ttm_stream_is_planning(job->stream); i++) {
        const int64_t count = 1 + 977 * i;
        ttm_tensor made = {0};
        DO(job, ttm_tensor_alloc(&made, job->device, TTM_I32, 1, &count));
        DO(job, ttm_fill(job->stream, &made, (double)i));
        keep(job, &made);
        ttm_stream_drain(job->stream);
        ttm_tensor_free(&made, job->device);
    }
}

static const struct {
    const char *name;
    void (*run)(run *job);
} jobs[THREAD_JOBS] = {{"elementwise", elementwise},
                       {"a product of bf16", multiply_bf16},
                       {"attention of bf16", attend_bf16},
                       {"a product of f32", multiply_f32},
                       {"a product of tf32", multiply_tf32},
                       {"attention of bf16, and its gradients", attend_bf16_and_back},
                       {"copies to and from the host", transfer},
                       {"a product of f32 with edges", multiply_f32_edges},
                       {"a deep product of bf16", multiply_bf16_deep},
                       {"sums", reduce},
                       {"attention of tf32", attend_tf32},
                       {"a product of f16", multiply_f16},
                       {"a product of few rows", multiply_few_rows},
                       {"memory", allocate},
                       {"a transposed copy", permute},
                       {"elementwise, again", elementwise}};

const char *job_name(int job)
{
    return jobs[job].name;
}

/* What was made goes back when nothing uses it any more. */
static void end(run *job)
{
    if (!ttm_stream_is_planning(job->stream)) {
        DO(job, ttm_stream_synchronize(job->stream));
        ttm_stream_drain(job->stream);
        for (int i = 0; i < job->tensor_count; i++) {
            ttm_tensor_free(&job->tensors[i], job->device);
        }
    }
}

ttm_status job_run(job_result *result, ttm_stream *stream, int job)
{
    run made = {.stream = stream, .device = ttm_stream_device(stream), .result = result};
    *result = (job_result){0};
    jobs[job].run(&made);
    end(&made);
    return made.status;
}

ttm_status job_plan(size_t *workspace_bytes, ttm_device *device, int job)
{
    run made = {.device = device, .status = ttm_stream_create_planning(&made.stream, device)};
    if (made.status == TTM_OK) {
        jobs[job].run(&made);
        *workspace_bytes = ttm_stream_workspace_bytes(made.stream);
        ttm_stream_destroy(made.stream);
    }
    return made.status;
}

int job_same(const job_result *one, const job_result *other)
{
    return one->count == other->count &&
           (one->count == 0 || memcmp(one->bytes, other->bytes, one->count) == 0);
}

void job_forget(job_result *result)
{
    free(result->bytes);
    *result = (job_result){0};
}
