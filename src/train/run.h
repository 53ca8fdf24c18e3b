/* What a training run consists of. Shared by the files of src/train; opaque outside. */
#ifndef TTM_TRAIN_RUN_H
#define TTM_TRAIN_RUN_H

#include "train/buffers.h"
#include "train/metrics.h"
#include "train/run_folder.h"
#include "train/segments.h"
#include "train/state.h"
#include "train/validation.h"

#include <stdatomic.h>
#include <ttm/trainer.h>

struct ttm_trainer {
    ttm_trainer_setup setup;     /* The caller's objects. */
    ttm_trainer_options options; /* With automatic ones resolved. */
    ttm_run_folder folder;
    ttm_stream *stream;
    ttm_model *model;
    ttm_sampler *sampler;
    ttm_train_buffers buffers;
    ttm_segments segments;
    ttm_validation_set validation;
    ttm_metrics metrics;
    ttm_train_state state;
    float last_loss;
    double last_validation_loss;
    double last_bits_per_byte;
    double seconds_before; /* Spent when ttm_trainer_run began. */
    double started_at;     /* Clock at that moment. */
    atomic_int stop;
};

/** Takes optimiser step result->step and fills in its loss, gradient norm and learning rate.
 * Doesn't count it. TTM_ERROR_NUMERIC when one of them isn't finite. */
TTM_CHECKED ttm_status ttm_trainer_take_step(ttm_trainer_step *result, ttm_trainer *trainer);

/** Validates after the last step done; *best when the loss is the run's least. */
TTM_CHECKED ttm_status ttm_trainer_validate(bool *best, ttm_trainer *trainer);

/** Generates a sample and hands it to the event. */
TTM_CHECKED ttm_status ttm_trainer_make_sample(ttm_trainer *trainer);

/** Writes the checkpoint of the last step done, points the links at it and removes old ones. */
TTM_CHECKED ttm_status ttm_trainer_write_checkpoint(ttm_trainer *trainer);

/** Points the links of the run's folder at the checkpoint of the last step done, which is there. */
TTM_CHECKED ttm_status ttm_trainer_link_checkpoint(const ttm_trainer *trainer);

/** Reads weights and moments of the checkpoint in `folder`. */
TTM_CHECKED ttm_status ttm_trainer_read_checkpoint(ttm_trainer *trainer, const char *folder);

#endif
