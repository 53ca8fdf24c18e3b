/* Statistics of a stream as a table, a line and JSON. */
#include "common/tool_profile.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ttm/compute.h>

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

const char *tool_profile_part_of(const ttm_profile_op *op)
{
    const char *label = op->label;
    if (op->layer >= 0 && strncmp(label, "layer ", 6) == 0) {
        label += 6 + strspn(label + 6, "0123456789");
        label += strspn(label, " ");
    }
    if (label[0] != '\0') {
        return label;
    }
    return op->opcode == TTM_OP_COUNT                                          ? "transfers"
           : op->opcode == TTM_OP_ADAMW || op->opcode == TTM_OP_SUM_OF_SQUARES ? "optimiser"
                                                                               : "other";
}

ttm_status tool_profile_begin(tool_profile *profile, ttm_stream *stream, bool timed)
{
    *profile = (tool_profile){.backend = ttm_device_backend_name(ttm_stream_device(stream)),
                              .started_at = now_seconds(),
                              .next_op = TTM_OP_COUNT};
    ttm_stream_reset_statistics(stream);
    if (!timed) {
        return TTM_OK;
    }
    const ttm_status status = ttm_profile_create(&profile->recorder, stream, TTM_PROFILE_TOTALS);
    return status == TTM_OK ? ttm_profile_start(profile->recorder) : status;
}

void tool_profile_free(tool_profile *profile)
{
    ttm_profile_destroy(profile->recorder);
    profile->recorder = NULL;
}

static void add_to_part(tool_profile *profile, const ttm_profile_op *op)
{
    const char *name = tool_profile_part_of(op);
    size_t place = 0;
    while (place < profile->part_count && strcmp(profile->parts[place].name, name) != 0) {
        place++;
    }
    if (place == TOOL_PROFILE_PARTS) {
        return;
    }
    tool_profile_part *part = &profile->parts[place];
    if (place == profile->part_count) {
        profile->part_count++;
        snprintf(part->name, sizeof part->name, "%s", name);
    }
    part->calls += op->calls - op->decomposed_calls;
    part->device_ns += op->device_ns;
}

static void take_times(tool_profile *profile)
{
    size_t count = 0;
    if (ttm_profile_stop(profile->recorder) != TTM_OK) {
        fprintf(stderr, "no times of ops: %s\n", ttm_error_message());
        return;
    }
    const ttm_profile_op *ops = ttm_profile_ops(profile->recorder, &count);
    profile->whole_ns = ttm_profile_device_ns(profile->recorder);
    for (size_t k = 0; k < count; k++) {
        profile->timed_ns += ops[k].device_ns;
        if (ops[k].opcode != TTM_OP_COUNT) {
            profile->device_ns[ops[k].opcode] += ops[k].device_ns;
        }
        add_to_part(profile, &ops[k]);
    }
}

void tool_profile_end(tool_profile *profile, const ttm_stream *stream)
{
    uint64_t worst = 0;
    if (profile->recorder != NULL) {
        take_times(profile);
    }
    profile->seconds = now_seconds() - profile->started_at;
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        const ttm_op_statistics op = ttm_stream_statistics(stream, (ttm_opcode)opcode);
        profile->ops[opcode] = op;
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

/* What shares are shares of: the device's time where it is known, else the run's. */
static double whole_seconds(const tool_profile *profile)
{
    return fmax(profile->whole_ns > 0 ? seconds_of(profile->whole_ns) : profile->seconds, 1e-9);
}

static double percent(const tool_profile *profile, uint64_t nanoseconds)
{
    return 100.0 * seconds_of(nanoseconds) / whole_seconds(profile);
}

/* Time where it is known, else the time of what fell back. */
static uint64_t known_ns(const tool_profile *profile, int opcode)
{
    return profile->whole_ns > 0 ? profile->device_ns[opcode] : profile->ops[opcode].fallback_ns;
}

static int compare_by_time(const void *left, const void *right, void *whole)
{
    const tool_profile *profile = whole;
    const uint64_t left_ns = known_ns(profile, *(const int *)left);
    const uint64_t right_ns = known_ns(profile, *(const int *)right);
    return left_ns != right_ns ? (left_ns < right_ns ? 1 : -1)
                               : *(const int *)left - *(const int *)right;
}

static void print_op(FILE *stream, const tool_profile *profile, int opcode)
{
    const ttm_op_statistics *op = &profile->ops[opcode];
    const uint64_t native = op->calls - op->decomposed_calls - op->fallback_calls;
    const double seconds = seconds_of(known_ns(profile, opcode));
    fprintf(stream,
            "%-20s %9" PRIu64 " %9" PRIu64 " %10" PRIu64 " %9" PRIu64 " %9.3f %6.1f%% %9.1f "
            "%8.2f %8.2f\n",
            ttm_op_name((ttm_opcode)opcode), op->calls, native, op->decomposed_calls,
            op->fallback_calls, seconds, percent(profile, known_ns(profile, opcode)),
            (double)op->fallback_bytes / 1e6, seconds > 0.0 ? op->operations / seconds * 1e-9 : 0.0,
            seconds > 0.0 ? op->bytes / seconds * 1e-9 : 0.0);
}

static void print_ops(FILE *stream, const tool_profile *profile)
{
    int order[TTM_OP_COUNT];
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        order[opcode] = opcode;
    }
    qsort_r(order, TTM_OP_COUNT, sizeof order[0], compare_by_time, (void *)profile);
    fprintf(stream, "%-20s %9s %9s %10s %9s %9s %7s %9s %8s %8s\n", "op", "calls", "native",
            "decomposed", "fallback", "seconds", "share", "staged MB", "GFLOP/s", "GB/s");
    for (int k = 0; k < TTM_OP_COUNT; k++) {
        if (profile->ops[order[k]].calls > 0) {
            print_op(stream, profile, order[k]);
        }
    }
}

