/* Statistics of a stream as a table, a line and JSON. */
#include "common/tool_profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <ttm/compute.h>

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void tool_profile_begin(tool_profile *profile, ttm_stream *stream, bool timed)
{
    *profile = (tool_profile){.backend = ttm_device_backend_name(ttm_stream_device(stream)),
                              .started_at = now_seconds(),
                              .next_op = TTM_OP_COUNT};
    ttm_stream_reset_statistics(stream);
    ttm_stream_set_profiling(stream, timed);
}

void tool_profile_end(tool_profile *profile, const ttm_stream *stream)
{
    profile->seconds = now_seconds() - profile->started_at;
    uint64_t worst = 0;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        const ttm_op_statistics op = ttm_stream_statistics(stream, (ttm_opcode)opcode);
        profile->ops[opcode] = op;
        profile->timed_ns += op.elapsed_ns;
        profile->fallback_calls += op.fallback_calls;
        profile->fallback_ns += op.fallback_ns;
        profile->fallback_bytes += op.fallback_bytes;
        if (op.fallback_ns > worst) {
            worst = op.fallback_ns;
            profile->next_op = (ttm_opcode)opcode;
        }
    }
}

static double seconds_of(uint64_t nanoseconds)
{
    return (double)nanoseconds * 1e-9;
}

/* What shares are shares of: the ops' own time where it is known, else the run's. */
static double whole_seconds(const tool_profile *profile)
{
    return fmax(profile->timed_ns > 0 ? seconds_of(profile->timed_ns) : profile->seconds, 1e-9);
}

static double percent(const tool_profile *profile, uint64_t nanoseconds)
{
    return 100.0 * seconds_of(nanoseconds) / whole_seconds(profile);
}

/* Time where it is known, else the time of what fell back. */
static uint64_t known_ns(const ttm_op_statistics *op)
{
    return op->elapsed_ns > 0 ? op->elapsed_ns : op->fallback_ns;
}

static int compare_by_time(const void *left, const void *right, void *ops)
{
    const ttm_op_statistics *all = ops;
    const uint64_t left_ns = known_ns(&all[*(const int *)left]);
    const uint64_t right_ns = known_ns(&all[*(const int *)right]);
    return left_ns != right_ns ? (left_ns < right_ns ? 1 : -1)
                               : *(const int *)left - *(const int *)right;
}

static void print_op(FILE *stream, const tool_profile *profile, int opcode)
{
    const ttm_op_statistics *op = &profile->ops[opcode];
    const uint64_t native = op->calls - op->decomposed_calls - op->fallback_calls;
    fprintf(stream,
            "%-20s %9" PRIu64 " %9" PRIu64 " %10" PRIu64 " %9" PRIu64 " %9.3f %6.1f%% %9.1f\n",
            ttm_op_name((ttm_opcode)opcode), op->calls, native, op->decomposed_calls,
            op->fallback_calls, seconds_of(known_ns(op)), percent(profile, known_ns(op)),
            (double)op->fallback_bytes / 1e6);
}

void tool_profile_print(FILE *stream, const tool_profile *profile)
{
    int order[TTM_OP_COUNT];
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        order[opcode] = opcode;
    }
    qsort_r(order, TTM_OP_COUNT, sizeof order[0], compare_by_time, (void *)profile->ops);
    fprintf(stream, "%-20s %9s %9s %10s %9s %9s %7s %9s\n", "op", "calls", "native", "decomposed",
            "fallback", "seconds", "share", "staged MB");
    for (int k = 0; k < TTM_OP_COUNT; k++) {
        if (profile->ops[order[k]].calls > 0) {
            print_op(stream, profile, order[k]);
        }
    }
    if (profile->next_op != TTM_OP_COUNT) {
        const ttm_op_statistics *next = &profile->ops[profile->next_op];
        fprintf(stream,
                "%.1f%% of the time went through fallback; %s alone took %.1f%%: write that op "
                "next for backend %s\n",
                percent(profile, profile->fallback_ns), ttm_op_name(profile->next_op),
                percent(profile, next->fallback_ns), profile->backend);
    } else {
        fprintf(stream, "nothing went through fallback: backend %s did every op itself\n",
                profile->backend);
    }
}

void tool_profile_print_fallback(const tool_profile *profile)
{
    if (profile->next_op == TTM_OP_COUNT) {
        return;
    }
    printf("%.1f s of it (%.0f%%) went to the host for ops that backend %s lacks, most to %s; "
           "--profile shows them all\n",
           seconds_of(profile->fallback_ns),
           100.0 * seconds_of(profile->fallback_ns) / fmax(profile->seconds, 1e-9),
           profile->backend, ttm_op_name(profile->next_op));
}

static void write_op(ttm_json_writer *writer, const ttm_op_statistics *op)
{
    ttm_json_begin_object(writer);
    ttm_json_member_uint(writer, "calls", op->calls);
    ttm_json_member_uint(writer, "native_calls",
                         op->calls - op->decomposed_calls - op->fallback_calls);
    ttm_json_member_uint(writer, "decomposed_calls", op->decomposed_calls);
    ttm_json_member_uint(writer, "fallback_calls", op->fallback_calls);
    ttm_json_member_double(writer, "seconds", seconds_of(op->elapsed_ns));
    ttm_json_member_double(writer, "fallback_seconds", seconds_of(op->fallback_ns));
    ttm_json_member_uint(writer, "fallback_bytes", op->fallback_bytes);
    ttm_json_end_object(writer);
}

void tool_profile_write(ttm_json_writer *writer, const tool_profile *profile)
{
    ttm_json_key(writer, "fallback");
    ttm_json_begin_object(writer);
    ttm_json_member_uint(writer, "calls", profile->fallback_calls);
    ttm_json_member_double(writer, "seconds", seconds_of(profile->fallback_ns));
    ttm_json_member_double(writer, "share",
                           seconds_of(profile->fallback_ns) / fmax(profile->seconds, 1e-9));
    ttm_json_member_uint(writer, "bytes", profile->fallback_bytes);
    ttm_json_member_string(writer, "next_op",
                           profile->next_op != TTM_OP_COUNT ? ttm_op_name(profile->next_op) : NULL);
    ttm_json_end_object(writer);
    if (profile->timed_ns == 0) {
        return;
    }
    ttm_json_key(writer, "ops");
    ttm_json_begin_object(writer);
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        if (profile->ops[opcode].calls > 0) {
            ttm_json_key(writer, ttm_op_name((ttm_opcode)opcode));
            write_op(writer, &profile->ops[opcode]);
        }
    }
    ttm_json_end_object(writer);
}
