/* The search for plugin files. Order: the folders of TTM_BACKEND_PATH, the folder of libttm and its
 * subfolder ttm, the installed plugin folder. The current directory is never searched: a program
 * started in a downloads folder must not run what lies there. */
#include "core/plugin_search.h"

#include "core/array.h"
#include "core/error.h"
#include <ttm/log.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define FILE_PREFIX "libttm-backend-"
#define FILE_SUFFIX ".so"

enum { MAX_FOLDERS = 64 };

/* One search under way. */
typedef struct search {
    ttm_plugin_files *files;
    bool secure;
    ttm_log_level complaint; /* Level of lines about TTM_BACKEND_PATH. */
    size_t folder_count;     /* Folders seen: one that is named twice is searched once. */
    dev_t folder_devices[MAX_FOLDERS];
    ino_t folder_inodes[MAX_FOLDERS];
} search;

static pthread_once_t library_folder_found = PTHREAD_ONCE_INIT;
static char library_folder[PATH_MAX];

bool ttm_program_is_privileged(void)
{
    return getauxval(AT_SECURE) != 0;
}

const char *ttm_plugin_distrust(const struct stat *information, uid_t effective_user)
{
    if (information->st_uid != 0 && information->st_uid != effective_user) {
        return "it belongs to another user, which a set-uid program doesn't trust";
    }
    if ((information->st_mode & S_IWOTH) != 0) {
        return "it can be written by everyone, which a set-uid program doesn't trust";
    }
    return NULL;
}

/* Resolved at first use. A main program that links libttm statically is known to dladdr by the name
 * it was started with, which may be relative; then the kernel's own record is asked. */
static void find_library_folder(void)
{
    Dl_info symbol;
    char resolved[PATH_MAX];
    if (dladdr(&library_folder_found, &symbol) == 0 || symbol.dli_fname == NULL) {
        return;
    }
    const char *file = symbol.dli_fname[0] == '/' ? symbol.dli_fname : "/proc/self/exe";
    if (realpath(file, resolved) == NULL) {
        ttm_log(TTM_LOG_DEBUG, "the folder of libttm can't be found from '%s': %s", file,
                strerror(errno));
        return;
    }
    char *slash = strrchr(resolved, '/');
    *(slash == resolved ? slash + 1 : slash) = '\0';
    memcpy(library_folder, resolved, strlen(resolved) + 1);
}

ttm_plugin_places ttm_plugin_default_places(void)
{
    pthread_once(&library_folder_found, find_library_folder);
    const bool secure = ttm_program_is_privileged();
    return (ttm_plugin_places){
        .environment_path = secure ? NULL : getenv("TTM_BACKEND_PATH"),
        .library_folder = library_folder[0] != '\0' ? library_folder : NULL,
        .installed_folder = TTM_PLUGIN_DIR,
        .secure = secure,
    };
}

/* Appends a file or folder with an owned path; `problem` is copied. */
static ttm_status append(ttm_plugin_files *files, char *path, const char *problem)
{
    char *copy = problem != NULL ? strdup(problem) : NULL;
    ttm_status status = TTM_OK;
    if (problem != NULL && copy == NULL) {
        status = ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to list plugins");
    } else {
        status = ttm_array_reserve(&files->items, &files->capacity, files->count + 1,
                                   sizeof *files->items, "the list of plugins");
    }
    if (status != TTM_OK) {
        free(copy);
        free(path);
        return status;
    }
    files->items[files->count++] = (ttm_plugin_file){.path = path, .problem = copy};
    return TTM_OK;
}

/* Writes NAME of libttm-backend-NAME.so to `name`. Returns false for a NAME that no plugin has. */
static bool plugin_name(char name[TTM_PLUGIN_NAME_BYTES], const char *file_name)
{
    const char *start = file_name + strlen(FILE_PREFIX);
    const size_t length = strlen(start) - strlen(FILE_SUFFIX);
    if (length == 0 || length >= TTM_PLUGIN_NAME_BYTES) {
        return false;
    }
    memcpy(name, start, length);
    name[length] = '\0';
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == length;
}

static int is_plugin_entry(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);
    const size_t fixed = strlen(FILE_PREFIX) + strlen(FILE_SUFFIX);
    return length >= fixed && strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) == 0 &&
           strcmp(entry->d_name + length - strlen(FILE_SUFFIX), FILE_SUFFIX) == 0;
}

/* strcmp rather than alphasort: the order mustn't depend on the locale. */
static int compare_entries(const struct dirent **left, const struct dirent **right)
{
    return strcmp((*left)->d_name, (*right)->d_name);
}

