/* The functions of OpenCL C that the kernels call, for clang's nvptx64 target, which brings no library: enough to
 * compile and assemble, not to run. */
#define OVERLOADED __attribute__((overloadable, always_inline))
#define asm __asm__

size_t OVERLOADED get_local_id(uint d)
{
    return d == 0 ? __nvvm_read_ptx_sreg_tid_x() : d == 1 ? __nvvm_read_ptx_sreg_tid_y() : 0;
}

size_t OVERLOADED get_group_id(uint d)
{
    return d == 0 ? __nvvm_read_ptx_sreg_ctaid_x() : d == 1 ? __nvvm_read_ptx_sreg_ctaid_y() : __nvvm_read_ptx_sreg_ctaid_z();
}

size_t OVERLOADED get_num_groups(uint d)
{
    return d == 0 ? __nvvm_read_ptx_sreg_nctaid_x() : d == 1 ? __nvvm_read_ptx_sreg_nctaid_y() : __nvvm_read_ptx_sreg_nctaid_z();
}

size_t OVERLOADED get_local_size(uint d)
{
    return d == 0 ? __nvvm_read_ptx_sreg_ntid_x() : d == 1 ? __nvvm_read_ptx_sreg_ntid_y() : 1;
}

size_t OVERLOADED get_global_id(uint d)
{
    return get_group_id(d) * get_local_size(d) + get_local_id(d);
}

size_t OVERLOADED get_global_size(uint d)
{
    return get_num_groups(d) * get_local_size(d);
}

void __attribute__((overloadable, always_inline, convergent)) barrier(cl_mem_fence_flags flags)
{
    __nvvm_bar_sync(0);
}

/* Each function of one or two numbers, and of vectors of 4. */
#define DEFINE_UNARY(name, call)                                               \
    float OVERLOADED name(float x)                                             \
    {                                                                          \
        return call(x);                                                        \
    }                                                                          \
    float4 OVERLOADED name(float4 x)                                           \
    {                                                                          \
        return (float4)(call(x.x), call(x.y), call(x.z), call(x.w));           \
    }
#define DEFINE_EXP(x) __nvvm_ex2_approx_f((x)*1.44269504f)
DEFINE_UNARY(exp, DEFINE_EXP)
DEFINE_UNARY(fabs, __nvvm_fabs_f)

float OVERLOADED native_exp2(float x)
{
    return __nvvm_ex2_approx_ftz_f(x);
}

float8 OVERLOADED native_exp2(float8 x)
{
    return (float8)(native_exp2(x.s0), native_exp2(x.s1), native_exp2(x.s2), native_exp2(x.s3), native_exp2(x.s4),
                    native_exp2(x.s5), native_exp2(x.s6), native_exp2(x.s7));
}

float4 OVERLOADED native_exp2(float4 x)
{
    return (float4)(native_exp2(x.x), native_exp2(x.y), native_exp2(x.z), native_exp2(x.w));
}

float OVERLOADED native_recip(float x)
{
    return __nvvm_rcp_approx_ftz_f(x);
}

float4 OVERLOADED native_recip(float4 x)
{
    return (float4)(native_recip(x.x), native_recip(x.y), native_recip(x.z), native_recip(x.w));
}

float OVERLOADED log(float x)
{
    return __nvvm_lg2_approx_f(x) * 0.69314718f;
}

float OVERLOADED fmax(float x, float y)
{
    return __nvvm_fmax_f(x, y);
}

float4 OVERLOADED fmax(float4 x, float4 y)
{
    return (float4)(fmax(x.x, y.x), fmax(x.y, y.y), fmax(x.z, y.z), fmax(x.w, y.w));
}

float OVERLOADED fmin(float x, float y)
{
    return __nvvm_fmin_f(x, y);
}

float OVERLOADED ceil(float x)
{
    return __nvvm_ceil_f(x);
}

float OVERLOADED sqrt(float x)
{
    return __nvvm_sqrt_rn_f(x);
}

float OVERLOADED tanh(float x)
{
    return 1.0f - 2.0f / (1.0f + exp(2.0f * x));
}

int OVERLOADED isfinite(float x)
{
    return (as_uint(x) & 0x7f800000u) != 0x7f800000u;
}

uint OVERLOADED mul_hi(uint x, uint y)
{
    return __nvvm_mulhi_ui(x, y);
}

float OVERLOADED fma(float x, float y, float z)
{
    return __nvvm_fma_rn_f(x, y, z);
}

float OVERLOADED mad(float x, float y, float z)
{
    return __nvvm_fma_rn_f(x, y, z);
}

float4 OVERLOADED mad(float4 x, float4 y, float4 z)
{
    return (float4)(mad(x.x, y.x, z.x), mad(x.y, y.y, z.y), mad(x.z, y.z, z.z), mad(x.w, y.w, z.w));
}

float8 OVERLOADED mad(float8 x, float8 y, float8 z)
{
    return (float8)(mad(x.lo, y.lo, z.lo), mad(x.hi, y.hi, z.hi));
}

