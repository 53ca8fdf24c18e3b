/* Loops over single elements: ADD, GELU and its derivative, dropout, AdamW. All but GELU are bound
 * by memory. */
#include "cpu/kernels/gelu_pieces.h"
#include "cpu/kernels/level.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/simd.h"

void TYPED(add)(void *target, const void *first, float alpha, const void *second, float beta,
                size_t count)
{
    element *out = target;
    const element *a = first;
    const element *b = second;
    size_t i = 0;
    if (b == NULL) {
        for (; i + LANES <= count; i += LANES) {
            element_store(out + i, element_load(a + i) * alpha);
        }
        for (; i < count; i++) {
            element_put(out + i, alpha * element_get(a + i));
        }
        return;
    }
    for (; i + LANES <= count; i += LANES) {
        element_store(out + i, element_load(a + i) * alpha + element_load(b + i) * beta);
    }
    for (; i < count; i++) {
        element_put(out + i, alpha * element_get(a + i) + beta * element_get(b + i));
    }
}

void TYPED(gelu)(void *target, const void *source, size_t count)
{
    element *out = target;
    const element *x = source;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        element_store(out + i, element_gelu(element_load(x + i)));
    }
    if (i < count) {
        element_store_part(out + i, element_gelu(element_load_part(x + i, count - i)), count - i);
    }
}

void TYPED(gelu_backward)(void *target, const void *gradient, const void *source, size_t count)
{
    element *dx = target;
    const element *dy = gradient;
    const element *x = source;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        element_store(dx + i, element_load(dy + i) * element_gelu_derivative(element_load(x + i)));
    }
    if (i < count) {
        const size_t rest = count - i;
        const vector slope = element_gelu_derivative(element_load_part(x + i, rest));
        element_store_part(dx + i, element_load_part(dy + i, rest) * slope, rest);
    }
}

void TYPED(dropout)(void *target, const void *source, const void *kept, const ttm_cpu_dropout *rule,
                    size_t count)
{
    element *out = target;
    const element *x = source;
    const element *residual = kept;
    float keep[KEEP_COUNT];
    for (size_t start = 0; start < count; start += KEEP_COUNT) {
        const size_t length = count - start < KEEP_COUNT ? count - start : KEEP_COUNT;
        dropout_keep(keep, rule, rule->start + start, length);
        size_t i = 0;
        for (; i + LANES <= length; i += LANES) {
            vector value = element_load(x + start + i) * vector_load(keep + i);
            if (residual != NULL) {
                value += element_load(residual + start + i);
            }
            element_store(out + start + i, value);
        }
        for (; i < length; i++) {
            const float value = element_get(x + start + i) * keep[i];
            element_put(out + start + i,
                        residual != NULL ? element_get(residual + start + i) + value : value);
        }
    }
}

#if !defined(TTM_CPU_ELEMENT_BF16)
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

/** m and v rounded to bf16 by 16 random bits each: see ttm/ops.h. */
void KERNEL(adamw_bf16)(float *parameters, const float *gradients, uint16_t *first,
                        uint16_t *second, const ttm_cpu_adamw *constants, uint64_t step,
                        uint64_t number, size_t count)
{
    uint32_t words[4 * KEEP_BLOCKS];
    for (size_t start = 0; start < count; start += KEEP_COUNT) {
        const size_t length = count - start < KEEP_COUNT ? count - start : KEEP_COUNT;
        const size_t skip = (size_t)((number + start) % 4);
        float m[KEEP_COUNT];
        float v[KEEP_COUNT];
        KERNEL(bf16_to_f32)(m, first + start, length);
        KERNEL(bf16_to_f32)(v, second + start, length);
        KERNEL(adamw)(parameters + start, gradients + start, m, v, constants, length);
        philox_blocks(words, step, (number + start) / 4, (skip + length + 3) / 4);
        for (size_t i = 0; i < length; i++) {
            uint32_t m_bits;
            uint32_t v_bits;
            memcpy(&m_bits, m + i, sizeof m_bits);
            memcpy(&v_bits, v + i, sizeof v_bits);
            first[start + i] = (uint16_t)((m_bits + (words[skip + i] & 0xffffu)) >> 16);
            second[start + i] = (uint16_t)((v_bits + (words[skip + i] >> 16)) >> 16);
        }
    }
}
#endif
