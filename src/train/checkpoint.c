/* Checkpoints: a folder written beside its final name, synced and renamed, then the links, then the
 * removal of old ones. At every instant at least one complete checkpoint is on disk. */
#include "core/error.h"
#include "io/atomic_directory.h"
#include "io/folder_sync.h"
#include "train/optimizer_file.h"
#include "train/run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <ttm/compute.h>

/* Weights that overflowed in the last update don't show in its loss: they are looked at before they
 * could replace good ones. */
static ttm_status check_weights(ttm_trainer *trainer)
{
    const ttm_train_buffers *buffers = &trainer->buffers;
    float scalars[2];
    for (size_t span = 0; span < buffers->span_count; span++) {
        const ttm_tensor parameters = ttm_model_parameters(trainer->model, span);
        TTM_TRY(ttm_sum_of_squares(trainer->stream, &buffers->norm_squared, span > 0 ? 1.0 : 0.0,
                                   &parameters));
    }
    TTM_TRY(ttm_tensor_read(trainer->stream, scalars, &buffers->scalars));
    if (!isfinite(scalars[1])) {
        return ttm_fail(TTM_ERROR_NUMERIC,
                        "the weights aren't finite any more after step %" PRId64
                        ": training stopped, the last good checkpoint in '%s' is kept; try a lower "
                        "learning rate or a longer warm-up",
                        trainer->state.step, trainer->folder.path);
    }
    return TTM_OK;
}

static ttm_status write_files(ttm_trainer *trainer, const char *folder)
{
    TTM_TRY(ttm_model_save(trainer->model, trainer->stream, folder));
    if (trainer->setup.tokenizer != NULL) {
        TTM_TRY(ttm_tokenizer_save(trainer->setup.tokenizer, folder));
    }
    if (trainer->state.step > 0) {
        TTM_TRY(ttm_optimizer_file_write(folder, ttm_model_parameter_table(trainer->model),
                                         &trainer->buffers, trainer->stream));
    }
    return ttm_train_state_write(&trainer->state, trainer->setup.notes, trainer->setup.note_count,
                                 folder);
}

static ttm_status write_folder(ttm_trainer *trainer, const char *path)
{
    ttm_status status = TTM_OK;
    ttm_atomic_directory *folder = NULL;
    TTM_TRY(ttm_atomic_directory_begin(&folder, path));
    TTM_TRY_OUT(write_files(trainer, ttm_atomic_directory_path(folder)));
    status = ttm_atomic_directory_commit(&folder);
out:
    ttm_atomic_directory_abort(&folder);
    return status;
}

ttm_status ttm_trainer_link_checkpoint(const ttm_trainer *trainer)
{
    const int64_t step = trainer->state.step;
    return ttm_run_folder_link(&trainer->folder, step, step > 0 && step == trainer->state.best_step,
                               trainer->setup.tokenizer != NULL);
}

ttm_status ttm_trainer_write_checkpoint(ttm_trainer *trainer)
{
    ttm_status status = TTM_OK;
    const int64_t step = trainer->state.step;
    char name[TTM_CHECKPOINT_NAME_BYTES];
    char *path = NULL;
    ttm_checkpoint_name(name, step);
    TTM_TRY_OUT(ttm_path_join(&path, trainer->folder.path, name));
    if (step > 0) {
        TTM_TRY_OUT(check_weights(trainer));
        TTM_TRY_OUT(ttm_metrics_sync(&trainer->metrics));
    }
    status = write_folder(trainer, path);
    if (status != TTM_OK) {
        status = ttm_fail_context(status, "checkpoint of step %" PRId64 " not written", step);
        goto out;
    }
    TTM_TRY_OUT(ttm_trainer_link_checkpoint(trainer));
    TTM_TRY_OUT(ttm_run_folder_prune(&trainer->folder, trainer->options.checkpoint_keep,
                                     trainer->state.best_step));
    if (trainer->setup.events.checkpoint != NULL) {
        trainer->setup.events.checkpoint(trainer->setup.events.user, step, path);
    }
out:
    free(path);
    return status;
}

ttm_status ttm_trainer_read_checkpoint(ttm_trainer *trainer, const char *folder)
{
    TTM_TRY(ttm_model_read_weights(trainer->model, trainer->stream, folder));
    if (trainer->state.step > 0) {
        TTM_TRY(ttm_optimizer_file_read(folder, ttm_model_parameter_table(trainer->model),
                                        &trainer->buffers, trainer->stream));
    }
    return TTM_OK;
}
