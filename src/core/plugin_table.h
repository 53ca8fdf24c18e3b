/* Checking what a plugin's entry function returned before any of it is used. */
#ifndef TTM_CORE_PLUGIN_TABLE_H
#define TTM_CORE_PLUGIN_TABLE_H

#include <stdint.h>
#include <ttm/backend.h>

/** A plugin offers at most this many devices; more is taken for nonsense. */
#define TTM_MAX_PLUGIN_DEVICES 256

/** Copies a plugin's table into *copy, in which members that the plugin lacks are NULL, and checks
 * it: magic, version, size, required members, members that come together, and that its name is
 * `name`, the one in the file's name. Otherwise TTM_ERROR_PLUGIN. */
TTM_CHECKED ttm_status ttm_plugin_table_check(ttm_backend *copy, const ttm_backend *table,
                                              const char *name);

/** *count = number of the plugin's devices. TTM_ERROR_PLUGIN when that isn't credible. Call with
 * enumeration serialised. */
TTM_CHECKED ttm_status ttm_plugin_device_count(int32_t *count, const ttm_backend *backend);

/** *info = description of device `index`: strings are ended and clean, numbers in range. A
 * description that can't be worked with is TTM_ERROR_PLUGIN. Call with enumeration serialised. */
TTM_CHECKED ttm_status ttm_plugin_device_info(ttm_device_info *info, const ttm_backend *backend,
                                              int32_t index);

#endif
