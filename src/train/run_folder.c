/* Checkpoints are found by their names and the marker that io/atomic_directory leaves, never
 * through the links: those are for people, and may be one checkpoint behind after a crash. */
#include "train/run_folder.h"

#include "core/array.h"
#include "core/error.h"
#include "io/atomic_directory.h"
#include "io/directory_tree.h"
#include "io/folder_sync.h"
#include "io/io_error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char checkpoint_prefix[] = "checkpoint-";
enum { PREFIX_BYTES = sizeof checkpoint_prefix - 1 };

/* Links of a run and what they point to. tokenizer.json is last: not every run has one. */
static const struct {
    const char *name;
    const char *target;
} model_links[] = {
    {"config.json", "latest/config.json"},
    {"model.safetensors", "latest/model.safetensors"},
    {"tokenizer.json", "latest/tokenizer.json"},
};
enum { MODEL_LINKS = 3 };

void ttm_checkpoint_name(char name[TTM_CHECKPOINT_NAME_BYTES], int64_t step)
{
    snprintf(name, TTM_CHECKPOINT_NAME_BYTES, "%s%06" PRId64, checkpoint_prefix, step);
}

/* Returns the step that a folder name stands for, -1 for any other name. */
static int64_t checkpoint_step(const char *name)
{
    char again[TTM_CHECKPOINT_NAME_BYTES];
    if (strncmp(name, checkpoint_prefix, PREFIX_BYTES) != 0) {
        return -1;
    }
    errno = 0;
    const long long step = strtoll(name + PREFIX_BYTES, NULL, 10);
    ttm_checkpoint_name(again, step);
    return errno == 0 && step >= 0 && strcmp(again, name) == 0 ? step : -1;
}

static bool is_complete(const char *path, const char *name)
{
    char *folder = NULL;
    char *marker = NULL;
    const bool complete = ttm_path_join(&folder, path, name) == TTM_OK &&
                          ttm_path_join(&marker, folder, TTM_ATOMIC_DIRECTORY_MARKER) == TTM_OK &&
                          access(marker, F_OK) == 0;
    free(marker);
    free(folder);
    return complete;
}

static int compare_steps(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left;
    const int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static ttm_status list_checkpoints(int64_t **steps, size_t *count, const char *path,
                                   bool complete_only)
{
    ttm_status status = TTM_OK;
    int64_t *found = NULL;
    size_t capacity = 0;
    size_t used = 0;
    const struct dirent *entry = NULL;
    DIR *folder = opendir(path);
    *steps = NULL;
    *count = 0;
    if (folder == NULL) {
        return ttm_io_fail("open the folder", path, errno);
    }
    while ((entry = readdir(folder)) != NULL) {
        const int64_t step = checkpoint_step(entry->d_name);
        if (step < 0 || (complete_only && !is_complete(path, entry->d_name))) {
            continue;
        }
        TTM_TRY_OUT(ttm_array_reserve(&found, &capacity, used + 1, sizeof *found, "checkpoints"));
        found[used++] = step;
    }
    if (used > 0) {
        qsort(found, used, sizeof *found, compare_steps);
    }
    *steps = found;
    *count = used;
    found = NULL;
out:
    free(found);
    closedir(folder);
    return status;
}

ttm_status ttm_run_folder_checkpoints(int64_t **steps, size_t *count, const char *path)
{
    return list_checkpoints(steps, count, path, true);
}

/* Opens the folder and takes its lock, so that two runs never write the same checkpoints. */
static ttm_status lock_folder(ttm_run_folder *folder, const char *path)
{
    folder->path = strdup(path);
    if (folder->path == NULL) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory for the path '%s'", path);
    }
    folder->descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->descriptor < 0) {
        return ttm_io_fail("open the folder", path, errno);
    }
    folder->is_open = true;
    if (flock(folder->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        return ttm_fail(
            TTM_ERROR_IO,
            "another process is training in '%s': wait for it, or choose another folder", path);
    }
    return TTM_OK;
}

/* Nothing of this name may be there, for a new run would replace it. */
static ttm_status check_absent(const char *path, const char *name)
{
    struct stat information;
    char *file = NULL;
    TTM_TRY(ttm_path_join(&file, path, name));
    const bool there = lstat(file, &information) == 0;
    free(file);
    if (there) {
        return ttm_fail(
            TTM_ERROR_ARGUMENT,
            "'%s' already holds a run or a model (there is '%s'): resume it (--resume), or choose "
            "another folder",
            path, name);
    }
    return TTM_OK;
}

static ttm_status check_unused(const char *path)
{
    int64_t *steps = NULL;
    size_t count = 0;
    char name[TTM_CHECKPOINT_NAME_BYTES];
    TTM_TRY(list_checkpoints(&steps, &count, path, false));
    ttm_status status = TTM_OK;
    if (count > 0) {
        ttm_checkpoint_name(name, steps[count - 1]);
        status = ttm_fail(
            TTM_ERROR_ARGUMENT,
            "'%s' already holds a run (there is '%s'): resume it (--resume), or choose another "
            "folder",
            path, name);
    }
    free(steps);
    TTM_TRY(status);
    for (int i = 0; i < MODEL_LINKS; i++) {
        TTM_TRY(check_absent(path, model_links[i].name));
    }
    TTM_TRY(check_absent(path, "latest"));
    TTM_TRY(check_absent(path, "best"));
    return check_absent(path, "metrics.jsonl");
}

