/* Arithmetic on sizes that come from outside: every multiplication and addition says whether it
 * overflowed. */
#ifndef TTM_CORE_CHECKED_H
#define TTM_CORE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** *out = a·b; false when the product doesn't fit. */
static inline bool ttm_checked_mul(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

/** *out = a + b; false when the sum doesn't fit. */
static inline bool ttm_checked_add(size_t *out, size_t a, size_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

/** Rounds `value` up to a multiple of `alignment` (a power of two); false when that doesn't fit. */
static inline bool ttm_checked_align(size_t *out, size_t value, size_t alignment)
{
    size_t sum = 0;
    if (!ttm_checked_add(&sum, value, alignment - 1)) {
        return false;
    }
    *out = sum & ~(alignment - 1);
    return true;
}

#endif
