/* What a run of ttm-bench found: facts (device, environment, settings, totals) and timed entries.
 * The same in memory, as JSON (docs/bench.md has the schema), as CSV and as a table. */
#ifndef TTM_TOOLS_BENCH_RESULT_H
#define TTM_TOOLS_BENCH_RESULT_H

#include "bench/statistics.h"

#include <stdio.h>
#include <ttm/status.h>

#define BENCH_SCHEMA         "ttm-bench"
#define BENCH_SCHEMA_VERSION 1

/** A named number or text. */
typedef struct bench_fact {
    char *section; /**< "environment", "device", "settings", "roofs", "step", "memory", … */
    char *name;    /**< Carries its unit: "memory_bytes", "tokens_per_second". */
    char *text;    /**< NULL for a number. */
    double number;
} bench_fact;

/** What limits an entry. */
typedef enum bench_bound {
    BENCH_BOUND_NONE = 0, /**< Not said. */
    BENCH_BOUND_COMPUTE,  /**< Operations at the measured product peak take longest, */
    BENCH_BOUND_MEMORY,   /**< or bytes at the measured bandwidth, */
    BENCH_BOUND_CACHE,    /**< or bytes would, but they fit the caches and came from there, */
    BENCH_BOUND_LAUNCH    /**< or it is so small that launching it takes longest. */
} bench_bound;

/** One thing that was timed. */
typedef struct bench_entry {
    char *group;         /**< "op", "layer", "way", "part", "step". */
    char *name;          /**< Unique in its group; what `compare` goes by. */
    char *op;            /**< Op, "" where that makes no sense. */
    char *shapes;        /**< For people. */
    bench_series series; /**< Nanoseconds of one call (or of all calls of one step), on the device's
                            clock, each. */
    double wall_ns; /**< Median on the host's clock, queueing and waiting included; NaN unknown. */
    double operations; /**< Of one value of the series, */
    double bytes;      /**< by definition; NaN unknown. */
    double floor_ns;   /**< Least time by the measured roofs; NaN unknown. */
    bench_bound bound;
    double calls;            /**< In one value of the series. */
    double fallback_calls;   /**< Of these, on the host. */
    double decomposed_calls; /**< Of these, decomposed. */
    double share;            /**< Of the step; NaN outside one. */
    bool rounds_operands;    /**< Ops in it multiply TF32. */
} bench_entry;

/** A result. Zeroed means empty. */
typedef struct bench_result {
    char *command; /**< "ops"… */
    char *path;    /**< File it was read from, NULL for none. */
    bench_fact *facts;
    size_t fact_count;
    size_t fact_capacity;
    bench_entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    bool out_of_memory; /**< Something could not be added; finishing fails. */
} bench_result;

/** Frees a result and empties it. */
void bench_result_free(bench_result *result);

/** Sets a fact. */
void bench_set_text(bench_result *result, const char *section, const char *name, const char *text);
void bench_set_number(bench_result *result, const char *section, const char *name, double number);

/** Returns a fact, NULL for none. */
const bench_fact *bench_find_fact(const bench_result *result, const char *section,
                                  const char *name);

/** Returns a fact's number, NaN for none. */
double bench_number(const bench_result *result, const char *section, const char *name);

/** Returns a fact's text, "" for none. */
const char *bench_text(const bench_result *result, const char *section, const char *name);

/** Returns a new entry with these names (copied) and nothing known, one round begun; NULL without
 * memory. Valid until the next is added. */
bench_entry *bench_add_entry(bench_result *result, const char *group, const char *name,
                             const char *op, const char *shapes);

/** Removes the newest entry: it turned out not to be possible. */
void bench_drop_entry(bench_result *result);

/** Returns the entry with these names, NULL for none. */
bench_entry *bench_find_entry(const bench_result *result, const char *group, const char *name);

/** Adds the rounds of `more` to the entries of the same names in `result`; other entries are
 * appended. Facts are those of `more`. Returns 0 when the two aren't of one command. */
int bench_merge(bench_result *result, bench_result *more);

/** Returns the median of an entry's values, all rounds. */
double bench_entry_median(const bench_entry *entry);

/** Returns the confidence that a result's intervals have: its --confidence. */
double bench_confidence(const bench_result *result);

/** Returns the interval of an entry's median at that confidence. */
bench_interval bench_entry_interval(const bench_result *result, const bench_entry *entry);

/** Returns a bound as the tools spell it, "" for none. */
const char *bench_bound_name(bench_bound bound);

/** Writes JSON, CSV. 0 on failure. */
int bench_write_json(FILE *file, const bench_result *result);
int bench_write_csv(FILE *file, const bench_result *result);

/** Reads JSON from `path`. Returns TOOL_GO_ON; or after a message the exit status. */
int bench_read_json(bench_result *result, const char *path);

#endif
