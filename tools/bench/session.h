/* What every subcommand of ttm-bench works with: the command line, the open device, the roofs that
 * were measured on it, and the result that is being filled. */
#ifndef TTM_TOOLS_BENCH_SESSION_H
#define TTM_TOOLS_BENCH_SESSION_H

#include "bench/result.h"

#include "common/tool_options.h"

#include <ttm/device.h>
#include <ttm/gpt2_config.h>
#include <ttm/tensor.h>

/** The command line. */
typedef struct bench_arguments {
    tool_program *program;
    const char *command;
    const char *preset;
    const char *tt;        /* NULL: the preset's own. */
    const char *op;        /* Only ops whose name has this in it; NULL: all. */
    const char *product;   /* product_list.h, instead of the preset's products; NULL: none. */
    const char *rows;      /* N,N,… */
    const char *dtype;     /* One of TOOL_DTYPES. */
    const char *recompute; /* "auto", "on" or "off" */
    int64_t batch;
    int64_t seq;    /* At most the model's context. */
    int64_t layers; /* 0: the preset's, which it becomes before anything is measured. */
    int64_t steps;
    int64_t logit_rows; /* 0: chosen */
    int64_t tokens;
    int64_t prompt;
    int64_t samples;
    double seconds;
    double tune_seconds; /* For the plugin's own settings; 0: not tuned. */
    double precision;
    double confidence;
    double margin;
    bool cold;
    bool no_roofs;
    bool csv;
    bool append;
    bool quiet;
    const char *output;
    const char *trace;
} bench_arguments;

/** What the device does at most, as measured. 0: not measured, or can't. */
typedef struct bench_roofs {
    double product_flops[TTM_TF32 + 1]; /**< By dtype. */
    double copy;                        /**< Bytes read and written per second, */
    double triad;                       /**< out = a + s·b, three arrays, */
    double read;                        /**< sum of squares, */
    double write;                       /**< fill. */
    double memory;                      /**< The largest of these. */
    double to_device;                   /**< Host to device and back, bytes per second. */
    double from_device;
    double launch_ns; /**< Time of an op that does next to nothing. */
} bench_roofs;

/** One run of the tool. */
typedef struct bench_session {
    const bench_arguments *arguments;
    ttm_device *device;
    ttm_dtype dtype; /**< Of the model. */
    ttm_stream *stream;
    bench_roofs roofs;
    double cache_bytes; /**< Of the host's last level; 0 unknown or another device. */
    bench_result result;
    uint64_t random_seed;
    bool failure_told; /**< What failed has been reported: libttm has no message of it. */
} bench_session;

/** Opens the device, notes device, settings and environment. */
ttm_status bench_session_open(bench_session *session, const bench_arguments *arguments);

/** Notes the environment again, at the end. Frees everything but the result. */
void bench_session_close(bench_session *session);

/** Replaces the stream, whose scratch memory has grown with what was measured before. */
ttm_status bench_session_renew_stream(bench_session *session);

/** Measures the roofs that floors need (all of them with `all`), and notes them. */
ttm_status bench_measure_roofs(bench_session *session, bool all);

/** Fills a contiguous tensor with random numbers: floats N(0, scale²), integers in [0, limit). */
ttm_status bench_fill_random(bench_session *session, const ttm_tensor *tensor, double scale,
                             int64_t limit);

/** Returns what the device reached in products of this type; where it has none, or they weren't
 * measured, in f32; 0 where those weren't either. */
double bench_product_roof(const bench_session *session, ttm_dtype dtype);

/** Sets floor and bound of an entry from its operations, bytes and median. `in_cache` says that the
 * data may come from caches. */
void bench_judge(const bench_session *session, bench_entry *entry, ttm_dtype dtype);

/** Makes the configuration of the command line's model. */
ttm_status bench_configure(ttm_gpt2_config *config, const bench_arguments *arguments);

/** Reads the next number of a list "1,16,512"; returns false at its end. *bad tells that something
 * isn't a number from 1 to 2^31 − 1. */
bool bench_next_number(int64_t *number, const char **list, bool *bad);

/** Shows what is being measured, on a terminal, in one line that is written over; NULL clears. */
void bench_progress(const bench_session *session, const char *what);

#endif
