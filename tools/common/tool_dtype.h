/* The option --dtype of tools that run a model. */
#ifndef TOOL_DTYPE_H
#define TOOL_DTYPE_H

#include <ttm/model.h>

/** *dtype = what `name` ("auto", "fp32" or "bf16") stands for on `device`. Fails as
 * ttm_model_choose_dtype does. */
TTM_CHECKED ttm_status tool_dtype(ttm_dtype *dtype, ttm_device *device, const char *name);

#endif
