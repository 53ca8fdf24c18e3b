/* What ttm-train shows while it trains: on stderr, one line that is rewritten on a terminal, plain
 * lines at a sensible interval elsewhere. */
#ifndef TTM_TOOLS_TRAIN_REPORT_H
#define TTM_TOOLS_TRAIN_REPORT_H

#include <stdbool.h>
#include <ttm/trainer.h>

/** The state of the display. */
typedef struct train_report {
    bool terminal;
    bool line_open; /**< The rewritten line is on the screen. */
    int64_t steps;
    const char *sample_prompt; /**< Of the options: what samples begin with. */
    double last_shown;         /**< Clock. */
    double rate;               /**< Smoothed tokens/s. */
    double tokens_per_step;
} train_report;

/** Prepares the display of a run of `options`, which must stay, and points `events` at it unless it
 * is `quiet`. */
void train_report_init(train_report *report, ttm_trainer_events *events,
                       const ttm_trainer_options *options, bool quiet);

/** Ends the rewritten line, if there is one. Call before anything else is printed. */
void train_report_end(train_report *report);

#endif
