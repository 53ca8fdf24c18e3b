/* Which attention has few queries, how its keys are split, and the launches. */
#include "opencl/attention_few.h"

#include "opencl/attention_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_QUERIES = 8, MOST_CHUNK_KEYS = 256, MOST_SCORES = 1024, OPTIONS_BYTES = 160 };

/* A device is full with so many groups a compute unit. */
#define GROUPS_PER_UNIT 4

/* A split of fewer keys costs more to add up than it brings. Adding up is a launch of its own, some
 * 6 us of a GPU's host: as long as one group takes for so many keys that aren't worth a cut. */
#define LEAST_SPLIT_KEYS 64
#define MOST_UNCUT_KEYS  512

/* Rows that begin at multiples of so many bytes are read in pieces of so many. */
#define WIDE_BYTES 16

/* An item has WIDTH sums of each query in registers; with more than these Intel's compiler spills.
 */
#define MOST_SUMS 32

/* How the kernel is built and its keys are split. */
typedef struct few_shape {
    int queries; /* A power of two. */
    int chunk;
    int width;
    int lanes;
    int64_t splits;
    int64_t split_keys;
} few_shape;

ttm_status opencl_attention_few_open(opencl_tuning *tuning)
{
    const char *wish = getenv("TTM_OPENCL_ATTENTION_FEW");
    char rest = '\0';
    tuning->few_splits = OPENCL_FEW_BY_RULE;
    if (wish == NULL || strcmp(wish, "auto") == 0) {
        return TTM_OK;
    }
    if (strcmp(wish, "off") == 0) {
        tuning->few_splits = OPENCL_FEW_OFF;
        return TTM_OK;
    }
    if (sscanf(wish, "%d%c", &tuning->few_splits, &rest) != 1 || tuning->few_splits < 1) {
        return opencl_fail(
            TTM_ERROR_ARGUMENT,
            "TTM_OPENCL_ATTENTION_FEW is '%s'; use auto, off or the number of groups "
            "that the keys of a head are split over",
            wish);
    }
    return TTM_OK;
}

static int wide_elements(ttm_dtype dtype)
{
    return dtype == TTM_F32 ? WIDE_BYTES / 4 : WIDE_BYTES / 2;
}

/* Whether every row of the tensor begins at a multiple of WIDE_BYTES. */
static int is_wide(const ttm_tensor *tensor)
{
    const int64_t elements = wide_elements(tensor->dtype);
    return tensor->offset % WIDE_BYTES == 0 && tensor->stride[0] % elements == 0 &&
           tensor->stride[1] % elements == 0 && tensor->stride[2] % elements == 0 &&
           tensor->shape[3] % elements == 0;
}

/* An upper bound of the kernel's local memory, however its rows are read. */
static uint64_t local_bytes(const few_shape *shape, int64_t head_size, const opencl_tuning *tuning)
{
    const int64_t widest = tuning->vector > 8 ? tuning->vector : 8;
    const int64_t padded = 2 * opencl_parts(head_size, widest) * widest;
    const int64_t scores = (int64_t)shape->queries * shape->chunk * shape->lanes;
    const int64_t slots = padded > tuning->group * widest ? padded : tuning->group * widest;
    const int64_t floats = shape->queries * (padded + shape->chunk + 3) +
                           (scores > slots ? scores : slots) + tuning->group;
    return (uint64_t)floats * sizeof(float);
}

/* As many groups as fill the device, but splits of LEAST_SPLIT_KEYS at least. */
static void split_keys(few_shape *shape, const ttm_backend_device *device, int64_t heads,
                       int64_t keys)
{
    const int64_t wanted =
        opencl_parts(GROUPS_PER_UNIT * (int64_t)device->description->limits.compute_units, heads);
    const int64_t most = keys <= MOST_UNCUT_KEYS ? 1 : keys / LEAST_SPLIT_KEYS;
    const int64_t forced = device->tuning.few_splits;
    const int64_t splits = forced > 0 ? forced : opencl_least(wanted, most);
    shape->split_keys = opencl_parts(keys, splits);
    shape->splits = opencl_parts(keys, shape->split_keys);
}

