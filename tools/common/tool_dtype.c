#include "common/tool_dtype.h"

#include <string.h>
#include <ttm/log.h>

static const struct {
    const char *name;
    ttm_dtype dtype;
} names[] = {{"fp32", TTM_F32}, {"tf32", TTM_TF32}, {"bf16", TTM_BF16}};

ttm_status tool_dtype(ttm_dtype *dtype, ttm_device *device, const char *name)
{
    if (strcmp(name, "auto") == 0) {
        return ttm_model_choose_dtype(dtype, device);
    }
    *dtype = TTM_F32;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        *dtype = strcmp(name, names[k].name) == 0 ? names[k].dtype : *dtype;
    }
    if (*dtype == TTM_TF32) {
        tool_warn_of_tf32(device);
    }
    return TTM_OK;
}

const char *tool_dtype_name(ttm_dtype dtype)
{
    size_t k = 0;
    while (names[k].dtype != dtype && k + 1 < sizeof names / sizeof *names) {
        k++;
    }
    return names[k].name;
}

void tool_warn_of_tf32(const ttm_device *device)
{
    const ttm_device_info *info = ttm_device_get_info(device);
    if ((info->dtype_mask & (1U << TTM_TF32)) == 0) {
        ttm_log(TTM_LOG_WARNING, "tf32: %s has no products in it; they are computed in fp32",
                info->name);
    }
}
