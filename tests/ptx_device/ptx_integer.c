/* Integers, bits and moves. Sums wrap, so they are unsigned ones; a division by 0 has all bits set,
 * as on GPUs. */
#include "ptx_operations.h"

BINARY(add_32, uint32_t, uint32_t, uint32_t, x + y)
BINARY(add_64, uint64_t, uint64_t, uint64_t, x + y)
BINARY(add_16, uint32_t, uint32_t, uint32_t, (x + y) & 0xffffu)
BINARY(sub_32, uint32_t, uint32_t, uint32_t, x - y)
BINARY(sub_64, uint64_t, uint64_t, uint64_t, x - y)
BINARY(sub_16, uint32_t, uint32_t, uint32_t, (x - y) & 0xffffu)
BINARY(mul_lo_32, uint32_t, uint32_t, uint32_t, x *y)
BINARY(mul_lo_64, uint64_t, uint64_t, uint64_t, x *y)
BINARY(mul_lo_16, uint32_t, uint32_t, uint32_t, (x * y) & 0xffffu)
BINARY(mul_hi_u32, uint32_t, uint32_t, uint64_t, x *y >> 32)
BINARY(mul_hi_s32, uint32_t, int32_t, int64_t, x *y >> 32)
BINARY(mul_hi_u16, uint32_t, uint32_t, uint16_t, ((uint32_t)x * y) >> 16)
BINARY(mul_hi_u64, uint64_t, uint64_t, uint64_t, (unsigned __int128)x *y >> 64)
BINARY(mul_hi_s64, uint64_t, int64_t, int64_t, (__int128)x *y >> 64)
BINARY(mul_wide_u32, uint64_t, uint32_t, uint64_t, x *y)
BINARY(mul_wide_s32, uint64_t, int32_t, int64_t, x *y)
BINARY(mul_wide_u16, uint32_t, uint32_t, uint16_t, (uint32_t)x *y)
BINARY(mul_wide_s16, uint32_t, uint32_t, int16_t, (int32_t)x *y)
TERNARY(mad_lo_32, uint32_t, uint32_t, uint32_t, uint32_t, x *y + z)
TERNARY(mad_lo_64, uint64_t, uint64_t, uint64_t, uint64_t, x *y + z)
TERNARY(mad_wide_u32, uint64_t, uint32_t, uint64_t, uint64_t, x *y + z)
TERNARY(mad_wide_s32, uint64_t, int32_t, int64_t, uint64_t, (uint64_t)(x *y) + z)
BINARY(div_u32, uint32_t, uint32_t, uint32_t, y == 0 ? UINT32_MAX : x / y)
BINARY(div_s32, uint32_t, int32_t, int64_t, y == 0 ? -1 : x / y)
BINARY(div_u64, uint64_t, uint64_t, uint64_t, y == 0 ? UINT64_MAX : x / y)
BINARY(div_s64, uint64_t, int64_t, int64_t,
       y == 0    ? -1
       : y == -1 ? (int64_t)(0 - (uint64_t)x)
                 : x / y)
