/* Tables of instructions, and what they are written with. */
#ifndef TESTS_PTX_DEVICE_PTX_OPERATIONS_H
#define TESTS_PTX_DEVICE_PTX_OPERATIONS_H

#include "ptx_machine.h"

/* An instruction whose operands are registers: the first is the result. `sizes` has a digit for
 * each, its bytes a lane: 4 or 8. */
typedef struct ptx_operation {
    const char *name;
    const char *sizes;
    ptx_execute execute;
} ptx_operation;

/* Each ends with a name of NULL. */
extern const ptx_operation ptx_integer_operations[];
extern const ptx_operation ptx_float_operations[];
extern const ptx_operation ptx_compare_operations[];
extern const ptx_operation ptx_convert_operations[];

/* Whether an instruction copies a register of 32 bits. */
int ptx_is_move(const ptx_instruction *instruction);

/* Does something for every lane that is active; all lanes alike where that is allowed, for speed.
 * Results have the places of operands at most, so that lanes are independent. */
#define FOR_LANES(...)                                                    \
    if (warp->active == warp->exists) {                                   \
        _Pragma("GCC ivdep") for (int lane = 0; lane < PTX_LANES; lane++) \
        {                                                                 \
            __VA_ARGS__                                                   \
        }                                                                 \
    } else {                                                              \
        for (int lane = 0; lane < PTX_LANES; lane++) {                    \
            if (warp->active >> lane & 1) {                               \
                __VA_ARGS__                                               \
            }                                                             \
        }                                                                 \
    }

/* Registers as they lie: integers of 4 and 8 bytes, f32 and f64. */
#define REGISTERS(type, place) ((type *)(void *)(warp->registers + (place)))

/* A function `name` that computes `expression` of x, y and z; d has the type `to`, x, y and z are
 * read as `from`, which may be narrower than the `stored` type of their places. */
#define UNARY(name, to, stored, from, expression)                        \
    static void name(ptx_warp *warp, const ptx_instruction *instruction) \
    {                                                                    \
        to *d = REGISTERS(to, instruction->d);                           \
        const stored *a = REGISTERS(stored, instruction->a);             \
        FOR_LANES({                                                      \
            const from x = (from)a[lane];                                \
            d[lane] = (to)(expression);                                  \
        })                                                               \
    }
#define BINARY(name, to, stored, from, expression)                       \
    static void name(ptx_warp *warp, const ptx_instruction *instruction) \
    {                                                                    \
        to *d = REGISTERS(to, instruction->d);                           \
        const stored *a = REGISTERS(stored, instruction->a);             \
        const stored *b = REGISTERS(stored, instruction->b);             \
        FOR_LANES({                                                      \
            const from x = (from)a[lane];                                \
            const from y = (from)b[lane];                                \
            d[lane] = (to)(expression);                                  \
        })                                                               \
    }
#define TERNARY(name, to, stored, from, added, expression)               \
    static void name(ptx_warp *warp, const ptx_instruction *instruction) \
    {                                                                    \
        to *d = REGISTERS(to, instruction->d);                           \
        const stored *a = REGISTERS(stored, instruction->a);             \
        const stored *b = REGISTERS(stored, instruction->b);             \
        const added *c = REGISTERS(added, instruction->c);               \
        FOR_LANES({                                                      \
            const from x = (from)a[lane];                                \
            const from y = (from)b[lane];                                \
            const added z = c[lane];                                     \
            d[lane] = (to)(expression);                                  \
        })                                                               \
    }
/* The second operand is a number of 32 bits whatever the first is: shifts. */
#define SHIFT(name, type, expression)                                    \
    static void name(ptx_warp *warp, const ptx_instruction *instruction) \
    {                                                                    \
        type *d = REGISTERS(type, instruction->d);                       \
        const type *a = REGISTERS(type, instruction->a);                 \
        const uint32_t *b = REGISTERS(uint32_t, instruction->b);         \
        FOR_LANES({                                                      \
            const type x = a[lane];                                      \
            const uint32_t y = b[lane];                                  \
            d[lane] = (type)(expression);                                \
        })                                                               \
    }

#endif
