/* Loops over single elements: ADD, GELU and its derivative, dropout, AdamW. All but GELU are bound
 * by memory. */
#include "cpu/kernels/level.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/simd.h"

void KERNEL(add)(float *out, const float *a, float alpha, const float *b, float beta, size_t count)
{
    size_t i = 0;
    if (b == NULL) {
        for (; i + LANES <= count; i += LANES) {
            vector_store(out + i, vector_load(a + i) * alpha);
        }
        for (; i < count; i++) {
            out[i] = alpha * a[i];
        }
        return;
    }
    for (; i + LANES <= count; i += LANES) {
        vector_store(out + i, vector_load(a + i) * alpha + vector_load(b + i) * beta);
    }
    for (; i < count; i++) {
        out[i] = alpha * a[i] + beta * b[i];
    }
}

void KERNEL(gelu)(float *out, const float *x, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vector_store(out + i, vector_gelu(vector_load(x + i)));
    }
    if (i < count) {
        vector_store_part(out + i, vector_gelu(vector_load_part(x + i, count - i)), count - i);
    }
}

void KERNEL(gelu_backward)(float *dx, const float *dy, const float *x, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vector_store(dx + i, vector_load(dy + i) * vector_gelu_derivative(vector_load(x + i)));
    }
    if (i < count) {
        const size_t rest = count - i;
        const vector slope = vector_gelu_derivative(vector_load_part(x + i, rest));
        vector_store_part(dx + i, vector_load_part(dy + i, rest) * slope, rest);
    }
}

void KERNEL(dropout)(float *out, const float *x, const float *residual, const ttm_cpu_dropout *rule,
                     size_t count)
{
    float keep[KEEP_COUNT];
    for (size_t start = 0; start < count; start += KEEP_COUNT) {
        const size_t length = count - start < KEEP_COUNT ? count - start : KEEP_COUNT;
        dropout_keep(keep, rule, rule->start + start, length);
        if (residual == NULL) {
            for (size_t i = 0; i < length; i++) {
                out[start + i] = x[start + i] * keep[i];
            }
        } else {
            for (size_t i = 0; i < length; i++) {
                out[start + i] = residual[start + i] + x[start + i] * keep[i];
            }
        }
    }
}

ALWAYS_INLINE void adamw_step(vector *parameter, vector *first, vector *second, vector gradient,
                              const ttm_cpu_adamw *constants)
{
    gradient = gradient * constants->gradient_factor;
    *first = *first * constants->beta1 + gradient * constants->one_minus_beta1;
    *second = *second * constants->beta2 + gradient * gradient * constants->one_minus_beta2;
    const vector spread = vector_sqrt(*second) * constants->root_correction + constants->epsilon;
    *parameter = *parameter * constants->decay - *first * constants->step_size / spread;
}

void KERNEL(adamw)(float *parameters, const float *gradients, float *first, float *second,
                   const ttm_cpu_adamw *constants, size_t count)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vector p = vector_load(parameters + i);
        vector m = vector_load(first + i);
        vector v = vector_load(second + i);
        adamw_step(&p, &m, &v, vector_load(gradients + i), constants);
        vector_store(parameters + i, p);
        vector_store(first + i, m);
        vector_store(second + i, v);
    }
    if (i < count) {
        const size_t rest = count - i;
        vector p = vector_load_part(parameters + i, rest);
        vector m = vector_load_part(first + i, rest);
        vector v = vector_load_part(second + i, rest);
        adamw_step(&p, &m, &v, vector_load_part(gradients + i, rest), constants);
        vector_store_part(parameters + i, p, rest);
        vector_store_part(first + i, m, rest);
        vector_store_part(second + i, v, rest);
    }
}
