/* Where a run's time went: op by op, and how much of it the host had to do for the device. */
#ifndef TTM_TOOLS_COMMON_TOOL_PROFILE_H
#define TTM_TOOLS_COMMON_TOOL_PROFILE_H

#include <stdbool.h>
#include <stdio.h>
#include <ttm/device.h>
#include <ttm/json.h>

/** What a stream has counted, and sums of it. */
typedef struct tool_profile {
    const char *backend; /**< Belongs to the device. */
    ttm_op_statistics ops[TTM_OP_COUNT];
    double started_at;       /**< Clock when it began, in seconds. */
    double seconds;          /**< From beginning to end. */
    uint64_t timed_ns;       /**< Spent in ops, 0 when the stream wasn't profiled. */
    uint64_t fallback_calls; /**< Ops that the host did. */
    uint64_t fallback_ns;    /**< Time that took. */
    uint64_t fallback_bytes; /**< Bytes copied for it. */
    ttm_opcode next_op;      /**< The op that cost most fallback time; TTM_OP_COUNT for none. */
} tool_profile;

/** Begins a profile: clears the statistics of `stream`, and with `timed` lets every op be waited
 * for and timed. */
void tool_profile_begin(tool_profile *profile, ttm_stream *stream, bool timed);

/** Ends it: takes the statistics and the seconds since it began. */
void tool_profile_end(tool_profile *profile, const ttm_stream *stream);

/** Prints a table, an op a line, those that took longest first, and which op the plugin should get
 * next. Times are there only if the stream was profiled. */
void tool_profile_print(FILE *stream, const tool_profile *profile);

/** Prints one line to stdout on the time spent in fallback; nothing where there was none. */
void tool_profile_print_fallback(const tool_profile *profile);

/** Writes the member "fallback" of a result, and "ops" where the stream was profiled. */
void tool_profile_write(ttm_json_writer *writer, const tool_profile *profile);

#endif
