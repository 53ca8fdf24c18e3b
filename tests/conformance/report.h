/* What became of the cases of a run: counts for each group, and files for other programs. */
#ifndef TTM_CONFORMANCE_REPORT_H
#define TTM_CONFORMANCE_REPORT_H

#include "conformance/check.h"
#include "conformance/plan.h"

/** Counts of one group or of all. */
typedef struct suite_counts {
    char name[PLAN_NAME_BYTES];
    uint64_t passed;
    uint64_t failed;
    uint64_t skipped;
    double worst;   /**< Largest error in parts of its bound. */
    double seconds; /**< Time that the cases took. */
} suite_counts;

/** One case as the files tell it. */
typedef struct suite_entry {
    plan_position position;
    check_outcome outcome;
    double worst;
    double seconds;
    char *message;     /**< Of a failed or skipped case, else NULL. */
    char *description; /**< Of a failed case, else NULL. */
    char *repeat;      /**< The command that repeats a failed case, else NULL. */
} suite_entry;

enum { SUITE_GROUPS = 64 };

/** Everything that a run found. Zero-initialised before; freed with suite_report_free. */
typedef struct suite_report {
    suite_counts groups[SUITE_GROUPS];
    size_t group_count;
    suite_counts total;
    bool keep_entries; /**< Set before: keep every case for the files. */
    suite_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
} suite_report;

/** Adds a case. `description` and `repeat` are kept for failures. */
TTM_CHECKED ttm_status suite_report_add(suite_report *report, const plan_position *position,
                                        const check_verdict *verdict, double seconds,
                                        const char *description, const char *repeat);

/** Writes all cases as one JSON object. `plugin`, `device` and `seed` say what was tested. */
TTM_CHECKED ttm_status suite_report_write_json(const suite_report *report, const char *path,
                                               const char *plugin, const char *device,
                                               uint64_t seed);

/** Writes all cases as JUnit's XML, a test suite a group. */
TTM_CHECKED ttm_status suite_report_write_junit(const suite_report *report, const char *path);

/** Frees what a report keeps. */
void suite_report_free(suite_report *report);

#endif
