/* Where a run's time went: op by op and part by part, and how much of it the host had to do for the
 * device. Counts are the stream's; times come from a ttm_profile, which ttm-bench uses as well. */
#ifndef TTM_TOOLS_COMMON_TOOL_PROFILE_H
#define TTM_TOOLS_COMMON_TOOL_PROFILE_H

#include <stdbool.h>
#include <stdio.h>
#include <ttm/device.h>
#include <ttm/json.h>
#include <ttm/profile.h>

enum { TOOL_PROFILE_PARTS = 48 };

/** Time of all calls with one purpose. */
typedef struct tool_profile_part {
    char name[64]; /**< As tool_profile_part_of says. */
    uint64_t calls;
    uint64_t device_ns;
} tool_profile_part;

/** What a stream has counted and taken, and sums of it. */
typedef struct tool_profile {
    const char *backend;   /**< Belongs to the device. */
    ttm_profile *recorder; /**< NULL: the run is only counted. */
    ttm_op_statistics ops[TTM_OP_COUNT];
    uint64_t device_ns[TTM_OP_COUNT]; /**< Of undecomposed calls; zeros without a recorder. */
    tool_profile_part parts[TOOL_PROFILE_PARTS];
    size_t part_count;
    double started_at;       /**< Clock when it began, in seconds. */
    double seconds;          /**< From beginning to end. */
    uint64_t timed_ns;       /**< Device time spent in ops and copies, 0 without a recorder. */
    uint64_t whole_ns;       /**< Device time from beginning to end, likewise. */
    uint64_t fallback_calls; /**< Ops that the host did. */
    uint64_t fallback_ns;    /**< Time that took. */
    uint64_t fallback_bytes; /**< Bytes copied for it. */
    ttm_opcode next_op;      /**< The op that cost most fallback time; TTM_OP_COUNT for none. */
} tool_profile;

/** Begins a profile: clears the statistics of `stream`, and with `timed` begins to record it. The
 * caller frees the profile with tool_profile_free, whatever is returned. */
ttm_status tool_profile_begin(tool_profile *profile, ttm_stream *stream, bool timed);

/** Ends it: takes the statistics, the times and the seconds since it began. Times that couldn't be
 * taken are reported on stderr and left out. */
void tool_profile_end(tool_profile *profile, const ttm_stream *stream);

/** Stops recording and frees what a profile owns; a zeroed one is allowed. */
void tool_profile_free(tool_profile *profile);

/** Prints a table, an op a line, those that took longest first, one of parts, and which op the
 * plugin should get next. Times are there only if the stream was recorded. */
void tool_profile_print(FILE *stream, const tool_profile *profile);

/** Prints one line to stdout on the time spent in fallback; nothing where there was none. */
void tool_profile_print_fallback(const tool_profile *profile);

/** Writes the member "fallback" of a result, and "ops" and "parts" where the stream was recorded.
 */
void tool_profile_write(ttm_json_writer *writer, const tool_profile *profile);

/** Returns what a call was for, without its layer: "mlp.c_fc" of "layer 3 mlp.c_fc", else
 * "transfers", "optimiser" or "other". Belongs to `op` or to the program. */
const char *tool_profile_part_of(const ttm_profile_op *op);

#endif
