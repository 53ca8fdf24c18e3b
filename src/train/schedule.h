/* The learning rate of each step: warm-up, then constant, linear or cosine decay. */
#ifndef TTM_TRAIN_SCHEDULE_H
#define TTM_TRAIN_SCHEDULE_H

#include <ttm/trainer.h>

/** Returns the learning rate of step `step`, counted from 1. During warm-up it is
 * learning_rate·step/warmup; the first step after it has the full rate, and the decay reaches
 * final_fraction one step after the last, so that no step is wasted on a rate of 0. */
double ttm_schedule_learning_rate(const ttm_trainer_options *options, int64_t step);

#endif
