/* Which parameters AdamW treats alike: runs of a flat buffer with one learning-rate scale and one
 * weight decay. */
#ifndef TTM_TRAIN_SEGMENTS_H
#define TTM_TRAIN_SEGMENTS_H

#include <ttm/model.h>
#include <ttm/ops.h>
#include <ttm/trainer.h>

/** Returns what the learning rate of a parameter is multiplied by: its own scale, and with
 * options->core_learning_rate for a TT core also (layer fan-in / core fan-in) / cores. */
double ttm_parameter_learning_rate_scale(const ttm_parameter *parameter,
                                         const ttm_gpt2_config *config,
                                         const ttm_trainer_options *options);

/** The segments of all spans of a parameter table. Zeroed means empty. */
typedef struct ttm_segments {
    ttm_adamw_segment *items; /**< Those of span s are items[first[s]] to items[first[s + 1] − 1];
                                   their elements count from the start of the span. */
    size_t *first;            /**< [span_count + 1] */
} ttm_segments;

/** *segments = the segments of a table, neighbours that are treated alike merged into one, the
 * padding between them (always zero, so that updating it changes nothing) included. The caller
 * frees with ttm_segments_free, also after failure. TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_segments_new(ttm_segments *segments, const ttm_parameter_table *table,
                                        const ttm_gpt2_config *config,
                                        const ttm_trainer_options *options);

/** Frees segments; empty ones are allowed. */
void ttm_segments_free(ttm_segments *segments);

/** Returns `params` for the parameters of one span. */
ttm_adamw_params ttm_segments_params(const ttm_segments *segments, size_t span,
                                     const ttm_adamw_params *params);

#endif
