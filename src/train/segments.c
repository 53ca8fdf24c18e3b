/* From the parameter table to AdamW's segments. */
#include "train/segments.h"

#include "core/array.h"
#include "core/error.h"

double ttm_parameter_learning_rate_scale(const ttm_parameter *parameter,
                                         const ttm_gpt2_config *config,
                                         const ttm_trainer_options *options)
{
    double scale = parameter->learning_rate_scale;
    if (options->core_learning_rate && parameter->kind == TTM_PARAMETER_CORE) {
        int64_t in = 0;
        int64_t out = 0;
        ttm_gpt2_matrix_size(&in, &out, config, (ttm_gpt2_matrix)parameter->matrix);
        const double core_fan_in = (double)parameter->shape[0] * (double)parameter->shape[1];
        scale *= (double)in / core_fan_in / (double)parameter->cores;
    }
    return scale;
}

ttm_status ttm_segments_new(ttm_adamw_segment **segments, size_t *count,
                            const ttm_parameter_table *table, const ttm_gpt2_config *config,
                            const ttm_trainer_options *options)
{
    *segments = NULL;
    *count = 0;
    ttm_adamw_segment *made = NULL;
    TTM_TRY(ttm_array_new(&made, table->count, sizeof *made, "AdamW segments"));
    size_t used = 0;
    for (size_t i = 0; i < table->count; i++) {
        const ttm_parameter *parameter = &table->items[i];
        const double scale = ttm_parameter_learning_rate_scale(parameter, config, options);
        const double decay = parameter->weight_decay ? options->weight_decay : 0.0;
        ttm_adamw_segment *last = used > 0 ? &made[used - 1] : NULL;
        if (last != NULL && last->learning_rate_scale == scale && last->weight_decay == decay) {
            last->count = parameter->offset + parameter->count - last->start;
            continue;
        }
        made[used++] = (ttm_adamw_segment){.start = parameter->offset,
                                           .count = parameter->count,
                                           .learning_rate_scale = scale,
                                           .weight_decay = decay};
    }
    *segments = made;
    *count = used;
    return TTM_OK;
}