BINARY(rem_u32, uint32_t, uint32_t, uint32_t, y == 0 ? UINT32_MAX : x % y)
BINARY(rem_s32, uint32_t, int32_t, int64_t, y == 0 ? -1 : x % y)
BINARY(rem_u64, uint64_t, uint64_t, uint64_t, y == 0 ? UINT64_MAX : x % y)
BINARY(rem_s64, uint64_t, int64_t, int64_t, y == 0 ? -1 : y == -1 ? 0 : x % y)
BINARY(min_u32, uint32_t, uint32_t, uint32_t, x < y ? x : y)
BINARY(min_s32, uint32_t, int32_t, int32_t, x < y ? x : y)
BINARY(min_u64, uint64_t, uint64_t, uint64_t, x < y ? x : y)
BINARY(min_s64, uint64_t, int64_t, int64_t, x < y ? x : y)
BINARY(max_u32, uint32_t, uint32_t, uint32_t, x > y ? x : y)
BINARY(max_s32, uint32_t, int32_t, int32_t, x > y ? x : y)
BINARY(max_u64, uint64_t, uint64_t, uint64_t, x > y ? x : y)
BINARY(max_s64, uint64_t, int64_t, int64_t, x > y ? x : y)
BINARY(and_32, uint32_t, uint32_t, uint32_t, x &y)
BINARY(and_64, uint64_t, uint64_t, uint64_t, x &y)
BINARY(or_32, uint32_t, uint32_t, uint32_t, x | y)
BINARY(or_64, uint64_t, uint64_t, uint64_t, x | y)
BINARY(xor_32, uint32_t, uint32_t, uint32_t, x ^ y)
BINARY(xor_64, uint64_t, uint64_t, uint64_t, x ^ y)
UNARY(not_32, uint32_t, uint32_t, uint32_t, ~x)
UNARY(not_64, uint64_t, uint64_t, uint64_t, ~x)
UNARY(not_16, uint32_t, uint32_t, uint32_t, ~x & 0xffffu)
UNARY(not_predicate, uint32_t, uint32_t, uint32_t, x ^ 1u)
UNARY(neg_32, uint32_t, uint32_t, uint32_t, 0u - x)
UNARY(neg_64, uint64_t, uint64_t, uint64_t, 0u - x)
UNARY(abs_s32, uint32_t, uint32_t, uint32_t, x >> 31 ? 0u - x : x)
UNARY(move_32, uint32_t, uint32_t, uint32_t, x)
UNARY(move_64, uint64_t, uint64_t, uint64_t, x)
UNARY(local_to_generic, uint64_t, uint64_t, uint64_t, x | PTX_LOCAL_BASE)
UNARY(clz_32, uint32_t, uint32_t, uint32_t, x == 0 ? 32 : __builtin_clz(x))
UNARY(popc_32, uint32_t, uint32_t, uint32_t, __builtin_popcount(x))
SHIFT(shl_32, uint32_t, y > 31 ? 0 : x << y)
SHIFT(shl_64, uint64_t, y > 63 ? 0 : x << y)
SHIFT(shl_16, uint32_t, y > 15 ? 0 : x << y & 0xffffu)
SHIFT(shr_u32, uint32_t, y > 31 ? 0 : x >> y)
SHIFT(shr_s32, int32_t, x >> (y > 31 ? 31 : y))
SHIFT(shr_u64, uint64_t, y > 63 ? 0 : x >> y)
SHIFT(shr_s64, int64_t, x >> (y > 63 ? 63 : y))
SHIFT(shr_u16, uint32_t, y > 15 ? 0 : (x & 0xffffu) >> y)
SHIFT(shr_s16, uint32_t, (uint32_t)((int16_t)x >> (y > 15 ? 15 : y)) & 0xffffu)

/* bfe: `z` bits of x from bit y on. */
TERNARY(bfe_u32, uint32_t, uint32_t, uint32_t, uint32_t,
        (y & 255) > 31 ? 0 : x >> (y & 255) & ((z & 255) > 31 ? UINT32_MAX : (1u << (z & 255)) - 1))

/* prmt: four bytes of two words, chosen by four digits; bit 3 of a digit copies the sign. */
static uint32_t permute(uint32_t low, uint32_t high, uint32_t digits)
{
    const uint64_t both = (uint64_t)high << 32 | low;
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        const uint32_t digit = digits >> 4 * i & 15;
        uint32_t byte = (uint32_t)(both >> 8 * (digit & 7)) & 255;
        if (digit & 8) {
            byte = byte & 128 ? 255 : 0;
        }
        result |= byte << 8 * i;
    }
    return result;
}
TERNARY(prmt_32, uint32_t, uint32_t, uint32_t, uint32_t, permute(x, y, z))

/* shf: the upper or lower word of two that are shifted together. */
TERNARY(shf_left_wrap, uint32_t, uint32_t, uint32_t, uint32_t,
        (((uint64_t)y << 32 | x) << (z & 31)) >> 32)
TERNARY(shf_right_wrap, uint32_t, uint32_t, uint32_t, uint32_t, ((uint64_t)y << 32 | x) >> (z & 31))

TERNARY(select_32, uint32_t, uint32_t, uint32_t, uint32_t, z ? x : y)
TERNARY(select_64, uint64_t, uint64_t, uint64_t, uint32_t, z ? x : y)

