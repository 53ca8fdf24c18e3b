/* Which devices fit a wish such as "opencl:H100", in the order in which they are to be tried. */
#ifndef TTM_CORE_DEVICE_CHOICE_H
#define TTM_CORE_DEVICE_CHOICE_H

#include "core/device_list.h"

#include <stdbool.h>

/** What was asked for. Strings point into those that it was made from. */
typedef struct ttm_device_wish {
    char backend[TTM_PLUGIN_NAME_BYTES]; /**< Name, or "" for auto. */
    const char *device;                  /**< Index or part of a name, or NULL. */
    const char *source;                  /**< Where the wish comes from, for the log line. */
} ttm_device_wish;

/** Puts together what ttm_device_open was called with and `environment` (TTM_BACKEND, or NULL).
 * Fails with TTM_ERROR_ARGUMENT when a text can't be a backend's name. */
TTM_CHECKED ttm_status ttm_device_wish_make(ttm_device_wish *wish, const char *backend,
                                            const char *device, const char *environment);

/** Numbers of entries of a catalogue, to be tried in this order. */
typedef struct ttm_device_candidates {
    size_t *items;
    size_t count;
    bool ambiguous; /**< A part of a name fitted several: only the first is kept. */
} ttm_device_candidates;

/** Finds the devices that fit. The caller frees candidates->items, after a failure too. When there
 * are none: TTM_ERROR_NOT_FOUND, or TTM_ERROR_PLUGIN for a backend that is there and broken, with
 * what there is instead. */
TTM_CHECKED ttm_status ttm_device_candidates_find(ttm_device_candidates *candidates,
                                                  const ttm_device_catalogue *catalogue,
                                                  const ttm_device_wish *wish);

#endif
