/* ADAMW: one launch over everything that is updated.
 *
 * Shapes: parameters, gradients, m, v, working [n]. chunks: what the host cut the segments into, a
 * group each: (first element, count, learning rate's scale, weight decay).
 * Launch: groups of ITEMS, one a chunk: global chunks·ITEMS.
 * Macros: DATA the type of the gradients, RESULT that of `working`; VECTOR; ITEMS: 1 on CPUs, else a
 * power of two. Bound by memory bandwidth: 16 bytes read and 12 written an element in f32. */

typedef struct {
    long first;
    long count;
    float rate_scale;
    float decay;
} adamw_chunk;

/* factors = (learning rate, beta1, 1 − beta1, beta2, 1 − beta2, 1/(1 − beta1^step),
 * 1/(1 − beta2^step), epsilon) */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
adamw(__global float *parameters, long parameters_start, __global const data_t *gradients,
      long gradients_start, __global float *m_values, long m_start, __global float *v_values,
      long v_start, __global const float *norm_squared, long norm_start,
      __global result_t *working, long working_start, __global const adamw_chunk *chunks,
      long chunks_start, float8 factors, float max_norm, float gradient_scale, int has_norm,
      int has_working)
{
    const adamw_chunk chunk = chunks[chunks_start + get_group_id(0)];
    float factor = gradient_scale;
    if (has_norm != 0) {
        const float squared = norm_squared[norm_start];
        if (!isfinite(squared)) {
            return;
        }
        if (max_norm > 0.0f) {
            factor *= fmin(1.0f, max_norm / (gradient_scale * sqrt(squared) + 1e-6f));
        }
    }
    const float rate = factors.s0 * chunk.rate_scale;
    const float decay = rate * chunk.decay;
    const long end = chunk.first + chunk.count;
    for (long i = chunk.first + (long)get_local_id(0) * VECTOR; i < end; i += ITEMS * VECTOR) {
        const long count = end - i;
        const fvec g = factor * load_data(gradients + gradients_start + i, 1, count, 0.0f);
        fvec p = load_f32(parameters + parameters_start + i, 1, count, 0.0f);
        fvec m = load_f32(m_values + m_start + i, 1, count, 0.0f);
        fvec v = load_f32(v_values + v_start + i, 1, count, 0.0f);
        m = factors.s1 * m + factors.s2 * g;
        v = factors.s3 * v + factors.s4 * g * g;
        p -= decay * p + rate * (m * factors.s5) / (sqrt(v * factors.s6) + factors.s7);
        store_f32(parameters + parameters_start + i, 1, count, p);
        store_f32(m_values + m_start + i, 1, count, m);
        store_f32(v_values + v_start + i, 1, count, v);
        if (has_working != 0) {
            store_result(working + working_start + i, 1, count, p);
        }
    }
}