#define DEFINE_PICK(type, compare)                                             \
    type OVERLOADED min(type a, type b)                                        \
    {                                                                          \
        return a < b ? a : b;                                                  \
    }                                                                          \
    type OVERLOADED max(type a, type b)                                        \
    {                                                                          \
        return a > b ? a : b;                                                  \
    }                                                                          \
    type OVERLOADED clamp(type x, type least, type most)                       \
    {                                                                          \
        return min(max(x, least), most);                                       \
    }
DEFINE_PICK(int, int)
DEFINE_PICK(long, long)
DEFINE_PICK(ulong, ulong)

float OVERLOADED copysign(float x, float y)
{
    return as_float((as_uint(x) & 0x7fffffffu) | (as_uint(y) & 0x80000000u));
}

float4 OVERLOADED copysign(float4 x, float4 y)
{
    return as_float4((as_int4(x) & 0x7fffffff) | (as_int4(y) & (int4)(0x80000000)));
}

int OVERLOADED any(int8 x)
{
    const int4 both = x.lo | x.hi;
    return (both.x | both.y | both.z | both.w) < 0;
}

#define DEFINE_SELECT(type, condition)                                         \
    type OVERLOADED select(type a, type b, condition c)                        \
    {                                                                          \
        return c ? b : a;                                                      \
    }
DEFINE_SELECT(uint, uint)
DEFINE_SELECT(uint, int)
DEFINE_SELECT(float, int)
DEFINE_SELECT(uint4, int4)
DEFINE_SELECT(uint4, uint4)
DEFINE_SELECT(float4, int4)
DEFINE_SELECT(uint8, int8)
DEFINE_SELECT(float8, int8)

#define DEFINE_CONVERSION(from, to)                                            \
    to OVERLOADED PASTE_NAMES(convert_, to)(from x)                            \
    {                                                                          \
        return __builtin_convertvector(x, to);                                 \
    }
#define PASTE_NAMES(a, b) a##b
#define DEFINE_SCALAR_CONVERSION(from, to)                                     \
    to OVERLOADED PASTE_NAMES(convert_, to)(from x)                            \
    {                                                                          \
        return (to)x;                                                          \
    }
DEFINE_SCALAR_CONVERSION(ushort, uint)
DEFINE_SCALAR_CONVERSION(uint, ushort)
DEFINE_SCALAR_CONVERSION(uint, float)
DEFINE_CONVERSION(ushort4, uint4)
DEFINE_CONVERSION(uint4, float4)
DEFINE_CONVERSION(uint4, ushort4)
DEFINE_CONVERSION(ushort8, uint8)
DEFINE_CONVERSION(uint8, ushort8)
DEFINE_CONVERSION(uint8, float8)

#define DEFINE_LOAD(type, type4, space)                                        \
    type4 OVERLOADED vload4(size_t i, const space type *p)                     \
    {                                                                          \
        return (type4)(p[4 * i], p[4 * i + 1], p[4 * i + 2], p[4 * i + 3]);    \
    }
#define DEFINE_STORE(type, type4, space)                                       \
    void OVERLOADED vstore4(type4 x, size_t i, space type *p)                  \
    {                                                                          \
        p[4 * i] = x.x;                                                        \
        p[4 * i + 1] = x.y;                                                    \
        p[4 * i + 2] = x.z;                                                    \
        p[4 * i + 3] = x.w;                                                    \
    }
DEFINE_LOAD(float, float4, __global)
DEFINE_LOAD(ushort, ushort4, __global)
DEFINE_LOAD(float, float4, __private)
DEFINE_STORE(float, float4, __global)
DEFINE_STORE(ushort, ushort4, __global)
DEFINE_STORE(float, float4, __private)
#define DEFINE_STORE_EIGHT(type, space)                                                         \
    void OVERLOADED vstore8(PASTE_NAMES(type, 8) x, size_t i, space type *p)                    \
    {                                                                                           \
        p[0] = x.s0;                                                                            \
        p[1] = x.s1;                                                                            \
        p[2] = x.s2;                                                                            \
        p[3] = x.s3;                                                                            \
        p[4] = x.s4;                                                                            \
        p[5] = x.s5;                                                                            \
        p[6] = x.s6;                                                                            \
        p[7] = x.s7;                                                                            \
    }
#define DEFINE_LOAD_EIGHT(type, type8)                                                          \
    type8 OVERLOADED vload8(size_t i, const __private type *p)                                  \
    {                                                                                           \
        return (type8)(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]);                         \
    }
DEFINE_LOAD_EIGHT(float, float8)
DEFINE_STORE_EIGHT(float, __private)
DEFINE_STORE_EIGHT(float, __global)
DEFINE_LOAD_EIGHT(ushort, ushort8)
ushort8 OVERLOADED vload8(size_t i, const __global ushort *p)
{
    return (ushort8)(p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]);
}

void OVERLOADED vstore8(ushort8 x, size_t i, __global ushort *p)
{
    p[0] = x.s0;
    p[1] = x.s1;
    p[2] = x.s2;
    p[3] = x.s3;
    p[4] = x.s4;
    p[5] = x.s5;
    p[6] = x.s6;
    p[7] = x.s7;
}

void OVERLOADED vstore2(float2 x, size_t i, __global float *p)
{
    p[2 * i] = x.x;
    p[2 * i + 1] = x.y;
}
