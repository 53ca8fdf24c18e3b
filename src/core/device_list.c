/* The catalogue of devices. A plugin that fails in any way becomes a line among the failures and
 * never a failure of the list. */
#include "core/device_list.h"

#include "core/array.h"
#include "core/error.h"
#include "core/plugin_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

ttm_device_class ttm_device_classify(const char *backend, const ttm_device_info *info)
{
    if ((info->capabilities & TTM_DEVICE_CHECKING_ONLY) != 0) {
        return TTM_CLASS_CHECKING;
    }
    switch (info->kind) {
    case TTM_DEVICE_GPU:
        return TTM_CLASS_GPU;
    case TTM_DEVICE_ACCELERATOR:
        return TTM_CLASS_ACCELERATOR;
    case TTM_DEVICE_CPU:
        break;
    }
    return strcmp(backend, "cpu") == 0 ? TTM_CLASS_CPU : TTM_CLASS_FOREIGN_CPU;
}

ttm_status ttm_device_catalogue_add_failure(ttm_device_catalogue *catalogue, const char *path,
                                            const char *message)
{
    TTM_TRY(ttm_array_reserve(&catalogue->failures, &catalogue->failure_capacity,
                              catalogue->list.failure_count + 1, sizeof *catalogue->failures,
                              "the list of plugin failures"));
    catalogue->list.failures = catalogue->failures;
    char *own_path = strdup(path);
    char *own_message = strdup(message);
    if (own_path == NULL || own_message == NULL) {
        free(own_path);
        free(own_message);
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to list plugin failures");
    }
    catalogue->failures[catalogue->list.failure_count++] =
        (ttm_plugin_failure){.plugin_path = own_path, .message = own_message};
    return TTM_OK;
}

/* A better device has a lower class, and within a class more memory; equals keep the order in which
 * they were found. */
static bool is_better(const ttm_device_entry *left, const ttm_device_entry *right)
{
    const ttm_device_class left_class = ttm_device_classify(left->backend, &left->info);
    const ttm_device_class right_class = ttm_device_classify(right->backend, &right->info);
    if (left_class != right_class) {
        return left_class < right_class;
    }
    return left->info.memory_bytes > right->info.memory_bytes;
}

static ttm_status add_device(ttm_device_catalogue *catalogue, const ttm_plugin *plugin,
                             const ttm_device_entry *entry)
{
    const size_t count = catalogue->list.device_count;
    TTM_TRY(ttm_array_reserve(&catalogue->entries, &catalogue->entry_capacity, count + 1,
                              sizeof *catalogue->entries, "the list of devices"));
    catalogue->list.devices = catalogue->entries;
    TTM_TRY(ttm_array_reserve(&catalogue->owners, &catalogue->owner_capacity, count + 1,
                              sizeof(const ttm_plugin *), "the list of devices"));
    size_t place = count;
    while (place > 0 && is_better(entry, &catalogue->entries[place - 1])) {
        catalogue->entries[place] = catalogue->entries[place - 1];
        catalogue->owners[place] = catalogue->owners[place - 1];
        place--;
    }
    catalogue->entries[place] = *entry;
    catalogue->owners[place] = plugin;
    catalogue->list.device_count++;
    return TTM_OK;
}

/* Notes the thread's error message as a failure of the plugin. */
static ttm_status note_failure(ttm_device_catalogue *catalogue, const ttm_plugin *plugin)
{
    char message[MESSAGE_BYTES];
    snprintf(message, sizeof message, "%s", ttm_error_message());
    ttm_log(TTM_LOG_INFO, "backend plugin '%s': %s", plugin->path, message);
    return ttm_device_catalogue_add_failure(catalogue, plugin->path, message);
}

static ttm_status add_devices(ttm_device_catalogue *catalogue, const ttm_plugin *plugin)
{
    int32_t count = 0;
    if (ttm_plugin_device_count(&count, &plugin->backend) != TTM_OK) {
        return note_failure(catalogue, plugin);
    }
    for (int32_t index = 0; index < count; index++) {
        ttm_device_entry entry = {
            .backend = plugin->file.name, .plugin_path = plugin->path, .index = index};
        if (ttm_plugin_device_info(&entry.info, &plugin->backend, index) == TTM_OK) {
            TTM_TRY(add_device(catalogue, plugin, &entry));
        } else {
            TTM_TRY(note_failure(catalogue, plugin));
        }
    }
    return TTM_OK;
}

/* Returns the plugin among the first `count` files that works and has the name of `file`, or NULL.
 */
