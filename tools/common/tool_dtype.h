/* The option --dtype of tools that run a model. */
#ifndef TOOL_DTYPE_H
#define TOOL_DTYPE_H

#include <ttm/model.h>

/** What --dtype takes, and what --help says of it. */
#define TOOL_DTYPES "auto|fp32|tf32|bf16"
#define TOOL_DTYPE_HELP                                                                            \
    "what activations and products are computed in; tf32: fp32, but products may round what they " \
    "multiply to 11 bits; auto: fp32 or bf16, whichever is faster"

/** *dtype = what `name`, one of TOOL_DTYPES, stands for on `device`; for tf32 as tool_warn_of_tf32
 * says. Fails as ttm_model_choose_dtype does. */
TTM_CHECKED ttm_status tool_dtype(ttm_dtype *dtype, ttm_device *device, const char *name);

/** Returns "fp32", "tf32" or "bf16". */
const char *tool_dtype_name(ttm_dtype dtype);

/** For who asked for tf32: logs a warning where `device` makes no use of it. */
void tool_warn_of_tf32(const ttm_device *device);

#endif
