#include "model/recompute.h"

#include <ttm/tensor.h>

/* What is kept for speed alone may take this part of a device's memory. */
#define MEMORY_PART 16

bool ttm_recompute_decide(ttm_recompute wish, const ttm_device *device,
                          const ttm_gpt2_config *config, ttm_dtype dtype, int64_t rows)
{
    if (wish != TTM_RECOMPUTE_AUTO) {
        return wish == TTM_RECOMPUTE_ON;
    }
    /* Reading two tensors of a layer and writing one is nothing beside a processor's products; a
     * GPU's take so little time that it is 3 to 4 % of a step. */
    const ttm_device_info *info = ttm_device_get_info(device);
    if (info->kind == TTM_DEVICE_CPU || info->memory_bytes == 0) {
        return true;
    }
    const double numbers = (double)rows * (double)config->layers *
                           (2.0 * (double)config->width + (double)config->inner_width);
    return numbers * (double)ttm_dtype_bytes(dtype) > (double)info->memory_bytes / MEMORY_PART;
}