ttm_status ttm_run_folder_create(ttm_run_folder *folder, const char *path)
{
    ttm_status status = TTM_OK;
    *folder = (ttm_run_folder){.descriptor = -1};
    if (mkdir(path, 0777) == 0) {
        folder->created = true;
    } else if (errno != EEXIST) {
        return ttm_io_fail("make the folder", path, errno);
    }
    TTM_TRY_OUT(lock_folder(folder, path));
    TTM_TRY_OUT(check_unused(path));
out:
    if (status != TTM_OK) {
        ttm_run_folder_close(folder, true);
    }
    return status;
}

/* Returns whether `name` is a link of a run on its way to its name. The folder is locked by us:
 * whoever made the link is gone. */
static bool is_left_link(const char *name)
{
    long pid = 0;
    bool found = ttm_temporary_matches(&pid, name, "latest", "link") ||
                 ttm_temporary_matches(&pid, name, "best", "link");
    for (int i = 0; i < MODEL_LINKS && !found; i++) {
        found = ttm_temporary_matches(&pid, name, model_links[i].name, "link");
    }
    return found;
}

/* Removes a symbolic link; anything else is left, as it harms nobody. */
static void remove_link(int folder, const char *name)
{
    struct stat information;
    if (fstatat(folder, name, &information, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(information.st_mode)) {
        unlinkat(folder, name, 0);
    }
}

/* Clears what a killed process left of a checkpoint, whose final name is between the leading dot
 * and ".ttm-", or of a link. */
static ttm_status clear_leftover(int folder, const char *path, const char *name)
{
    char final_name[TTM_CHECKPOINT_NAME_BYTES];
    const char *end = strstr(name, ".ttm-");
    if (is_left_link(name)) {
        remove_link(folder, name);
        return TTM_OK;
    }
    if (name[0] != '.' || end == NULL || (size_t)(end - name) > sizeof final_name) {
        return TTM_OK;
    }
    const size_t length = (size_t)(end - name) - 1;
    memcpy(final_name, name + 1, length);
    final_name[length] = '\0';
    if (checkpoint_step(final_name) < 0) {
        return TTM_OK;
    }
    char *final_path = NULL;
    TTM_TRY(ttm_path_join(&final_path, path, final_name));
    const ttm_status status = ttm_atomic_directory_recover(final_path);
    free(final_path);
    return status;
}

static ttm_status clear_leftovers(const char *path)
{
    ttm_status status = TTM_OK;
    const struct dirent *entry = NULL;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return ttm_io_fail("open the folder", path, errno);
    }
    while (status == TTM_OK && (entry = readdir(folder)) != NULL) {
        status = clear_leftover(dirfd(folder), path, entry->d_name);
    }
    closedir(folder);
    return status;
}

ttm_status ttm_run_folder_open(ttm_run_folder *folder, const char *path)
{
    ttm_status status = TTM_OK;
    *folder = (ttm_run_folder){.descriptor = -1};
    TTM_TRY_OUT(lock_folder(folder, path));
    TTM_TRY_OUT(clear_leftovers(path));
out:
    if (status != TTM_OK) {
        ttm_run_folder_close(folder, false);
    }
    return status;
}

void ttm_run_folder_close(ttm_run_folder *folder, bool discard)
{
    if (folder->is_open) {
        close(folder->descriptor);
    }
    if (discard && folder->created && folder->path != NULL) {
        rmdir(folder->path);
    }
    free(folder->path);
    *folder = (ttm_run_folder){.descriptor = -1};
}

static ttm_status replace_link(const ttm_run_folder *folder, const char *name, const char *target)
{
    char *path = NULL;
    TTM_TRY(ttm_path_join(&path, folder->path, name));
    const ttm_status status = ttm_symlink_replace(path, target);
    free(path);
    return status;
}

ttm_status ttm_run_folder_link(const ttm_run_folder *folder, int64_t step, bool is_best,
                               bool has_tokenizer)
{
    char name[TTM_CHECKPOINT_NAME_BYTES];
    ttm_checkpoint_name(name, step);
    TTM_TRY(replace_link(folder, "latest", name));
    if (is_best) {
        TTM_TRY(replace_link(folder, "best", name));
    }
    const int links = has_tokenizer ? MODEL_LINKS : MODEL_LINKS - 1;
    for (int i = 0; i < links; i++) {
        TTM_TRY(replace_link(folder, model_links[i].name, model_links[i].target));
    }
    return TTM_OK;
}

/* The marker goes first: a removal that is cut short must not leave half a checkpoint that looks
 * complete. */
static ttm_status remove_checkpoint(const ttm_run_folder *folder, int64_t step)
{
    ttm_status status = TTM_OK;
    char name[TTM_CHECKPOINT_NAME_BYTES];
    char *path = NULL;
    char *marker = NULL;
    ttm_checkpoint_name(name, step);
    TTM_TRY_OUT(ttm_path_join(&path, folder->path, name));
    TTM_TRY_OUT(ttm_path_join(&marker, path, TTM_ATOMIC_DIRECTORY_MARKER));
    if (unlink(marker) != 0 && errno != ENOENT) {
        status = ttm_io_fail("remove", marker, errno);
        goto out;
    }
    status = ttm_directory_remove(path);
out:
    free(marker);
    free(path);
    return status;
}

ttm_status ttm_run_folder_prune(const ttm_run_folder *folder, int64_t keep, int64_t best_step)
{
    ttm_status status = TTM_OK;
    int64_t *steps = NULL;
    size_t count = 0;
    TTM_TRY(list_checkpoints(&steps, &count, folder->path, false));
    for (size_t i = count; status == TTM_OK && i-- > 0;) {
        if (steps[i] == best_step && best_step != 0) {
            continue;
        }
        if (keep-- <= 0) {
            status = remove_checkpoint(folder, steps[i]);
        }
    }
    free(steps);
    return status;
}
