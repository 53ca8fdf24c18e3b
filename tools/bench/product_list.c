/* Digits are read by hand: strtoll would take spaces and signs. */
#include "bench/product_list.h"

#include <stdio.h>
#include <string.h>

#define MOST_EXTENT ((int64_t)1 << 20)

static bool read_extent(int64_t *extent, const char **text)
{
    *extent = 0;
    while (**text >= '0' && **text <= '9' && *extent <= MOST_EXTENT) {
        *extent = *extent * 10 + (*(*text)++ - '0');
    }
    return *extent >= 1 && *extent <= MOST_EXTENT;
}

/* Moves behind ":word" if the text goes on with it. */
static bool take_word(const char **text, const char *word)
{
    const size_t length = strlen(word);
    const char *end = *text + 1 + length;
    if (**text != ':' || strncmp(*text + 1, word, length) != 0 ||
        (*end != '\0' && *end != ',' && *end != ':')) {
        return false;
    }
    *text = end;
    return true;
}

static void take_case(bench_product *product, const char **text)
{
    static const char *const cases[] = {"nn", "nt", "tn", "tt"};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        if (take_word(text, cases[k])) {
            product->a_transposed = cases[k][0] == 't';
            product->b_transposed = cases[k][1] == 't';
            return;
        }
    }
}

static void take_dtype(bench_product *product, const char **text)
{
    static const ttm_dtype dtypes[] = {TTM_F32, TTM_TF32, TTM_BF16, TTM_F16, TTM_F64};
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
        if (take_word(text, ttm_dtype_name(dtypes[k]))) {
            product->dtype = dtypes[k];
            return;
        }
    }
}

static void write_name(bench_product *product)
{
    const char transpose[] = {':', product->a_transposed ? 't' : 'n',
                              product->b_transposed ? 't' : 'n', '\0'};
    const bool is_plain = !product->a_transposed && !product->b_transposed;
    const bool is_f32 = product->dtype == TTM_F32;
    snprintf(product->name, sizeof product->name, "%lldx%lldx%lld%s%s%s", (long long)product->m,
             (long long)product->n, (long long)product->k, is_plain ? "" : transpose,
             is_f32 ? "" : ":", is_f32 ? "" : ttm_dtype_name(product->dtype));
}

bool bench_next_product(bench_product *product, const char **list)
{
    const char *text = *list;
    int64_t *const extents[] = {&product->m, &product->n, &product->k};
    *product = (bench_product){.dtype = TTM_F32};
    for (int i = 0; i < 3; i++) {
        if (!read_extent(extents[i], &text) || (i < 2 && *text++ != 'x')) {
            return false;
        }
    }
    take_case(product, &text);
    take_dtype(product, &text);
    if (*text != '\0' && *text != ',') {
        return false;
    }
    write_name(product);
    *list = text + (*text == ',' ? 1 : 0);
    return true;
}

bool bench_is_product_list(const char *list)
{
    bench_product product;
    const bool is_empty = *list == '\0';
    while (bench_next_product(&product, &list)) {
    }
    return !is_empty && *list == '\0';
}

bool bench_products_have(const char *list, ttm_dtype dtype)
{
    bench_product product;
    while (list != NULL && bench_next_product(&product, &list)) {
        if (product.dtype == dtype) {
            return true;
        }
    }
    return false;
}
