/* Running one case on a target and judging it. */
#ifndef TTM_CONFORMANCE_CHECK_H
#define TTM_CONFORMANCE_CHECK_H

#include "conformance/case.h"

/** What became of a case. */
typedef enum check_outcome {
    CHECK_PASSED = 0,
    CHECK_FAILED = 1,
    CHECK_SKIPPED = 2 /* the device doesn't support it */
} check_outcome;

/** A verdict. */
typedef struct check_verdict {
    check_outcome outcome;
    double worst;      /**< Largest error in parts of its bound. */
    char message[512]; /**< Of a failure: what was wrong. */
} check_verdict;

/** Whether the plugin does a case's op itself. Asked without memory, as libttm does when it plans.
 */
bool check_is_native(const conformance_case *made, const struct target *tested);

/** Runs a case twice on the target, compares with the oracle, and looks at guards, inputs and
 * determinism. A failure is part of the verdict, also one of the plugin's functions. */
void check_case(check_verdict *verdict, const conformance_case *made, const struct target *tested,
                const struct target *oracle);

#endif
