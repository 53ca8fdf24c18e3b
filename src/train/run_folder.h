/* The folder of a run: its lock, its checkpoints by number, its links. */
#ifndef TTM_TRAIN_RUN_FOLDER_H
#define TTM_TRAIN_RUN_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ttm/status.h>

/** Room for "checkpoint-" and any step. */
#define TTM_CHECKPOINT_NAME_BYTES 40

/** An open run folder. Zeroed means closed. */
typedef struct ttm_run_folder {
    char *path;
    int descriptor; /**< Of the folder; holds the lock. */
    bool is_open;
    bool created; /**< By ttm_run_folder_create: there was none before. */
} ttm_run_folder;

/** Makes `path` unless it is there, locks it, and checks that it holds neither a run nor files that
 * the links of a run would replace. TTM_ERROR_ARGUMENT when it does, TTM_ERROR_NOT_FOUND when its
 * parent doesn't exist, TTM_ERROR_IO. The caller closes; after failure it is closed. */
TTM_CHECKED ttm_status ttm_run_folder_create(ttm_run_folder *folder, const char *path);

/** Opens and locks the existing folder `path`. TTM_ERROR_NOT_FOUND, TTM_ERROR_IO. */
TTM_CHECKED ttm_status ttm_run_folder_open(ttm_run_folder *folder, const char *path);

/** Unlocks and closes; with `discard`, removes the folder if this call's owner created it and it is
 * empty. A closed one is allowed. */
void ttm_run_folder_close(ttm_run_folder *folder, bool discard);

/** name = "checkpoint-NNNNNN". */
void ttm_checkpoint_name(char name[TTM_CHECKPOINT_NAME_BYTES], int64_t step);

/** *steps [*count] = the steps of all complete checkpoints in `path`, ascending; NULL without any.
 * The caller frees with free(). */
TTM_CHECKED ttm_status ttm_run_folder_checkpoints(int64_t **steps, size_t *count, const char *path);

/** Points `latest` (and `best`, if `is_best`) at the checkpoint of `step`, and the links that make
 * the folder a model into `latest`. */
TTM_CHECKED ttm_status ttm_run_folder_link(const ttm_run_folder *folder, int64_t step, bool is_best,
                                           bool has_tokenizer);

/** Removes all checkpoints but that of `best_step` (0: none is the best) and, besides it, the
 * newest `keep`. */
TTM_CHECKED ttm_status ttm_run_folder_prune(const ttm_run_folder *folder, int64_t keep,
                                            int64_t best_step);

#endif
