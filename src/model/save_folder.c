/* A model folder made in one step. */
#include <ttm/model.h>

#include "core/error.h"
#include "io/atomic_directory.h"

#include <dirent.h>

/* A model that was saved like this would be replaced by the next one: nobody wants that of a name
 * that was mistyped. */
static ttm_status check_empty(const char *directory)
{
    int entries = 0;
    DIR *folder = opendir(directory);
    if (folder == NULL) {
        return TTM_OK; /* What else there is, is refused when the folder is begun. */
    }
    while (readdir(folder) != NULL) {
        entries++;
    }
    closedir(folder);
    return entries <= 2 /* . and .. */
               ? TTM_OK
               : ttm_fail(TTM_ERROR_IO, "'%s' is there already: name a new folder", directory);
}

static ttm_status begin(ttm_atomic_directory **folder, const char *directory)
{
    *folder = NULL;
    TTM_TRY(check_empty(directory));
    return ttm_atomic_directory_begin(folder, directory);
}

ttm_status ttm_model_check_folder(const char *directory)
{
    ttm_atomic_directory *folder = NULL;
    const ttm_status status = begin(&folder, directory);
    ttm_atomic_directory_abort(&folder);
    return status;
}

ttm_status ttm_model_save_folder(ttm_model *model, ttm_stream *stream,
                                 const ttm_tokenizer *tokenizer, const char *directory)
{
    ttm_status status = TTM_OK;
    ttm_atomic_directory *folder = NULL;
    TTM_TRY_OUT(begin(&folder, directory));
    TTM_TRY_OUT(ttm_model_save(model, stream, ttm_atomic_directory_path(folder)));
    if (tokenizer != NULL) {
        TTM_TRY_OUT(ttm_tokenizer_save(tokenizer, ttm_atomic_directory_path(folder)));
    }
    status = ttm_atomic_directory_commit(&folder);
out:
    ttm_atomic_directory_abort(&folder);
    return status;
}
