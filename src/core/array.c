/* Growing and zeroed arrays with checked sizes. The pointers travel as void * and are copied with
 * memcpy, so that any pointer type can be passed without breaking aliasing rules. */
#include "core/array.h"

#include "core/checked.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

ttm_status ttm_array_new(void *out, size_t count, size_t element_bytes, const char *what)
{
    void *memory = calloc(count > 0 ? count : 1, element_bytes);
    if (memory == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %s: %zu × %zu bytes", what, count,
                        element_bytes);
    }
    memcpy(out, &memory, sizeof memory);
    return TTM_OK;
}

ttm_status ttm_array_reserve(void *array, size_t *capacity, size_t needed, size_t element_bytes,
                             const char *what)
{
    if (needed <= *capacity) {
        return TTM_OK;
    }
    size_t wanted = *capacity < 16 ? 16 : *capacity;
    while (wanted < needed) {
        if (!ttm_checked_mul(&wanted, wanted, 2)) {
            wanted = needed;
        }
    }
    size_t bytes = 0;
    void *old = NULL;
    memcpy(&old, array, sizeof old);
    void *grown = ttm_checked_mul(&bytes, wanted, element_bytes) ? realloc(old, bytes) : NULL;
    if (grown == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for %s: %zu × %zu bytes", what, wanted,
                        element_bytes);
    }
    memcpy(array, &grown, sizeof grown);
    *capacity = wanted;
    return TTM_OK;
}
