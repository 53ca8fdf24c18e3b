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

/** Returns a fact's value with the unit that its name tells; the text is the fact's or in `text`.
 */
const char *bench_format_fact(char *text, size_t text_bytes, const bench_fact *fact);

/** What can make a result doubtful. */
typedef enum bench_doubt { BENCH_DOUBT_PROFILER, BENCH_DOUBT_BUSY, BENCH_DOUBTS } bench_doubt;

/** Returns whether there is this doubt about a result, with a sentence about it in `text`. */
bool bench_describe_doubt(char *text, size_t text_bytes, const bench_result *result,
                          bench_doubt doubt);

/** Returns whether `file` should be written to in colour. */
bool bench_wants_colour(FILE *file);

#endif
