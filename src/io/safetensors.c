/* Opening, closing and look-up of safetensors files. The checks of a file's header are in
 * safetensors_header.c. */
#include <ttm/safetensors.h>

#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"
#include "io/io_error.h"
#include "io/safetensors_format.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An index lists every tensor once: 64 MB is some 500,000 of them. */
static const size_t max_index_bytes = (size_t)64 << 20;

ttm_status ttm_safetensors_add_file(ttm_safetensors *file, const char *path)
{
    TTM_TRY(ttm_array_reserve(&file->shards, &file->shard_capacity, file->shard_count + 1,
                              sizeof *file->shards, "the list of shards"));
    ttm_safetensors_shard *shard = &file->shards[file->shard_count];
    *shard = (ttm_safetensors_shard){0};
    TTM_TRY(ttm_mapped_file_open(&shard->file, path));
    file->shard_count++;
    return ttm_safetensors_read_header(file);
}

static int compare_records(const void *left, const void *right)
{
    const ttm_safetensors_record *a = *(const ttm_safetensors_record *const *)left;
    const ttm_safetensors_record *b = *(const ttm_safetensors_record *const *)right;
    return strcmp(a->tensor.name, b->tensor.name);
}

/** Builds the index by name. Within one file names are unique already; between shards this is where
 * it shows. */
static ttm_status sort_by_name(ttm_safetensors *file)
{
    TTM_TRY(ttm_array_new(&file->by_name, file->record_count,
                          sizeof(const ttm_safetensors_record *), "the index of tensors"));
    for (size_t index = 0; index < file->record_count; index++) {
        file->by_name[index] = &file->records[index];
    }
    qsort(file->by_name, file->record_count, sizeof(const ttm_safetensors_record *),
          compare_records);
    for (size_t index = 1; index < file->record_count; index++) {
        const ttm_safetensors_tensor *tensor = &file->by_name[index]->tensor;
        const ttm_safetensors_tensor *before = &file->by_name[index - 1]->tensor;
        if (strcmp(tensor->name, before->name) == 0) {
            return ttm_fail(TTM_ERROR_FORMAT, "tensor \"%.200s\" is in two shards, '%s' and '%s'",
                            tensor->name, before->path, tensor->path);
        }
    }
    return TTM_OK;
}

static ttm_status open_index(ttm_safetensors *file, const char *path)
{
    ttm_json_document *index = NULL;
    ttm_json_value weight_map;
    ttm_status status = TTM_OK;
    TTM_TRY(ttm_json_read_file(&index, path, max_index_bytes));
    TTM_TRY_OUT(ttm_json_get_object(&weight_map, ttm_json_root(index), "weight_map"));
    TTM_TRY_OUT(ttm_safetensors_add_shards(file, weight_map, path));
    TTM_TRY_OUT(sort_by_name(file));
    TTM_TRY_OUT(ttm_safetensors_check_index(file, weight_map));
out:
    ttm_json_free(index);
    return status;
}

/** Opens a single file or an index, by its name. */
static ttm_status open_file(ttm_safetensors *file, const char *path)
{
    static const char index_suffix[] = ".json";
    size_t length = strlen(path);
    size_t suffix_length = sizeof index_suffix - 1;
    if (length >= suffix_length && strcmp(path + length - suffix_length, index_suffix) == 0) {
        return open_index(file, path);
    }
    TTM_TRY(ttm_safetensors_add_file(file, path));
    return sort_by_name(file);
}

/** Opens what a model's folder holds: one file, or else the index of several. */
static ttm_status open_folder(ttm_safetensors *file, const char *folder)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json"};
    for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
        char *path = NULL;
        TTM_TRY(ttm_path_join(&path, folder, names[index]));
        if (access(path, F_OK) == 0) {
            ttm_status status = open_file(file, path);
            free(path);
            return status;
        }
        free(path);
    }
    return ttm_fail(TTM_ERROR_NOT_FOUND,
                    "the folder '%s' holds neither model.safetensors nor "
                    "model.safetensors.index.json; is it a model's folder?",
                    folder);
}

ttm_status ttm_safetensors_open(ttm_safetensors **out, const char *path)
{
    ttm_safetensors *file = NULL;
    ttm_status status = TTM_OK;
    struct stat information;
    *out = NULL;
    if (path == NULL || path[0] == '\0') {
        return ttm_fail(TTM_ERROR_ARGUMENT, "no safetensors file given (the name is empty)");
    }
    TTM_TRY(ttm_array_new(&file, 1, sizeof *file, "a safetensors file's record"));
    file->path = strdup(path);
    if (file->path == NULL) {
        status = ttm_io_fail("open", path, ENOMEM);
        goto out;
    }
    bool is_folder = stat(path, &information) == 0 && S_ISDIR(information.st_mode);
    TTM_TRY_OUT(is_folder ? open_folder(file, path) : open_file(file, path));
    *out = file;
    file = NULL;
out:
    ttm_safetensors_close(file);
    return status;
}

void ttm_safetensors_close(ttm_safetensors *file)
{
    if (file == NULL) {
        return;
    }
    for (size_t index = 0; index < file->record_count; index++) {
        free(file->records[index].shape);
    }
    for (size_t index = 0; index < file->shard_count; index++) {
        ttm_mapped_file_close(&file->shards[index].file);
        ttm_json_free(file->shards[index].header);
    }
    free(file->by_name);
    free(file->records);
    free(file->shards);
    free(file->path);
    free(file);
}

size_t ttm_safetensors_count(const ttm_safetensors *file)
{
    return file->record_count;
}

const ttm_safetensors_tensor *ttm_safetensors_at(const ttm_safetensors *file, size_t index)
{
    return index < file->record_count ? &file->records[index].tensor : NULL;
}

const ttm_safetensors_tensor *ttm_safetensors_find(const ttm_safetensors *file, const char *name)
{
    size_t low = 0;
    size_t high = file->record_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->tensor.name);
        if (order == 0) {
            return &file->by_name[middle]->tensor;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

ttm_status ttm_safetensors_get(const ttm_safetensors_tensor **out, const ttm_safetensors *file,
                               const char *name)
{
    *out = ttm_safetensors_find(file, name);
    if (*out == NULL) {
        return ttm_fail(TTM_ERROR_NOT_FOUND, "'%s' has no tensor \"%.200s\" (it has %zu others)",
                        file->path, name, file->record_count);
    }
    return TTM_OK;
}

const char *ttm_safetensors_metadata(const ttm_safetensors *file, const char *key)
{
    const char *text = NULL;
    ttm_json_value root = ttm_json_root(file->shards[0].header);
    ttm_json_value value = ttm_json_find(ttm_json_find(root, TTM_SAFETENSORS_METADATA_KEY), key);
    if (ttm_json_is_string(value) && ttm_json_as_string(&text, value) == TTM_OK) {
        return text;
    }
    return NULL;
}