static ttm_status add_file(search *state, const char *folder, const char *file_name)
{
    char *path = NULL;
    if (asprintf(&path, "%s%s%s", folder, strcmp(folder, "/") == 0 ? "" : "/", file_name) < 0) {
        return ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to list plugins in '%s'", folder);
    }
    char name[TTM_PLUGIN_NAME_BYTES] = "";
    struct stat information = {0};
    const char *problem = NULL;
    if (!plugin_name(name, file_name)) {
        name[0] = '\0';
        problem = "the name between 'libttm-backend-' and '.so' must be lower-case letters, "
                  "digits, '_' or '-', 1 to 63 of them";
    } else if (stat(path, &information) != 0) {
        problem = strerror(errno);
    } else if (!S_ISREG(information.st_mode)) {
        /* Opening a pipe would wait for ever. */
        problem = S_ISDIR(information.st_mode) ? "it is a directory, not a shared object"
                                               : "it isn't a regular file";
    } else if (state->secure) {
        problem = ttm_plugin_distrust(&information, geteuid());
    }
    TTM_TRY(append(state->files, path, problem));
    ttm_plugin_file *file = &state->files->items[state->files->count - 1];
    memcpy(file->name, name, sizeof name);
    file->device = information.st_dev;
    file->inode = information.st_ino;
    file->size = information.st_size;
    file->changed = information.st_ctim;
    return TTM_OK;
}

/* Notes a folder. Returns false when it has been searched before. */
static bool is_new_folder(search *state, const struct stat *information)
{
    for (size_t k = 0; k < state->folder_count; k++) {
        if (state->folder_devices[k] == information->st_dev &&
            state->folder_inodes[k] == information->st_ino) {
            return false;
        }
    }
    if (state->folder_count < MAX_FOLDERS) {
        state->folder_devices[state->folder_count] = information->st_dev;
        state->folder_inodes[state->folder_count++] = information->st_ino;
    }
    return true;
}

static ttm_status scan_folder(search *state, const char *folder, ttm_log_level level_if_missing)
{
    struct stat information = {0};
    struct dirent **entries = NULL;
    ttm_status status = TTM_OK;
    int count = 0;
    if (stat(folder, &information) == 0) {
        const char *problem = state->secure ? ttm_plugin_distrust(&information, geteuid()) : NULL;
        if (!is_new_folder(state, &information)) {
            return TTM_OK;
        }
        if (problem != NULL) {
            char *path = strdup(folder);
            return path != NULL ? append(state->files, path, problem)
                                : ttm_fail(TTM_ERROR_OUT_OF_MEMORY, "no memory to list plugins");
        }
        count = scandir(folder, &entries, is_plugin_entry, compare_entries);
    } else {
        count = -1;
    }
    if (count < 0) {
        ttm_log(level_if_missing, "no plugins are looked for in '%s': %s", folder, strerror(errno));
        return TTM_OK;
    }
    for (int k = 0; k < count; k++) {
        if (status == TTM_OK) {
            status = add_file(state, folder, entries[k]->d_name);
        }
        free(entries[k]);
    }
    free(entries);
    return status;
}

static ttm_status scan_environment_path(search *state, const char *path)
{
    for (const char *start = path;; start++) {
        const char *end = strchrnul(start, ':');
        char folder[PATH_MAX];
        const size_t length = (size_t)(end - start);
        if (start[0] != '/' || length >= sizeof folder) {
            ttm_log(state->complaint,
                    "TTM_BACKEND_PATH: the entry '%.*s' is skipped: folders must be absolute, the "
                    "current directory is never searched",
                    (int)(length < 200 ? length : 200), start);
        } else {
            memcpy(folder, start, length);
            folder[length] = '\0';
            TTM_TRY(scan_folder(state, folder, state->complaint));
        }
        if (*end == '\0') {
            return TTM_OK;
        }
        start = end;
    }
}

ttm_status ttm_plugin_search(ttm_plugin_files *files, const ttm_plugin_places *places)
{
    search state = {.files = files,
                    .secure = places->secure,
                    .complaint = places->repeated ? TTM_LOG_DEBUG : TTM_LOG_WARNING};
    if (!places->secure && places->environment_path != NULL &&
        places->environment_path[0] != '\0') {
        TTM_TRY(scan_environment_path(&state, places->environment_path));
    }
    if (places->library_folder != NULL) {
        char subfolder[PATH_MAX];
        TTM_TRY(scan_folder(&state, places->library_folder, TTM_LOG_DEBUG));
        const int length = snprintf(subfolder, sizeof subfolder, "%s/ttm", places->library_folder);
        if (length > 0 && (size_t)length < sizeof subfolder) {
            TTM_TRY(scan_folder(&state, subfolder, TTM_LOG_DEBUG));
        }
    }
    if (places->installed_folder != NULL && places->installed_folder[0] == '/') {
        TTM_TRY(scan_folder(&state, places->installed_folder, TTM_LOG_DEBUG));
    }
    return TTM_OK;
}

void ttm_plugin_files_free(ttm_plugin_files *files)
{
    for (size_t k = 0; k < files->count; k++) {
        free(files->items[k].path);
        free(files->items[k].problem);
    }
    free(files->items);
    *files = (ttm_plugin_files){0};
}
