/* Where plugins are looked for, and which files there are. Opens none of them. */
#ifndef TTM_CORE_PLUGIN_SEARCH_H
#define TTM_CORE_PLUGIN_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <time.h>
#include <ttm/status.h>

/** The longest NAME in libttm-backend-NAME.so, with its NUL. */
#define TTM_PLUGIN_NAME_BYTES 64

/** A file, or a folder, that was found where plugins are looked for. */
typedef struct ttm_plugin_file {
    char *path;
    char name[TTM_PLUGIN_NAME_BYTES]; /**< NAME of the file's name; "" of a folder. */
    char *problem;                    /**< Why it isn't even opened, or NULL. */
    dev_t device;                     /**< Identity of the file, where there is no problem. */
    ino_t inode;
    off_t size;              /**< With `changed`, identity of its content. */
    struct timespec changed; /**< When its content, owner or mode last changed. */
} ttm_plugin_file;

/** What a search found, in the order of the search. Zero-initialised before. */
typedef struct ttm_plugin_files {
    ttm_plugin_file *items;
    size_t count;
    size_t capacity;
} ttm_plugin_files;

/** Where to search. */
typedef struct ttm_plugin_places {
    const char *environment_path; /**< TTM_BACKEND_PATH, or NULL. */
    const char *library_folder;   /**< Folder of libttm (its subfolder ttm is searched too), or
                                       NULL. */
    const char *installed_folder; /**< TTM_PLUGIN_DIR, or NULL. */
    bool secure;   /**< The program runs set-uid or set-gid: the environment is ignored, and what
                      others may write isn't trusted. */
    bool repeated; /**< These places were searched before: what is wrong with them has been said. */
} ttm_plugin_places;

/** Returns the places of this process; strings live until it ends. Reads the environment. */
ttm_plugin_places ttm_plugin_default_places(void);

/** Whether this is a set-uid or set-gid program, which mustn't trust its environment. */
bool ttm_program_is_privileged(void);

/** Finds every file that is named like a plugin. A folder of the environment's path that can't be
 * read or isn't absolute is skipped with a warning. The caller frees *files with
 * ttm_plugin_files_free, after a failure too (TTM_ERROR_OUT_OF_MEMORY). */
TTM_CHECKED ttm_status ttm_plugin_search(ttm_plugin_files *files, const ttm_plugin_places *places);

/** Frees what a search found. */
void ttm_plugin_files_free(ttm_plugin_files *files);

/** Returns why a privileged program mustn't trust a file or folder with this owner and mode, NULL
 * when it may: nobody but root and the program's effective user can have written it. */
const char *ttm_plugin_distrust(const struct stat *information, uid_t effective_user);

#endif
