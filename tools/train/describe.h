/* What ttm-train says about a run before and after it: the plan and the result, for people and as
 * JSON. */
#ifndef TTM_TOOLS_TRAIN_DESCRIBE_H
#define TTM_TOOLS_TRAIN_DESCRIBE_H

#include "common/tool_profile.h"

#include <stdbool.h>
#include <stdio.h>
#include <ttm/trainer.h>

/** A planned run. */
typedef struct train_plan {
    const char *name; /**< The preset, or the folder that the model comes from. */
    const ttm_gpt2_config *config;
    const ttm_trainer_options *options;
    const ttm_device *device;
    ttm_trainer_memory memory;
} train_plan;

/** Writes the plan in a few lines to `stream`. */
void train_plan_print(FILE *stream, const train_plan *plan);

/** Prints the plan as one JSON object, as tool_print_json does. */
int train_plan_print_json(const train_plan *plan);

/** What a run has come to. */
typedef struct train_result {
    const ttm_trainer_summary *summary;
    const train_plan *plan;
    const tool_profile *profile;
    const char *directory; /**< The run's. */
    bool interrupted;
} train_result;

/** Prints the result of a run to stdout, in one line for people (two if a part of it ran on the
 * host) or as one JSON object. Returns TOOL_EXIT_DONE, or after a message TOOL_EXIT_FAILED. */
int train_result_print(const train_result *result, bool json);

#endif
