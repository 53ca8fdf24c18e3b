/* From the parameter table to AdamW's segments. */
#include "train/segments.h"

#include "core/array.h"
#include "core/error.h"

#include <stdlib.h>

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

ttm_status ttm_segments_new(ttm_segments *segments, const ttm_parameter_table *table,
                            const ttm_gpt2_config *config, const ttm_trainer_options *options)
{
    *segments = (ttm_segments){0};
    TTM_TRY(
        ttm_array_new(&segments->items, table->count, sizeof *segments->items, "AdamW segments"));
    TTM_TRY(ttm_array_new(&segments->first, table->span_count + 1, sizeof *segments->first,
                          "AdamW segments"));
    size_t used = 0;
    for (size_t i = 0; i < table->count; i++) {
        const ttm_parameter *parameter = &table->items[i];
        const int64_t start = parameter->offset - table->spans[parameter->span].offset;
        const double scale = ttm_parameter_learning_rate_scale(parameter, config, options);
        const double decay = parameter->weight_decay ? options->weight_decay : 0.0;
        const bool begins_span = i == 0 || table->items[i - 1].span != parameter->span;
        ttm_adamw_segment *last = begins_span ? NULL : &segments->items[used - 1];
        if (begins_span) {
            segments->first[parameter->span] = used;
        }
        if (last != NULL && last->learning_rate_scale == scale && last->weight_decay == decay) {
            last->count = start + parameter->count - last->start;
            continue;
        }
        segments->items[used++] = (ttm_adamw_segment){.start = start,
                                                      .count = parameter->count,
                                                      .learning_rate_scale = scale,
                                                      .weight_decay = decay};
    }
    segments->first[table->span_count] = used;
    return TTM_OK;
}

void ttm_segments_free(ttm_segments *segments)
{
    free(segments->items);
    free(segments->first);
    *segments = (ttm_segments){0};
}

ttm_adamw_params ttm_segments_params(const ttm_segments *segments, size_t span,
                                     const ttm_adamw_params *params)
{
    ttm_adamw_params made = *params;
    made.segments = &segments->items[segments->first[span]];
    made.segment_count = (int64_t)(segments->first[span + 1] - segments->first[span]);
    return made;
}
