/* Opening a plugin's device, moving images to and from it, and running one op. */
#include "conformance/target.h"

#include "conformance/lent_op.h"
#include "conformance/operand.h"
#include "core/error.h"
#include "core/op_table.h"
#include "core/plugin_host.h"
#include "core/plugin_loader.h"
#include "core/plugin_search.h"
#include "core/plugin_table.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <ttm/compute.h>

ttm_status target_check(const struct target *target, const char *function, ttm_status status)
{
    return ttm_plugin_end(target->backend, function, status);
}

/* The NAME of a file …/libttm-backend-NAME.so, as the loader wants it. */
static ttm_status describe_file(ttm_plugin_file *file, const char *path)
{
    static const char prefix[] = "libttm-backend-";
    static const char suffix[] = ".so";
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const size_t length = strlen(base);
    const size_t frame = sizeof prefix - 1 + sizeof suffix - 1;
    struct stat information;
    if (length <= frame || length - frame >= sizeof file->name ||
        strncmp(base, prefix, sizeof prefix - 1) != 0 ||
        strcmp(base + length - (sizeof suffix - 1), suffix) != 0) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "%s: a plugin's file is called libttm-backend-NAME.so; rename it", path);
    }
    file->path = realpath(path, NULL);
    if (file->path == NULL || stat(file->path, &information) != 0) {
        free(file->path);
        file->path = NULL;
        return ttm_fail(TTM_ERROR_NOT_FOUND, "%s: there is no such plugin file", path);
    }
    memcpy(file->name, base + sizeof prefix - 1, length - frame);
    file->name[length - frame] = '\0';
    file->device = information.st_dev;
    file->inode = information.st_ino;
    return TTM_OK;
}

static ttm_status load(const ttm_backend **backend, const char **loaded_path, const char *path)
{
    ttm_plugin_file file = {0};
    const ttm_plugin *plugin = NULL;
    TTM_TRY(describe_file(&file, path));
    ttm_plugins_lock();
    ttm_status status = ttm_plugin_load(&plugin, &file);
    ttm_plugins_unlock();
    free(file.path);
    if (status == TTM_OK && plugin->failure != NULL) {
        status = ttm_fail(TTM_ERROR_PLUGIN, "%s: %s", path, plugin->failure);
    }
    if (status == TTM_OK) {
        *backend = &plugin->backend;
        *loaded_path = plugin->path;
    }
    return status;
}

/* *index = the device that a number or a part of a name stands for, and target->info what it is. */
static ttm_status choose_device(int32_t *index, struct target *target, const char *device)
{
    int32_t count = 0;
    char *end = NULL;
    const long number = device != NULL ? strtol(device, &end, 10) : 0;
    const bool numbered = device == NULL || (*end == '\0' && end != device);
    TTM_TRY(ttm_plugin_device_count(&count, target->backend));
    for (*index = 0; *index < count; (*index)++) {
        TTM_TRY(ttm_plugin_device_info(&target->info, target->backend, *index));
        if (numbered ? number == *index : strcasestr(target->info.name, device) != NULL) {
            return TTM_OK;
        }
    }
    return ttm_fail(TTM_ERROR_NOT_FOUND, "%s has %d device%s, none of which is '%s'",
                    target->backend->name, (int)count, count == 1 ? "" : "s",
                    device != NULL ? device : "0");
}

ttm_status target_open(struct target *target, const char *path, const char *device)
{
    int32_t index = 0;
    memset(target, 0, sizeof *target);
    TTM_TRY(load(&target->backend, &target->path, path));
    TTM_TRY(choose_device(&index, target, device));
    target->index = index;
    ttm_plugin_begin();
    TTM_TRY(
        target_check(target, "device_open", target->backend->device_open(&target->device, index)));
    ttm_plugin_begin();
    const ttm_status status = target_check(
        target, "stream_create", target->backend->stream_create(&target->stream, target->device));
    if (status != TTM_OK) {
        target->stream = NULL;
        target_close(target);
    }
    return status;
}

void target_close(struct target *target)
{
    if (target->stream != NULL) {
        target->backend->stream_destroy(target->stream);
    }
    if (target->device != NULL) {
        target->backend->device_close(target->device);
    }
    memset(target, 0, sizeof *target);
}

/* *path = the file of the plugin `name` in some places, or NULL. */
static ttm_status find_in(char **path, const char *name, const ttm_plugin_places *places)
{
    ttm_plugin_files files = {0};
    const ttm_status status = ttm_plugin_search(&files, places);
    for (size_t i = 0; status == TTM_OK && i < files.count && *path == NULL; i++) {
        const ttm_plugin_file *file = &files.items[i];
        const bool named = strcmp(file->name, name) == 0;
        if (named && file->problem == NULL) {
            *path = strdup(file->path);
        } else if (file->problem != NULL && (named || file->name[0] == '\0')) {
            ttm_log(TTM_LOG_WARNING, "'%s' is passed over: %s", file->path, file->problem);
        }
    }
    ttm_plugin_files_free(&files);
    return status;
}

/* This program links libttm statically, so that "the folder of libttm" is its own, `folder`. In a
 * build folder plugins lie one level higher, in a prefix in LIBDIR/ttm beside it. */
static ttm_status find_around(char **path, const char *name, const char *folder)
{
    static const char *const places[] = {"..", "../" TTM_LIBDIR};
    for (size_t i = 0; i < sizeof places / sizeof places[0] && *path == NULL; i++) {
        char *place = NULL;
        if (asprintf(&place, "%s/%s", folder, places[i]) < 0) {
            return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to look for a plugin");
        }
        const ttm_plugin_places around = {.library_folder = place};
        const ttm_status status = find_in(path, name, &around);
        free(place);
        TTM_TRY(status);
    }
    return TTM_OK;
}

