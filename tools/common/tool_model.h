/* Opening a model, its device and its tokenizer, for the tools that run one. */
#ifndef TTM_TOOLS_COMMON_TOOL_MODEL_H
#define TTM_TOOLS_COMMON_TOOL_MODEL_H

#include "common/tool_options.h"

#include <ttm/model.h>
#include <ttm/tokenizer.h>

/** A model ready to run. Zeroed means closed. */
typedef struct tool_model {
    ttm_device *device;
    ttm_stream *stream;
    ttm_model *model;
    ttm_tokenizer *tokenizer; /* NULL: none was given, and the model's folder has none. */
} tool_model;

/** Opens the tokenizer `source`, or else the one in the model's folder, if there is one; then the
 * model in `folder`, computing in what `dtype` (one of TOOL_DTYPES) says instead of
 * options->dtype. A tokenizer with more tokens than the model is an error. Returns TOOL_GO_ON,
 * or after a message the exit status; either way the caller closes. */
int tool_model_open(tool_model *opened, const tool_program *program, const char *folder,
                    const char *source, const char *dtype, const ttm_model_options *options);

/** Frees everything and empties *opened. */
void tool_model_close(tool_model *opened);

/** Returns what "auto", "cached" or "contract" stands for. */
ttm_tt_execution tool_tt_execution(const char *name);

/** Seconds since some fixed moment. */
double tool_seconds(void);

#endif
