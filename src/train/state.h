/* trainer_state.json: what a checkpoint holds besides weights and moments, and what tells whether
 * it may be resumed with given data. */
#ifndef TTM_TRAIN_STATE_H
#define TTM_TRAIN_STATE_H

#include <ttm/trainer.h>

/** Room for a fingerprint: 32 hexadecimal digits and a NUL. "" means that there was none. */
#define TTM_TRAIN_HASH_BYTES 33

/** Where a run stands after a step. */
typedef struct ttm_train_state {
    int64_t step;                /**< Steps done. */
    uint64_t tokens;             /**< Trained on. */
    uint64_t next_batch;         /**< Number of the sampler's batch that comes next. */
    double seconds;              /**< Spent on training. */
    double best_validation_loss; /**< NaN without a validation yet. */
    int64_t best_step;           /**< 0 without. */
    char training_hash[TTM_TRAIN_HASH_BYTES];
    char validation_hash[TTM_TRAIN_HASH_BYTES];
    char tokenizer_hash[TTM_TRAIN_HASH_BYTES];
    char device[256]; /**< Backend and name of the device, for the note on resuming elsewhere. */
    ttm_trainer_options options; /**< With automatic ones resolved. */
} ttm_train_state;

/** Writes FOLDER/trainer_state.json with `state` and notes [note_count]. TTM_ERROR_IO,
 * TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_train_state_write(const ttm_train_state *state,
                                             const ttm_trainer_note *notes, size_t note_count,
                                             const char *folder);

/** *state = what FOLDER/trainer_state.json says. TTM_ERROR_NOT_FOUND, _IO, _FORMAT with file and
 * key, _UNSUPPORTED for a newer format. */
TTM_CHECKED ttm_status ttm_train_state_read(ttm_train_state *state, const char *folder);

/** *notes [*count] = the notes in FOLDER/trainer_state.json, in one allocation that the caller
 * frees with free(). Errors as ttm_train_state_read. */
TTM_CHECKED ttm_status ttm_train_notes_read(ttm_trainer_note **notes, size_t *count,
                                            const char *folder);

/** Checks that a run with `saved` options may go on with `wanted` ones: equal, but for those that
 * are marked changeable. TTM_ERROR_ARGUMENT names the option and both values. */
TTM_CHECKED ttm_status ttm_train_options_compatible(const ttm_trainer_options *saved,
                                                    const ttm_trainer_options *wanted);

#endif
