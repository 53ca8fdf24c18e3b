/* Formulas that several ops share. */
#ifndef TTM_REFERENCE_FORMULAS_H
#define TTM_REFERENCE_FORMULAS_H

#include <math.h>
#include <ttm/random.h>

/* √(2/π) and the cubic coefficient of GPT-2's GELU. */
#define GELU_SCALE 0.79788456080286535588
#define GELU_CUBIC 0.044715

/** gelu(x) = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))). */
static inline double gelu(double x)
{
    return 0.5 * x * (1.0 + tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)));
}

/** gelu'(x) = (1 + t)/2 + x/2·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²), t the tanh of gelu. */
static inline double gelu_slope(double x)
{
    const double t = tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
    return 0.5 * (1.0 + t) +
           0.5 * x * (1.0 - t * t) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x);
}

/** What dropout multiplies element `number` by: 1/(1 − probability) where it is kept, else 0. */
static inline double dropout_factor(double probability, uint64_t seed, uint64_t number)
{
    if (probability == 0.0) {
        return 1.0;
    }
    const double uniform = ttm_philox_u32(seed, number) * 0x1p-32;
    return uniform >= probability ? 1.0 / (1.0 - probability) : 0.0;
}

/** Σ a_i·b_i. */
static inline double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/** y_i += factor·x_i. */
static inline void add_scaled(double *restrict y, double factor, const double *restrict x,
                              int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        y[i] += factor * x[i];
    }
}

#endif
