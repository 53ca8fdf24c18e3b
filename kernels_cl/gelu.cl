/* GPT-2's GELU, x/2·(1 + tanh u) with u = √(2/π)·(x + 0.044715·x³), and its slope.
 *
 * CPUs: tanh comes from exp of a negative number, which costs a third of the library's tanh and never overflows.
 * GPUs: (1 + tanh u)/2 is σ(2u) = 1/(1 + exp(−2u)): no difference that loses digits, and where the exponential
 * overflows σ is 0 as it should be. With the hardware's own exponential and reciprocal, of an ulp or two, that is
 * some ten instructions, which count where products end with them; CPUs gain nothing at the end of a product.
 * Macros: GROUP (types.cl). */

#define GELU_SCALE 0.79788456080286535588f
#define GELU_CUBIC 0.044715f

#if GROUP == 1
inline fvec tanh_fast(fvec x)
{
    const fvec magnitude = fabs(x);
    const fvec e = exp(-2.0f * magnitude);
    /* Near 0, where 1 − e loses digits, the odd polynomial is exact to rounding. */
    const fvec square = x * x;
    const fvec small = magnitude *
                       (1.0f - square * (0.33333333f - square * (0.13333333f - square * 0.05396825f)));
    const fvec large = (1.0f - e) / (1.0f + e);
    const fvec result = select(large, small, magnitude < (fvec)(0.125f));
    return copysign(result, x);
}

inline fvec gelu_inner(fvec x)
{
    return tanh_fast(GELU_SCALE * (x + GELU_CUBIC * x * x * x));
}

inline fvec gelu(fvec x)
{
    return 0.5f * x * (1.0f + gelu_inner(x));
}

inline fvec gelu_slope(fvec x)
{
    const fvec t = gelu_inner(x);
    return 0.5f * (1.0f + t) +
           0.5f * x * (1.0f - t * t) * GELU_SCALE * (1.0f + 3.0f * GELU_CUBIC * x * x);
}
#else
inline fvec gelu_sigmoid(fvec x)
{
    /* 2·log2(e) times u, for the exponential of 2. */
    return native_recip(1.0f + native_exp2(x * (-2.3022081988f - 0.1029432396f * x * x)));
}

inline fvec gelu(fvec x)
{
    return x * gelu_sigmoid(x);
}

inline fvec gelu_slope(fvec x)
{
    const fvec share = gelu_sigmoid(x);
    const fvec slope_of_exponent = 2.0f * GELU_SCALE * (1.0f + 3.0f * GELU_CUBIC * x * x);
    return share * (1.0f + x * (1.0f - share) * slope_of_exponent);
}
#endif
