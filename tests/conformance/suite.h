/* Going through cases, each so that a plugin that crashes or hangs costs one failed case. */
#ifndef TTM_CONFORMANCE_SUITE_H
#define TTM_CONFORMANCE_SUITE_H

#include "conformance/report.h"

/** What to run, on what. */
typedef struct suite_options {
    const char *plugin_path; /**< The plugin that is tested. */
    const char *device;      /**< Which of its devices, as target_open takes it. */
    const char *oracle_path; /**< The reference plugin. */
    const char *filter;      /**< As plan_selects takes it; NULL for all. */
    ttm_dtype dtype;         /**< Data type of all cases, TTM_DTYPE_NONE for all types in turn. */
    uint64_t seed;
    uint64_t cases;         /**< Cases of each op. */
    int64_t time_limit_s;   /**< A case that takes longer is failed and its process killed. */
    bool verbose;           /**< Print a line for every case. */
    const char *repeat_how; /**< Start of the command that repeats a case, "ttm-conformance --…". */
} suite_options;

/** Runs all selected cases in worker processes, printing failures (and with `verbose` all cases) to
 * stdout. An error means that the suite itself couldn't run, for instance for lack of the
 * reference plugin. */
TTM_CHECKED ttm_status suite_run(suite_report *report, const suite_options *options);

/** Runs all selected cases in this process: for debuggers and sanitizers. */
TTM_CHECKED ttm_status suite_run_here(suite_report *report, const suite_options *options);

/** Returns whether the filter leaves any case. */
bool suite_has_cases(const suite_options *options);

/** Prints the selected cases, one a line. */
TTM_CHECKED ttm_status suite_list(const suite_options *options);

#endif
