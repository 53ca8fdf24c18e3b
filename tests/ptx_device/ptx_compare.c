/* Comparisons: setp, whose result is a predicate. */
#include "ptx_operations.h"

/* The comparisons of numbers that are ordered by their values alone. */
#define COMPARISONS(type, stored)                     \
    BINARY(eq_##type, uint32_t, stored, type, x == y) \
    BINARY(ne_##type, uint32_t, stored, type, x != y) \
    BINARY(lt_##type, uint32_t, stored, type, x < y)  \
    BINARY(le_##type, uint32_t, stored, type, x <= y) \
    BINARY(gt_##type, uint32_t, stored, type, x > y)  \
    BINARY(ge_##type, uint32_t, stored, type, x >= y)
COMPARISONS(uint16_t, uint32_t)
COMPARISONS(int16_t, uint32_t)
COMPARISONS(uint32_t, uint32_t)
COMPARISONS(int32_t, int32_t)
COMPARISONS(uint64_t, uint64_t)
COMPARISONS(int64_t, int64_t)

/* With NaN the plain ones are false (ne as well), and those that end with u are true. */
#define FLOAT_COMPARISONS(type)                                 \
    BINARY(eq_##type, uint32_t, type, type, x == y)             \
    BINARY(ne_##type, uint32_t, type, type, x<y || x> y)        \
    BINARY(lt_##type, uint32_t, type, type, x < y)              \
    BINARY(le_##type, uint32_t, type, type, x <= y)             \
    BINARY(gt_##type, uint32_t, type, type, x > y)              \
    BINARY(ge_##type, uint32_t, type, type, x >= y)             \
    BINARY(equ_##type, uint32_t, type, type, !(x < y || x > y)) \
    BINARY(neu_##type, uint32_t, type, type, x != y)            \
    BINARY(ltu_##type, uint32_t, type, type, !(x >= y))         \
    BINARY(leu_##type, uint32_t, type, type, !(x > y))          \
    BINARY(gtu_##type, uint32_t, type, type, !(x <= y))         \
    BINARY(geu_##type, uint32_t, type, type, !(x < y))          \
    BINARY(num_##type, uint32_t, type, type, x == x && y == y)  \
    BINARY(nan_##type, uint32_t, type, type, x != x || y != y)
FLOAT_COMPARISONS(float)
FLOAT_COMPARISONS(double)

#define INTEGER_ENTRIES(suffix, sizes, type)                                          \
    {"setp.eq." suffix, sizes, eq_##type}, {"setp.ne." suffix, sizes, ne_##type},     \
        {"setp.lt." suffix, sizes, lt_##type}, {"setp.le." suffix, sizes, le_##type}, \
        {"setp.gt." suffix, sizes, gt_##type},                                        \
    {                                                                                 \
        "setp.ge." suffix, sizes, ge_##type                                           \
    }
#define FLOAT_ENTRIES(suffix, sizes, type)                                                \
    INTEGER_ENTRIES(suffix, sizes, type), {"setp.equ." suffix, sizes, equ_##type},        \
        {"setp.neu." suffix, sizes, neu_##type}, {"setp.ltu." suffix, sizes, ltu_##type}, \
        {"setp.leu." suffix, sizes, leu_##type}, {"setp.gtu." suffix, sizes, gtu_##type}, \
        {"setp.geu." suffix, sizes, geu_##type}, {"setp.num." suffix, sizes, num_##type}, \
    {                                                                                     \
        "setp.nan." suffix, sizes, nan_##type                                             \
    }

const ptx_operation ptx_compare_operations[] = {
    INTEGER_ENTRIES("u16", "444", uint16_t), INTEGER_ENTRIES("b16", "444", uint16_t),
    INTEGER_ENTRIES("s16", "444", int16_t),  INTEGER_ENTRIES("u32", "444", uint32_t),
    INTEGER_ENTRIES("b32", "444", uint32_t), INTEGER_ENTRIES("s32", "444", int32_t),
    INTEGER_ENTRIES("u64", "488", uint64_t), INTEGER_ENTRIES("b64", "488", uint64_t),
    INTEGER_ENTRIES("s64", "488", int64_t),  FLOAT_ENTRIES("f32", "444", float),
    FLOAT_ENTRIES("f64", "488", double),     {NULL, NULL, NULL},
};
