/* Options structs begin with their size, so that a caller that forgot to initialise one, or was
 * built against an incompatible libttm, is told so instead of being misread. */
#ifndef TTM_TEXT_OPTIONS_H
#define TTM_TEXT_OPTIONS_H

#include "core/error.h"
#include <stddef.h>

/** Checks the struct_size of options (NULL passes: defaults) against `known` bytes. */
TTM_CHECKED static inline ttm_status ttm_options_check(const size_t *struct_size, size_t known,
                                                       const char *initialiser)
{
    if (struct_size != NULL && *struct_size < known) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT,
            "options with struct_size %zu, where %zu is needed: initialise them with %s",
            *struct_size, known, initialiser);
    }
    return TTM_OK;
}

#endif
