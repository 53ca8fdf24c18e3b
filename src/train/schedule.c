/* Learning-rate schedules as pure functions of the step, so that a resumed run needs no state of
 * them. */
#include "train/schedule.h"

#include <math.h>

double ttm_schedule_learning_rate(const ttm_trainer_options *options, int64_t step)
{
    const double peak = options->learning_rate;
    if (step <= options->warmup_steps) {
        return peak * (double)step / (double)options->warmup_steps;
    }
    const int64_t decay_steps = options->steps - options->warmup_steps;
    if (options->schedule == TTM_SCHEDULE_CONSTANT || decay_steps <= 0) {
        return peak;
    }
    double progress = (double)(step - 1 - options->warmup_steps) / (double)decay_steps;
    progress = progress < 1.0 ? progress : 1.0;
    double remaining = 1.0 - progress;
    if (options->schedule == TTM_SCHEDULE_COSINE) {
        remaining = 0.5 * (1.0 + cos(3.14159265358979323846 * progress));
    }
    return peak * (options->final_fraction + (1.0 - options->final_fraction) * remaining);
}