static int compare_parts(const void *left, const void *right)
{
    const uint64_t left_ns = ((const tool_profile_part *)left)->device_ns;
    const uint64_t right_ns = ((const tool_profile_part *)right)->device_ns;
    return left_ns < right_ns ? 1 : left_ns > right_ns ? -1 : 0;
}

static void print_parts(FILE *stream, const tool_profile *profile)
{
    tool_profile_part parts[TOOL_PROFILE_PARTS];
    memcpy(parts, profile->parts, sizeof parts);
    qsort(parts, profile->part_count, sizeof parts[0], compare_parts);
    fprintf(stream, "%-20s %9s %40s %7s\n", "part", "calls", "seconds", "share");
    for (size_t k = 0; k < profile->part_count; k++) {
        fprintf(stream, "%-20s %9" PRIu64 " %40.3f %6.1f%%\n", parts[k].name, parts[k].calls,
                seconds_of(parts[k].device_ns), percent(profile, parts[k].device_ns));
    }
    const uint64_t waiting =
        profile->whole_ns > profile->timed_ns ? profile->whole_ns - profile->timed_ns : 0;
    fprintf(stream, "%-20s %9s %40.3f %6.1f%%\n", "(no op running)", "", seconds_of(waiting),
            percent(profile, waiting));
}

void tool_profile_print(FILE *stream, const tool_profile *profile)
{
    print_ops(stream, profile);
    if (profile->whole_ns > 0) {
        print_parts(stream, profile);
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
    /* Of the time on the device with all that is measured beside the result, such as validation. */
    printf("%.1f of %.1f s (%.0f%%) went to the host for ops that backend %s lacks, most to %s; "
           "--profile shows them all\n",
           seconds_of(profile->fallback_ns), profile->seconds,
           100.0 * seconds_of(profile->fallback_ns) / fmax(profile->seconds, 1e-9),
           profile->backend, ttm_op_name(profile->next_op));
}

static void write_op(ttm_json_writer *writer, const tool_profile *profile, int opcode)
{
    const ttm_op_statistics *op = &profile->ops[opcode];
    ttm_json_key(writer, ttm_op_name((ttm_opcode)opcode));
    ttm_json_begin_object(writer);
    ttm_json_member_uint(writer, "calls", op->calls);
    ttm_json_member_uint(writer, "native_calls",
                         op->calls - op->decomposed_calls - op->fallback_calls);
    ttm_json_member_uint(writer, "decomposed_calls", op->decomposed_calls);
    ttm_json_member_uint(writer, "fallback_calls", op->fallback_calls);
    ttm_json_member_double(writer, "seconds", seconds_of(profile->device_ns[opcode]));
    ttm_json_member_double(writer, "operations", op->operations);
    ttm_json_member_double(writer, "bytes", op->bytes);
    ttm_json_member_double(writer, "fallback_seconds", seconds_of(op->fallback_ns));
    ttm_json_member_uint(writer, "fallback_bytes", op->fallback_bytes);
    ttm_json_end_object(writer);
}

static void write_fallback(ttm_json_writer *writer, const tool_profile *profile)
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
}

void tool_profile_write(ttm_json_writer *writer, const tool_profile *profile)
{
    write_fallback(writer, profile);
    if (profile->whole_ns == 0) {
        return;
    }
    ttm_json_key(writer, "ops");
    ttm_json_begin_object(writer);
    for (int opcode = 0; opcode < TTM_OP_COUNT; opcode++) {
        if (profile->ops[opcode].calls > 0) {
            write_op(writer, profile, opcode);
        }
    }
    ttm_json_end_object(writer);
    ttm_json_key(writer, "parts");
    ttm_json_begin_object(writer);
    for (size_t k = 0; k < profile->part_count; k++) {
        ttm_json_key(writer, profile->parts[k].name);
        ttm_json_begin_object(writer);
        ttm_json_member_uint(writer, "calls", profile->parts[k].calls);
        ttm_json_member_double(writer, "seconds", seconds_of(profile->parts[k].device_ns));
        ttm_json_end_object(writer);
    }
    ttm_json_end_object(writer);
    ttm_json_member_double(writer, "profiled_seconds", seconds_of(profile->whole_ns));
}
