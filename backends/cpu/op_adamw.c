/* ADAMW: one sweep over the flat buffers, bound by memory. */
#include "cpu/op.h"

#include <math.h>
#include <string.h>

/** Elements that a thread takes at a time. */
#define SHARE_ELEMENTS 65536

typedef struct adamw_job {
    const ttm_backend_device *device;
    float *parameters;
    const float *gradients;
    void *first;
    void *second;
    int narrow_moments; /**< They are bf16. */
    uint64_t step;
    void *working; /**< May be NULL. */
    ttm_dtype working_dtype;
    int64_t start; /**< Of the segment. */
    ttm_cpu_adamw constants;
} adamw_job;

static void write_working(const adamw_job *job, int64_t at, size_t count)
{
    if (job->working_dtype == TTM_F32) {
        memcpy((float *)job->working + at, job->parameters + at, count * sizeof(float));
    } else if (job->working_dtype == TTM_BF16) {
        job->device->kernels->f32_to_bf16((uint16_t *)job->working + at, job->parameters + at,
                                          count);
    } else {
        job->device->kernels->f32_to_f16((uint16_t *)job->working + at, job->parameters + at,
                                         count);
    }
}

static void update_step(const adamw_job *job, int64_t at, size_t count)
{
    const ttm_cpu_kernels *kernels = job->device->kernels;
    if (job->narrow_moments) {
        kernels->adamw_bf16(job->parameters + at, job->gradients + at, (uint16_t *)job->first + at,
                            (uint16_t *)job->second + at, &job->constants, job->step, (uint64_t)at,
                            count);
    } else {
        kernels->adamw(job->parameters + at, job->gradients + at, (float *)job->first + at,
                       (float *)job->second + at, &job->constants, count);
    }
}

static void update_elements(void *context, int64_t first, int64_t last, int thread)
{
    (void)thread;
    /* Steps short enough that the new parameters are still in L1 when the working copy is made. */
    enum { STEP = 1024 };
    const adamw_job *job = context;
    for (int64_t i = first; i < last; i += STEP) {
        const int64_t at = job->start + i;
        const size_t count = (size_t)(last - i < STEP ? last - i : STEP);
        update_step(job, at, count);
        if (job->working != NULL) {
            write_working(job, at, count);
        }
    }
}

/** Returns the factor of every gradient; a norm that isn't finite gives 0 and *stop = 1. */
static double gradient_factor(const ttm_op *op, int *stop)
{
    const ttm_adamw_params *params = op->params;
    const float *norm_squared = floats(&op->tensors[TTM_ADAMW_NORM_SQUARED]);
    double clip = 1.0;
    *stop = norm_squared != NULL && !isfinite(*norm_squared);
    if (norm_squared != NULL && params->max_norm > 0.0 && !*stop) {
        const double norm = params->gradient_scale * sqrt((double)*norm_squared);
        clip = fmin(1.0, params->max_norm / (norm + 1e-6));
    }
    return clip * params->gradient_scale;
}

static ttm_cpu_adamw segment_constants(const ttm_adamw_params *params,
                                       const ttm_adamw_segment *segment, double factor)
{
    const double rate = params->learning_rate * segment->learning_rate_scale;
    const double step = (double)params->step;
    return (ttm_cpu_adamw){
        .gradient_factor = (float)factor,
        .beta1 = (float)params->beta1,
        .beta2 = (float)params->beta2,
        .one_minus_beta1 = (float)(1.0 - params->beta1),
        .one_minus_beta2 = (float)(1.0 - params->beta2),
        .decay = (float)(1.0 - rate * segment->weight_decay),
        .step_size = (float)(rate / (1.0 - pow(params->beta1, step))),
        .root_correction = (float)(1.0 / sqrt(1.0 - pow(params->beta2, step))),
        .epsilon = (float)params->epsilon,
    };
}

static int adamw_supported(const ttm_backend_device *device, const ttm_op *op)
{
    (void)device;
    const ttm_dtype working = op->tensors[TTM_ADAMW_WORKING].dtype;
    return all_f32(op, TTM_ADAMW_PARAMETERS, TTM_ADAMW_GRADIENTS) &&
           one_element_type(op, TTM_ADAMW_FIRST_MOMENT, TTM_ADAMW_SECOND_MOMENT) &&
           is_f32_or_absent(&op->tensors[TTM_ADAMW_NORM_SQUARED]) &&
           all_unit_last(op, TTM_ADAMW_PARAMETERS, TTM_ADAMW_WORKING) &&
           (working == TTM_DTYPE_NONE || working == TTM_F32 || working == TTM_BF16 ||
            working == TTM_F16);
}

static void adamw_op_run(const ttm_backend_device *device, const ttm_op *op)
{
    const ttm_adamw_params *params = op->params;
    const ttm_tensor *working = &op->tensors[TTM_ADAMW_WORKING];
    int stop = 0;
    const double factor = gradient_factor(op, &stop);
    for (int64_t i = 0; i < params->segment_count && !stop; i++) {
        const ttm_adamw_segment *segment = &params->segments[i];
        adamw_job job = {
            .device = device,
            .parameters = floats(&op->tensors[TTM_ADAMW_PARAMETERS]),
            .gradients = floats(&op->tensors[TTM_ADAMW_GRADIENTS]),
            .first = data_of(&op->tensors[TTM_ADAMW_FIRST_MOMENT]),
            .second = data_of(&op->tensors[TTM_ADAMW_SECOND_MOMENT]),
            .narrow_moments = op->tensors[TTM_ADAMW_FIRST_MOMENT].dtype == TTM_BF16,
            .step = (uint64_t)params->step,
            .working = ttm_tensor_present(working) ? host_tensor_data(working) : NULL,
            .working_dtype = working->dtype,
            .start = segment->start,
            .constants = segment_constants(params, segment, factor),
        };
        ttm_cpu_parallel(device, segment->count, SHARE_ELEMENTS, update_elements, &job);
    }
}

const ttm_cpu_op ttm_cpu_op_adamw = {adamw_supported, NULL, adamw_op_run};
