/* Options made definite for a model, and what they mean for it. */
#ifndef TTM_TRAIN_RESOLVE_H
#define TTM_TRAIN_RESOLVE_H

#include <ttm/trainer.h>

/** *resolved = `options`, checked, with the automatic ones (seq, warm-up, dtype) settled for
 * `config` and `device`. TTM_ERROR_ARGUMENT, or TTM_ERROR_SHAPE when seq exceeds the context. */
TTM_CHECKED ttm_status ttm_trainer_options_resolve(ttm_trainer_options *resolved,
                                                   const ttm_trainer_options *options,
                                                   const ttm_gpt2_config *config,
                                                   ttm_device *device);

/** Returns the type of the moments. */
ttm_dtype ttm_trainer_moment_dtype(const ttm_trainer_options *options);

/** Returns the options of the model that a run with resolved `options` trains. */
ttm_model_options ttm_trainer_model_options(const ttm_trainer_options *options);

#endif
