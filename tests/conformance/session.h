/* One process's view of a run: plugins opened, cases run one by one. */
#ifndef TTM_CONFORMANCE_SESSION_H
#define TTM_CONFORMANCE_SESSION_H

#include "conformance/suite.h"
#include "conformance/through.h"

/** Tested and oracle plugin, and the tested one through libttm, which is opened when it is needed.
 */
typedef struct suite_session {
    const suite_options *options;
    struct target tested;
    struct target oracle;
    through_libttm through;
    bool through_open;
} suite_session;

/** What became of a case, small enough to be written to a pipe at once. */
typedef struct session_record {
    plan_position position;
    check_verdict verdict;
    double seconds;
    char description[1500];
} session_record;

/** What the last case, PLAN_CLOSE, promises. It isn't run: it is how the session ended. */
#define SESSION_CLOSE_PROMISE "the device closes and the process ends as it should"

/** Opens both plugins. The caller closes the session. */
TTM_CHECKED ttm_status session_open(suite_session *session, const suite_options *options);

void session_close(suite_session *session);

/** Runs the case at record->position and fills in the rest. */
void session_run(session_record *record, suite_session *session);

/** Describes a case without running it; only the oracle need be open. */
TTM_CHECKED ttm_status session_describe(char *text, size_t text_bytes, const suite_session *session,
                                        const plan_position *position);

#endif
