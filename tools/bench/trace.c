/* A profiled step in the trace-event format that chrome://tracing and Perfetto read: complete
 * events ("ph": "X", times in microseconds), one thread for the host's queueing and one for the
 * device, and a flow ("s" to "f") from where a call was queued to where it ran. */
#include "bench/breakdown.h"

#include "common/tool_options.h"
#include "common/tool_output.h"

#include <stdio.h>
#include <ttm/json.h>

enum { PROCESS = 1, HOST_TRACK = 1, DEVICE_TRACK = 2 };

static void write_name(ttm_json_writer *writer, const char *kind, int track, const char *name)
{
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "ph", "M");
    ttm_json_member_string(writer, "name", kind);
    ttm_json_member_int(writer, "pid", PROCESS);
    ttm_json_member_int(writer, "tid", track);
    ttm_json_key(writer, "args");
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "name", name);
    ttm_json_end_object(writer);
    ttm_json_end_object(writer);
}

/* Viewers sort threads by their numbers or by when they first did something, unless told. */
static void write_order(ttm_json_writer *writer, int track)
{
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "ph", "M");
    ttm_json_member_string(writer, "name", "thread_sort_index");
    ttm_json_member_int(writer, "pid", PROCESS);
    ttm_json_member_int(writer, "tid", track);
    ttm_json_key(writer, "args");
    ttm_json_begin_object(writer);
    ttm_json_member_int(writer, "sort_index", track);
    ttm_json_end_object(writer);
    ttm_json_end_object(writer);
}

/* One end of the arrow from a call's event on the host's track to that on the device's. It belongs
 * to the event around its time, so it stands in the middle. */
static void write_flow(ttm_json_writer *writer, const ttm_profile_call *call, size_t number,
                       int track)
{
    const uint64_t start = track == HOST_TRACK ? call->host_start_ns : call->start_ns;
    const uint64_t end = track == HOST_TRACK ? call->host_end_ns : call->end_ns;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "ph", track == HOST_TRACK ? "s" : "f");
    ttm_json_member_string(writer, "name", "queued");
    ttm_json_member_string(writer, "cat", "flow");
    ttm_json_member_uint(writer, "id", number + 1);
    ttm_json_member_int(writer, "pid", PROCESS);
    ttm_json_member_int(writer, "tid", track);
    ttm_json_member_double(writer, "ts", 0.5e-3 * ((double)start + (double)end));
    if (track == DEVICE_TRACK) {
        ttm_json_member_string(writer, "bp", "e");
    }
    ttm_json_end_object(writer);
}

/* Only where the device ran it later, and long enough to be seen: a device that computes while the
 * host waits needs no arrows. */
static bool has_flow(const ttm_profile_call *call)
{
    return call->route != TTM_PROFILE_DECOMPOSED && call->start_ns >= call->host_end_ns &&
           call->host_end_ns > call->host_start_ns && call->end_ns > call->start_ns;
}

static void write_call(ttm_json_writer *writer, const ttm_profile_op *op,
                       const ttm_profile_call *call, int track)
{
    static const char *const routes[] = {"native", "decomposed", "host", "transfer"};
    const uint64_t start = track == HOST_TRACK ? call->host_start_ns : call->start_ns;
    const uint64_t end = track == HOST_TRACK ? call->host_end_ns : call->end_ns;
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "ph", "X");
    ttm_json_member_string(writer, "name", op->name);
    ttm_json_member_string(writer, "cat", routes[call->route]);
    ttm_json_member_int(writer, "pid", PROCESS);
    ttm_json_member_int(writer, "tid", track);
    ttm_json_member_double(writer, "ts", (double)start * 1e-3);
    ttm_json_member_double(writer, "dur", end > start ? (double)(end - start) * 1e-3 : 0.0);
    ttm_json_key(writer, "args");
    ttm_json_begin_object(writer);
    if (op->label[0] != '\0') {
        ttm_json_member_string(writer, "label", op->label);
    }
    if (op->layer >= 0) {
        ttm_json_member_int(writer, "layer", op->layer);
    }
    ttm_json_member_string(writer, "shapes", op->shapes);
    ttm_json_member_double(writer, "operations", op->operations);
    ttm_json_member_double(writer, "bytes", op->bytes);
    ttm_json_end_object(writer);
    ttm_json_end_object(writer);
}

static ttm_status write_events(const char **text, ttm_json_writer *writer,
                               const ttm_profile *profile, const bench_result *result,
                               const char *what)
{
    char title[320];
    char device[320];
    size_t count = 0;
    size_t op_count = 0;
    const ttm_profile_call *calls = ttm_profile_calls(profile, &count);
    const ttm_profile_op *ops = ttm_profile_ops(profile, &op_count);
    snprintf(title, sizeof title, "ttm-bench %s: %s", result->command, what);
    ttm_json_begin_object(writer);
    ttm_json_member_string(writer, "displayTimeUnit", "ns");
    ttm_json_key(writer, "traceEvents");
    ttm_json_begin_array(writer);
    write_name(writer, "process_name", 0, title);
    write_name(writer, "thread_name", HOST_TRACK, "host: queueing");
    snprintf(device, sizeof device, "device: %s", bench_text(result, "device", "name"));
    write_name(writer, "thread_name", DEVICE_TRACK, device);
    write_order(writer, HOST_TRACK);
    write_order(writer, DEVICE_TRACK);
    for (size_t k = 0; k < count; k++) {
        write_call(writer, &ops[calls[k].op], &calls[k], HOST_TRACK);
        write_call(writer, &ops[calls[k].op], &calls[k], DEVICE_TRACK);
        if (has_flow(&calls[k])) {
            write_flow(writer, &calls[k], k, HOST_TRACK);
            write_flow(writer, &calls[k], k, DEVICE_TRACK);
        }
    }
    ttm_json_end_array(writer);
    ttm_json_end_object(writer);
    return ttm_json_writer_finish(text, NULL, writer);
}

int bench_write_trace(const char *path, const ttm_profile *profile, const bench_result *result,
                      const char *what)
{
    ttm_json_writer *writer = NULL;
    const char *text = NULL;
    tool_output output = {0};
    ttm_status status = ttm_json_writer_new(&writer, TTM_JSON_COMPACT);
    if (status == TTM_OK) {
        status = write_events(&text, writer, profile, result, what);
    }
    int code = status == TTM_OK ? tool_output_open(&output, path) : tool_fail(status);
    if (code == TOOL_GO_ON) {
        fputs(text, output.stream);
        code = tool_output_close(&output, TOOL_EXIT_DONE);
    }
    ttm_json_writer_free(writer);
    return code == TOOL_EXIT_DONE;
}
