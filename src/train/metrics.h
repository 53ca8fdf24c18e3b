/* metrics.jsonl: one JSON object a line, for every step and every validation.
 *
 * A resumed run cuts the file back to the checkpoint's step and goes on, so that in the end it
 * reads as if the run had never been stopped. */
#ifndef TTM_TRAIN_METRICS_H
#define TTM_TRAIN_METRICS_H

#include <ttm/json.h>
#include <ttm/trainer.h>

/** An open metrics file. Zeroed means closed. */
typedef struct ttm_metrics {
    char *path;
    int descriptor;
    ttm_json_writer *writer;
} ttm_metrics;

/** Opens DIRECTORY/metrics.jsonl for appending after its line of step `last_step`; later lines, and
 * a line that isn't complete, are cut off. 0 empties the file. The caller closes it; after failure
 * *metrics is closed. */
TTM_CHECKED ttm_status ttm_metrics_open(ttm_metrics *metrics, const char *directory,
                                        int64_t last_step);

/** Appends the line of a step. */
TTM_CHECKED ttm_status ttm_metrics_step(ttm_metrics *metrics, const ttm_trainer_step *step);

/** Appends the line of a validation. */
TTM_CHECKED ttm_status ttm_metrics_validation(ttm_metrics *metrics,
                                              const ttm_trainer_validation *validation);

/** Makes what was appended durable: a checkpoint must not be newer than its metrics. */
TTM_CHECKED ttm_status ttm_metrics_sync(const ttm_metrics *metrics);

/** Closes the file. A closed one is allowed. */
void ttm_metrics_close(ttm_metrics *metrics);

#endif
