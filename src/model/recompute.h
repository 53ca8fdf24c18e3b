/* Whether a backward pass computes outputs again that could have been kept. */
#ifndef TTM_MODEL_RECOMPUTE_H
#define TTM_MODEL_RECOMPUTE_H

#include <stdbool.h>
#include <stdint.h>
#include <ttm/model.h>

/** Returns whether a training pass over `rows` rows in `dtype` computes the outputs of layer norms
 * and GELU again. `wish` counts where it isn't TTM_RECOMPUTE_AUTO. */
bool ttm_recompute_decide(ttm_recompute wish, const ttm_device *device,
                          const ttm_gpt2_config *config, ttm_dtype dtype, int64_t rows);

#endif
