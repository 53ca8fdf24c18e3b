/* Memory for arrays whose length comes from outside: the size is checked before it is multiplied.
 */
#ifndef TTM_CORE_ARRAY_H
#define TTM_CORE_ARRAY_H

#include <stddef.h>
#include <ttm/status.h>

/** *out = `count` zeroed elements of `element_bytes` each, NULL-free even for count 0. The caller
 * frees with free(). TTM_ERROR_OUT_OF_MEMORY when the size overflows or memory is short; the
 * message names `what`. */
TTM_CHECKED ttm_status ttm_array_new(void *out, size_t count, size_t element_bytes,
                                     const char *what);

/** Makes room for at least `needed` elements in *array (grows by doubling, contents kept, new part
 * not cleared). On failure the array is unchanged and still the caller's. */
TTM_CHECKED ttm_status ttm_array_reserve(void *array, size_t *capacity, size_t needed,
                                         size_t element_bytes, const char *what);

#endif
