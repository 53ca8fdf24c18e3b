/* Functions of OpenCL C that libclc hasn't for NVIDIA's GPUs, and those that NVIDIA's compiler makes a few instructions of while
 * libclc computes them at length. All are inline: no program keeps one that it doesn't call. */
#define DEVICE_FUNCTION inline __attribute__((overloadable, always_inline))

/* One function of a number for numbers and all vectors. */
#define DEVICE_FOR_VECTOR(name, half, whole)      \
    DEVICE_FUNCTION whole name(whole x)           \
    {                                             \
        return (whole)(name(x.lo), name(x.hi));   \
    }
#define DEVICE_FOR_VECTORS(name)                  \
    DEVICE_FOR_VECTOR(name, float, float2)        \
    DEVICE_FUNCTION float3 name(float3 x)         \
    {                                             \
        return (float3)(name(x.lo), name(x.z));   \
    }                                             \
    DEVICE_FOR_VECTOR(name, float2, float4)       \
    DEVICE_FOR_VECTOR(name, float4, float8)       \
    DEVICE_FOR_VECTOR(name, float8, float16)
#define DEVICE_UNARY(name, value)                 \
    DEVICE_FUNCTION float name(float x)           \
    {                                             \
        return value;                             \
    }                                             \
    DEVICE_FOR_VECTORS(name)

DEVICE_UNARY(native_exp2, __nvvm_ex2_approx_ftz_f(x))
DEVICE_UNARY(native_exp, __nvvm_ex2_approx_ftz_f(x * 0x1.715476p+0f))
DEVICE_UNARY(native_log2, __nvvm_lg2_approx_ftz_f(x))
DEVICE_UNARY(native_log, __nvvm_lg2_approx_ftz_f(x) * 0x1.62e43p-1f)
DEVICE_UNARY(native_recip, __nvvm_rcp_approx_ftz_f(x))
DEVICE_UNARY(native_rsqrt, __nvvm_rsqrt_approx_ftz_f(x))
DEVICE_UNARY(native_sqrt, __nvvm_sqrt_approx_ftz_f(x))

/* 2^(x·log2 e), the product's whole part apart: it becomes two factors, so that results below 2^-126 aren't lost at once. The rest is
 * made by ln 2 in two parts (Cody and Waite). It is of x as it is: NaN stays NaN, and what is too large for the whole part's bounds has a
 * rest that is large enough. */
DEVICE_FUNCTION float device_exp(float x)
{
    const float bound = __nvvm_fmin_f(__nvvm_fmax_f(x * 0x1.715476p+0f, -151.0f), 151.0f);
    const float whole = __nvvm_floor_f(bound + 0.5f);
    const float rest = __nvvm_fma_rn_f(whole, -0x1.7f7d1cp-20f, __nvvm_fma_rn_f(whole, -0x1.62e4p-1f, x));
    const float half_whole = __nvvm_floor_f(whole * 0.5f);
    return __nvvm_ex2_approx_f(rest * 0x1.715476p+0f) * __nvvm_ex2_approx_f(half_whole) * __nvvm_ex2_approx_f(whole - half_whole);
}
DEVICE_UNARY(exp, device_exp(x))

/* NVIDIA's compiler makes one function of a kernel and all that it calls. clang leaves calls of large functions, which it then doesn't
 * find: in C an inline function has its body elsewhere. */
#define inline inline __attribute__((always_inline))