static const ttm_plugin *find_winner(const ttm_plugin **winners, size_t count, const char *name)
{
    for (size_t k = 0; k < count; k++) {
        if (strcmp(winners[k]->file.name, name) == 0) {
            return winners[k];
        }
    }
    return NULL;
}

static ttm_status note_shadowed(ttm_device_catalogue *catalogue, const ttm_plugin_file *file,
                                const ttm_plugin *winner)
{
    if (winner->file.device == file->device && winner->file.inode == file->inode) {
        return TTM_OK; /* the same file by another path: nothing is lost */
    }
    char message[MESSAGE_BYTES];
    snprintf(message, sizeof message, "shadowed by '%s', which was found first", winner->path);
    ttm_log(TTM_LOG_DEBUG, "backend plugin '%s' is %s", file->path, message);
    return ttm_device_catalogue_add_failure(catalogue, file->path, message);
}

/* Loads one file and lists its devices, unless an earlier file of its name works. */
static ttm_status add_file(ttm_device_catalogue *catalogue, const ttm_plugin **winners,
                           size_t *winner_count, const ttm_plugin_file *file)
{
    if (file->problem != NULL) {
        ttm_log(TTM_LOG_INFO, "backend plugin '%s' isn't used: %s", file->path, file->problem);
        return ttm_device_catalogue_add_failure(catalogue, file->path, file->problem);
    }
    const ttm_plugin *winner = find_winner(winners, *winner_count, file->name);
    if (winner != NULL) {
        return note_shadowed(catalogue, file, winner);
    }
    const ttm_plugin *plugin = NULL;
    TTM_TRY(ttm_plugin_load(&plugin, file));
    if (plugin->failure != NULL) {
        return ttm_device_catalogue_add_failure(catalogue, file->path, plugin->failure);
    }
    winners[(*winner_count)++] = plugin;
    return add_devices(catalogue, plugin);
}

/* Whether the last search was of this path too; remembers it. A tool that lists devices and then
 * opens one shouldn't complain twice about the same path. Under the plugin lock. */
static bool was_searched(const char *path)
{
    static char *last;
    const char *now = path != NULL ? path : "";
    if (last != NULL && strcmp(last, now) == 0) {
        return true;
    }
    free(last);
    last = strdup(now);
    return false;
}

ttm_status ttm_device_catalogue_make(ttm_device_catalogue *catalogue, const char *backend)
{
    const ttm_plugin **winners = NULL;
    size_t winner_count = 0;
    ttm_status status = TTM_OK;
    ttm_plugin_places places = ttm_plugin_default_places();
    places.repeated = was_searched(places.environment_path);
    TTM_TRY_OUT(ttm_plugin_search(&catalogue->files, &places));
    TTM_TRY_OUT(ttm_array_new(&winners, catalogue->files.count, sizeof(const ttm_plugin *),
                              "the list of plugins"));
    for (size_t k = 0; k < catalogue->files.count; k++) {
        const ttm_plugin_file *file = &catalogue->files.items[k];
        if (backend == NULL || strcmp(backend, file->name) == 0) {
            TTM_TRY_OUT(add_file(catalogue, winners, &winner_count, file));
        }
        if (backend != NULL && winner_count > 0) {
            break;
        }
    }
out:
    free(winners);
    return status;
}

void ttm_device_catalogue_free(ttm_device_catalogue *catalogue)
{
    for (size_t k = 0; k < catalogue->list.failure_count; k++) {
        free((void *)catalogue->failures[k].plugin_path);
        free((void *)catalogue->failures[k].message);
    }
    free(catalogue->failures);
    free(catalogue->entries);
    free(catalogue->owners);
    ttm_plugin_files_free(&catalogue->files);
    *catalogue = (ttm_device_catalogue){0};
}

ttm_status ttm_device_list_new(ttm_device_list **list)
{
    ttm_device_catalogue *made = NULL;
    TTM_TRY(ttm_array_new(&made, 1, sizeof *made, "the list of devices"));
    ttm_plugins_lock();
    const ttm_status status = ttm_device_catalogue_make(made, NULL);
    ttm_plugins_unlock();
    if (status != TTM_OK) {
        ttm_device_list_free(&made->list);
        return status;
    }
    *list = &made->list;
    return TTM_OK;
}

void ttm_device_list_free(ttm_device_list *list)
{
    if (list == NULL) {
        return;
    }
    ttm_device_catalogue *catalogue = (ttm_device_catalogue *)(void *)list;
    ttm_device_catalogue_free(catalogue);
    free(catalogue);
}
