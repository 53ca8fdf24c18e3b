/* Which parameters AdamW treats alike: runs of the flat buffer with one learning-rate scale and one
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

/** *segments [*count] = the segments of a table, neighbours that are treated alike merged into one,
 * the padding between them (always zero, so that updating it changes nothing) included. The caller
 * frees with free(). TTM_ERROR_OUT_OF_MEMORY. */
TTM_CHECKED ttm_status ttm_segments_new(ttm_adamw_segment **segments, size_t *count,
                                        const ttm_parameter_table *table,
                                        const ttm_gpt2_config *config,
                                        const ttm_trainer_options *options);

#endif
