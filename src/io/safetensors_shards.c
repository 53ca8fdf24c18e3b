/* Checkpoints in several files: the index that Hugging Face writes, {"weight_map": {tensor: file
 * name, …}}. */
#include "io/safetensors_format.h"

#include "core/array.h"
#include "core/error.h"
#include "io/folder_sync.h"
#include <stdlib.h>
#include <string.h>

/** Reads a shard's file name, which may not lead out of the index's folder. */
static ttm_status read_shard_name(const char **name, ttm_json_value item)
{
    TTM_TRY(ttm_json_as_string(name, item));
    if ((*name)[0] == '\0' || strchr(*name, '/') != NULL || strcmp(*name, ".") == 0 ||
        strcmp(*name, "..") == 0) {
        return ttm_json_fail(item,
                             "must be the name of a file in the folder of the index, it is "
                             "\"%.100s\"",
                             *name);
    }
    return TTM_OK;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/** *names = the sorted, unique file names of the index. The caller frees the array, not the names.
 */
static ttm_status list_shards(const char ***names, size_t *count, ttm_json_value weight_map)
{
    size_t capacity = 0;
    *names = NULL;
    *count = 0;
    for (ttm_json_value item = ttm_json_first(weight_map); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        TTM_TRY(ttm_array_reserve(names, &capacity, *count + 1, sizeof **names, "shard names"));
        TTM_TRY(read_shard_name(&(*names)[*count], item));
        ++*count;
    }
    if (*count == 0) {
        return ttm_json_fail(weight_map, "names no tensors");
    }
    qsort(*names, *count, sizeof **names, compare_names);
    size_t unique = 1;
    for (size_t index = 1; index < *count; index++) {
        if (strcmp((*names)[index], (*names)[unique - 1]) != 0) {
            (*names)[unique++] = (*names)[index];
        }
    }
    *count = unique;
    return TTM_OK;
}

ttm_status ttm_safetensors_add_shards(ttm_safetensors *file, ttm_json_value weight_map,
                                      const char *path)
{
    ttm_path_parts parts = {0};
    const char **names = NULL;
    size_t count = 0;
    char *shard_path = NULL;
    ttm_status status = TTM_OK;
    TTM_TRY_OUT(list_shards(&names, &count, weight_map));
    TTM_TRY_OUT(ttm_path_split(&parts, path));
    for (size_t index = 0; index < count; index++) {
        free(shard_path);
        shard_path = NULL;
        TTM_TRY_OUT(ttm_path_join(&shard_path, parts.folder, names[index]));
        status = ttm_safetensors_add_file(file, shard_path);
        if (status != TTM_OK) {
            (void)ttm_fail_context(status, "a shard of '%s'", path);
            goto out;
        }
    }
out:
    free(shard_path);
    free(names);
    ttm_path_parts_free(&parts);
    return status;
}

ttm_status ttm_safetensors_check_index(const ttm_safetensors *file, ttm_json_value weight_map)
{
    for (ttm_json_value item = ttm_json_first(weight_map); ttm_json_exists(item);
         item = ttm_json_next(item)) {
        const char *shard_name = NULL;
        TTM_TRY(read_shard_name(&shard_name, item));
        const ttm_safetensors_tensor *tensor =
            ttm_safetensors_find(file, ttm_json_member_name(item));
        if (tensor == NULL) {
            return ttm_json_fail(item, "is in none of the shards; \"%.100s\" should hold it",
                                 shard_name);
        }
        if (strcmp(strrchr(tensor->path, '/') + 1, shard_name) != 0) {
            return ttm_json_fail(item, "should be in \"%.100s\" but is in '%s'", shard_name,
                                 tensor->path);
        }
    }
    return TTM_OK;
}
