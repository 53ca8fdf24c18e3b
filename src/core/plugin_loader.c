/* Opening plugin files and keeping what came of it. */
#include "core/plugin_loader.h"

#include "core/array.h"
#include "core/error.h"
#include "core/plugin_host.h"
#include "core/plugin_image.h"
#include "core/plugin_table.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* All under the lock. Pointers to the plugins are handed out, hence an array of pointers. */
static ttm_plugin **plugins;
static size_t plugin_count;
static size_t plugin_capacity;
static int slots_used;

void ttm_plugins_lock(void)
{
    pthread_mutex_lock(&lock);
}

void ttm_plugins_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* An opened file keeps its inode number; of one that couldn't be opened the number may belong to
 * another file by now, or the file may have been repaired. */
static bool is_same_file(const ttm_plugin *plugin, const ttm_plugin_file *file)
{
    const ttm_plugin_file *known = &plugin->file;
    const bool same_content = known->size == file->size &&
                              known->changed.tv_sec == file->changed.tv_sec &&
                              known->changed.tv_nsec == file->changed.tv_nsec;
    return known->device == file->device && known->inode == file->inode &&
           (plugin->library != NULL || same_content);
}

static const ttm_plugin *find(const ttm_plugin_file *file, bool any_name)
{
    for (size_t k = 0; k < plugin_count; k++) {
        if (is_same_file(plugins[k], file) &&
            (any_name || strcmp(plugins[k]->file.name, file->name) == 0)) {
            return plugins[k];
        }
    }
    return NULL;
}

/* The linker's message without the path that it often begins with: the caller names the file. */
static const char *linker_message(const char *path)
{
    const char *text = dlerror();
    if (text == NULL) {
        return "the dynamic linker gives no reason";
    }
    const size_t length = strlen(path);
    if (strncmp(text, path, length) == 0 && strncmp(text + length, ": ", 2) == 0) {
        text += length + 2;
    }
    return text;
}

/* Opens the file and calls its entry function. */
static ttm_status open_plugin(ttm_plugin *plugin)
{
    TTM_TRY(ttm_plugin_image_check(plugin->path));
    if (slots_used == TTM_MAX_PLUGINS) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%d plugins are loaded already, more aren't possible",
                        TTM_MAX_PLUGINS);
    }
    /* Should its constructors end the program, this is the last line. */
    ttm_log(TTM_LOG_DEBUG, "loading backend plugin '%s'", plugin->path);
    plugin->library = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->library == NULL) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%s", linker_message(plugin->path));
    }
    void *symbol = dlsym(plugin->library, TTM_BACKEND_ENTRY_NAME);
    if (symbol == NULL) {
        return ttm_fail(TTM_ERROR_PLUGIN,
                        "it doesn't export %s: it isn't a libttm backend, or was built with that "
                        "function hidden (TTM_API shows it)",
                        TTM_BACKEND_ENTRY_NAME);
    }
    /* ISO C has no cast from void * to a function; POSIX promises that the bytes are the same. */
    ttm_backend_entry_function entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    const char *reason = "its entry function returned no table and gave no reason";
    (void)ttm_fail(TTM_ERROR_PLUGIN, "%s", reason);
    plugin->table = entry(ttm_plugin_host(slots_used++, plugin->file.name));
    return plugin->table != NULL ? TTM_OK : TTM_ERROR_PLUGIN;
}

static ttm_status try_plugin(ttm_plugin *plugin, const ttm_plugin *same_file)
{
    if (same_file != NULL && same_file->table == NULL) {
        return ttm_fail(TTM_ERROR_PLUGIN, "%s", same_file->failure);
    }
    if (same_file != NULL) {
        plugin->library = same_file->library;
        plugin->table = same_file->table;
    } else {
        TTM_TRY(open_plugin(plugin));
    }
    return ttm_plugin_table_check(&plugin->backend, plugin->table, plugin->file.name);
}

ttm_status ttm_plugin_load(const ttm_plugin **plugin, const ttm_plugin_file *file)
{
    const ttm_plugin *known = find(file, false);
    if (known != NULL) {
        *plugin = known;
        return TTM_OK;
    }
    ttm_plugin *made = NULL;
    TTM_TRY(ttm_array_reserve(&plugins, &plugin_capacity, plugin_count + 1, sizeof(ttm_plugin *),
                              "the list of plugins"));
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "a plugin"));
    made->file = *file;
    made->file.path = NULL;
    made->file.problem = NULL;
    made->path = strdup(file->path);
    if (made->path == NULL) {
        free(made);
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to load '%s'", file->path);
    }
    /* The same file under two names is opened once: its entry function expects that. */
    if (try_plugin(made, find(file, true)) != TTM_OK) {
        char *failure = strdup(ttm_error_message());
        if (failure != NULL) {
            ttm_plugin_clean_text(failure);
        }
        /* What was made stays even without memory: the plugin's callbacks may hold its name. */
        made->failure = failure != NULL ? failure : "no memory to say why";
        ttm_log(TTM_LOG_INFO, "backend plugin '%s' can't be used: %s", made->path, made->failure);
    } else {
        ttm_log(TTM_LOG_DEBUG, "loaded backend %s %s from '%s' (plugin ABI %u.%u)",
                made->backend.name, made->backend.version, made->path, made->backend.abi_major,
                made->backend.abi_minor);
    }
    plugins[plugin_count++] = made;
    *plugin = made;
    return TTM_OK;
}
