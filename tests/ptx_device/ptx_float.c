/* Numbers of 32 and 64 bits with fractions. Those that GPUs only approximate (ex2, lg2, rcp, …) are
 * exact to the last bits here. */
#include "ptx_operations.h"

#include <math.h>

/* .ftz: subnormal numbers are 0. */
static inline float flush(float x)
{
    return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x;
}

/* PTX's min and max take the other number where one is NaN. */
BINARY(add_f32, float, float, float, x + y)
BINARY(sub_f32, float, float, float, x - y)
BINARY(mul_f32, float, float, float, x *y)
BINARY(div_f32, float, float, float, x / y)
TERNARY(fma_f32, float, float, float, float, fmaf(x, y, z))
BINARY(min_f32, float, float, float, fminf(x, y))
BINARY(max_f32, float, float, float, fmaxf(x, y))
UNARY(neg_f32, float, float, float, -x)
UNARY(abs_f32, float, float, float, fabsf(x))
UNARY(sqrt_f32, float, float, float, sqrtf(x))
UNARY(rsqrt_f32, float, float, float, 1.0f / sqrtf(x))
UNARY(rcp_f32, float, float, float, 1.0f / x)
UNARY(rcp_ftz_f32, float, float, float, flush(1.0f / flush(x)))
UNARY(ex2_f32, float, float, float, exp2f(x))
UNARY(ex2_ftz_f32, float, float, float, flush(exp2f(flush(x))))
UNARY(lg2_f32, float, float, float, log2f(x))
UNARY(sin_f32, float, float, float, sinf(x))
UNARY(cos_f32, float, float, float, cosf(x))
BINARY(add_f64, double, double, double, x + y)
BINARY(sub_f64, double, double, double, x - y)
BINARY(mul_f64, double, double, double, x *y)
BINARY(div_f64, double, double, double, x / y)
TERNARY(fma_f64, double, double, double, double, fma(x, y, z))
UNARY(neg_f64, double, double, double, -x)
UNARY(abs_f64, double, double, double, fabs(x))

const ptx_operation ptx_float_operations[] = {
    {"add.f32", "444", add_f32},
    {"add.rn.f32", "444", add_f32},
    {"sub.f32", "444", sub_f32},
    {"sub.rn.f32", "444", sub_f32},
    {"mul.f32", "444", mul_f32},
    {"mul.rn.f32", "444", mul_f32},
    {"div.rn.f32", "444", div_f32},
    {"div.full.f32", "444", div_f32},
    {"div.approx.f32", "444", div_f32},
    {"fma.rn.f32", "4444", fma_f32},
    {"min.f32", "444", min_f32},
    {"max.f32", "444", max_f32},
    {"neg.f32", "44", neg_f32},
    {"abs.f32", "44", abs_f32},
    {"sqrt.rn.f32", "44", sqrt_f32},
    {"sqrt.approx.f32", "44", sqrt_f32},
    {"rsqrt.approx.f32", "44", rsqrt_f32},
    {"rcp.rn.f32", "44", rcp_f32},
    {"rcp.approx.f32", "44", rcp_f32},
    {"rcp.approx.ftz.f32", "44", rcp_ftz_f32},
    {"ex2.approx.f32", "44", ex2_f32},
    {"ex2.approx.ftz.f32", "44", ex2_ftz_f32},
    {"lg2.approx.f32", "44", lg2_f32},
    {"sin.approx.f32", "44", sin_f32},
    {"cos.approx.f32", "44", cos_f32},
    {"add.rn.f64", "888", add_f64},
    {"sub.rn.f64", "888", sub_f64},
    {"mul.rn.f64", "888", mul_f64},
    {"div.rn.f64", "888", div_f64},
    {"fma.rn.f64", "8888", fma_f64},
    {"neg.f64", "88", neg_f64},
    {"abs.f64", "88", abs_f64},
    {NULL, NULL, NULL},
};
