/* ADAMW: one launch over everything that is updated.
 *
 * Shapes: parameters, gradients, m, v, working [n]. chunks: what the host cut the segments into, a
 * group each: (first element, count, learning rate's scale, weight decay).
 * Launch: groups of ITEMS, one a chunk: global chunks·ITEMS.
 * Macros: DATA the type of the gradients, RESULT that of `working`, MOMENT that of m and v (1 f32,
 * 2 bf16, rounded stochastically); VECTOR; ITEMS: 1 on CPUs, else a power of two. Bound by memory
 * bandwidth: 16 bytes read and 12 written an element in f32. */

DEFINE_ACCESS(moment, MOMENT)

typedef struct {
    long first;
    long count;
    float rate_scale;
    float decay;
} adamw_chunk;

#if MOMENT == 2
/* Carries the lower half of an f32 up when it and 16 random bits make 2^16: the mean is exact. */
inline ushort round_moment(float value, uint random)
{
    return (ushort)((as_uint(value) + random) >> 16);
}

/* The random bits of an element are a word of the step's stream, the same on every device. */
inline void store_moments(__global ushort *m_values, __global ushort *v_values, long count, fvec m,
                          fvec v, ulong step, long first)
{
    float m_parts[VECTOR];
    float v_parts[VECTOR];
    STORE_VECTOR(m, m_parts);
    STORE_VECTOR(v, v_parts);
    for (int lane = 0; lane < VECTOR && lane < count; lane++) {
        const uint word = philox_word(step, (ulong)(first + lane));
        m_values[lane] = round_moment(m_parts[lane], word & 0xffffu);
        v_values[lane] = round_moment(v_parts[lane], word >> 16);
    }
}
#else
inline void store_moments(__global float *m_values, __global float *v_values, long count, fvec m,
                          fvec v, ulong step, long first)
{
    store_moment(m_values, 1, count, m);
    store_moment(v_values, 1, count, v);
}
#endif

/* factors = (learning rate, beta1, 1 − beta1, beta2, 1 − beta2, 1/(1 − beta1^step),
 * 1/(1 − beta2^step), epsilon) */
__kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1))) void
adamw(__global float *parameters, long parameters_start, __global const data_t *gradients,
      long gradients_start, __global PASTE(type_, MOMENT) *m_values, long m_start,
      __global PASTE(type_, MOMENT) *v_values, long v_start, __global const float *norm_squared, long norm_start,
      __global result_t *working, long working_start, __global const adamw_chunk *chunks,
      long chunks_start, float8 factors, float max_norm, float gradient_scale, int has_norm,
      int has_working, ulong step)
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
        fvec m = load_moment(m_values + m_start + i, 1, count, 0.0f);
        fvec v = load_moment(v_values + v_start + i, 1, count, 0.0f);
        m = factors.s1 * m + factors.s2 * g;
        v = factors.s3 * v + factors.s4 * g * g;
        p -= decay * p + rate * (m * factors.s5) / (sqrt(v * factors.s6) + factors.s7);
        store_f32(parameters + parameters_start + i, 1, count, p);
        store_moments(m_values + m_start + i, v_values + v_start + i, count, m, v, step, i);
        if (has_working != 0) {
            store_result(working + working_start + i, 1, count, p);
        }
    }
}
