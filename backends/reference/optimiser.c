/* ADAMW: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101). */
#include <math.h>

#include <ttm/random.h>

#include "common/float_formats.h"
#include "reference/access.h"
#include "reference/run.h"

/* What every gradient is multiplied by: gradient_scale, and less where the norm is clipped. */
static double gradient_factor(const ttm_adamw_params *params, double norm_squared)
{
    double clip = 1.0;
    if (params->max_norm > 0.0) {
        const double norm = params->gradient_scale * sqrt(norm_squared);
        clip = fmin(1.0, params->max_norm / (norm + 1e-6));
    }
    return clip * params->gradient_scale;
}

/* p, m and v of `count` elements one step on; g holds the gradients, scaled. */
static void step(double *p, double *m, double *v, const double *g, int64_t count,
                 const ttm_adamw_params *params, const ttm_adamw_segment *segment)
{
    const double learning_rate = params->learning_rate * segment->learning_rate_scale;
    const double m_correction = 1.0 - pow(params->beta1, (double)params->step);
    const double v_correction = 1.0 - pow(params->beta2, (double)params->step);
    for (int64_t i = 0; i < count; i++) {
        m[i] = params->beta1 * m[i] + (1.0 - params->beta1) * g[i];
        v[i] = params->beta2 * v[i] + (1.0 - params->beta2) * g[i] * g[i];
        p[i] -=
            learning_rate * segment->weight_decay * p[i] +
            learning_rate * (m[i] / m_correction) / (sqrt(v[i] / v_correction) + params->epsilon);
    }
}

/* x rounded up or down to bf16 by 16 random bits, so that its mean is x. */
static double round_stochastically(double x, uint32_t bits)
{
    const float nearest = (float)x;
    return (double)float_of_bits((float_bits(nearest) + bits) & 0xffff0000u);
}

/* Rounds new moments that are stored as bf16; element i of the span is number first + i of all. */
static void round_moments(double *m, double *v, int64_t first, int64_t count, int64_t step)
{
    for (int64_t i = 0; i < count; i++) {
        const uint32_t word = ttm_philox_u32((uint64_t)step, (uint64_t)(first + i));
        m[i] = round_stochastically(m[i], word & 0xffffu);
        v[i] = round_stochastically(v[i], word >> 16);
    }
}

static void update_span(const ttm_op *op, const struct span *span, double factor,
                        const ttm_adamw_segment *segment)
{
    const ttm_tensor *tensors = op->tensors;
    double p[SPAN_LENGTH];
    double g[SPAN_LENGTH];
    double m[SPAN_LENGTH];
    double v[SPAN_LENGTH];
    load_span(p, &tensors[TTM_ADAMW_PARAMETERS], span);
    load_span(g, &tensors[TTM_ADAMW_GRADIENTS], span);
    load_span(m, &tensors[TTM_ADAMW_FIRST_MOMENT], span);
    load_span(v, &tensors[TTM_ADAMW_SECOND_MOMENT], span);
    for (int64_t i = 0; i < span->count; i++) {
        g[i] *= factor;
    }
    step(p, m, v, g, span->count, op->params, segment);
    if (tensors[TTM_ADAMW_FIRST_MOMENT].dtype == TTM_BF16) {
        const ttm_adamw_params *params = op->params;
        round_moments(m, v, span->start, span->count, params->step);
    }
    store_span(&tensors[TTM_ADAMW_PARAMETERS], span, p);
    store_span(&tensors[TTM_ADAMW_FIRST_MOMENT], span, m);
    store_span(&tensors[TTM_ADAMW_SECOND_MOMENT], span, v);
    if (ttm_tensor_present(&tensors[TTM_ADAMW_WORKING])) {
        store_span(&tensors[TTM_ADAMW_WORKING], span, p);
    }
}

ttm_status run_adamw(const ttm_op *op)
{
    const ttm_adamw_params *params = op->params;
    const ttm_tensor *norm_tensor = &op->tensors[TTM_ADAMW_NORM_SQUARED];
    double factor = params->gradient_scale;
    if (ttm_tensor_present(norm_tensor)) {
        const double norm_squared = load_scalar(norm_tensor);
        if (!isfinite(norm_squared)) {
            return TTM_OK; /* a step along a NaN would lose the model */
        }
        factor = gradient_factor(params, norm_squared);
    }
    for (int64_t s = 0; s < params->segment_count; s++) {
        const ttm_adamw_segment *segment = &params->segments[s];
        for (int64_t done = 0; done < segment->count; done += SPAN_LENGTH) {
            const int64_t left = segment->count - done;
            const struct span span = {.start = segment->start + done,
                                      .count = left < SPAN_LENGTH ? left : SPAN_LENGTH};
            update_span(op, &span, factor, segment);
        }
    }
    return TTM_OK;
}
