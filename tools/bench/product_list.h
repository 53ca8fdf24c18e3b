/* The list of --product: MxNxK, then where wanted a transpose case and a type, as in
 * 768x3072x16384:tn:bf16. */
#ifndef TTM_TOOLS_BENCH_PRODUCT_LIST_H
#define TTM_TOOLS_BENCH_PRODUCT_LIST_H

#include <stdbool.h>
#include <stdint.h>
#include <ttm/types.h>

/** One product [m, k]·[k, n]. */
typedef struct bench_product {
    int64_t m;
    int64_t n;
    int64_t k;
    bool a_transposed; /**< a lies in memory as [k, m], */
    bool b_transposed; /**< b as [n, k]. */
    ttm_dtype dtype;   /**< Of all three; with TF32 operands the result is f32. */
    char name[64];     /**< As on the command line, without what is so anyway. */
} bench_product;

/** Reads the product that *list begins with and moves *list behind it and its comma. Returns false
 * where there is none: at the end of the list, and where it is wrong, which leaves *list there. */
bool bench_next_product(bench_product *product, const char **list);

/** Returns whether a list is right and not empty. */
bool bench_is_product_list(const char *list);

/** Returns whether a product of a right list, or of NULL, has a type. */
bool bench_products_have(const char *list, ttm_dtype dtype);

#endif
