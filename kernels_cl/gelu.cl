/* GPT-2's GELU, x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))), and its slope. tanh comes from exp of a
 * negative number, which costs a third of the library's tanh and never overflows. */

#define GELU_SCALE 0.79788456080286535588f
#define GELU_CUBIC 0.044715f

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
