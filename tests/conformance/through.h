/* Cases that go through libttm instead of straight to the plugin: ops that the plugin lacks, and
 * descriptors that nobody may accept. */
#ifndef TTM_CONFORMANCE_THROUGH_H
#define TTM_CONFORMANCE_THROUGH_H

#include "conformance/check.h"

#include <ttm/device.h>

/** The tested device as libttm opens it. */
typedef struct through_libttm {
    ttm_device *device;
    ttm_stream *stream;
    struct target target; /**< The same, with ops running through `stream`. */
} through_libttm;

/** Lets libttm find the tested plugin and the oracle first. Call it before any thread starts. */
TTM_CHECKED ttm_status through_set_path(const char *plugin_path, const char *oracle_path);

/** Opens device number `index` of the plugin that `tested` belongs to. The caller closes it with
 * through_close. */
TTM_CHECKED ttm_status through_open(through_libttm *through, const struct target *tested,
                                    int32_t index);

/** Closes it; a zeroed one is allowed. */
void through_close(through_libttm *through);

/** Runs a case as check_case does, but through libttm; skipped where the plugin does the op itself,
 * as that is tested without. */
void through_check_case(check_verdict *verdict, const conformance_case *made,
                        const through_libttm *through, const struct target *oracle);

/** Spoils a valid case in every way that its descriptor can be spoilt, and has libttm refuse each,
 * without a crash and without writing anything. */
void through_check_refusals(check_verdict *verdict, const conformance_case *made,
                            const through_libttm *through);

#endif
