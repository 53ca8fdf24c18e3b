/* FILL, ADD, GELU, GELU_BACKWARD and DROPOUT. */
#include "common/float_formats.h"
#include "cpu/op.h"
#include "cpu/strided.h"

#include <math.h>
#include <string.h>

/* ---- FILL ---- */

typedef struct fill_job {
    unsigned char *out;
    int64_t step;
    size_t bytes;
    uint64_t pattern; /**< The value's bits, repeated to 8 bytes. */
} fill_job;

static void fill_run(void *context, const ttm_cpu_run *run)
{
    const fill_job *job = context;
    unsigned char *out = job->out + (size_t)run->offset[0] * job->bytes;
    for (int64_t i = 0; i < run->count; i++) {
        memcpy(out + (size_t)(i * job->step) * job->bytes, &job->pattern, job->bytes);
    }
}

static void fill_unit_run(void *context, const ttm_cpu_run *run)
{
    const fill_job *job = context;
    unsigned char *out = job->out + (size_t)run->offset[0] * job->bytes;
    const size_t bytes = (size_t)run->count * job->bytes;
    size_t at = 0;
    if (job->pattern == 0) {
        memset(out, 0, bytes);
        return;
    }
    for (; at + sizeof job->pattern <= bytes; at += sizeof job->pattern) {
        memcpy(out + at, &job->pattern, sizeof job->pattern);
    }
    memcpy(out + at, &job->pattern, bytes - at);
}

static uint64_t fill_pattern(ttm_dtype dtype, double value)
{
    uint64_t bits = 0;
    if (dtype == TTM_F64) {
        memcpy(&bits, &value, sizeof value);
    } else if (dtype == TTM_BF16 || dtype == TTM_F16) {
        bits = dtype == TTM_BF16 ? bf16_from_double(value) : f16_from_double(value);
        bits |= bits << 16;
        bits |= bits << 32;
    } else {
        bits = dtype == TTM_I32 ? (uint32_t)(int32_t)value : float_bits((float)value);
        bits |= bits << 32;
    }
    return bits;
}

static int fill_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return ttm_dtype_bytes(op->tensors[TTM_FILL_OUT].dtype) != 0;
}

static void fill_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_tensor *out = &op->tensors[TTM_FILL_OUT];
    const ttm_fill_params *params = op->params;
    ttm_cpu_loops loops;
    ttm_cpu_loops_plan(&loops, &out, 1, 1);
    fill_job job = {.out = host_tensor_data(out),
                    .step = loops.stride[0][loops.rank - 1],
                    .bytes = ttm_dtype_bytes(out->dtype),
                    .pattern = fill_pattern(out->dtype, params->value)};
    ttm_cpu_loops_run(device, &loops, ttm_cpu_loops_unit(&loops) ? fill_unit_run : fill_run, &job);
}

const ttm_cpu_op ttm_cpu_op_fill = {fill_supported, NULL, fill_op_run};

/* ---- Loops over f32 or bf16 tensors of one shape ---- */

typedef struct float_job {
    const ttm_cpu_kernels *kernels;
    size_t bytes; /**< Of an element. */
    void *out;
    const void *a;
    const void *b;
    int64_t step[TTM_CPU_LOOP_TENSORS]; /**< Innermost strides. */
    float alpha;
    float beta;
    ttm_cpu_dropout dropout;
} float_job;

static const ttm_tensor absent;

/** Plans the loops over out, a and (where present) b and fills the job's pointers. */
static void plan_floats(ttm_cpu_loops *loops, float_job *job, const ttm_backend_device *device,
                        const ttm_tensor *out, const ttm_tensor *a, const ttm_tensor *b,
                        int reorder)
{
    const ttm_tensor *tensors[] = {out, a, b};
    const int count = ttm_tensor_present(b) ? 3 : 2;
    ttm_cpu_loops_plan(loops, tensors, count, reorder);
    *job = (float_job){.kernels = kernels_for(device, out->dtype),
                       .bytes = ttm_dtype_bytes(out->dtype),
                       .out = host_tensor_data(out),
                       .a = host_tensor_data(a),
                       .b = count == 3 ? host_tensor_data(b) : NULL};
    for (int t = 0; t < count; t++) {
        job->step[t] = loops->stride[t][loops->rank - 1];
    }
}

/** Returns whether the innermost loop over the op's tensors first … last has unit steps. */
static int runs_are_units(const ttm_op *op, int first, int last, int reorder)
{
    const ttm_tensor *tensors[TTM_CPU_LOOP_TENSORS];
    ttm_cpu_loops loops;
    int count = 0;
    for (int i = first; i <= last; i++) {
        if (ttm_tensor_present(&op->tensors[i])) {
            tensors[count++] = &op->tensors[i];
        }
    }
    ttm_cpu_loops_plan(&loops, tensors, count, reorder);
    return ttm_cpu_loops_unit(&loops);
}

/** Returns where a run of tensor `number` begins. */
static void *place_of(const float_job *job, const void *data, const ttm_cpu_run *run, int number)
{
    return moved(data, run->offset[number], job->bytes);
}

static float load_one(const float_job *job, const void *data, int64_t at)
{
    return job->bytes == sizeof(float) ? ((const float *)data)[at]
                                       : bf16_to_float(((const uint16_t *)data)[at]);
}

