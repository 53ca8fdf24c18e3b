/* Results as tables for people. */
#ifndef TTM_TOOLS_BENCH_TABLE_H
#define TTM_TOOLS_BENCH_TABLE_H

#include "bench/result.h"

/** Prints the device, the roofs, the totals and one table a group. Colours are used on a terminal
 * unless NO_COLOR is set. */
void bench_print_result(FILE *file, const bench_result *result);

/** Writes a time or a rate with a fitting unit: "1.23 ms", "45.6 GB/s"; "-" for NaN. Returns text.
 */
const char *bench_format_ns(char *text, size_t text_bytes, double nanoseconds);
const char *bench_format_rate(char *text, size_t text_bytes, double per_second, const char *unit);

/** Returns whether `file` should be written to in colour. */
bool bench_wants_colour(FILE *file);

#endif
