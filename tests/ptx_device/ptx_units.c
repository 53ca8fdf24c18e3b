/* Sums of products as matrix units make them. */
#include "ptx_units.h"

#include <math.h>

enum { SUM_BITS = 24 };

/* An integer below 2^60 cut off to 24 bits. */
static int64_t cut_off(int64_t total)
{
    const uint64_t size = total < 0 ? (uint64_t)-total : (uint64_t)total;
    const int bits = size == 0 ? 0 : 64 - __builtin_clzll(size);
    const uint64_t kept = bits > SUM_BITS ? size >> (bits - SUM_BITS) << (bits - SUM_BITS) : size;
    return total < 0 ? -(int64_t)kept : (int64_t)kept;
}

int ptx_take_halves(ptx_span *rest, ptx_half *type)
{
    *type = ptx_span_takes(rest, ".f16.f16") ? PTX_F16 : PTX_BF16;
    return *type == PTX_F16 || ptx_span_takes(rest, ".bf16.bf16");
}

float ptx_add_products(float sum, const float *a, const float *b)
{
    double products[PTX_UNIT_DEPTH];
    double largest = fabs((double)sum);
    double plain = (double)sum;
    for (int k = 0; k < PTX_UNIT_DEPTH; k++) {
        products[k] = (double)a[k] * (double)b[k]; /* exact: 22 bits at most */
        largest = fmax(largest, fabs(products[k]));
        plain += products[k];
    }
    if (!isfinite(plain) || largest < 0x1p-100) {
        return (float)plain;
    }
    const int shift = SUM_BITS - 1 - ilogb(largest);
    const double scale = ldexp(1.0, shift);
    int64_t total = (int64_t)((double)sum * scale);
    for (int k = 0; k < PTX_UNIT_DEPTH; k++) {
        total += (int64_t)(products[k] * scale);
    }
    return (float)ldexp((double)cut_off(total), -shift);
}
