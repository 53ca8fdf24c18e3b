/* Listing what plugins offer, best choice first: the ground for ttm_device_list_new and for
 * choosing a device. */
#ifndef TTM_CORE_DEVICE_LIST_H
#define TTM_CORE_DEVICE_LIST_H

#include "core/plugin_loader.h"

#include <ttm/device.h>

/** How good a choice a device is without anybody's wish, best first. */
typedef enum ttm_device_class {
    TTM_CLASS_GPU,
    TTM_CLASS_ACCELERATOR,
    TTM_CLASS_CPU,         /**< Of the backend `cpu`. */
    TTM_CLASS_FOREIGN_CPU, /**< A CPU behind another backend. */
    TTM_CLASS_CHECKING     /**< Checking-only: taken only when named. */
} ttm_device_class;

/** Returns the class of a device of the backend `backend`. */
ttm_device_class ttm_device_classify(const char *backend, const ttm_device_info *info);

/** A list under construction, and who offers what is in it. `list` comes first: a ttm_device_list
 * that is handed out is the beginning of one of these. */
typedef struct ttm_device_catalogue {
    ttm_device_list list;
    ttm_device_entry *entries;
    const ttm_plugin **owners; /**< Plugin of each entry. */
    size_t entry_capacity;
    size_t owner_capacity;
    ttm_plugin_failure *failures;
    size_t failure_capacity;
    ttm_plugin_files files; /**< Every plugin file that was found, loaded or not. */
} ttm_device_catalogue;

/** Searches for plugins, loads the one named `backend` (NULL: all) and lists its devices in
 * *catalogue, zero-initialised before. Of several files with one name the first that works counts.
 * The caller frees it with ttm_device_catalogue_free, after a failure too. Call with the plugin
 * lock held. */
TTM_CHECKED ttm_status ttm_device_catalogue_make(ttm_device_catalogue *catalogue,
                                                 const char *backend);

/** Notes that something of a plugin couldn't be used; both texts are copied. */
TTM_CHECKED ttm_status ttm_device_catalogue_add_failure(ttm_device_catalogue *catalogue,
                                                        const char *path, const char *message);

/** Frees what the catalogue holds, not the struct itself. */
void ttm_device_catalogue_free(ttm_device_catalogue *catalogue);

#endif
