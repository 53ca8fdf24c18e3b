/* What ttm-train reads: tokenizer, training data, validation data; and the notes by which a resumed
 * run finds them again. */
#ifndef TTM_TOOLS_TRAIN_INPUTS_H
#define TTM_TOOLS_TRAIN_INPUTS_H

#include "train/arguments.h"

#include <ttm/dataset.h>

/** Zeroed means nothing opened. */
typedef struct train_inputs {
    const char **paths; /**< Of the data, [path_count]. */
    size_t path_count;
    const char **validation_paths;
    size_t validation_path_count;
    double validation_fraction;
    bool fraction_given;

    ttm_tokenizer *tokenizer; /**< NULL when all data is tokens. */
    ttm_dataset *training;
    ttm_dataset *validation; /**< NULL: none. */

    ttm_trainer_note *saved_notes; /**< Of the run that is resumed. */
    ttm_trainer_note *notes;       /**< [note_count], for this run. */
    size_t note_count;
    char **absolute; /**< The strings of `notes`, [absolute_count]. */
    size_t absolute_count;
    char fraction_text[32];
} train_inputs;

/** Takes the paths of the data, those of the validation data and the fraction each from the command
 * line, or where it isn't given when resuming, from the run's notes. Returns TOOL_GO_ON or the exit
 * status. */
int train_inputs_find(train_inputs *inputs, const train_arguments *arguments);

/** Opens the tokenizer: the given one, else `folder`'s (NULL: none), else the bytes when
 * `byte_level`. Leaves it NULL when there is none to be had. Returns TOOL_GO_ON or the exit status.
 */
int train_inputs_open_tokenizer(train_inputs *inputs, const char *given, const char *folder,
                                bool byte_level);

/** Opens the data for a model with `vocab_size` tokens and sequences of `seq`, and writes the
 * notes. Returns TOOL_GO_ON or the exit status. */
int train_inputs_open_data(train_inputs *inputs, int64_t vocab_size, int64_t seq);

void train_inputs_close(train_inputs *inputs);

#endif