static void store_one(const float_job *job, void *data, int64_t at, float value)
{
    if (job->bytes == sizeof(float)) {
        ((float *)data)[at] = value;
    } else {
        ((uint16_t *)data)[at] = bf16_from_float(value);
    }
}

/* ---- ADD ---- */

static void add_unit_run(void *context, const ttm_cpu_run *run)
{
    const float_job *job = context;
    job->kernels->add(place_of(job, job->out, run, 0), place_of(job, job->a, run, 1), job->alpha,
                      place_of(job, job->b, run, 2), job->beta, (size_t)run->count);
}

static void add_run(void *context, const ttm_cpu_run *run)
{
    const float_job *job = context;
    const void *a = place_of(job, job->a, run, 1);
    const void *b = place_of(job, job->b, run, 2);
    void *out = place_of(job, job->out, run, 0);
    for (int64_t i = 0; i < run->count; i++) {
        float value = job->alpha * load_one(job, a, i * job->step[1]);
        if (b != NULL) {
            value += job->beta * load_one(job, b, i * job->step[2]);
        }
        store_one(job, out, i * job->step[0], value);
    }
}

static int add_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_ADD_OUT, TTM_ADD_B);
}

static void add_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_add_params *params = op->params;
    ttm_cpu_loops loops;
    float_job job;
    plan_floats(&loops, &job, device, &op->tensors[TTM_ADD_OUT], &op->tensors[TTM_ADD_A],
                &op->tensors[TTM_ADD_B], 1);
    job.alpha = (float)params->alpha;
    job.beta = (float)params->beta;
    ttm_cpu_loops_run(device, &loops, ttm_cpu_loops_unit(&loops) ? add_unit_run : add_run, &job);
}

const ttm_cpu_op ttm_cpu_op_add = {add_supported, NULL, add_op_run};

/* ---- GELU ---- */

static void gelu_run(void *context, const ttm_cpu_run *run)
{
    const float_job *job = context;
    job->kernels->gelu(place_of(job, job->out, run, 0), place_of(job, job->a, run, 1),
                       (size_t)run->count);
}

static int gelu_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_GELU_OUT, TTM_GELU_X) &&
           runs_are_units(op, TTM_GELU_OUT, TTM_GELU_X, 1);
}

static void gelu_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    ttm_cpu_loops loops;
    float_job job;
    plan_floats(&loops, &job, device, &op->tensors[TTM_GELU_OUT], &op->tensors[TTM_GELU_X], &absent,
                1);
    ttm_cpu_loops_run(device, &loops, gelu_run, &job);
}

const ttm_cpu_op ttm_cpu_op_gelu = {gelu_supported, NULL, gelu_op_run};

/* ---- GELU_BACKWARD ---- */

static void gelu_backward_run(void *context, const ttm_cpu_run *run)
{
    const float_job *job = context;
    job->kernels->gelu_backward(place_of(job, job->out, run, 0), place_of(job, job->a, run, 1),
                                place_of(job, job->b, run, 2), (size_t)run->count);
}

static int gelu_backward_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_GELU_BACKWARD_DX, TTM_GELU_BACKWARD_X) &&
           runs_are_units(op, TTM_GELU_BACKWARD_DX, TTM_GELU_BACKWARD_X, 1);
}

static void gelu_backward_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    ttm_cpu_loops loops;
    float_job job;
    plan_floats(&loops, &job, device, &op->tensors[TTM_GELU_BACKWARD_DX],
                &op->tensors[TTM_GELU_BACKWARD_DY], &op->tensors[TTM_GELU_BACKWARD_X], 1);
    ttm_cpu_loops_run(device, &loops, gelu_backward_run, &job);
}

const ttm_cpu_op ttm_cpu_op_gelu_backward = {gelu_backward_supported, NULL, gelu_backward_op_run};

/* ---- DROPOUT ---- */

static void dropout_run(void *context, const ttm_cpu_run *run)
{
    const float_job *job = context;
    ttm_cpu_dropout rule = job->dropout;
    rule.start += (uint64_t)run->start;
    job->kernels->dropout(place_of(job, job->out, run, 0), place_of(job, job->a, run, 1),
                          place_of(job, job->b, run, 2), &rule, (size_t)run->count);
}

static int dropout_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    return one_element_type(op, TTM_DROPOUT_OUT, TTM_DROPOUT_RESIDUAL) &&
           runs_are_units(op, TTM_DROPOUT_OUT, TTM_DROPOUT_RESIDUAL, 0);
}

static void dropout_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_dropout_params *params = op->params;
    ttm_cpu_loops loops;
    float_job job;
    plan_floats(&loops, &job, device, &op->tensors[TTM_DROPOUT_OUT], &op->tensors[TTM_DROPOUT_X],
                &op->tensors[TTM_DROPOUT_RESIDUAL], 0);
    job.dropout = ttm_cpu_dropout_rule(params->probability, params->seed, params->start);
    ttm_cpu_loops_run(device, &loops, dropout_run, &job);
}

const ttm_cpu_op ttm_cpu_op_dropout = {dropout_supported, NULL, dropout_op_run};
