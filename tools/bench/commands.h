/* The subcommands. Each fills session->result, or returns what failed. */
#ifndef TTM_TOOLS_BENCH_COMMANDS_H
#define TTM_TOOLS_BENCH_COMMANDS_H

#include "bench/session.h"

ttm_status bench_run_devices(bench_session *session);
ttm_status bench_run_ops(bench_session *session);
ttm_status bench_run_layer(bench_session *session);
ttm_status bench_run_train(bench_session *session);
ttm_status bench_run_generate(bench_session *session);
ttm_status bench_run_tune(bench_session *session);

/** Compares two results; prints, and returns the exit status: 0 alike, 1 when something is slower.
 */
int bench_run_compare(const bench_arguments *arguments, const char *path_a, const char *path_b);

/** Writes a page about results (files) to arguments->output or stdout; returns the exit status. */
int bench_run_report(const bench_arguments *arguments);

#endif
