/* Settling automatic options. */
#include "train/resolve.h"

#include "core/error.h"
#include "model/recompute.h"
#include "train/options.h"

#include <inttypes.h>

enum { WARMUP_PARTS = 10, MAX_AUTOMATIC_WARMUP = 4000 };

static ttm_status check_sizes(const ttm_trainer_options *options, const ttm_gpt2_config *config)
{
    if (options->seq > config->context) {
        return ttm_fail(TTM_ERROR_SHAPE,
                        "seq %" PRId64 " exceeds the model's context of %" PRId64
                        " tokens: give at most %" PRId64,
                        options->seq, config->context, config->context);
    }
    /* Rows of a batch are counted in 32 bits by some backends' kernels. */
    if (options->batch > INT32_MAX / options->seq) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "batch %" PRId64 " × seq %" PRId64
                        " is more than %d tokens: give a smaller "
                        "batch and more accumulation",
                        options->batch, options->seq, INT32_MAX);
    }
    return TTM_OK;
}

/* Found at the start rather than at the first sample, which may be hours away. */
static ttm_status check_samples(const ttm_trainer_options *options, const ttm_gpt2_config *config)
{
    if (options->sample_interval > 0 && config->context < 2) {
        return ttm_fail(TTM_ERROR_ARGUMENT,
                        "sample-interval is %" PRId64 ", but a model with a context of %" PRId64
                        " token can't continue a text: give sample-interval 0 or a longer context",
                        options->sample_interval, config->context);
    }
    return TTM_OK;
}

ttm_status ttm_trainer_options_settle(ttm_trainer_options *options, ttm_device *device)
{
    ttm_dtype dtype = TTM_F32;
    if (options->dtype != TTM_PRECISION_AUTO) {
        return TTM_OK;
    }
    TTM_TRY(ttm_model_choose_dtype(&dtype, device));
    options->dtype = dtype == TTM_BF16 ? TTM_PRECISION_BF16 : TTM_PRECISION_FP32;
    return TTM_OK;
}

ttm_dtype ttm_trainer_moment_dtype(const ttm_trainer_options *options)
{
    return options->moments == TTM_PRECISION_BF16 ? TTM_BF16 : TTM_F32;
}

ttm_status ttm_trainer_options_resolve(ttm_trainer_options *resolved,
                                       const ttm_trainer_options *options,
                                       const ttm_gpt2_config *config, ttm_device *device)
{
    TTM_TRY(ttm_trainer_options_check(options));
    *resolved = *options;
    TTM_TRY(ttm_trainer_options_settle(resolved, device));
    if (resolved->seq == 0) {
        resolved->seq = config->context;
    }
    if (resolved->warmup_steps < 0) {
        const int64_t part = resolved->steps / WARMUP_PARTS;
        resolved->warmup_steps = part < MAX_AUTOMATIC_WARMUP ? part : MAX_AUTOMATIC_WARMUP;
    }
    TTM_TRY(check_sizes(resolved, config));
    const ttm_dtype dtype = ttm_trainer_model_options(resolved).dtype;
    const bool recomputes = ttm_recompute_decide(resolved->recompute, device, config, dtype,
                                                 resolved->batch * resolved->seq);
    resolved->recompute = recomputes ? TTM_RECOMPUTE_ON : TTM_RECOMPUTE_OFF;
    return check_samples(resolved, config);
}

static ttm_dtype model_dtype(ttm_precision precision)
{
    return precision == TTM_PRECISION_BF16   ? TTM_BF16
           : precision == TTM_PRECISION_TF32 ? TTM_TF32
                                             : TTM_F32;
}

ttm_model_options ttm_trainer_model_options(const ttm_trainer_options *options)
{
    ttm_model_options model = TTM_MODEL_OPTIONS_INIT;
    model.training = true;
    model.dtype = model_dtype(options->dtype);
    model.batch = options->batch;
    model.seq = options->seq;
    model.accumulation = options->accumulation;
    model.logit_rows = options->logit_rows;
    model.recompute = options->recompute;
    return model;
}
