/* Pieces of the page that `ttm-bench report` writes. */
#ifndef TTM_TOOLS_BENCH_REPORT_H
#define TTM_TOOLS_BENCH_REPORT_H

#include "bench/result.h"

/** The page's style sheet. */
extern const char bench_report_style[];

/** Writes text with the characters that HTML keeps for itself escaped. */
void bench_html(FILE *file, const char *text);

/** Writes a time with a fitting unit. */
void bench_html_time(FILE *file, double nanoseconds);

/** Writes a roofline plot (inline SVG) of the entries of `group`, numbered as bench_report_table
 * numbers them. Nothing without roofs. */
void bench_report_roofline(FILE *file, const bench_result *result, const char *group);

/** Writes a bar an entry of `group`: its time, and within it the least time that the roofs allow.
 */
void bench_report_bars(FILE *file, const bench_result *result, const char *group);

/** Writes the entries of `group` as a table with numbers, spread and rates. */
void bench_report_table(FILE *file, const bench_result *result, const char *group);

#endif