const ptx_operation ptx_integer_operations[] = {
    {"add.s32", "444", add_32},
    {"add.u32", "444", add_32},
    {"add.s64", "888", add_64},
    {"add.u64", "888", add_64},
    {"add.s16", "444", add_16},
    {"add.u16", "444", add_16},
    {"sub.s32", "444", sub_32},
    {"sub.u32", "444", sub_32},
    {"sub.s64", "888", sub_64},
    {"sub.u64", "888", sub_64},
    {"sub.s16", "444", sub_16},
    {"sub.u16", "444", sub_16},
    {"mul.lo.s32", "444", mul_lo_32},
    {"mul.lo.u32", "444", mul_lo_32},
    {"mul.lo.s64", "888", mul_lo_64},
    {"mul.lo.u64", "888", mul_lo_64},
    {"mul.lo.s16", "444", mul_lo_16},
    {"mul.lo.u16", "444", mul_lo_16},
    {"mul.hi.u32", "444", mul_hi_u32},
    {"mul.hi.s32", "444", mul_hi_s32},
    {"mul.hi.u16", "444", mul_hi_u16},
    {"mul.hi.u64", "888", mul_hi_u64},
    {"mul.hi.s64", "888", mul_hi_s64},
    {"mul.wide.u32", "844", mul_wide_u32},
    {"mul.wide.s32", "844", mul_wide_s32},
    {"mul.wide.u16", "444", mul_wide_u16},
    {"mul.wide.s16", "444", mul_wide_s16},
    {"mad.lo.s32", "4444", mad_lo_32},
    {"mad.lo.u32", "4444", mad_lo_32},
    {"mad.lo.s64", "8888", mad_lo_64},
    {"mad.lo.u64", "8888", mad_lo_64},
    {"mad.wide.u32", "8448", mad_wide_u32},
    {"mad.wide.s32", "8448", mad_wide_s32},
    {"div.u32", "444", div_u32},
    {"div.s32", "444", div_s32},
    {"div.u64", "888", div_u64},
    {"div.s64", "888", div_s64},
    {"rem.u32", "444", rem_u32},
    {"rem.s32", "444", rem_s32},
    {"rem.u64", "888", rem_u64},
    {"rem.s64", "888", rem_s64},
    {"min.u32", "444", min_u32},
    {"min.s32", "444", min_s32},
    {"min.u64", "888", min_u64},
    {"min.s64", "888", min_s64},
    {"max.u32", "444", max_u32},
    {"max.s32", "444", max_s32},
    {"max.u64", "888", max_u64},
    {"max.s64", "888", max_s64},
    {"and.b16", "444", and_32},
    {"and.b32", "444", and_32},
    {"and.b64", "888", and_64},
    {"and.pred", "444", and_32},
    {"or.b16", "444", or_32},
    {"or.b32", "444", or_32},
    {"or.b64", "888", or_64},
    {"or.pred", "444", or_32},
    {"xor.b16", "444", xor_32},
    {"xor.b32", "444", xor_32},
    {"xor.b64", "888", xor_64},
    {"xor.pred", "444", xor_32},
    {"not.b16", "44", not_16},
    {"not.b32", "44", not_32},
    {"not.b64", "88", not_64},
    {"not.pred", "44", not_predicate},
    {"neg.s32", "44", neg_32},
    {"neg.s64", "88", neg_64},
    {"abs.s32", "44", abs_s32},
    {"clz.b32", "44", clz_32},
    {"popc.b32", "44", popc_32},
    {"mov.b16", "44", move_32},
    {"mov.u16", "44", move_32},
    {"mov.b32", "44", move_32},
    {"mov.u32", "44", move_32},
    {"mov.s32", "44", move_32},
    {"mov.f32", "44", move_32},
    {"mov.pred", "44", move_32},
    {"mov.b64", "88", move_64},
    {"mov.u64", "88", move_64},
    {"mov.f64", "88", move_64},
    {"cvta.local.u64", "88", local_to_generic},
    {"shl.b32", "444", shl_32},
    {"shl.b64", "884", shl_64},
    {"shl.b16", "444", shl_16},
    {"shr.u32", "444", shr_u32},
    {"shr.s32", "444", shr_s32},
    {"shr.u64", "884", shr_u64},
    {"shr.s64", "884", shr_s64},
    {"shr.u16", "444", shr_u16},
    {"shr.s16", "444", shr_s16},
    {"bfe.u32", "4444", bfe_u32},
    {"prmt.b32", "4444", prmt_32},
    {"shf.l.wrap.b32", "4444", shf_left_wrap},
    {"shf.r.wrap.b32", "4444", shf_right_wrap},
    {"selp.b16", "4444", select_32},
    {"selp.u16", "4444", select_32},
    {"selp.b32", "4444", select_32},
    {"selp.u32", "4444", select_32},
    {"selp.s32", "4444", select_32},
    {"selp.f32", "4444", select_32},
    {"selp.b64", "8884", select_64},
    {"selp.u64", "8884", select_64},
    {"selp.f64", "8884", select_64},
    {NULL, NULL, NULL},
};

int ptx_is_move(const ptx_instruction *instruction)
{
    return instruction->execute == move_32;
}
