/* The command line of ttm-train. */
#ifndef TTM_TOOLS_TRAIN_ARGUMENTS_H
#define TTM_TOOLS_TRAIN_ARGUMENTS_H

#include "common/tool_options.h"

#include <ttm/gpt2_config.h>
#include <ttm/trainer.h>

/** Room for what --help says about a default. */
#define TRAIN_DEFAULT_BYTES 128

/** What was asked for. Initialise with train_arguments_init. */
typedef struct train_arguments {
    tool_program program;
    tool_option *table; /**< Of the program; the trainer's own options come last. */

    const char *preset;
    const char *model; /**< --model: the folder whose weights to start from. */
    tool_list tt;      /**< --tt, one specification each. */
    ttm_gpt2_overrides sizes;
    bool zero_residual;

    tool_list data;
    tool_list validation_data;
    double validation_fraction;
    const char *tokenizer;
    const char *out;
    bool resume;
    bool dry_run;
    bool quiet;
    bool profile;

    const char **trainer_values; /**< Texts of the trainer's options, by their number. */
    bool *trainer_switches;
    char (*trainer_defaults)[TRAIN_DEFAULT_BYTES]; /**< What --help says about each. */
} train_arguments;

/** Reads the command line and checks what can be checked without opening anything. Returns
 * TOOL_GO_ON or the exit status. The caller frees with train_arguments_free either way. */
int train_arguments_parse(train_arguments *arguments, int argc, char **argv);

/** Sets the trainer's options that were on the command line. Returns TOOL_GO_ON or the exit status,
 * having said which one is wrong. */
int train_arguments_apply(ttm_trainer_options *options, const train_arguments *arguments);

void train_arguments_free(train_arguments *arguments);

#endif
