/* Plugins that this process has loaded, or tried to. Each file is opened once and stays open: a
 * plugin's threads and drivers don't survive being unmapped. */
#ifndef TTM_CORE_PLUGIN_LOADER_H
#define TTM_CORE_PLUGIN_LOADER_H

#include "core/plugin_search.h"

#include <ttm/backend.h>

/** A plugin file that was tried. Lives until the process ends and doesn't change. */
typedef struct ttm_plugin {
    char *path;
    const char *failure;      /**< Why it can't be used, in one line, or NULL. */
    ttm_backend backend;      /**< Its table, checked and complete, where `failure` is NULL. */
    const ttm_backend *table; /**< Its own table, where the entry function gave one. */
    void *library;            /**< The dynamic linker's handle, where it could be opened. */
    ttm_plugin_file file;     /**< As the search found it; path and problem are NULL here. */
} ttm_plugin;

/** Serialises loading, enumeration, and opening and closing of devices, as the plugin ABI promises.
 * Not recursive. */
void ttm_plugins_lock(void);
void ttm_plugins_unlock(void);

/** *plugin = the plugin in `file` (one without a problem), loaded now unless it has been before. A
 * plugin that can't be used is no failure of this function: see plugin->failure. Call with the lock
 * held. */
TTM_CHECKED ttm_status ttm_plugin_load(const ttm_plugin **plugin, const ttm_plugin_file *file);

#endif
