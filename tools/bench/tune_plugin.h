/* ttm-bench tune's first part: settings of the plugin's own. */
#ifndef TTM_TOOLS_BENCH_TUNE_PLUGIN_H
#define TTM_TOOLS_BENCH_TUNE_PLUGIN_H

#include "bench/session.h"

/** Lets the plugin tune itself for the products of the command line's model, or those of --product,
 * and times each of them before and after. Does nothing where the plugin has no settings of its
 * own. */
ttm_status bench_tune_plugin(bench_session *session);

#endif
