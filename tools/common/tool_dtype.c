#include "common/tool_dtype.h"

#include <string.h>

ttm_status tool_dtype(ttm_dtype *dtype, ttm_device *device, const char *name)
{
    if (strcmp(name, "auto") == 0) {
        return ttm_model_choose_dtype(dtype, device);
    }
    *dtype = strcmp(name, "bf16") == 0 ? TTM_BF16 : TTM_F32;
    return TTM_OK;
}