/* Returns whether the kernel takes the op, and how. */
static int choose_shape(few_shape *shape, const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_attention_params *params = op->params;
    const opencl_tuning *tuning = &device->tuning;
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    const ttm_tensor *k = &op->tensors[TTM_ATTENTION_K];
    const ttm_tensor *v = &op->tensors[TTM_ATTENTION_V];
    const int64_t heads = q->shape[0] * q->shape[1];
    if (tuning->few_splits == OPENCL_FEW_OFF || opencl_count(q) == 0 || k->shape[2] == 0 ||
        q->shape[2] > MOST_QUERIES || !opencl_keeps_all(params->dropout)) {
        return 0;
    }
    *shape = (few_shape){.queries = 1,
                         .chunk = MOST_CHUNK_KEYS,
                         .width = (int)tuning->vector,
                         .lanes = tuning->group == 1 ? 1 : 4};
    while (shape->queries < q->shape[2]) {
        shape->queries *= 2;
    }
    if (tuning->group > 1 && is_wide(k) && is_wide(v)) {
        shape->width = wide_elements(k->dtype);
        while (shape->width * shape->queries > MOST_SUMS) {
            shape->width /= 2;
        }
    }
    while (shape->chunk * shape->queries > MOST_SCORES ||
           local_bytes(shape, q->shape[3], tuning) > tuning->local_bytes) {
        shape->chunk /= 2;
        if (shape->chunk * shape->queries < (int)(tuning->group * tuning->vector)) {
            return 0;
        }
    }
    split_keys(shape, device, heads, k->shape[2]);
    return 1;
}

size_t opencl_attention_few_workspace(const ttm_backend_device *device, const ttm_op *op)
{
    few_shape shape;
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    if (!choose_shape(&shape, device, op) || shape.splits == 1) {
        return 0;
    }
    return (size_t)(q->shape[0] * q->shape[1] * q->shape[2] * shape.splits * (q->shape[3] + 2)) *
           sizeof(float);
}

static ttm_status run_parts(ttm_backend_stream *stream, const ttm_op *op, const few_shape *shape,
                            const char *options)
{
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    opencl_call call =
        opencl_call_start(stream, OPENCL_ATTENTION_FEW, "attention_few", "%s", options);
    opencl_attention_arguments(&call, op);
    opencl_call_tensor(&call, &op->workspace, &op->tensors[TTM_ATTENTION_OUT]);
    opencl_call_long(&call, shape->splits);
    opencl_call_long(&call, shape->split_keys);
    const size_t group = stream->device->tuning.group;
    const size_t local[2] = {group, 1};
    const size_t global[2] = {(size_t)shape->splits * group, (size_t)(q->shape[0] * q->shape[1])};
    return opencl_call_run(&call, 2, global, local);
}

static ttm_status combine(ttm_backend_stream *stream, const ttm_op *op, const few_shape *shape,
                          const char *options)
{
    const ttm_tensor *out = &op->tensors[TTM_ATTENTION_OUT];
    const ttm_tensor *lse = &op->tensors[TTM_ATTENTION_LSE];
    const int64_t strides[8] = {out->stride[0], out->stride[1], out->stride[2],
                                lse->stride[0], lse->stride[1], lse->stride[2]};
    opencl_call call =
        opencl_call_start(stream, OPENCL_ATTENTION_FEW, "attention_few_combine", "%s", options);
    opencl_call_tensor(&call, out, out);
    opencl_call_tensor(&call, lse, out);
    opencl_call_tensor(&call, &op->workspace, out);
    opencl_call_long(&call, out->shape[1]);
    opencl_call_long(&call, out->shape[2]);
    opencl_call_long(&call, shape->splits);
    opencl_call_longs8(&call, strides);
    opencl_call_int(&call, ttm_tensor_present(lse));
    const size_t items = (size_t)opencl_parts(out->shape[3], stream->device->tuning.vector);
    const size_t most = opencl_free_group(stream->device);
    const size_t local[2] = {items < most ? items : most, 1};
    const size_t global[2] = {items, (size_t)(out->shape[0] * out->shape[1] * out->shape[2])};
    return opencl_call_run(&call, 2, global, local);
}

ttm_status opencl_attention_of_few(int *done, ttm_backend_stream *stream, const ttm_op *op)
{
    char options[OPTIONS_BYTES];
    few_shape shape;
    const ttm_tensor *q = &op->tensors[TTM_ATTENTION_Q];
    *done = choose_shape(&shape, stream->device, op);
    if (!*done) {
        return TTM_OK;
    }
    snprintf(options, sizeof options,
             "-DDATA=%d -DHEAD_SIZE=%d -DQUERIES=%d -DCHUNK=%d -DWIDTH=%d -DLANES=%d",
             (int)q->dtype, (int)q->shape[3], shape.queries, shape.chunk, shape.width, shape.lanes);
    const ttm_status status = run_parts(stream, op, &shape, options);
    return status == TTM_OK && shape.splits > 1 ? combine(stream, op, &shape, options) : status;
}