ttm_status target_find(char **path, const char *name)
{
    ttm_plugin_places places = ttm_plugin_default_places();
    *path = NULL;
    TTM_TRY(find_in(path, name, &places));
    if (*path == NULL && places.library_folder != NULL && !places.secure) {
        TTM_TRY(find_around(path, name, places.library_folder));
    }
    if (*path == NULL) {
        return ttm_fail(TTM_ERROR_NOT_FOUND,
                        "there is no backend \"%s\"; set TTM_BACKEND_PATH to the folder of "
                        "libttm-backend-%s.so or give its file with --plugin",
                        name, name);
    }
    return TTM_OK;
}

ttm_status target_upload(ttm_memory **memory, const struct target *target, const void *image,
                         size_t bytes)
{
    ttm_memory *made = NULL;
    ttm_plugin_begin();
    TTM_TRY(target_check(target, "memory_alloc",
                         target->backend->memory_alloc(&made, target->device, bytes)));
    ttm_plugin_begin();
    const ttm_status status =
        target_check(target, "memory_write",
                     target->backend->memory_write(target->stream, made, 0, image, bytes));
    if (status != TTM_OK) {
        target_free(target, made);
        return status;
    }
    *memory = made;
    return TTM_OK;
}

ttm_status target_download(void *image, const struct target *target, ttm_memory *memory,
                           size_t bytes)
{
    ttm_plugin_begin();
    return target_check(target, "memory_read",
                        target->backend->memory_read(target->stream, image, memory, 0, bytes));
}

void target_free(const struct target *target, ttm_memory *memory)
{
    if (memory != NULL) {
        if (target->stream != NULL) {
            /* A failure has been told by what was looked at, or concerns nobody any more. */
            (void)target->backend->stream_synchronize(target->stream);
        }
        target->backend->memory_free(target->device, memory);
    }
}

int target_supports(const struct target *target, const ttm_op *op)
{
    return target->through != NULL || target_is_native(target, op);
}

int target_is_native(const struct target *target, const ttm_op *op)
{
    return target->backend->op_supported != NULL && target->backend->op_run != NULL &&
           target->backend->abi_minor >= ttm_op_since_minor(op) &&
           target->backend->op_supported(target->device, op);
}

/* The scratch of an op, between guards and full of NaN: it holds nothing that an op may rely on. */
static struct operand workspace_operand(const struct target *target, const ttm_op *op)
{
    const size_t bytes = target->backend->op_workspace_bytes != NULL
                             ? target->backend->op_workspace_bytes(target->device, op)
                             : 0;
    const int64_t elements = (int64_t)((bytes + sizeof(float) - 1) / sizeof(float));
    return (struct operand){.dtype = elements > 0 ? TTM_F32 : TTM_DTYPE_NONE,
                            .rank = 1,
                            .shape = {elements},
                            .stride = {1},
                            .elements = elements,
                            .count = elements};
}

/* Queues the op and overwrites what the plugin was lent. *lent stays readable, so that a plugin
 * which kept it computes nonsense instead of what chance left there; the caller frees it after the
 * wait. */
static ttm_status queue_lent(lent_op **lent, const struct target *target, const ttm_op *op,
                             const ttm_tensor *workspace)
{
    TTM_TRY(lent_op_new(lent, op, workspace));
    ttm_plugin_begin();
    const ttm_status status =
        target_check(target, "op_run", target->backend->op_run(target->stream, lent_op_get(*lent)));
    lent_op_spoil(*lent);
    return status;
}

ttm_status target_queue(const struct target *target, const ttm_op *op, const ttm_tensor *workspace)
{
    lent_op *lent = NULL;
    const ttm_status status = queue_lent(&lent, target, op, workspace);
    free(lent);
    return status;
}

static ttm_status queue_and_wait(const struct target *target, const ttm_op *op,
                                 const ttm_tensor *workspace)
{
    lent_op *lent = NULL;
    ttm_status status = queue_lent(&lent, target, op, workspace);
    if (status == TTM_OK) {
        ttm_plugin_begin();
        status = target_check(target, "stream_synchronize",
                              target->backend->stream_synchronize(target->stream));
    }
    free(lent);
    return status;
}

ttm_status target_run(const struct target *target, const ttm_op *op)
{
    if (target->through != NULL) {
        TTM_TRY(ttm_op_run(target->through, op));
        return ttm_stream_synchronize(target->through);
    }
    ttm_tensor scratch = {0};
    const struct operand workspace = workspace_operand(target, op);
    const size_t bytes = operand_bytes(&workspace);
    unsigned char *before = malloc(bytes);
    unsigned char *after = malloc(bytes);
    ttm_memory *memory = NULL;
    ttm_status status = TTM_OK;
    if (before == NULL || after == NULL) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for a workspace of %zu bytes", bytes);
        goto out;
    }
    operand_write_image(before, &workspace, false);
    if (workspace.dtype != TTM_DTYPE_NONE) {
        TTM_TRY_OUT(target_upload(&memory, target, before, bytes));
        scratch = operand_tensor(&workspace, memory);
    }
    TTM_TRY_OUT(queue_and_wait(target, op, &scratch));
    if (memory != NULL) {
        TTM_TRY_OUT(target_download(after, target, memory, bytes));
        const int64_t outside = operand_first_difference(before, after, &workspace, false);
        if (outside >= 0) {
            status = ttm_fail(TTM_ERROR_PLUGIN,
                              "wrote outside its workspace of %zu bytes, at byte %lld of it",
                              bytes - 2 * (size_t)GUARD_BYTES, (long long)(outside - GUARD_BYTES));
        }
    }
out:
    target_free(target, memory);
    free(after);
    free(before);
    return status;
}
